/* SPDX-License-Identifier: MIT */
/*
 * Packets of two consoles: each through the reader of requests by itself, then all through a real
 * control socket, which has to answer every one of them, in order, with one line.
 *
 * An input is a list of packets: a byte of flags, two for the length (little endian), the packet.
 *   bit 0  the console that sends it
 *   bit 1  the server answers the request only when the next one has come
 *   bit 2  a message comes in meanwhile
 *   bit 3  the console hangs up before it, and another takes its place
 *   bit 4  the request is refused
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpf/harness.h"
#include "fuzz/accounting_io.h"
#include "server/control.h"
#include "server/control_request.h"
#include "services/service_spec.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONSOLE = 1, LATER = 2, EVENT = 4, HANG_UP = 8, REFUSE = 16 };

static const char *const specs[] = {"echo", "broadcast", "chat", "chat:8091"};
#define SERVICES (sizeof(specs) / sizeof(specs[0]))

static struct service_config services[SERVICES];
static char directory[] = "/tmp/udpxdp-fuzz-XXXXXX";
static char path[64];
static sd_event *loop;

static struct {
	struct control *control;
	int consoles[2];
	unsigned asked[2], answered[2];
	uint64_t later; /* the ticket of a request not yet answered */
	bool waits, answer_later, refuse;
} run;

static void judge_request(const struct control_request *r, const uint8_t *packet, size_t len)
{
	if (r->verb == CONTROL_WATCH) {
		require(r->instance >= 0 && r->instance < (int)SERVICES, packet, len);
		require(services[r->instance].service->command, packet, len);
		return;
	}
	if (r->verb == CONTROL_STATS)
		return;
	require(r->text > packet && r->text + r->len == packet + len, packet, len);
	require(r->len <= UDPXDP_PAYLOAD_MAX, packet, len);
	require(r->verb != CONTROL_SAY || r->port, packet, len);
}

static void answer_waiting(void)
{
	if (run.waits)
		control_answer(run.control, run.later, run.refuse ? "not today" : NULL);
	run.waits = false;
}

static void on_request(void *context, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	uint8_t sum = 0;

	require(instance < SERVICES && services[instance].service->command, text, len);
	require(!peer || port, text, len);
	for (uint32_t i = 0; i < len; i++)
		sum ^= text[i];
	answer_waiting();
	run.waits = true;
	run.later = ticket;
	if (!run.answer_later)
		answer_waiting();
	control_answer(run.control, ticket + 64 * sum, "of another time");
}

/* Now and then there is nothing to tell, or too much for a packet. */
static char *on_stats(void *context)
{
	char *text = run.refuse ? NULL : calloc(1, UDPXDP_PAYLOAD_MAX + 100);

	if (text)
		memset(text, 'x', run.answer_later ? UDPXDP_PAYLOAD_MAX + 99 : 9);
	errno = ENOMEM;
	return text;
}

static bool is_answer(const char *text, ssize_t len)
{
	return !memchr(text, '\n', len) && !memchr(text, 0, len) && len < 256 &&
	       ((len >= 2 && !memcmp(text, "ok", 2)) || (len > 6 && !memcmp(text, "error ", 6)));
}

/* Reads what has come to a console. */
static void listen_to(unsigned c)
{
	static char packet[CONTROL_PACKET_MAX];
	ssize_t len;

	while ((len = recv(run.consoles[c], packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		if (len > 6 && !memcmp(packet, "event ", 6))
			continue;
		if (len > 9 && !memcmp(packet, CONTROL_COUNTERS_WORD "\n", 9))
			continue;
		require(is_answer(packet, len), packet, len);
		run.answered[c]++;
		require(run.answered[c] <= run.asked[c], packet, len);
	}
}

static void turn(void)
{
	while (sd_event_run(loop, 0) > 0)
		;
	listen_to(0);
	listen_to(1);
}

static void call(unsigned c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, path);
	run.consoles[c] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	require(!connect(run.consoles[c], (struct sockaddr *)&addr, sizeof(addr)), NULL, 0);
	run.asked[c] = run.answered[c] = 0;
}

static void hang_up(unsigned c)
{
	/* An answer may let a console go on that was held back, and ask for another. */
	do {
		answer_waiting();
		turn();
	} while (run.waits);
	require(run.answered[c] == run.asked[c], NULL, 0);
	close(run.consoles[c]);
	turn();
}

static void notify_all(void)
{
	static const uint8_t text[] = "hello";
	const struct udpxdp_message message = {
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2), .port = 4711, .text = text, .len = 5};

	for (unsigned i = 0; i < SERVICES; i++)
		control_notify(run.control, i, &message);
}

static void step(uint8_t flags, const uint8_t *data, size_t len)
{
	const unsigned c = flags & CONSOLE;
	struct control_request request = {};
	uint8_t *packet = exact_copy(data, len);

	if (!control_request_read(&request, packet, len, services, SERVICES))
		judge_request(&request, packet, len);
	if (flags & HANG_UP) {
		hang_up(c);
		call(c);
	}
	if (flags & EVENT)
		notify_all();
	run.answer_later = flags & LATER;
	run.refuse = flags & REFUSE;
	if (run.asked[c] < 90 && send(run.consoles[c], packet, len, MSG_DONTWAIT) == (ssize_t)len)
		run.asked[c]++;
	turn();
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct control_config config = {
		.loop = loop,
		.path = path,
		.services = services,
		.service_count = SERVICES,
		.request = on_request,
		.stats = on_stats,
	};
	unsigned steps = 0;

	run.control = control_open(&config);
	require(run.control, NULL, 0);
	run.waits = false;
	call(0);
	call(1);
	/* Beyond that many the socket would make them wait. */
	while (size >= 3 && steps++ < 40) {
		size_t len = data[1] | (size_t)data[2] << 8;

		len = len < size - 3 ? len : size - 3;
		step(data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	hang_up(0);
	hang_up(1);
	require(!control_watchers(run.control), NULL, 0);
	control_close(run.control);
	require(access(path, F_OK) && errno == ENOENT, NULL, 0);
	return 0;
}

static void clean_up(void)
{
	sd_event_unref(loop);
	rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char error[256];

	for (unsigned i = 0; i < SERVICES; i++)
		require(!service_parse(&services[i], specs[i], error, sizeof(error)), specs[i],
			strlen(specs[i]));
	if (!mkdtemp(directory) || sd_event_new(&loop) < 0) {
		perror("fuzz_control: cannot make a socket");
		exit(1);
	}
	snprintf(path, sizeof(path), "%s/sock", directory);
	atexit(clean_up);
	return 0;
}
