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

#include "base/build.h"
#include "io/guard.h"
#include "unit/memory_io.h"

#define HOUR 3600000000000ull

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
	struct frame_io *io = guard_wrap(&m->io, g);
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
	const struct filter_config config = {.default_deny = 1};
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
	struct guard *g = guard_new(&config, rules, sizeof(rules) / sizeof(rules[0]));

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(pass(g, cases[i].source, 1), cases[i].passes);
	assert_int_equal(guard_dropped(g, FRAME_DENIED), 8);
	assert_int_equal(guard_dropped(g, FRAME_RATE_LIMITED), 0);
	guard_free(g);
}

static void denied_alone_denies_no_other(void **state)
{
	const struct filter_config config = {};
	const struct guard_rule rules[] = {rule("0.0.0.0", 0, RULE_DENY)};
	struct guard *g = guard_new(&config, rules, 1);

	assert_int_equal(pass(g, "10.0.0.2", 1), 0);
	assert_int_equal(pass(g, "fd00::2", 1), 1);
	guard_free(g);
}

/* A burst of three, and then one an hour. */
static void sources_have_their_own_limits(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 2 * HOUR};
	struct guard *g = guard_new(&config, NULL, 0);
	char source[32];

	assert_int_equal(pass(g, "10.0.0.2", 5), 3);
	assert_int_equal(pass(g, "10.0.0.3", 5), 0); /* of the same /24 */
	assert_int_equal(pass(g, "10.0.1.3", 5), 3);
	assert_int_equal(pass(g, "fd00::2", 2), 2);
	assert_int_equal(pass(g, "fd00::3", 2), 1); /* of the same /64 */
	assert_int_equal(pass(g, "fd00:0:0:1::2", 2), 2);
	assert_int_equal(guard_dropped(g, FRAME_RATE_LIMITED), 2 + 5 + 2 + 1);
	/* Many others do not make it forget. */
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(source, sizeof(source), "11.%u.%u.1", i / 256, i % 256);
		assert_int_equal(pass(g, source, 1), 1);
	}
	assert_int_equal(pass(g, "10.0.0.2", 5), 0);
	guard_free(g);
}

/* What comes within the interval passes for ever. */
static void those_within_the_limit_pass(void **state)
{
	const struct filter_config config = {.limit_interval = 1, .limit_burst = 0};
	struct guard *g = guard_new(&config, NULL, 0);

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(pass(g, "10.0.0.2", 1), 1);
	guard_free(g);
}

static void what_is_no_datagram_passes(void **state)
{
	const struct filter_config config = {.default_deny = 1};
	struct guard *g = guard_new(&config, NULL, 0);
	struct memory_io *m = calloc(1, sizeof(*m));
	struct frame_io *io = guard_wrap(&m->io, g);
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
		cmocka_unit_test(sources_have_their_own_limits),
		cmocka_unit_test(those_within_the_limit_pass),
		cmocka_unit_test(what_is_no_datagram_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
