/* SPDX-License-Identifier: MIT */
/* Echo and those who send it one payload again and again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_ctx.h"
#include "udpxdp/packet.h"

extern const struct udpxdp_service echo_service;

#define SECONDS(n) ((uint64_t)(n)*UDPXDP_NSEC_PER_SEC)
#define MSEC 1000000ull
#define LOOP 40000u /* ns from our answer to the next datagram of a loop */

struct options {
	bool stamp, loops;
	int tos, answer;
};

static const struct options plain = {.stamp = true};
static struct udpxdp_ctx ctx;
static void *echo;
static uint64_t now;
static unsigned dropped;

static void start_with(const struct options *options)
{
	const struct udpxdp_start how = {.options = options, .port = 8080, .seed = {{1, 2}}};

	free(echo);
	echo = calloc(1, echo_service.state_size(options));
	echo_service.start(echo, &how);
	dropped = 0;
	now = SECONDS(1700000000);
}

static struct udpxdp_addr peer(unsigned number)
{
	return udpxdp_addr_ipv4(10, 0, (uint8_t)(number >> 8), (uint8_t)number);
}

/* Is it answered? */
static bool ask(unsigned from, uint16_t port, const char *text)
{
	struct udpxdp_datagram d = {
		.path = {.local.port = 8080, .peer = {.addr = peer(from), .port = port}},
		.payload = (const uint8_t *)text,
		.len = (uint32_t)strlen(text),
		.time_ns = now,
	};
	bool answered;

	for (uint32_t i = 0; i < d.len; i++) /* a sum of its kind: what counts is that it is one */
		d.payload_sum += d.payload[i] << (i & 1 ? 8 : 0);
	while (d.payload_sum >> 16)
		d.payload_sum = (d.payload_sum & 0xffff) + (d.payload_sum >> 16);
	ctx.received = &d;
	echo_service.receive(echo, &ctx, &d);
	ctx.received = NULL;
	answered = ctx.sent_count;
	assert_int_equal(ctx.drops[UDPXDP_DROP_repeated], !answered);
	dropped += !answered;
	fake_ctx_forget(&ctx);
	return answered;
}

/* How many answers a loop with this responder gets, out of so many at most. */
static unsigned loop(unsigned from, uint64_t gap, unsigned most)
{
	unsigned answers = 0;

	while (answers < most && ask(from, 5060, "SIP/2.0 400 Bad Request")) {
		answers++;
		now += gap;
	}
	return answers;
}

static void loops_end(void **state)
{
	static const struct options kinds[] = {{.stamp = true}, {.stamp = false}};

	for (unsigned i = 0; i < 2; i++) {
		start_with(&kinds[i]);
		assert_int_equal(loop(1, LOOP, 100000), REPEATS - 1);
		/* The next forged one begins another. */
		now += SECONDS(1);
		assert_in_range(loop(1, LOOP, 100000), 1, 2 * REPEATS);
		/* Slower ones as well, later. */
		assert_in_range(loop(2, MSEC, 100000), 1, REPEATS * REPEATS_SLOW);
		assert_in_range(loop(3, 30 * MSEC, 100000), 1, REPEATS * REPEATS_SLOW);
	}
}

static void loops_may_be_allowed(void **state)
{
	static const struct options allowed = {.stamp = true, .loops = true};

	start_with(&allowed);
	assert_int_equal(loop(1, LOOP, 2000), 2000);
}

/* A responder that answers each time from another port. */
static void loops_over_many_ports_end(void **state)
{
	unsigned answers = 0;

	start_with(&plain);
	while (answers < 10000 && ask(1, (uint16_t)(20000 + answers), "error"))
		answers++, now += LOOP;
	assert_int_equal(answers, REPEATS - 1);
}

/* k forged ones make k chains, and each comes to its end. */
static void several_loops_at_once_end(void **state)
{
	unsigned chains = 20, answers = 0;

	start_with(&plain);
	while (chains && answers < 100000) {
		unsigned left = chains;

		for (unsigned i = 0; i < chains; i++)
			if (ask(1, 5060, "error"))
				answers++;
			else
				left--;
		chains = left;
		now += LOOP;
	}
	assert_int_equal(chains, 0);
	assert_in_range(answers, 1, 20 * REPEATS);
}

/* Others at the same time do not keep it alive, the same host's numbered traffic neither. */
static void traffic_does_not_hide_a_loop(void **state)
{
	unsigned answers = 0, number = 0;
	char text[32];

	start_with(&plain);
	while (answers < 10000 && ask(1, 5060, "error")) {
		answers++;
		for (unsigned i = 0; i < 20; i++, number++) {
			snprintf(text, sizeof(text), "%u", number);
			assert_true(ask(2 + number % 200, 4711, text));
		}
		if (answers % 2) {
			snprintf(text, sizeof(text), "mine %u", number);
			assert_true(ask(1, 4711, text));
		}
		now += LOOP;
	}
	assert_in_range(answers, REPEATS / 2, 2 * REPEATS);
}

/* A person who repeats himself, and a meter that is not numbered. */
static void the_slow_are_answered(void **state)
{
	static const uint64_t gaps[] = {SECONDS(1), 100 * MSEC, 60 * MSEC};

	for (unsigned i = 0; i < 3; i++) {
		start_with(&plain);
		assert_int_equal(loop(1, gaps[i], 40000), 40000);
	}
	/* One who sends, waits for the answer and a millisecond, for ten seconds. */
	start_with(&plain);
	assert_int_equal(loop(1, MSEC, 10000), 10000);
}

/* Who does not wait goes on; one of REPEATS is lost. */
static void generators_are_answered(void **state)
{
	unsigned answers = 0;

	start_with(&plain);
	for (unsigned i = 0; i < 100 * REPEATS; i++, now += 1000)
		answers += ask(1, 4711, "constant");
	assert_int_equal(answers, 100 * (REPEATS - 1));
}

static void numbered_ones_are_answered(void **state)
{
	char text[32];

	start_with(&plain);
	for (unsigned i = 0; i < 100000; i++, now += 1000) {
		snprintf(text, sizeof(text), "%08u", i);
		assert_true(ask(1, 4711, text));
	}
}

static void a_clock_set_back_harms_nobody(void **state)
{
	start_with(&plain);
	for (unsigned i = 0; i < 100 * REPEATS; i++) {
		ask(1, 4711, "constant");
		now += i % (REPEATS / 2) ? 1000 : -SECONDS(1);
	}
	assert_in_range(dropped, 0, 100);
}

int main(void)
{
	static struct udpxdp_host net = {.mtu = 1500};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loops_end),
		cmocka_unit_test(loops_may_be_allowed),
		cmocka_unit_test(loops_over_many_ports_end),
		cmocka_unit_test(several_loops_at_once_end),
		cmocka_unit_test(traffic_does_not_hide_a_loop),
		cmocka_unit_test(the_slow_are_answered),
		cmocka_unit_test(generators_are_answered),
		cmocka_unit_test(numbered_ones_are_answered),
		cmocka_unit_test(a_clock_set_back_harms_nobody),
	};

	ctx.net = &net;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
