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
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/checksum.h"
#include "engine/engine.h"
#include "questions.h"
#include "services/service_spec.h"
#include "unit/memory_io.h"
#include "xdp/stamps.h"

static uint64_t seed = 20261127;
static unsigned long frames = 100000;

static const char *const specs[] = {
	"echo:8080,answer=driver",
	"echo:8081,answer=driver,stamp=off,tos=copy",
	"echo:8082,answer=driver,loops=allow,tos=copy",
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

static const struct udpxdp_host_vlan vlans[] = {{7, UDPXDP_VLAN_ALL}, {0x1007, UDPXDP_VLAN_ALL},
	{0x00070007, UDPXDP_VLAN_ALL}, {0x10070007, UDPXDP_VLAN_ALL}, {0x10071007, UDPXDP_VLAN_ALL},
	{9, 9}};

static uint64_t second_mac(void)
{
	return packet_mac((const uint8_t[]){2, 0, 0, 0, 0, 2});
}

static void make_engine(void)
{
	static const struct udpxdp_host_addr addrs[] = {
		{.addr = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}},
			.broadcast = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 255}},
			.prefix_len = 24,
			.on_iface = true},
		{.addr = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}}, .prefix_len = 64, .on_iface = true},
		{.addr = {.b = {[10] = 0xff, 0xff, 192, 0, 2, 1}}, .prefix_len = 32, .vlan = 9},
	};
	const uint64_t macs[] = {second_mac()};
	const struct udpxdp_host_links links = {
		.mac = {2, 0, 0, 0, 0, 1},
		.macs = macs,
		.mac_count = 1,
		.vlans = vlans,
		.vlan_count = sizeof(vlans) / sizeof(vlans[0]),
	};
	const struct engine_config config = {
		.io = &io.io,
		.services = services,
		.service_count = SERVICES,
		.counters = counters,
		.hostname = "test",
	};
	char error[256];

	for (unsigned i = 0; i < SERVICES; i++)
		assert_int_equal(service_parse(&services[i], specs[i], error, sizeof(error)), 0);
	engine = engine_new(&config);
	assert_non_null(engine);
	engine_set_net(engine, udpxdp_host_new_on(&links, MTU, addrs, 3));
}

static void make_filter(void)
{
	struct filter_answers *answers = &filter->bss->filter_answers;

	probe_local_on(filter, "10.0.0.1", UDPXDP_LOCAL_UNICAST, 0);
	probe_local_on(filter, "2001:db8::1", UDPXDP_LOCAL_UNICAST, 0);
	probe_local_on(filter, "192.0.2.1", UDPXDP_LOCAL_UNICAST, 9);
	probe_local_on(filter, "10.0.0.255", UDPXDP_LOCAL_BROADCAST, 0);
	probe_mac_too(filter, second_mac());
	for (size_t i = 0; i < sizeof(vlans) / sizeof(vlans[0]); i++)
		probe_vlan(filter, vlans[i].vlan, vlans[i].counts_as);
	probe_local(filter, "255.255.255.255", UDPXDP_LOCAL_BROADCAST);
	for (unsigned i = 0; i < SERVICES; i++) {
		const struct udpxdp_service *service = services[i].service;

		probe_serve(filter, services[i].port, service->wants_broadcast);
		answers->ports[services[i].port] = PORT_SERVED;
		if (service->driver)
			answers->ports[services[i].port] |= service->driver(services[i].options);
	}
	answers->mtu = MTU;
}

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UDPXDP_NSEC_PER_SEC + now.tv_nsec;
}

static uint64_t stamped_ns; /* when: a second later the filter's stamp is another */

/* The clock stands still for the engine; for the filter, this second begins again and again. */
static void stamp(uint64_t time_ns)
{
	static struct stamps stamps;

	stamped_ns = monotonic();
	stamps_publish(&stamps, &filter->bss->filter_answers.stamps, stamped_ns, time_ns);
}

static int set_up(void **state)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu); /* what the filter remembers is each CPU's own */
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
			if (counters[s].drops[r]) {
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
	return info->payload_len > 1480 || (info->version == 4 && info->l4 - info->l3 != 20);
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

/* What may differ between answers that routers may fragment is the identification, and with it the
 * header's checksum: gives the filter's those of the engine. */
static void level_identification(uint8_t *ours, const uint8_t *engines, uint32_t len)
{
	struct frame_info info = {};

	assert_int_equal(frame_classify(ours, ours + len, len, &info), FRAME_UDP);
	if (info.version != 4 || len - info.l3 <= 576)
		return;
	assert_int_equal(checksum_sum(ours + info.l3, IPV4_HEADER_LEN), 0xffff);
	assert_int_equal(ours[info.l3 + 6] | ours[info.l3 + 7], 0);
	memcpy(ours + info.l3 + 4, engines + info.l3 + 4, 2);
	memcpy(ours + info.l3 + 10, engines + info.l3 + 10, 2);
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

	/* Once more on a machine that was busy so long that the filter's second passed. */
	do {
		if (monotonic() - stamped_ns > UDPXDP_NSEC_PER_SEC / 4)
			stamp(time_ns);
		if (ours)
			was = probe_port(filter, info.dest_port);
		action = probe_run_out(filter, &arrival, frame, q->len, out, &len);
		if (ours)
			now = probe_port(filter, info.dest_port);
	} while (monotonic() - stamped_ns >= UDPXDP_NSEC_PER_SEC);
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
	if (filters.kind == ANSWERED && filters.len == engines.len)
		level_identification(out, engines.frame, engines.len);
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
			/* The begin of any second from 1970 to 2100. */
			time_ns = random_next(&prng) % 4102444800 * UDPXDP_NSEC_PER_SEC;
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
#define X(name) \
	assert_true(UDPXDP_DROP_##name == UDPXDP_DROP_repeated || count[UDPXDP_DROP_##name] >= 200);
	FILTER_REFUSALS(X)
#undef X
	assert_true(count[UDPXDP_DROP_NONE] >= 20000 && count[UDPXDP_DROP_COUNT + 1] >= 1000);
}

/* The next question to this echo that it answers. Either is asked the same all the time: both
 * remember. */
static void find_question(struct question *q, uint64_t *prng, uint16_t port)
{
	static uint8_t out[FRAME_MAX];
	struct frame_info info;
	struct outcome engines;
	uint32_t len;

	do {
		question_make(q, prng);
		probe_run_out(filter, &arrival, q->frame, q->len, out, &len);
		engines = ask_engine(q, monotonic());
	} while (frame_classify(q->frame, q->frame + q->len, q->len, &info) != FRAME_UDP ||
		 info.dest_port != port || info.payload_len < 8 || may_leave(q, &info) ||
		 engines.kind != ANSWERED);
}

/* The engine's clock for a question: when the filter last began a window of its. Two readings of a
 * clock would be on two sides of a limit now and then. */
static uint64_t filters_clock(const struct question *q)
{
	static const __u64 filters_seed[2];
	struct repeats of_cpus[libbpf_num_possible_cpus()];
	struct frame_info info = {};
	uint64_t since;
	uint32_t key;

	assert_int_equal(frame_classify(q->frame, q->frame + q->len, q->len, &info), FRAME_UDP);
	key = packet_repeats_key(packet_repeats_who(&info.source, info.dest_port, filters_seed));
	assert_int_equal(bpf_map__lookup_elem(filter->maps.repeats, &key, sizeof(key), of_cpus,
				 sizeof(of_cpus), 0),
		0);
	since = of_cpus[sched_getcpu()].since;
	return since ? since : monotonic();
}

/* The same question again and again: where it ends, it ends for both, each time. */
static unsigned repeat(uint16_t port, uint64_t *prng, unsigned times)
{
	static uint8_t out[FRAME_MAX];
	static struct question q;
	unsigned dropped = 0;
	uint32_t len;

	find_question(&q, prng, port);
	for (unsigned i = 0; i < times; i++) {
		struct port_counters was = probe_port(filter, port), now;
		struct outcome filters, engines;
		const int action = probe_run_out(filter, &arrival, q.frame, q.len, out, &len);

		now = probe_port(filter, port);
		engines = ask_engine(&q, filters_clock(&q));
		filters = outcome_of(action, &was, &now, out, len);
		if (filters.kind != engines.kind || filters.reason != engines.reason)
			refuse(&q, i, "not ended alike", &filters, &engines);
		if (!is_counted(&was, &now, &filters))
			refuse(&q, i, "not counted exactly once", &filters, &engines);
		dropped += filters.reason == UDPXDP_DROP_repeated;
	}
	return dropped;
}

static void test_repeats_end_alike(void **state)
{
	uint64_t prng = seed;
	struct socket_on *sock;
	unsigned dropped = 0;

	filter = probe_load_program(NULL, "udpxdp_answer_5");
	if (!filter)
		cannot("the kernel refuses the program that answers");
	make_filter();
	engine_free(engine);
	make_engine();
	sock = socket_on_queue(filter, 0);
	assert_non_null(sock);
	for (unsigned i = 0; i < 8; i++) {
		dropped += repeat(8081, &prng, 4 * REPEATS);
		assert_int_equal(repeat(8083, &prng, 2 * REPEATS), 0); /* loops=allow */
	}
	if (!dropped) /* so slow a machine that another limit ends them */
		dropped = repeat(8081, &prng, (REPEATS_SLOW + 1) * REPEATS);
	assert_in_range(dropped, 1, 8 * 4);
	socket_close(sock);
	udpxdp_bpf__destroy(filter);
}

static void with_program(const char *name, unsigned long n)
{
	static const struct filter_config config; /* no MAC address and no VLAN is everybody's */
	struct socket_on *sock;

	filter = probe_load_program(&config, name);
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
	with_program("udpxdp_answer", frames);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_are_the_engines),
		cmocka_unit_test(test_answers_with_helper),
		cmocka_unit_test(test_repeats_end_alike),
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
