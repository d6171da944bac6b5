/* SPDX-License-Identifier: MIT */
/* The guard rails for frames that no filter saw. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/headers.h"
#include "io/guard.h"
#include "unit/memory_io.h"

#define HOUR 3600000000000ull

static struct service_counters row; /* of the port that put() sends to */

static struct udpxdp_addr addr(const char *text)
{
	struct udpxdp_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, a.b + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static struct guard_rule rule(const char *net, unsigned bits, __u32 verdict)
{
	const struct udpxdp_addr a = addr(net);

	return (struct guard_rule){
		.key = {.prefix_len = bits + (udpxdp_addr_is_ipv4(&a) ? 96 : 0), .addr = a},
		.verdict = verdict,
	};
}

static struct guard *guard_of(const struct guard_rule *rules, size_t count)
{
	const struct filter_config config = {};
	struct guard *g = guard_new(&config);
	char error[128];

	row = (struct service_counters){.port = 8080};
	guard_set_rules(g, rule_set_new(rules, count, NULL, 0, error, sizeof(error)));
	return g;
}

/* Puts a frame from this source in. */
static void put(struct memory_io *m, const char *source)
{
	struct udpxdp_path path = {
		.local = {.addr = addr(source), .port = 4711}, .peer = {.port = 8080}};
	uint8_t frame[64];

	path.peer.addr = udpxdp_addr_is_ipv4(&path.local.addr) ? addr("10.0.0.1") : addr("fd00::1");
	headers_write_partial(frame, &path, 0, 0);
	memory_put(m, frame, headers_len(&path), 0);
}

/* How many of `count` frames from a source pass, that come at once. */
static unsigned pass(struct guard *g, const char *source, unsigned count)
{
	struct memory_io *m = calloc(1, sizeof(*m));
	struct frame_io *io = guard_wrap(&m->io, g, &row, 1);
	struct frame frames[FRAME_BATCH];
	int n;

	memory_open(m);
	for (unsigned i = 0; i < count; i++)
		put(m, source);
	n = io->ops->receive(io, frames, FRAME_BATCH);
	assert_int_equal(m->given_back, count - n);
	for (int i = 0; i < n; i++)
		io->ops->release(io, &frames[i]);
	io->ops->close(io);
	free(m);
	return n;
}

static void longest_rule_decides(void **state)
{
	const struct guard_rule rules[] = {
		rule("10.0.0.0", 8, RULE_ALLOW),
		rule("10.1.0.0", 16, RULE_DENY),
		rule("10.1.2.3", 32, RULE_ALLOW),
		rule("10.9.0.0", 15, RULE_DENY),
		rule("fd00::", 16, RULE_ALLOW),
		rule("fd00:0:0:1::", 64, RULE_DENY),
		rule("192.0.2.0", 24, RULE_ALLOW),
		rule("192.0.2.0", 24, RULE_DENY),
	};
	static const struct {
		const char *source;
		unsigned passes;
	} cases[] = {
		{"10.2.0.1", 1},
		{"10.1.0.1", 0},
		{"10.1.2.3", 1},
		{"10.1.2.2", 0},
		{"10.8.0.1", 0},
		{"10.10.0.1", 1},
		{"11.0.0.1", 0},
		{"fd00::2", 1},
		{"fd00:0:0:1::2", 0},
		{"fd01::1", 0},
		{"::1", 0},
		{"192.0.2.9", 0},
	};
	struct guard *g = guard_of(rules, sizeof(rules) / sizeof(rules[0]));

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(pass(g, cases[i].source, 1), cases[i].passes);
	assert_int_equal(row.drops[UDPXDP_DROP_denied], 8);
	assert_int_equal(row.rx, 8);
	assert_int_equal(row.drops[UDPXDP_DROP_rate_limited], 0);
	guard_free(g);
}

static void denied_alone_denies_no_other(void **state)
{
	const struct guard_rule rules[] = {rule("0.0.0.0", 0, RULE_DENY)};
	struct guard *g = guard_of(rules, 1);

	assert_int_equal(pass(g, "10.0.0.2", 1), 0);
	assert_int_equal(pass(g, "fd00::2", 1), 1);
	guard_free(g);
}

static void rules_are_replaced(void **state)
{
	const struct guard_rule rules[] = {rule("10.0.0.0", 8, RULE_DENY)};
	const char *text = "allow 10.0.0.2\n";
	struct guard *g = guard_of(rules, 1);
	char error[128];

	assert_int_equal(pass(g, "10.0.0.2", 1), 0);
	assert_int_equal(pass(g, "11.0.0.2", 1), 1);
	guard_set_rules(g, rule_set_new(NULL, 0, text, strlen(text), error, sizeof(error)));
	assert_int_equal(pass(g, "10.0.0.2", 1), 1);
	assert_int_equal(pass(g, "11.0.0.2", 1), 0);
	guard_set_rules(g, NULL);
	assert_int_equal(pass(g, "11.0.0.2", 1), 1);
	guard_free(g);
}

/* A burst of three, and then one an hour. */
static void sources_have_their_own_limits(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 2 * HOUR};
	struct guard *g = guard_new(&config);
	char source[32];

	row = (struct service_counters){.port = 8080};
	assert_int_equal(pass(g, "10.0.0.2", 5), 3);
	assert_int_equal(pass(g, "10.0.0.3", 5), 3); /* of the same /24 */
	assert_int_equal(pass(g, "fd00::2", 4), 3);
	assert_int_equal(pass(g, "fd00::3", 3), 3); /* of the same /64 */
	assert_int_equal(row.drops[UDPXDP_DROP_rate_limited], 2 + 2 + 1);
	/* Many others do not make it forget. */
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(source, sizeof(source), "%u.%u.1.1", 11 + i / 256, i % 256);
		assert_int_equal(pass(g, source, 1), 1);
	}
	assert_int_equal(pass(g, "10.0.0.2", 5), 0);
	guard_free(g);
}

/* How many of `count` from as many sources pass. */
static unsigned rotate(struct guard *g, const char *pattern, unsigned count)
{
	char source[64];
	unsigned in = 0;

	for (unsigned i = 0; i < count; i++) {
		snprintf(source, sizeof(source), pattern, i);
		in += pass(g, source, 1);
	}
	return in;
}

/* As test_prefixes() and test_total() of tests/bpf/test_rules.c. */
static void prefixes_have_limits(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 9 * HOUR};
	struct guard *g = guard_new(&config);

	assert_int_equal(rotate(g, "10.1.1.%u", 200), 10 * LIMIT_NET_FACTOR);
	assert_int_equal(rotate(g, "10.2.%u.7", 256), 256);
	assert_int_equal(rotate(g, "10.2.%u.8", 256), 10 * LIMIT_SITE_FACTOR - 256);
	assert_int_equal(rotate(g, "2001:db8:1:1::%x", 1000), 10 * LIMIT_NET_FACTOR);
	assert_int_equal(rotate(g, "2001:db8:2:%x::1", 1000), 10 * LIMIT_SITE_FACTOR);
	assert_int_equal(rotate(g, "2001:db8:3%03x::1", 1000), 1000);
	guard_free(g);
}

static void all_have_one(void **state)
{
	const struct filter_config config = {.total_interval = HOUR, .total_burst = 99 * HOUR};
	struct guard *g = guard_new(&config);

	assert_int_equal(rotate(g, "10.%u.0.1", 60), 60);
	assert_int_equal(rotate(g, "2001:db8:%x::1", 60), 40);
	assert_int_equal(rotate(g, "11.%u.0.1", 60), 0);
	guard_free(g);
}

/* What comes within the interval passes for ever. */
static void those_within_the_limit_pass(void **state)
{
	const struct filter_config config = {.limit_interval = 1, .limit_burst = 0};
	struct guard *g = guard_new(&config);

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(pass(g, "10.0.0.2", 1), 1);
	guard_free(g);
}

static void what_is_no_datagram_passes(void **state)
{
	const struct guard_rule rules[] = {rule("10.9.9.9", 32, RULE_ALLOW)};
	struct guard *g = guard_of(rules, 1);
	struct memory_io *m = calloc(1, sizeof(*m));
	struct frame_io *io = guard_wrap(&m->io, g, &row, 1);
	struct frame frames[FRAME_BATCH];

	memory_open(m);
	memory_put(m, "\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06", 14, 0);
	assert_int_equal(io->ops->receive(io, frames, FRAME_BATCH), 1);
	io->ops->close(io);
	guard_free(g);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_rule_decides),
		cmocka_unit_test(denied_alone_denies_no_other),
		cmocka_unit_test(rules_are_replaced),
		cmocka_unit_test(sources_have_their_own_limits),
		cmocka_unit_test(prefixes_have_limits),
		cmocka_unit_test(all_have_one),
		cmocka_unit_test(those_within_the_limit_pass),
		cmocka_unit_test(what_is_no_datagram_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
