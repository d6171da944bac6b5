/* SPDX-License-Identifier: MIT */
/*
 * Every named frame of fixtures/bpf/recipes.py: what the filter does with it and counts for it,
 * that frame_classify() and the reference read it alike, and that they find scapy's payload.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "harness.h"

static struct udpxdp_bpf *filter;
static struct socket_on *sock;
static uint32_t ifindex;

static int set_up(void **state)
{
	(void)state;
	ifindex = private_net();
	filter = ifindex ? probe_load(&world_config) : NULL;
	sock = filter ? socket_on_queue(filter, 0) : NULL;
	if (!sock) {
		perror("# setting up");
		return -1;
	}
	world_apply(filter);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (sock)
		socket_close(sock);
	udpxdp_bpf__destroy(filter);
	return 0;
}

#define check(condition, f)                                                         \
	do {                                                                        \
		if (!(condition)) {                                                 \
			printf("# %s: does not hold: %s\n", (f)->name, #condition); \
			hexdump((f)->frame, (f)->len);                              \
			fail();                                                     \
		}                                                                   \
	} while (0)

static void check_grammar(const struct fixture *f)
{
	struct frame_info info = {}, reference;
	uint8_t *frame = exact_copy(f->frame, f->len);
	enum frame_verdict grammar = frame_classify(frame, frame + f->len, f->len, &info);

	check(world_verdict(frame, f->len, f->queue == 0, &info) == f->verdict, f);
	check(reference_classify(frame, f->len, &reference) == grammar, f);
	if (grammar == FRAME_UDP) {
		check(info.l3 == reference.l3 && info.l4 == reference.l4, f);
		check(info.payload == reference.payload, f);
		check(info.payload_len == reference.payload_len, f);
		check(info.source_port == reference.source_port, f);
		check(info.dest_port == reference.dest_port, f);
		check(info.version == reference.version && info.tags == reference.tags, f);
		check(!memcmp(&info.source, &reference.source, sizeof(info.source)), f);
		check(!memcmp(&info.dest, &reference.dest, sizeof(info.dest)), f);
	}
	if (f->verdict == FRAME_REDIRECTED) {
		check(info.payload == f->payload, f);
		check(info.payload_len == f->payload_len, f);
	}
	free(frame);
}

static void test_fixture(void **state)
{
	const struct fixture *f = *state;
	const struct arrival arrival = {ifindex, f->queue};
	struct verdict_row before[FRAME_VERDICT_COUNT], after;
	enum frame_verdict v;

	check_grammar(f);
	if (f->queue && !probe_takes_arrival())
		cannot("a run cannot be told the queue (before Linux 5.14)");
	for (v = 0; v < FRAME_VERDICT_COUNT; v++)
		before[v] = probe_verdict(filter, v);
	check(probe_run(filter, &arrival, f->frame, f->len) == verdict_action(f->verdict), f);
	for (v = 0; v < FRAME_VERDICT_COUNT; v++) {
		after = probe_verdict(filter, v);
		if (after.frames - before[v].frames != (v == f->verdict)) {
			printf("# counted as %s, not as %s\n", verdict_name(v),
				verdict_name(f->verdict));
			check(!"the verdict of the fixture is the one counted", f);
		}
		check(after.bytes - before[v].bytes == (v == f->verdict ? f->len : 0), f);
	}
}

static void test_every_verdict_has_a_fixture(void **state)
{
	unsigned count[FRAME_VERDICT_COUNT] = {};

	(void)state;
	for (size_t i = 0; i < fixture_count; i++)
		count[fixtures[i].verdict]++;
	for (enum frame_verdict v = 0; v < FRAME_ANSWERED;
		v++) /* for the rest see test_answers.c */
		if (!count[v])
			fail_msg("no fixture for %s", verdict_name(v));
}

/* What the port's own row says: every frame to us is redirected, passed or dropped. */
static void test_port_rows(void **state)
{
	const struct arrival with = {ifindex, 0}, without = {ifindex, 1};
	const struct fixture *f = fixtures, *denied = fixtures;
	const struct port_counters was = probe_port(filter, 8080);
	struct port_counters row;

	(void)state;
	if (!probe_takes_arrival())
		cannot("a run cannot be told the queue (before Linux 5.14)");
	while (denied->verdict != FRAME_DENIED)
		denied++;
	assert_int_equal(probe_run(filter, &with, f->frame, f->len), XDP_REDIRECT);
	assert_int_equal(probe_run(filter, &with, f->frame, f->len), XDP_REDIRECT);
	assert_int_equal(probe_run(filter, &without, f->frame, f->len), XDP_PASS);
	assert_int_equal(probe_run(filter, &with, denied->frame, denied->len), XDP_DROP);
	row = probe_port(filter, 8080);
	assert_int_equal(row.rx_packets - was.rx_packets, 4);
	assert_int_equal(row.rx_bytes - was.rx_bytes, 3 * f->len + denied->len);
	assert_int_equal(row.redirected - was.redirected, 2);
	assert_int_equal(row.passed - was.passed, 1);
}

/* Redirected is not only a verdict: the frame stands in the socket's ring, byte for byte. */
static void test_frame_reaches_the_socket(void **state)
{
	struct xdp_md ctx = {.ingress_ifindex = ifindex};
	const struct verdict_row was = probe_verdict(filter, FRAME_REDIRECTED);
	uint8_t got[FRAME_MAX];
	unsigned runs = 0;
	int err;

	(void)state;
	for (size_t i = 0; i < fixture_count; i++) {
		const struct fixture *f = &fixtures[i];
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->frame, .data_size_in = f->len,
			.ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1,
			.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 1);

		if (f->verdict != FRAME_REDIRECTED)
			continue;
		ctx.data_end = f->len;
		runs++;
		err = bpf_prog_test_run_opts(probe_program(filter), &opts);
		if (err == -EINVAL && !probe_has_helper()) /* which is as old */
			cannot("a run takes no live frames (before Linux 5.18)");
		assert_int_equal(err, 0);
		check(socket_take(sock, got, sizeof(got)) == f->len, f);
		check(!memcmp(got, f->frame, f->len), f);
		check(socket_take(sock, got, sizeof(got)) == 0, f);
	}
	assert_int_equal(probe_verdict(filter, FRAME_REDIRECTED).frames - was.frames, runs);
}

/* The table in use is the one that the recipes make. */
static void test_fixtures_are_reproducible(void **state)
{
	int status = system("tests/fixtures/bpf/regen --check 1>&2");

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_every_verdict_has_a_fixture),
		cmocka_unit_test(test_port_rows),
		cmocka_unit_test(test_frame_reaches_the_socket),
		cmocka_unit_test(test_fixtures_are_reproducible),
	};
	const size_t more = sizeof(others) / sizeof(others[0]);
	struct CMUnitTest tests[fixture_count + more];

	need_root();
	for (size_t i = 0; i < fixture_count; i++)
		tests[i] = (struct CMUnitTest){.name = fixtures[i].name,
			.test_func = test_fixture,
			.initial_state = (void *)&fixtures[i]};
	memcpy(&tests[fixture_count], others, sizeof(others));
	return _cmocka_run_group_tests("verdicts", tests, fixture_count + more, set_up, tear_down);
}
