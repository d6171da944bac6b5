/* SPDX-License-Identifier: MIT */
/* The workers: hand-over to the owner of single services, the host's changes, stopping. Meant to
 * be run under ThreadSanitizer too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/headers.h"
#include "base/checksum.h"
#include "server/workers.h"
#include "services/service_spec.h"
#include "udpxdp/packet.h"
#include "unit/single_reply.h"

#define CHAT "chat,history=off,rate=0,bytes=0,room-rate=0,room-bytes=0"
#define WORKERS 4
#define SERVICES 3 /* echo, chat, one that is single and answers */
#define FRAME_SIZE 256

/* A source of `count` equal datagrams, a few at a time, and a sink that counts by port. */
struct load {
	struct frame_io io;
	int doorbell;
	uint16_t port;          /* they go to */
	uint16_t source;        /* they come from */
	_Atomic unsigned count; /* of the datagrams */
	unsigned next;
	unsigned sent;
	_Alignas(2) uint8_t in[FRAME_BATCH][FRAME_HEADROOM + FRAME_SIZE];
	uint8_t out[2048];
};

/* The wall clock, as the ticks of the services have it. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * UDPXDP_NSEC_PER_SEC + t.tv_nsec;
}

static int load_receive(struct frame_io *io, struct frame *frames, int max)
{
	struct load *l = (struct load *)io;
	int n = 0;

	for (; n < 8 && l->next < l->count; n++, l->next++) {
		struct udpxdp_path path = {
			.local = {.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
				.port = l->source,
				.mac = {2, 0, 0, 0, 0, 2}},
			.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, 1),
				.port = l->port,
				.mac = {2, 0, 0, 0, 0, 1}},
		};
		uint8_t *data = l->in[n] + FRAME_HEADROOM;

		headers_write(data, &path, 5, checksum_sum("hello", 5));
		memcpy(data + headers_len(&path), "hello", 5);
		frames[n] = (struct frame){.data = data,
			.len = headers_len(&path) + 5,
			.time_ns = now_ns(),
			.is_rx = true};
	}
	return n;
}

static void load_give_back(struct frame_io *io, const struct frame *frame)
{
}

static bool load_allocate(struct frame_io *io, struct frame *frame)
{
	struct load *l = (struct load *)io;

	*frame = (struct frame){.data = l->out};
	return true;
}

static bool load_send(struct frame_io *io, const struct frame *frame)
{
	((struct load *)io)->sent++;
	return true;
}

static void load_flush(struct frame_io *io)
{
}

static int load_wait(struct frame_io *io, int timeout_ms)
{
	struct load *l = (struct load *)io;
	struct pollfd fd = {.fd = l->doorbell, .events = POLLIN};
	uint64_t rings;

	if (poll(&fd, 1, timeout_ms) > 0 && read(l->doorbell, &rings, sizeof(rings)) < 0)
		return -1;
	return 0;
}

static int load_close(struct frame_io *io)
{
	return 0;
}

static const struct frame_io_ops load_ops = {
	.receive = load_receive,
	.release = load_give_back,
	.allocate = load_allocate,
	.send = load_send,
	.flush = load_flush,
	.wait = load_wait,
	.close = load_close,
};

struct bench {
	struct load load[WORKERS];
	struct frame_io *ios[WORKERS];
	int doorbells[WORKERS], bell;
	struct service_config services[SERVICES];
	struct service_counters counters[WORKERS * SERVICES];
	struct workers *workers;
};

static struct udpxdp_host *make_net(uint32_t mtu)
{
	const struct udpxdp_host_addr addr = {
		.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .prefix_len = 24, .on_iface = true};
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

	return udpxdp_host_new(mac, mtu, &addr, 1);
}

static struct bench *open_bench(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	char error[200];

	assert_int_equal(
		service_parse(&b->services[0], "echo,loops=allow", error, sizeof(error)), 0);
	assert_int_equal(service_parse(&b->services[1], CHAT, error, sizeof(error)), 0);
	b->services[2] = (struct service_config){
		.service = &single_reply_service, .port = SINGLE_REPLY_PORT};
	b->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < WORKERS; i++) {
		b->doorbells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		b->load[i] = (struct load){
			.io.ops = &load_ops, .doorbell = b->doorbells[i], .source = 40000 + i};
		b->ios[i] = &b->load[i].io;
	}
	return b;
}

static void run_bench(struct bench *b, enum wait_policy wait)
{
	b->workers = workers_start(&(struct workers_config){
		.count = WORKERS,
		.ios = b->ios,
		.doorbells = b->doorbells,
		.wait = wait,
		.services = b->services,
		.service_count = SERVICES,
		.counters = b->counters,
		.hostname = "bench",
		.nets = (struct udpxdp_host *[]){make_net(1500)},
		.event_fd = b->bell,
	});
	assert_non_null(b->workers);
}

static void close_bench(struct bench *b)
{
	workers_free(b->workers);
	for (unsigned i = 0; i < WORKERS; i++)
		close(b->doorbells[i]);
	close(b->bell);
	free(b);
}

static uint64_t sum(const struct bench *b, unsigned service, size_t offset)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		total += *(
			const __u64 *)((const char *)&b->counters[i * SERVICES + service] + offset);
	return total;
}

#define SUM(b, service, field) sum(b, service, offsetof(struct service_counters, field))

/* Counters have one writer and are read here while it writes: only after the end. */
static void sleep_ms(unsigned ms)
{
	poll(NULL, 0, ms);
}

static void every_worker_echoes(void **state)
{
	for (enum wait_policy wait = WAIT_ADAPTIVE; wait <= WAIT_SPIN; wait++) {
		struct bench *b = open_bench();

		for (unsigned i = 0; i < WORKERS; i++)
			b->load[i].port = 8080, b->load[i].count = 1000;
		run_bench(b, wait);
		sleep_ms(50);
		workers_stop(b->workers);
		assert_int_equal(SUM(b, 0, rx), 4000);
		assert_int_equal(SUM(b, 0, tx), 4000);
		for (unsigned i = 0; i < WORKERS; i++) {
			assert_int_equal(b->load[i].sent, 1000);
			assert_int_equal(b->counters[i * SERVICES].worker, i);
		}
		close_bench(b);
	}
}

/* Everything that was there at the call has been served when every worker has turned often. */
static void wait_for_polls(const struct bench *b)
{
	uint64_t before[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++)
		before[i] = workers_polls(b->workers, i);
	for (unsigned i = 0; i < WORKERS; i++)
		while (workers_polls(b->workers, i) < before[i] + 1000)
			sleep_ms(1);
}

/* Four members on four queues: each message goes to the three others, all sent by worker 0. */
static void chat_hears_every_queue(void **state)
{
	const unsigned each = 2000;
	struct bench *b = open_bench();
	uint64_t served;

	for (unsigned i = 0; i < WORKERS; i++)
		b->load[i].port = 8090, b->load[i].count = 1;
	run_bench(b, WAIT_SPIN);
	wait_for_polls(b); /* the workers have taken the datagrams, */
	wait_for_polls(b); /* and the owner what they handed over */
	for (unsigned i = 0; i < WORKERS; i++)
		b->load[i].count = 1 + each;
	sleep_ms(300);
	workers_stop(b->workers);
	served = WORKERS * (1 + each) - SUM(b, 1, drops[UDPXDP_DROP_handover_full]);
	assert_int_equal(SUM(b, 1, rx), WORKERS * (1 + each));
	/* Those who joined told 0, 1, 2 and 3 others. */
	assert_int_equal(b->load[0].sent, 6 + 3 * (served - WORKERS));
	for (unsigned i = 1; i < WORKERS; i++)
		assert_int_equal(b->load[i].sent, 0);
	assert_int_equal(SUM(b, 1, tx), b->load[0].sent);
	close_bench(b);
}

/* Four queues, one state: the owner answers what came in on any of them. */
static void a_single_service_answers_every_queue(void **state)
{
	struct bench *b = open_bench();

	for (unsigned i = 0; i < WORKERS; i++)
		b->load[i].port = SINGLE_REPLY_PORT, b->load[i].count = 200;
	run_bench(b, WAIT_SPIN);
	wait_for_polls(b); /* the workers have taken the datagrams, */
	wait_for_polls(b); /* and the owner what they handed over */
	workers_stop(b->workers);
	assert_int_equal(SUM(b, 2, rx), WORKERS * 200);
	assert_int_equal(SUM(b, 2, drops[UDPXDP_DROP_handover_full]), 0);
	assert_int_equal(SUM(b, 2, tx), WORKERS * 200);
	assert_int_equal(b->load[0].sent, WORKERS * 200);
	close_bench(b);
}

/* An idle owner sleeps, and is woken by what another worker hands over. */
static void a_sleeping_owner_is_woken(void **state)
{
	struct bench *b = open_bench();
	uint64_t asleep;

	run_bench(b, WAIT_BLOCK);
	sleep_ms(100);
	asleep = workers_polls(b->workers, 0);
	sleep_ms(100);
	assert_true(workers_polls(b->workers, 0) - asleep < 10);
	workers_stop(b->workers);
	close_bench(b);
}

static void answers_come_back_from_commands(void **state)
{
	struct bench *b = open_bench();
	struct udpxdp_path path = {.local = {.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .port = 8090},
		.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, 2), .port = 9}};
	struct worker_event *event = NULL;

	run_bench(b, WAIT_BLOCK);
	sleep_ms(20);
	assert_true(workers_command(b->workers, 1, 77, &path, (const uint8_t *)"hello", 5));
	for (int i = 0; i < 2000 && !(event = workers_event(b->workers)); i++)
		sleep_ms(1);
	assert_non_null(event);
	assert_int_equal(event->kind, EVENT_ANSWER);
	assert_int_equal(event->ticket, 77);
	assert_null(event->error);
	workers_event_done(b->workers);
	assert_null(workers_event(b->workers));
	assert_false(workers_command(b->workers, 1, 78, &path, (const uint8_t *)"", 100000));
	workers_stop(b->workers);
	assert_int_equal(b->load[0].sent, 1);
	close_bench(b);
}

/* Messages that nobody takes fill their ring, but leave room for answers. */
static void answers_have_room_behind_messages(void **state)
{
	struct bench *b = open_bench();
	struct udpxdp_path path = {.local = {.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .port = 8090},
		.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, 2), .port = 9}};
	unsigned messages = 0, answers = 0;
	struct worker_event *event;

	b->load[0].port = 8090;
	run_bench(b, WAIT_SPIN);
	workers_set_watched(b->workers, true);
	b->load[0].count = 5000;
	sleep_ms(100);
	for (unsigned i = 0; i < 100; i++)
		assert_true(workers_command(b->workers, 1, i, &path, (const uint8_t *)"hello", 5));
	sleep_ms(100);
	workers_stop(b->workers);
	for (; (event = workers_event(b->workers)); workers_event_done(b->workers)) {
		if (event->kind == EVENT_MESSAGE)
			messages++;
		else
			assert_int_equal(event->ticket, answers++);
	}
	assert_int_equal(SUM(b, 1, rx), 5000);
	assert_in_range(messages, 500, 4999);
	assert_int_equal(SUM(b, 1, drops[UDPXDP_DROP_console_lost]), 5000 - messages);
	assert_int_equal(answers, 100);
	close_bench(b);
}

/* Snapshots come and go under load, and none is freed while an engine reads it. */
static void the_host_changes_under_load(void **state)
{
	struct bench *b = open_bench();

	for (unsigned i = 0; i < WORKERS; i++)
		b->load[i].port = 8080, b->load[i].count = UINT32_MAX;
	run_bench(b, WAIT_ADAPTIVE);
	for (unsigned i = 0; i < 200; i++) {
		workers_set_host(b->workers, (struct udpxdp_host *[]){make_net(1500 + i)},
			i % 2 ? "odd" : "even");
		if (i % 16 == 0)
			sleep_ms(1);
	}
	workers_stop(b->workers);
	assert_int_equal(SUM(b, 0, rx), SUM(b, 0, tx));
	close_bench(b);
}

static int stuck_receive(struct frame_io *io, struct frame *frames, int max)
{
	struct load *l = (struct load *)io;

	while (!l->count) /* none of its datagrams may go: it is in the middle of a poll */
		sleep_ms(1);
	return load_receive(io, frames, max);
}

/* A worker that hangs keeps nobody waiting, and what it may still read stays. */
static void the_host_changes_beside_a_stuck_worker(void **state)
{
	static struct frame_io_ops stuck_ops;
	struct bench *b = open_bench();

	stuck_ops = load_ops;
	stuck_ops.receive = stuck_receive;
	b->load[1].io.ops = &stuck_ops;
	b->load[1].port = 8080;
	run_bench(b, WAIT_SPIN);
	while (!workers_polls(b->workers, 1))
		sleep_ms(1);
	for (unsigned i = 0; i < 100; i++)
		workers_set_host(
			b->workers, (struct udpxdp_host *[]){make_net(1500 + i)}, "another");
	b->load[1].count = 1000;
	while (workers_polls(b->workers, 1) < 200)
		sleep_ms(1);
	workers_publish_host(b->workers);
	workers_stop(b->workers);
	assert_int_equal(SUM(b, 0, tx), 1000);
	close_bench(b);
}

/* A load that never ends does not keep a worker from stopping. */
static void stops_under_load(void **state)
{
	struct bench *b = open_bench();
	uint64_t start;

	for (unsigned i = 0; i < WORKERS; i++)
		b->load[i].port = i % 2 ? 8090 : 8080, b->load[i].count = UINT32_MAX;
	run_bench(b, WAIT_SPIN);
	sleep_ms(20);
	start = now_ns();
	workers_stop(b->workers);
	assert_true(now_ns() - start < 10 * UDPXDP_NSEC_PER_SEC); /* that it ends, not how fast */
	close_bench(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_worker_echoes),
		cmocka_unit_test(chat_hears_every_queue),
		cmocka_unit_test(a_single_service_answers_every_queue),
		cmocka_unit_test(a_sleeping_owner_is_woken),
		cmocka_unit_test(answers_come_back_from_commands),
		cmocka_unit_test(answers_have_room_behind_messages),
		cmocka_unit_test(the_host_changes_under_load),
		cmocka_unit_test(the_host_changes_beside_a_stuck_worker),
		cmocka_unit_test(stops_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
