/* SPDX-License-Identifier: MIT */
/* The stamp: exactly ctime() between its brackets, and recognised by its shape alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "udpxdp/service.h"

static void expect_ctime(time_t seconds)
{
	uint8_t stamp[UDPXDP_STAMP_MAX];
	char expected[64] = "\u3010";
	size_t len;

	strcat(expected, ctime(&seconds));
	strcpy(strchr(expected, '\n'), "\u3011");
	len = udpxdp_stamp_format(stamp, (uint64_t)seconds * UDPXDP_NSEC_PER_SEC + 999999999);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(stamp, expected, len);
	assert_true(udpxdp_stamp_starts(stamp, len));
}

static void is_what_ctime_says(void **state)
{
	static const char *const zones[] = {
		"UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "<+08>-8", "<-0330>3:30"};

	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		setenv("TZ", zones[z], 1);
		tzset();
		for (time_t t = 86400; t < 16725225600; t += 40009 * 997)
			expect_ctime(t);
		expect_ctime(1795399200); /* day of two digits */
		expect_ctime(1793844000); /* day of one digit */
		expect_ctime(1774745999); /* a second before the clocks change */
		expect_ctime(1774746000);
		expect_ctime(18446744072); /* the last whole second that a time_ns can hold */
	}
}

static void a_known_second_has_its_stamp(void **state)
{
	static const char expected[] = "\u3010Mon Nov 23 02:00:00 2026\u3011";
	uint8_t stamp[UDPXDP_STAMP_MAX];

	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(
		udpxdp_stamp_format(stamp, 1795399200 * UDPXDP_NSEC_PER_SEC), sizeof(expected) - 1);
	assert_memory_equal(stamp, expected, sizeof(expected) - 1);
}

static bool starts(const char *text)
{
	return udpxdp_stamp_starts((const uint8_t *)text, strlen(text));
}

static void stamps_are_recognised(void **state)
{
	assert_true(starts("\u3010Mon Nov 23 02:00:00 2026\u3011"));
	assert_true(starts("\u3010Mon Nov 23 02:00:00 2026\u3011 hello"));
	assert_true(starts("\u3010Sun Feb  3 23:59:60 1999\u3011hello"));
	assert_true(starts("\u3010Sat Dec 03 00:00:00 0000\u3011\n"));
	assert_true(
		starts("\u3010Mon Nov 23 02:00:00 2026\u3011\u3010Mon Nov 23 02:00:00 2026\u3011"));
}

static void what_is_no_stamp_is_not_recognised(void **state)
{
	static const char *const samples[] = {
		"",
		"\u3010",
		"\u3010\u3011",
		"Mon Nov 23 02:00:00 2026",
		" \u3010Mon Nov 23 02:00:00 2026\u3011",
		"[Mon Nov 23 02:00:00 2026]",
		"\u3010Mon Nov 23 02:00:00 2026",
		"\u3010Mon Nov 23 02:00:00 2026 \u3011",
		"\u3010Mon Nov 23 02:00:00 226\u3011 ..",
		"\u3010Mxn Nov 23 02:00:00 2026\u3011",
		"\u3010mon Nov 23 02:00:00 2026\u3011",
		"\u3010Mon Nxv 23 02:00:00 2026\u3011",
		"\u3010Nov Mon 23 02:00:00 2026\u3011",
		"\u3010Mon Nov 2  02:00:00 2026\u3011",
		"\u3010Mon Nov    02:00:00 2026\u3011",
		"\u3010Mon Nov a3 02:00:00 2026\u3011",
		"\u3010Mon Nov 23 02.00:00 2026\u3011",
		"\u3010Mon Nov 23 02:00:00 2026\n\u3011",
		"\u3010Mon Nov 23 02:00:00 20 6\u3011",
		"\u3010Mon,Nov 23 02:00:00 2026\u3011",
		"\u3010onM Nov 23 02:00:00 2026\u3011",
		"\u3010Mon Nov 23 2:00:00 2026\u3011 ",
		"\u3011Mon Nov 23 02:00:00 2026\u3010",
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		if (starts(samples[i]))
			fail_msg("%s", samples[i]);
}

/* No prefix of a stamp is one, and no byte beyond len is read. */
static void no_prefix_of_a_stamp_is_one(void **state)
{
	static const char stamp[] = "\u3010Mon Nov 23 02:00:00 2026\u3011";

	for (size_t len = 0; len < sizeof(stamp) - 1; len++) {
		uint8_t *exact = malloc(len + !len);

		memcpy(exact, stamp, len);
		assert_false(udpxdp_stamp_starts(exact, len));
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_ctime_says),
		cmocka_unit_test(a_known_second_has_its_stamp),
		cmocka_unit_test(stamps_are_recognised),
		cmocka_unit_test(what_is_no_stamp_is_not_recognised),
		cmocka_unit_test(no_prefix_of_a_stamp_is_one),
	};

	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
