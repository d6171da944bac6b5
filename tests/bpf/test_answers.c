/* SPDX-License-Identifier: MIT */
/*
 * The filter's answers are the engine's: 100,000 questions, varied and mutated, are put to both,
 * and what comes back, what was refused and why must be the same; what the filter leaves to the
 * engine is what it says that it leaves. SEED=NUMBER gives another stream, FRAMES=NUMBER another
 * length.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "questions.h"
#include "services/service_spec.h"
#include "unit/memory_io.h"
#include "xdp/stamps.h"

static uint64_t seed = 20261127;
static unsigned long frames = 100000;

static const char *const specs[] = {
	"echo:8080,answer=driver",
	"echo:8081,answer=driver,stamp=off",
	"echo:8082,answer=driver,loops=allow",
	"echo:8083,answer=driver,stamp=off,loops=allow",
	"echo:8084",
	"broadcast:8086",
	"chat:8090",
};
#define SERVICES (sizeof(specs) / sizeof(specs[0]))
#define MTU 1500

static const char *const reasons[] = {
#define X(name, text) #name,
	UDPXDP_DROP_REASONS(X)
#undef X
		"none"};

static struct service_config services[SERVICES];
static struct service_counters counters[SERVICES];
static struct memory_io io;
static struct engine *engine;
static struct udpxdp_bpf *filter;
static struct arrival arrival;

/* ---- the world, for either -------------------------------------------------------------- */

static void make_engine(void)
{
	static const struct udpxdp_host_addr addrs[] = {
		{.addr = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}},
			.broadcast = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 255}},
			.prefix_len = 24,
			.on_iface = true},
		{.addr = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}}, .prefix_len = 64, .on_iface = true},
		{.addr = {.b = {[10] = 0xff, 0xff, 192, 0, 2, 1}}, .prefix_len = 32},
	};
	const struct engine_config config = {
		.io = &io.io,
		.services = services,
		.service_count = SERVICES,
		.counters = counters,
		.hostname = "test",
	};
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	char error[256];

	for (unsigned i = 0; i < SERVICES; i++)
		assert_int_equal(service_parse(&services[i], specs[i], error, sizeof(error)), 0);
	engine = engine_new(&config);
	assert_non_null(engine);
	engine_set_net(engine, udpxdp_host_new(mac, MTU, addrs, 3));
}

static void make_filter(void)
{
	struct filter_answers *answers = &filter->bss->filter_answers;

	probe_local(filter, "10.0.0.1", LOCAL_UNICAST);
	probe_local(filter, "2001:db8::1", LOCAL_UNICAST);
	probe_local(filter, "192.0.2.1", LOCAL_UNICAST);
	probe_local(filter, "10.0.0.255", LOCAL_BROADCAST);
	probe_local(filter, "255.255.255.255", LOCAL_BROADCAST);
	for (unsigned i = 0; i < SERVICES; i++) {
		const struct udpxdp_service *service = services[i].service;

		probe_serve(filter, services[i].port, service->wants_broadcast);
		answers->ports[services[i].port] = PORT_SERVED;
		if (service->driver)
			answers->ports[services[i].port] |= service->driver(services[i].options);
	}
	answers->mtu = MTU;
}

/* The clock stands still for the engine; for the filter, this second goes on and on. */
static void stamp(uint64_t time_ns)
{
	static struct stamps stamps;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	stamps_publish(&stamps, &filter->bss->filter_answers.stamps,
		now.tv_sec * NSEC_PER_SEC + now.tv_nsec, time_ns);
}

static int set_up(void **state)
{
	arrival.ifindex = private_net();
	memory_open(&io);
	make_engine();
	return arrival.ifindex ? 0 : -1;
}

static int tear_down(void **state)
{
	engine_free(engine);
	return 0;
}

/* ---- what either made of a question ------------------------------------------------------ */

struct outcome {
	enum { LEFT, ANSWERED, DROPPED } kind; /* left: to the engine, to the kernel, to nobody */
	enum udpxdp_drop reason;
	uint32_t len;
	const uint8_t *frame;
};

static uint64_t *drop_counter(unsigned service, unsigned reason)
{
	return (uint64_t *)&counters[service].drops[reason];
}

static struct outcome ask_engine(const struct question *q, uint64_t time_ns)
{
	struct outcome outcome = {.reason = UDPXDP_DROP_NONE};

	io.in_count = io.in_next = io.out_count = 0;
	io.tx_room = MEMORY_FRAMES;
	memset(counters, 0, sizeof(counters));
	memory_put(&io, q->frame, q->len, time_ns);
	engine_poll(engine);
	for (unsigned s = 0; s < SERVICES; s++)
		for (unsigned r = 0; r < UDPXDP_DROP_COUNT; r++)
			if (*drop_counter(s, r)) {
				outcome.kind = DROPPED;
				outcome.reason = r;
			}
	if (io.out_count) {
		outcome.kind = ANSWERED;
		outcome.frame = io.out[0].data;
		outcome.len = io.out[0].len;
	}
	return outcome;
}

/* The counters grew by exactly one frame, as this outcome says. */
static bool is_counted(const struct port_counters *was, const struct port_counters *now,
	const struct outcome *outcome)
{
	uint64_t refused = 0;

#define X(name)                                                                      \
	if (now->name - was->name !=                                                 \
		(outcome->kind == DROPPED && outcome->reason == UDPXDP_DROP_##name)) \
		return false;                                                        \
	refused += now->name - was->name;
	FILTER_REFUSALS(X)
#undef X
	return now->rx_packets - was->rx_packets == 1 &&
	       now->answered - was->answered == (outcome->kind == ANSWERED) &&
	       now->redirected - was->redirected == (outcome->kind == LEFT) &&
	       now->passed == was->passed && refused == (outcome->kind == DROPPED);
}

/* May the filter leave this question to the engine? */
static bool may_leave(const struct question *q, const struct frame_info *info)
{
	return info->payload_len > 1480 || q->frame[0] & 1 ||
	       (info->version == 4 && info->l4 - info->l3 != 20);
}

static void refuse(const struct question *q, unsigned long i, const char *why,
	const struct outcome *filters, const struct outcome *engines)
{
	static const char *const kinds[] = {"left", "answered", "dropped"};

	printf("# SEED=%llu, frame %lu: %s\n", (unsigned long long)seed, i, why);
	printf("# filter: %s %s; engine: %s %s\n", kinds[filters->kind], reasons[filters->reason],
		kinds[engines->kind], reasons[engines->reason]);
	hexdump(q->frame, q->len);
	if (filters->frame) {
		printf("# the filter's answer\n");
		hexdump(filters->frame, filters->len);
	}
	if (engines->frame) {
		printf("# the engine's answer\n");
		hexdump(engines->frame, engines->len);
	}
	fail();
}

static struct outcome outcome_of(int action, const struct port_counters *was,
	const struct port_counters *now, const uint8_t *out, uint32_t len)
{
	struct outcome outcome = {.reason = UDPXDP_DROP_NONE};

	if (action == XDP_TX)
		return (struct outcome){
			.kind = ANSWERED, .reason = UDPXDP_DROP_NONE, .len = len, .frame = out};
	if (action == XDP_DROP)
		outcome.kind = DROPPED;
#define X(name)                     \
	if (now->name != was->name) \
		outcome.reason = UDPXDP_DROP_##name;
	FILTER_REFUSALS(X)
#undef X
	return outcome;
}

static void compare(const struct question *q, unsigned long i, uint64_t time_ns, uint64_t *count)
{
	static uint8_t out[FRAME_MAX];
	uint8_t *frame = exact_copy(q->frame, q->len);
	struct frame_info info = {};
	const enum frame_verdict grammar = frame_classify(frame, frame + q->len, q->len, &info);
	const bool ours = grammar == FRAME_UDP && info.dest_port >= 8080 && info.dest_port <= 8083;
	struct port_counters was = {}, now = {};
	struct outcome filters, engines;
	uint32_t len;
	int action;

	if (ours)
		was = probe_port(filter, info.dest_port);
	action = probe_run_out(filter, &arrival, frame, q->len, out, &len);
	if (ours)
		now = probe_port(filter, info.dest_port);
	free(frame);
	engines = ask_engine(q, time_ns);
	filters = outcome_of(action, &was, &now, out, len);
	if (!ours || was.rx_packets == now.rx_packets) { /* not for one of these echoes */
		if (action != XDP_PASS && action != XDP_REDIRECT)
			refuse(q, i, "nothing is to be done with it", &filters, &engines);
		return;
	}
	if (!is_counted(&was, &now, &filters))
		refuse(q, i, "not counted exactly once", &filters, &engines);
	if (filters.kind == LEFT) {
		count[UDPXDP_DROP_COUNT + 1]++;
		if (action != XDP_REDIRECT || !may_leave(q, &info))
			refuse(q, i, "left to the engine without need", &filters, &engines);
		if (len != q->len || memcmp(out, q->frame, len))
			refuse(q, i, "changed, although it is left", &filters, &engines);
		return;
	}
	if (may_leave(q, &info))
		refuse(q, i, "decided what is the engine's", &filters, &engines);
	if (filters.kind != engines.kind || filters.reason != engines.reason)
		refuse(q, i, "not decided alike", &filters, &engines);
	if (filters.kind == ANSWERED &&
		(filters.len != engines.len || memcmp(filters.frame, engines.frame, engines.len)))
		refuse(q, i, "not the same answer", &filters, &engines);
	if (now.payload_bytes - was.payload_bytes != info.payload_len ||
		now.answered_bytes - was.answered_bytes != counters[info.dest_port - 8080].tx_bytes)
		refuse(q, i, "other bytes are counted", &filters, &engines);
	count[filters.reason]++;
}

static void put_questions(unsigned long n)
{
	uint64_t count[UDPXDP_DROP_COUNT + 2] = {}, prng = seed, time_ns = 0;
	static struct question q;

	for (unsigned long i = 0; i < n; i++) {
		if (i % 64 == 0) {
			/* In the middle of any second from 1970 to 2100. */
			time_ns = random_next(&prng) % 4102444800 * NSEC_PER_SEC + NSEC_PER_SEC / 4;
			stamp(time_ns);
		}
		question_make(&q, &prng);
		compare(&q, i, time_ns, count);
	}
	printf("# %llu answered, %llu left to the engine\n",
		(unsigned long long)count[UDPXDP_DROP_NONE],
		(unsigned long long)count[UDPXDP_DROP_COUNT + 1]);
#define X(name) printf("# %llu " #name "\n", (unsigned long long)count[UDPXDP_DROP_##name]);
	FILTER_REFUSALS(X)
#undef X
	if (n < 100000)
		return;
		/* A stream that does not try a rule proves nothing of it. */
#define X(name) assert_true(count[UDPXDP_DROP_##name] >= 200);
	FILTER_REFUSALS(X)
#undef X
	assert_true(count[UDPXDP_DROP_NONE] >= 20000 && count[UDPXDP_DROP_COUNT + 1] >= 1000);
}

static void with_program(const char *name, unsigned long n)
{
	struct socket_on *sock;

	filter = probe_load_program(NULL, name);
	if (!filter)
		cannot("the kernel refuses the program that answers");
	make_filter();
	sock = socket_on_queue(filter, 0);
	assert_non_null(sock);
	put_questions(n);
	socket_close(sock);
	udpxdp_bpf__destroy(filter);
}

static void test_answers_are_the_engines(void **state)
{
	with_program("udpxdp_answer_5", frames);
}

/* The other way to the frame's length. */
static void test_answers_with_helper(void **state)
{
	if (!probe_has_helper())
		cannot("no bpf_xdp_get_buff_len() (before Linux 5.18)");
	with_program("udpxdp_answer", frames / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_are_the_engines),
		cmocka_unit_test(test_answers_with_helper),
	};

	need_root();
	setenv("TZ", "UTC0", 1);
	if (getenv("SEED"))
		seed = strtoull(getenv("SEED"), NULL, 0);
	if (getenv("FRAMES"))
		frames = strtoul(getenv("FRAMES"), NULL, 0);
	printf("# SEED=%llu FRAMES=%lu\n", (unsigned long long)seed, frames);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
