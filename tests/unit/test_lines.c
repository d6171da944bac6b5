/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "host/lines.h"

#define TIME (1795402800ull * NSEC_PER_SEC + 1234567) /* 2026-11-23 03:00:00 UTC, a Monday */

static void in_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static struct message message_of(enum direction direction, struct ip_addr addr, const char *text)
{
	return (struct message){.time_ns = TIME,
			.direction = direction,
			.addr = addr,
			.port = 4711,
			.text = (const uint8_t *)text,
			.len = (uint32_t)strlen(text)};
}

static void assert_lines(const struct message *m, const char *terminal, const char *history)
{
	char line[LINE_MAX_FOR(512)];
	size_t len = line_for_terminal(line, sizeof(line), "chat", m);

	line[len] = '\0';
	assert_string_equal(line, terminal);
	len = line_for_history(line, sizeof(line), m);
	line[len] = '\0';
	assert_string_equal(line, history);
}

static void test_ipv4(void **state)
{
	struct message m = message_of(RECEIVED, ip_addr_ipv4(10, 0, 0, 2), "hello\n");

	in_zone("UTC");
	assert_lines(&m, "2026-11-23T03:00:00.001234+00:00 chat recv 10.0.0.2:4711 \"hello\\n\"\n",
			"【Mon Nov 23 03:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:hello\n");
	m.direction = SENT;
	assert_lines(&m, "2026-11-23T03:00:00.001234+00:00 chat send 10.0.0.2:4711 \"hello\\n\"\n",
			"【Mon Nov 23 03:00:00 2026】向【('10.0.0.2', 4711)】发送数据:hello\n");
}

static void test_ipv6(void **state)
{
	struct ip_addr addr = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
	struct message m = message_of(RECEIVED, addr, "");

	in_zone("UTC");
	assert_lines(&m, "2026-11-23T03:00:00.001234+00:00 chat recv [2001:db8::2]:4711 \"\"\n",
			"【Mon Nov 23 03:00:00 2026】收到【('2001:db8::2', 4711)】发送的数据:\n");
}

static void test_zones(void **state)
{
	struct message m = message_of(RECEIVED, ip_addr_ipv4(10, 0, 0, 2), "x");

	in_zone("Asia/Shanghai");
	assert_lines(&m, "2026-11-23T11:00:00.001234+08:00 chat recv 10.0.0.2:4711 \"x\"\n",
			"【Mon Nov 23 11:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:x\n");
	in_zone("America/St_Johns");
	assert_lines(&m, "2026-11-22T23:30:00.001234-03:30 chat recv 10.0.0.2:4711 \"x\"\n",
			"【Sun Nov 22 23:30:00 2026】收到【('10.0.0.2', 4711)】发送的数据:x\n");
}

static void test_hostile(void **state)
{
	struct message m = message_of(RECEIVED, ip_addr_ipv4(10, 0, 0, 2),
			"a\033[2J\"\\\n\xff\u202e\u2028z");

	in_zone("UTC");
	assert_lines(&m,
			"2026-11-23T03:00:00.001234+00:00 chat recv 10.0.0.2:4711 "
			"\"a\\x1b[2J\\\"\\\\\\n\\xff\\u{202e}\\u{2028}z\"\n",
			"【Mon Nov 23 03:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:"
			"a\\x1b[2J\"\\\\n\\xff\u202e\\u{2028}z\n");
}

/* The longest addresses, the last second and the longest escapes fit the promised size. */
static void test_bounds(void **state)
{
	static uint8_t text[DATAGRAM_PAYLOAD_MAX];
	static char line[LINE_MAX_FOR(sizeof(text))];
	struct message m = {.time_ns = UINT64_MAX, .port = 65535, .text = text, .len = sizeof(text)};
	char small[LINE_MAX_FOR(1)];
	size_t len;

	memset(m.addr.b, 0xfe, 16);
	memset(text, 0xff, sizeof(text));
	in_zone("UTC");
	len = line_for_terminal(line, sizeof(line), "longestname", &m);
	assert_in_range(len, 4 * sizeof(text), sizeof(line));
	assert_memory_equal(line + len - 6, "\\xff\"\n", 6);
	len = line_for_history(line, sizeof(line), &m);
	assert_in_range(len, 4 * sizeof(text), sizeof(line));
	assert_memory_equal(line + len - 5, "\\xff\n", 5);

	len = line_for_terminal(small, sizeof(small), "longestname", &m);
	assert_in_range(len, 1, sizeof(small));
	assert_memory_equal(small + len - 5, "…\"\n", 5);
	len = line_for_history(small, sizeof(small), &m);
	assert_in_range(len, 1, sizeof(small));
	assert_memory_equal(small + len - 4, "…\n", 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
