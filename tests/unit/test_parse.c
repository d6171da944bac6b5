/* SPDX-License-Identifier: MIT */
/* Values as people write them: what is one, what is none, and that nothing is touched then. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void a_number_is_digits_within_bounds(void **state)
{
	static const char *const none[] = {"", " 1", "1 ", "+1", "-1", "1x", "0x1", "1.0",
		"18446744073709551616", "99999999999999999999999", "\xd9\xa1"};
	uint64_t value = 77;

	assert_true(parse_uint("0", 0, 9, &value) && value == 0);
	assert_true(parse_uint("007", 0, 9, &value) && value == 7);
	assert_true(parse_uint("18446744073709551615", 0, UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	value = 77;
	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(parse_uint(none[i], 0, UINT64_MAX, &value));
	assert_false(parse_uint("4", 5, 9, &value));
	assert_false(parse_uint("10", 5, 9, &value));
	assert_int_equal(value, 77);
}

static void a_range_ends_no_earlier_than_it_begins(void **state)
{
	static const char *const no_port[] = {"0", "65536", "", "echo", "80 ", "4294967376"};
	static const char *const no_range[] = {"", "-", "1-", "-1", "3-2", "1-8", "8", "1-2-3",
		"1 - 2", "0000000000000000000000001"};
	unsigned first = 7, last = 7;
	uint16_t port = 7;

	assert_true(parse_port("1", &port) && port == 1);
	assert_true(parse_port("65535", &port) && port == 65535);
	for (size_t i = 0; i < COUNT(no_port); i++)
		assert_false(parse_port(no_port[i], &port));
	assert_int_equal(port, 65535);

	for (size_t i = 0; i < COUNT(no_range); i++)
		assert_false(parse_range(no_range[i], 7, &first, &last));
	assert_true(first == 7 && last == 7);
	assert_true(parse_range("3", 7, &first, &last) && first == 3 && last == 3);
	assert_true(parse_range("0-7", 7, &first, &last) && first == 0 && last == 7);
}

static void seconds_are_decimal_within_bounds(void **state)
{
	static const char *const none[] = {"", ".", "-1", "1e1", "1.2.3", "nan", "inf", "2s", " 1",
		"0x1", "99999999999999999999", "18446744073.8", "60.000000001", "0.0099"};
	const uint64_t min = 10 * NSEC_PER_MSEC, max = 60ull * UDPXDP_NSEC_PER_SEC;
	uint64_t ns = 77;

	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(parse_seconds(none[i], min, max, &ns));
	assert_false(parse_seconds("18446744073.8", 0, UINT64_MAX, &ns));
	assert_int_equal(ns, 77);
	assert_true(parse_seconds("2", min, max, &ns) && ns == 2000000000);
	assert_true(parse_seconds(".5", min, max, &ns) && ns == 500000000);
	assert_true(parse_seconds("5.", min, max, &ns) && ns == 5000000000);
	assert_true(parse_seconds("0.0123456789999", min, max, &ns) && ns == 12345678);
	assert_true(parse_seconds("18446744073.7", 0, UINT64_MAX, &ns));
	assert_true(ns == 18446744073700000000u);
}

static void a_boolean_is_one_of_five_pairs_of_words(void **state)
{
	static const char *const yes[] = {"on", "yes", "true", "1", "allow"};
	static const char *const no[] = {"off", "no", "false", "0", "refuse"};
	static const char *const none[] = {"", "On", "ON", "maybe", "2", "onoff", " on"};
	const char *words[2];
	bool value = false;

	for (size_t i = 0; i < COUNT(yes); i++) {
		assert_true(parse_bool(yes[i], &value) && value);
		assert_true(parse_bool(no[i], &value) && !value);
		parse_bool_words(no[i], words);
		assert_string_equal(words[0], yes[i]);
		assert_string_equal(words[1], no[i]);
	}
	value = true;
	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(parse_bool(none[i], &value));
	assert_true(value);
	parse_bool_words("maybe", words);
	assert_string_equal(words[0], "on");
}

static void an_address_or_prefix_is_whole_or_refused(void **state)
{
	static const char *const none[] = {"", "10.0.0", "10.0.0.256", "10.0.0.1 ", "010.0.0.1",
		"fe80::1%lo", "[::1]", "localhost", "1::2::3"};
	static const char *const no_prefix[] = {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/8/8", "/8",
		"10.0.0.0/-1", "10.0.0.0/ 8", "::/129", "::/x", "10.0.0.0/4294967304"};
	const struct udpxdp_addr ten = udpxdp_addr_ipv4(10, 0, 0, 1);
	struct udpxdp_addr addr = {};
	uint8_t len = 77;

	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(parse_addr(none[i], &addr));
	for (size_t i = 0; i < COUNT(no_prefix); i++)
		assert_false(parse_prefix(no_prefix[i], &addr, &len));
	assert_int_equal(len, 77);
	assert_memory_equal(&addr, &(struct udpxdp_addr){}, sizeof(addr));

	assert_true(parse_addr("10.0.0.1", &addr) && udpxdp_addr_equal(&addr, &ten));
	assert_true(parse_addr("::ffff:10.0.0.1", &addr) && udpxdp_addr_equal(&addr, &ten));
	assert_true(parse_addr("fd00::9", &addr) && addr.b[0] == 0xfd && addr.b[15] == 9);
	assert_true(parse_prefix("10.0.0.1/8", &addr, &len) && len == 104);
	assert_true(udpxdp_addr_equal(&addr, &ten));
	assert_true(parse_prefix("10.0.0.1", &addr, &len) && len == 128);
	assert_true(parse_prefix("0.0.0.0/0", &addr, &len) && len == 96);
	assert_true(parse_prefix("fd00::/16", &addr, &len) && len == 16);
	assert_true(parse_prefix("::/0", &addr, &len) && len == 0);
	assert_true(parse_prefix("::1", &addr, &len) && len == 128);
}

static void a_mac_has_six_bytes_and_hex_whole_bytes(void **state)
{
	static const char *const no_mac[] = {"", "02:00:00:00:00",
		"02:00:00:00:00:01:", "2:0:0:0:0:1", "02-00-00-00-00-01", "02:00:00:00:00:0g",
		"0200.0000.0001", "02:00:00:00:00:01 "};
	static const char *const no_hex[] = {
		"", "0x", "0", "012", "0g", "00 11", "0x0x00", "0011223344"};
	static const uint8_t mac[6] = {2, 0, 0xab, 0xCD, 0, 1};
	uint8_t bytes[6] = {7};
	size_t len = 77;

	for (size_t i = 0; i < COUNT(no_mac); i++)
		assert_false(parse_mac(no_mac[i], bytes));
	for (size_t i = 0; i < COUNT(no_hex); i++)
		assert_false(parse_hex(no_hex[i], bytes, 4, &len));
	assert_true(bytes[0] == 7 && len == 77);
	assert_true(parse_mac("02:00:aB:cd:00:01", bytes));
	assert_memory_equal(bytes, mac, 6);
	assert_true(parse_hex("00fF", bytes, 4, &len) && len == 2);
	assert_memory_equal(bytes, "\x00\xff", 2);
	assert_true(parse_hex("0x01020304", bytes, 4, &len) && len == 4);
	assert_memory_equal(bytes, "\1\2\3\4", 4);
}

static void a_piece_ends_at_a_separator_or_is_too_long(void **state)
{
	const char *rest = "one=two,three";
	char piece[4];

	assert_true(parse_piece(&rest, "=,", piece, sizeof(piece)));
	assert_string_equal(piece, "one");
	assert_string_equal(rest, "=two,three");
	rest++;
	assert_true(parse_piece(&rest, ",", piece, sizeof(piece)));
	assert_string_equal(piece, "two");
	rest++;
	assert_false(parse_piece(&rest, ",", piece, sizeof(piece)));
	assert_string_equal(piece, "thr");
	assert_string_equal(rest, "");
	assert_true(parse_piece(&rest, ",", piece, sizeof(piece)));
	assert_string_equal(piece, "");
}

static void clocks_agree_in_their_units(void **state)
{
	const uint64_t ns = clock_ns(), ms = clock_ms(),
		       year = 365ull * 86400 * UDPXDP_NSEC_PER_SEC;
	struct timespec wait = clock_timespec(1500 * (uint64_t)NSEC_PER_MSEC);

	assert_true(clock_ns() >= ns && ms >= ns / NSEC_PER_MSEC);
	assert_true(clock_realtime_ns() > 50 * year); /* since 1970 */
	assert_true(wait.tv_sec == 1 && wait.tv_nsec == 500000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_digits_within_bounds),
		cmocka_unit_test(a_range_ends_no_earlier_than_it_begins),
		cmocka_unit_test(seconds_are_decimal_within_bounds),
		cmocka_unit_test(a_boolean_is_one_of_five_pairs_of_words),
		cmocka_unit_test(an_address_or_prefix_is_whole_or_refused),
		cmocka_unit_test(a_mac_has_six_bytes_and_hex_whole_bytes),
		cmocka_unit_test(a_piece_ends_at_a_separator_or_is_too_long),
		cmocka_unit_test(clocks_agree_in_their_units),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
