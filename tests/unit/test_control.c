/* SPDX-License-Identifier: MIT */
/* The control socket: one event loop, real sockets in a directory of their own, one thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/control.h"

#define CONSOLES 64 /* that the server lets in */
#define MAX_REQUESTS 1024

static const char *take_line(
	void *state, struct udpxdp_ctx *out, const struct udpxdp_command *command)
{
	return NULL;
}

static const struct udpxdp_service echo = {.name = "echo"};
static const struct udpxdp_service chat = {.name = "chat", .command = take_line};
static const struct udpxdp_service broadcast = {
	.name = "broadcast", .wants_broadcast = true, .command = take_line};
static const struct service_config services[] = {
	{.service = &echo, .port = 8080},
	{.service = &broadcast, .port = 8086},
	{.service = &chat, .port = 8090},
	{.service = &chat, .port = 8091},
};

/* What the server was asked to do. */
struct seen {
	unsigned instance;
	uint64_t ticket;
	bool announcement;
	struct udpxdp_addr peer;
	uint16_t port;
	uint32_t len;
	char text[64]; /* its beginning */
};

struct fixture {
	char dir[64], path[96];
	sd_event *loop;
	struct control *control;
	struct seen seen[MAX_REQUESTS];
	unsigned count;
	bool answer_at_once;
};

static void on_request(void *context, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	struct fixture *f = context;
	struct seen *seen = &f->seen[f->count++ % MAX_REQUESTS];

	*seen = (struct seen){.instance = instance,
		.ticket = ticket,
		.announcement = !peer,
		.port = port,
		.len = len};
	if (peer)
		seen->peer = *peer;
	memcpy(seen->text, text, len < sizeof(seen->text) ? len : sizeof(seen->text) - 1);
	if (f->answer_at_once)
		control_answer(f->control, ticket, NULL);
}

static struct control *open_at(struct fixture *f, const char *path)
{
	const struct control_config config = {.loop = f->loop,
		.path = path,
		.services = services,
		.service_count = 4,
		.context = f,
		.request = on_request};

	return control_open(&config);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/udpxdp-control-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/eth0.sock", f->dir);
	assert_return_code(sd_event_new(&f->loop), 0);
	f->control = open_at(f, f->path);
	assert_non_null(f->control);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char run[80];

	if (f->control)
		control_close(f->control);
	sd_event_unref(f->loop);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	unlink(f->path);
	rmdir(run);
	assert_return_code(rmdir(f->dir), errno); /* nothing was left in it */
	free(f);
	return 0;
}

/* ---- the console's side --------------------------------------------------------------- */

/* Lets the server work until it has nothing to do for a while. */
static void settle(struct fixture *f)
{
	while (sd_event_run(f->loop, 20000) > 0)
		;
}

static int connect_to(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, path);
	assert_return_code(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), errno);
	return fd;
}

static void tell(int fd, const void *packet, size_t len)
{
	assert_int_equal(send(fd, packet, len, MSG_NOSIGNAL), len);
}

static void tell_text(int fd, const char *packet)
{
	tell(fd, packet, strlen(packet));
}

/* The next packet; "" at the end of the connection; "nothing" when there is none. */
static const char *heard(int fd)
{
	static char packet[CONTROL_PACKET_MAX + 1];
	ssize_t len = recv(fd, packet, sizeof(packet) - 1, 0);

	if (len < 0)
		return errno == EAGAIN ? "nothing" : "";
	packet[len] = '\0';
	return packet;
}

static const char *ask(struct fixture *f, int fd, const char *packet)
{
	tell_text(fd, packet);
	settle(f);
	return heard(fd);
}

/* A console that watches. */
static int watch(struct fixture *f, const char *service)
{
	int fd = connect_to(f->path);
	char packet[64];

	snprintf(packet, sizeof(packet), "watch %s", service);
	assert_memory_equal(ask(f, fd, packet), "ok ", 3);
	return fd;
}

/* ---- the socket ----------------------------------------------------------------------- */

static void socket_and_directory_have_their_modes(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	char run[80];

	assert_return_code(stat(f->path, &status), errno);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0660);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_return_code(stat(run, &status), errno);
	assert_int_equal(status.st_mode & 07777, 0755);
}

static void close_removes_the_socket(void **state)
{
	struct fixture *f = *state;

	control_close(f->control);
	f->control = NULL;
	assert_int_equal(access(f->path, F_OK), -1);
}

static void close_leaves_the_socket_of_another(void **state)
{
	struct fixture *f = *state;
	struct control *other;

	assert_return_code(unlink(f->path), errno);
	other = open_at(f, f->path);
	assert_non_null(other);
	control_close(f->control);
	f->control = other;
	close(connect_to(f->path));
}

static void live_socket_is_busy(void **state)
{
	struct fixture *f = *state;

	assert_null(open_at(f, f->path));
	assert_int_equal(errno, EADDRINUSE);
	close(watch(f, "broadcast"));
}

static void stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int dead = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	control_close(f->control);
	strcpy(addr.sun_path, f->path);
	assert_return_code(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), errno);
	close(dead);
	f->control = open_at(f, f->path);
	assert_non_null(f->control);
	close(watch(f, "broadcast"));
}

static void what_is_no_socket_stays(void **state)
{
	struct fixture *f = *state;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/precious", f->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_return_code(fd, errno);
	close(fd);
	assert_null(open_at(f, path));
	assert_int_equal(errno, ENOTSOCK);
	assert_return_code(access(path, F_OK), errno);
	unlink(path);
}

static void impossible_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	char path[300];

	snprintf(path, sizeof(path), "%s/%0150d.sock", f->dir, 0);
	assert_null(open_at(f, path));
	assert_int_equal(errno, ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/no/such/dir.sock", f->dir);
	assert_null(open_at(f, path));
	assert_int_equal(errno, ENOENT);
}

/* ---- requests ------------------------------------------------------------------------- */

static void a_service_that_exists_is_watched(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	assert_int_equal(control_watchers(f->control), 0);
	assert_string_equal(
		ask(f, fd, "announce\nx"), "error no service is watched; send watch first");
	assert_string_equal(ask(f, fd, "watch broadcast"), "ok broadcast:8086");
	assert_int_equal(control_watchers(f->control), 1);
	assert_string_equal(ask(f, fd, "watch chat:8091"), "ok chat:8091");
	assert_string_equal(ask(f, fd, "watch chat:8091\n"), "ok chat:8091");
	assert_int_equal(control_watchers(f->control), 1);
	assert_memory_equal(ask(f, fd, "watch chat"), "error several services of that name", 35);
	assert_string_equal(ask(f, fd, "watch chat:8092"),
		"error no such service is running; the server's ready line lists those "
		"that are");
	assert_string_equal(ask(f, fd, "watch nonsense"),
		"error no such service is running; the server's ready line lists those "
		"that are");
	assert_string_equal(
		ask(f, fd, "watch echo"), "error that service has no console; use another");
	assert_memory_equal(ask(f, fd, "watch chat:0"), "error invalid port", 18);
	assert_memory_equal(ask(f, fd, "watch chat:65536"), "error invalid port", 18);
	assert_memory_equal(ask(f, fd, "watch chat:x"), "error invalid port", 18);
	assert_memory_equal(ask(f, fd, "watch chat:"), "error invalid port", 18);
	assert_int_equal(f->count, 0);
	close(fd);
	settle(f);
	assert_int_equal(control_watchers(f->control), 0);
}

static void requests_are_passed_on(void **state)
{
	struct fixture *f = *state;
	struct udpxdp_addr ipv6;
	int fd = watch(f, "broadcast");

	f->answer_at_once = true;
	inet_pton(AF_INET6, "fd00::9", ipv6.b);
	assert_string_equal(ask(f, fd, "announce\nhello\nall"), "ok");
	assert_true(f->seen[0].announcement);
	assert_int_equal(f->seen[0].instance, 1);
	assert_string_equal(f->seen[0].text, "hello\nall");
	assert_int_equal(f->seen[0].len, 9);
	assert_string_equal(ask(f, fd, "watch chat:8091"), "ok chat:8091");
	assert_string_equal(ask(f, fd, "say 10.0.0.9 4711\nhello"), "ok");
	assert_false(f->seen[1].announcement);
	assert_int_equal(f->seen[1].instance, 3);
	assert_true(udpxdp_addr_equal(&f->seen[1].peer,
		&(struct udpxdp_addr){.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9}}));
	assert_int_equal(f->seen[1].port, 4711);
	assert_string_equal(ask(f, fd, "say fd00::9 65535\n"), "ok");
	assert_true(udpxdp_addr_equal(&f->seen[2].peer, &ipv6));
	assert_int_equal(f->seen[2].port, 65535);
	assert_int_equal(f->seen[2].len, 0);
	assert_string_equal(
		ask(f, fd, "announce\nx"), "error that service takes say, not announce");
	assert_string_equal(ask(f, fd, "watch broadcast"), "ok broadcast:8086");
	assert_string_equal(
		ask(f, fd, "say 10.0.0.9 1\nx"), "error that service takes announce, not say");
	assert_int_equal(f->count, 3);
	close(fd);
}

static void errors_of_the_server_come_back(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090");
	char longest[2000];

	assert_string_equal(ask(f, fd, "say 10.0.0.9 1\nx"), "nothing");
	control_answer(f->control, f->seen[0].ticket, "no answer to ARP from 10.0.0.9");
	assert_string_equal(heard(fd), "error no answer to ARP from 10.0.0.9");
	control_answer(f->control, f->seen[0].ticket, NULL); /* once is enough */
	assert_string_equal(heard(fd), "nothing");
	assert_string_equal(ask(f, fd, "say 10.0.0.9 1\nx"), "nothing");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	control_answer(f->control, f->seen[1].ticket, longest);
	assert_memory_equal(heard(fd), "error xxxxx", 11);
	close(fd);
}

static void answers_keep_the_order_of_requests(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090");

	tell_text(fd, "say 10.0.0.1 1\na");
	tell_text(fd, "nonsense");
	tell_text(fd, "say 10.0.0.2 1\nb");
	assert_string_equal(ask(f, fd, "watch chat:8091"), "nothing");
	assert_int_equal(f->count, 2);
	control_answer(f->control, f->seen[1].ticket, "second");
	assert_string_equal(heard(fd), "nothing");
	control_answer(f->control, f->seen[0].ticket, "first");
	assert_string_equal(heard(fd), "error first");
	assert_memory_equal(heard(fd), "error unknown request;", 22);
	assert_string_equal(heard(fd), "error second");
	assert_string_equal(heard(fd), "ok chat:8091");
	assert_string_equal(heard(fd), "nothing");
	close(fd);
}

static void the_answer_to_one_who_has_gone_is_dropped(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090"), next;

	assert_string_equal(ask(f, fd, "say 10.0.0.1 1\na"), "nothing");
	close(fd);
	settle(f);
	next = watch(f, "chat:8090"); /* in the same place */
	control_answer(f->control, f->seen[0].ticket, NULL);
	assert_string_equal(heard(next), "nothing");
	close(next);
}

static void requests_before_hanging_up_count(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	f->answer_at_once = true;
	tell_text(fd, "watch broadcast");
	for (int i = 0; i < 5; i++)
		tell_text(fd, "announce\nlast words");
	close(fd);
	settle(f);
	assert_int_equal(f->count, 5);
	fd = connect_to(f->path);
	tell_text(fd, "watch broadcast");
	settle(f);
	for (int i = 0; i < 5; i++)
		tell_text(fd, "announce\nlast words");
	close(fd); /* and the answer to watch has not been read */
	settle(f);
	assert_int_equal(f->count, 10);
	assert_int_equal(control_watchers(f->control), 0);
}

/* ---- garbage -------------------------------------------------------------------------- */

static void garbage_is_an_error(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *packet;
		size_t len;
	} garbage[] = {
#define P(text) {text, sizeof(text) - 1}
		P(""),
		P("\n"),
		P(" "),
		P("\0"),
		P("watch"),
		P("watch "),
		P("watch a b"),
		P("watch broadcast\ntext"),
		P("watch\0broadcast"),
		P("WATCH broadcast"),
		P("announce"),
		P("announce x\ny"),
		P("say\nx"),
		P("say 10.0.0.1\nx"),
		P("say 10.0.0.1 1"),
		P("say 10.0.0.1 1 2\nx"),
		P("say 10.0.0.1 0\nx"),
		P("say 10.0.0.1 65536\nx"),
		P("say 10.0.0.1 99999999999999999999\nx"),
		P("say 10.0.0.1 -1\nx"),
		P("say 10.0.0.1 +1\nx"),
		P("say 10.0.0.1 1x\nx"),
		P("say 10.0.0.256 1\nx"),
		P("say 10.1 1\nx"),
		P("say localhost 1\nx"),
		P("say fe80::1%lo 1\nx"),
		P("say ::g 1\nx"),
		P("a b c d e f g h"),
		P("\xff\xfe\x00\x01\x1b[2J"),
		P("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
#undef P
	};
	int fd = watch(f, "broadcast");

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		tell(fd, garbage[i].packet, garbage[i].len);
		settle(f);
		assert_memory_equal(heard(fd), "error ", 6);
	}
	assert_int_equal(f->count, 0);
	assert_string_equal(ask(f, fd, "watch broadcast"), "ok broadcast:8086");
	close(fd);
}

static void noise_is_an_error(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "broadcast");

	srandom(4711);
	for (int i = 0; i < 50; i++) {
		uint8_t noise[512];
		size_t len = 1 + (size_t)random() % sizeof(noise);

		for (size_t k = 0; k < len; k++)
			noise[k] = (uint8_t)random();
		tell(fd, noise, len);
		settle(f);
		assert_memory_equal(heard(fd), "error ", 6);
	}
	assert_int_equal(f->count, 0);
	close(fd);
}

static void requests_longer_than_the_largest_are_errors(void **state)
{
	static char packet[CONTROL_PACKET_MAX + 1000];
	static const char line[] = "announce\n";
	struct fixture *f = *state;
	int fd = watch(f, "broadcast");

	f->answer_at_once = true;
	memset(packet, 'x', sizeof(packet));
	memcpy(packet, line, strlen(line));
	tell(fd, packet, strlen(line) + UDPXDP_PAYLOAD_MAX);
	settle(f);
	assert_string_equal(heard(fd), "ok");
	assert_int_equal(f->seen[0].len, UDPXDP_PAYLOAD_MAX);
	tell(fd, packet, strlen(line) + UDPXDP_PAYLOAD_MAX + 1);
	settle(f);
	assert_string_equal(heard(fd), "error the text does not fit into a datagram; shorten it");
	tell(fd, packet, sizeof(packet));
	settle(f);
	assert_string_equal(heard(fd), "error the request is too long; shorten it");
	memset(packet, 'x', sizeof(packet));
	tell(fd, packet, CONTROL_PACKET_MAX); /* one line without an end */
	settle(f);
	assert_string_equal(heard(fd), "error unknown request; expected watch, announce or say");
	assert_int_equal(f->count, 1);
	assert_string_equal(ask(f, fd, "announce\nx"), "ok");
	close(fd);
}

/* ---- messages ------------------------------------------------------------------------- */

static void messages_go_to_who_watches(void **state)
{
	struct fixture *f = *state;
	struct udpxdp_message message = {.time_ns = 1700000000123456789,
		.direction = UDPXDP_RECEIVED,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 8086,
		.len = 6,
		.text = (const uint8_t *)"a\nb\x1b\xff"
					 "c"};
	int one = watch(f, "broadcast"), two = watch(f, "broadcast"), other = watch(f, "chat:8090");
	int silent = connect_to(f->path);
	static const char event[] =
		"event recv unicast 10.0.0.2 8086 1700000000123456789\na\nb\x1b\xff"
		"c";

	settle(f);
	assert_int_equal(control_watchers(f->control), 3);
	control_notify(f->control, 1, &message);
	assert_string_equal(heard(one), event);
	assert_string_equal(heard(two), event);
	assert_string_equal(heard(other), "nothing");
	assert_string_equal(heard(silent), "nothing");
	assert_string_equal(ask(f, two, "watch chat:8090"), "ok chat:8090");
	message.direction = UDPXDP_SENT;
	message.broadcast = true;
	inet_pton(AF_INET6, "fd00::9", message.addr.b);
	message.len = 0;
	control_notify(f->control, 2, &message);
	assert_string_equal(heard(one), "nothing");
	assert_string_equal(heard(two), "event sent broadcast fd00::9 8086 1700000000123456789\n");
	assert_memory_equal(heard(other), "event sent", 10);
	close(one);
	close(two);
	close(other);
	close(silent);
}

static void the_longest_message_goes_whole(void **state)
{
	static uint8_t text[UDPXDP_PAYLOAD_MAX];
	struct fixture *f = *state;
	const struct udpxdp_message message = {.time_ns = UINT64_MAX,
		.addr = {.b = {0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				 0xff, 0xff, 0xff, 0xff, 0xff}},
		.port = 65535,
		.broadcast = true,
		.len = sizeof(text),
		.text = text};
	int fd = watch(f, "broadcast");

	memset(text, 'x', sizeof(text));
	control_notify(f->control, 1, &message);
	assert_int_equal(strlen(strchr(heard(fd), '\n') + 1), sizeof(text));
	close(fd);
}

/* One that stops reading is cut off; the others never notice, and nobody waits. */
static void frozen_console_is_cut_off(void **state)
{
	struct fixture *f = *state;
	uint8_t text[1000] = "x";
	const struct udpxdp_message message = {.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 1,
		.len = sizeof(text),
		.text = text};
	int frozen = watch(f, "broadcast"), reader = watch(f, "broadcast");
	unsigned sent = 0, kept = 0;

	while (control_watchers(f->control) == 2 && sent < 100000) {
		control_notify(f->control, 1, &message);
		sent++;
		assert_memory_equal(heard(reader), "event ", 6);
	}
	assert_int_equal(control_watchers(f->control), 1);
	assert_in_range(sent, 200, 20000); /* it may be a good way behind, but not without end */
	control_notify(f->control, 1, &message);
	assert_memory_equal(heard(reader), "event ", 6);
	while (!strncmp(heard(frozen), "event ", 6))
		kept++;
	assert_int_equal(kept, sent - 1); /* what it had been sent is still its own */
	assert_string_equal(heard(frozen), "");
	close(frozen);
	close(reader);
}

static void answers_count_as_messages(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "broadcast");
	unsigned asked = 0;

	f->answer_at_once = true;
	/* It asks, and never reads. */
	while (control_watchers(f->control) && asked < 100000) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		asked++;
		sd_event_run(f->loop, 100000);
	}
	assert_int_equal(control_watchers(f->control), 0);
	close(fd);
}

/* ---- bounds --------------------------------------------------------------------------- */

static void outstanding_requests_are_bounded(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090"), other = watch(f, "chat:8090");

	for (int i = 0; i < 40; i++)
		tell_text(fd, "say 10.0.0.9 1\nx");
	settle(f);
	assert_int_equal(f->count, 16); /* the rest waits in the socket */
	assert_string_equal(ask(f, other, "watch chat:8091"), "ok chat:8091");
	control_answer(f->control, f->seen[0].ticket, NULL);
	settle(f);
	assert_int_equal(f->count, 17);
	for (unsigned i = 1; i < 40; i++) {
		assert_in_range(f->count, i + 1, 40);
		control_answer(f->control, f->seen[i].ticket, "x");
		settle(f);
	}
	assert_int_equal(f->count, 40);
	assert_string_equal(heard(fd), "ok");
	for (unsigned i = 1; i < 40; i++)
		assert_string_equal(heard(fd), "error x");
	assert_string_equal(heard(fd), "nothing");
	close(fd);
	close(other);
}

/* Requests that are answered at once wait behind those that are not, and count as they do. */
static void errors_are_outstanding_too(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090");

	for (int i = 0; i < 15; i++)
		tell_text(fd, "say 10.0.0.9 1\nx");
	for (int i = 0; i < 20; i++)
		tell_text(fd, "nonsense");
	settle(f);
	assert_int_equal(f->count, 15);
	for (unsigned i = 0; i < 15; i++) {
		control_answer(f->control, f->seen[i].ticket, NULL);
		settle(f);
	}
	for (int i = 0; i < 15; i++)
		assert_string_equal(heard(fd), "ok");
	for (int i = 0; i < 20; i++)
		assert_string_equal(
			heard(fd), "error unknown request; expected watch, announce or say");
	assert_string_equal(heard(fd), "nothing");
	close(fd);
}

/* One that hangs up while its requests are held back is noticed once they are not. */
static void hanging_up_while_held_back_is_noticed(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "chat:8090");

	for (int i = 0; i < 20; i++)
		tell_text(fd, "say 10.0.0.9 1\nx");
	settle(f);
	close(fd);
	settle(f);
	for (unsigned i = 0; i < f->count; i++) {
		control_answer(f->control, f->seen[i].ticket, NULL);
		settle(f);
	}
	assert_int_equal(f->count, 20);
	assert_int_equal(control_watchers(f->control), 0);
}

static void flood_starves_nobody(void **state)
{
	struct fixture *f = *state;
	int flood = watch(f, "broadcast"), other = watch(f, "broadcast");
	unsigned sent = 0, polls = 0;

	f->answer_at_once = true;
	while (send(flood, "announce\nx", 10, MSG_NOSIGNAL) > 0)
		sent++;
	assert_true(sent > 150);
	tell_text(other, "watch chat:8090");
	while (!strcmp(heard(other), "nothing") && polls++ < 1000)
		assert_return_code(sd_event_run(f->loop, 1000000), 0);
	assert_in_range(polls, 0, 4); /* and not only after the flood */
	while (f->count < 150)
		assert_return_code(sd_event_run(f->loop, 1000000), 0);
	while (!strcmp(heard(flood), "ok"))
		;
	close(flood);
	close(other);
}

static void consoles_are_bounded(void **state)
{
	struct fixture *f = *state;
	int consoles[CONSOLES], one_more;

	for (int i = 0; i < CONSOLES; i++) {
		consoles[i] = connect_to(f->path);
		sd_event_run(f->loop, 1000000);
	}
	one_more = connect_to(f->path);
	settle(f);
	assert_string_equal(heard(one_more), "error too many consoles; close another one");
	assert_string_equal(heard(one_more), "");
	close(one_more);
	assert_string_equal(ask(f, consoles[CONSOLES - 1], "watch broadcast"), "ok broadcast:8086");
	close(consoles[0]);
	settle(f);
	consoles[0] = watch(f, "broadcast");
	for (int i = 0; i < CONSOLES; i++)
		close(consoles[i]);
}

static void close_ends_consoles(void **state)
{
	struct fixture *f = *state;
	int fd = watch(f, "broadcast");

	control_close(f->control);
	f->control = NULL;
	assert_string_equal(heard(fd), "");
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(socket_and_directory_have_their_modes),
		T(close_removes_the_socket),
		T(close_leaves_the_socket_of_another),
		T(live_socket_is_busy),
		T(stale_socket_is_replaced),
		T(what_is_no_socket_stays),
		T(impossible_paths_are_refused),
		T(a_service_that_exists_is_watched),
		T(requests_are_passed_on),
		T(errors_of_the_server_come_back),
		T(answers_keep_the_order_of_requests),
		T(the_answer_to_one_who_has_gone_is_dropped),
		T(requests_before_hanging_up_count),
		T(garbage_is_an_error),
		T(noise_is_an_error),
		T(requests_longer_than_the_largest_are_errors),
		T(messages_go_to_who_watches),
		T(the_longest_message_goes_whole),
		T(frozen_console_is_cut_off),
		T(answers_count_as_messages),
		T(outstanding_requests_are_bounded),
		T(errors_are_outstanding_too),
		T(hanging_up_while_held_back_is_noticed),
		T(flood_starves_nobody),
		T(consoles_are_bounded),
		T(close_ends_consoles),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
