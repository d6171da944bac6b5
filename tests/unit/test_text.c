/* SPDX-License-Identifier: MIT */
/* Text: UTF-8, what prints, addresses written out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "udpxdp/service.h"

struct sample {
	const char *text;
	size_t len;
};

#define SAMPLE(s)                \
	{                        \
		s, sizeof(s) - 1 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool utf8(struct sample s)
{
	return udpxdp_text_is_utf8((const uint8_t *)s.text, s.len);
}

static bool printable(struct sample s)
{
	return udpxdp_text_is_printable((const uint8_t *)s.text, s.len);
}

static bool word(struct sample s)
{
	return udpxdp_text_is_word((const uint8_t *)s.text, s.len);
}

static void well_formed_utf8_is_accepted(void **state)
{
	static const struct sample samples[] = {
		SAMPLE(""),
		SAMPLE("plain"),
		SAMPLE("a\0b"),
		SAMPLE("\x7f\x1b[2J\r\n"),
		SAMPLE("\xc2\x80"),
		SAMPLE("\xdf\xbf"),
		SAMPLE("\xe0\xa0\x80"),
		SAMPLE("\xed\x9f\xbf"),
		SAMPLE("\xee\x80\x80"),
		SAMPLE("\xef\xbf\xbd"),
		SAMPLE("\xf0\x90\x80\x80"),
		SAMPLE("\xf4\x8f\xbf\xbf"),
		SAMPLE("\u3010\u6536\u5230\u3011"),
		SAMPLE("\xf0\x9f\x91\x8b!"),
	};

	for (size_t i = 0; i < COUNT(samples); i++)
		assert_true(utf8(samples[i]));
}

static void what_is_not_well_formed_is_refused(void **state)
{
	static const struct sample samples[] = {
		SAMPLE("\x80"),
		SAMPLE("abc\xff"),
		SAMPLE("\xfe"),
		SAMPLE("\xc2"),
		SAMPLE("\xc2 "),
		SAMPLE("\xe2\x82"),
		SAMPLE("\xe2\x82 x"),
		SAMPLE("\xf0\x9f\x91"),
		SAMPLE("\xc0\xaf"),
		SAMPLE("\xc1\xbf"), /* overlong, 2 bytes */
		SAMPLE("\xe0\x80\xaf"),
		SAMPLE("\xe0\x9f\xbf"), /* overlong, 3 bytes */
		SAMPLE("\xf0\x80\x80\xaf"),
		SAMPLE("\xf0\x8f\xbf\xbf"), /* overlong, 4 bytes */
		SAMPLE("\xed\xa0\x80"),
		SAMPLE("\xed\xbf\xbf"), /* surrogates */
		SAMPLE("\xf4\x90\x80\x80"),
		SAMPLE("\xf5\x80\x80\x80"), /* above U+10FFFF */
		SAMPLE("\xf8\x88\x80\x80\x80"),
		SAMPLE("caf\xe9"),
	};

	for (size_t i = 0; i < COUNT(samples); i++)
		assert_false(utf8(samples[i]));
}

/* Every byte sequence of up to three bytes against the table of RFC 3629, section 4. */
static bool rfc3629(const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint8_t low = 0x80, high = 0xbf;
		size_t tail;

		if (b[i] < 0x80)
			tail = 0;
		else if (b[i] >= 0xc2 && b[i] <= 0xdf)
			tail = 1;
		else if (b[i] >= 0xe0 && b[i] <= 0xef)
			tail = 2;
		else
			return false; /* four bytes do not fit in three */
		if (b[i] == 0xe0)
			low = 0xa0;
		if (b[i] == 0xed)
			high = 0x9f;
		if (i + tail >= len)
			return false;
		for (size_t k = 1; k <= tail; k++, low = 0x80, high = 0xbf)
			if (b[i + k] < low || b[i + k] > high)
				return false;
		i += tail + 1;
	}
	return true;
}

static void agrees_with_rfc3629_on_all_of_three_bytes(void **state)
{
	for (uint32_t n = 0; n < 1u << 24; n++) {
		uint8_t b[3] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

		if (udpxdp_text_is_utf8(b, 3) != rfc3629(b, 3))
			fail_msg("%02x %02x %02x", b[0], b[1], b[2]);
	}
}

static void the_longest_text_is_judged_to_its_end(void **state)
{
	static uint8_t text[UDPXDP_PAYLOAD_MAX];

	memset(text, 'a', sizeof(text));
	assert_true(udpxdp_text_is_utf8(text, sizeof(text)));
	assert_true(udpxdp_text_is_printable(text, sizeof(text)));
	text[sizeof(text) - 1] = 0xc3;
	assert_false(udpxdp_text_is_utf8(text, sizeof(text)));
	assert_false(udpxdp_text_is_printable(text, sizeof(text)));
}

static void printing_text_has_no_controls(void **state)
{
	static const struct sample yes[] = {
		SAMPLE("a"),
		SAMPLE("two words"),
		SAMPLE("\u5f20\u4e09"),
		SAMPLE("Zo\u00eb"),
		SAMPLE("\U0001f44b"),
		SAMPLE("~!@#$%^&*()"),
		SAMPLE("e\u0301"),
	};
	static const struct sample no[] = {
		SAMPLE(""),
		SAMPLE("a\n"),
		SAMPLE("\t"),
		SAMPLE("\0"),
		SAMPLE("\x1b[0m"),
		SAMPLE("\x7f"),
		SAMPLE("\xc2\x85"),
		SAMPLE("\xc2\x9b"),
		SAMPLE("\u2028"),
		SAMPLE("\u2029"),
		SAMPLE("\u202e"),
		SAMPLE("\u200f"),
		SAMPLE("\u061c"),
		SAMPLE("\u2066"),
		SAMPLE("a\u200b"),
		SAMPLE("\ufeff"),
		SAMPLE("\xee\x80\x80"),
		SAMPLE("\xf3\xb0\x80\x80"),
		SAMPLE("\xf3\xbf\xbf\xbe"),
		SAMPLE("\xff"),
	};

	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(printable(yes[i]));
	for (size_t i = 0; i < COUNT(no); i++) {
		assert_false(printable(no[i]));
		assert_false(word(no[i]));
	}
}

static void a_word_has_no_spaces_of_any_kind(void **state)
{
	static const struct sample spaced[] = {
		SAMPLE(" "),
		SAMPLE("a b"),
		SAMPLE("a\u00a0b"),
		SAMPLE("\u3000"),
		SAMPLE("\u2003x"),
	};

	assert_true(word((struct sample)SAMPLE("alice")));
	assert_true(word((struct sample)SAMPLE("\u5f20\u4e09")));
	for (size_t i = 0; i < COUNT(spaced); i++) {
		assert_true(printable(spaced[i]));
		assert_false(word(spaced[i]));
	}
}

static void expect_addr(
	const struct udpxdp_addr *addr, uint16_t port, const char *alone, const char *with_port)
{
	char text[UDPXDP_ADDR_TEXT_MAX];

	assert_int_equal(udpxdp_addr_format(text, addr), strlen(alone));
	assert_string_equal(text, alone);
	assert_int_equal(udpxdp_addr_port_format(text, addr, port), strlen(with_port));
	assert_string_equal(text, with_port);
}

static void addresses_are_written_by_rfc5952(void **state)
{
	const struct udpxdp_addr v4 = udpxdp_addr_ipv4(10, 0, 0, 2),
				 top = udpxdp_addr_ipv4(255, 255, 255, 255);
	const struct udpxdp_addr any = {0}, loopback = {.b = {[15] = 1}};
	/* RFC 5952, 4.2.2: a single zero field is not shortened; 4.2.3: the longest run is. */
	const struct udpxdp_addr single = {
		.b = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}};
	const struct udpxdp_addr runs = {.b = {0x20, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}};
	struct udpxdp_addr longest;

	memset(&longest, 0xff, sizeof(longest));
	expect_addr(&v4, 0, "10.0.0.2", "10.0.0.2:0");
	expect_addr(&top, 65535, "255.255.255.255", "255.255.255.255:65535");
	expect_addr(&any, 1, "::", "[::]:1");
	expect_addr(&loopback, 8090, "::1", "[::1]:8090");
	expect_addr(&single, 10, "2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:10");
	expect_addr(&runs, 99, "2001:0:0:1::1", "[2001:0:0:1::1]:99");
	expect_addr(&longest, 65535, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

/* Names that nobody can tell apart: marks, letters and a pattern of Braille that show nothing. */
static void no_blank_is_part_of_a_word(void **state)
{
	static const struct sample blanks[] = {
		SAMPLE("ann\u034f"),
		SAMPLE("ann\ufe0f"),
		SAMPLE("\u115fann"),
		SAMPLE("an\u3164n"),
		SAMPLE("ann\uffa0"),
		SAMPLE("ann\u2800"),
		SAMPLE("ann\U000e0100"),
		SAMPLE("ann\u3000"),
	};

	for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
		assert_false(word(blanks[i]));
		assert_true(printable(blanks[i]));
	}
	assert_true(word((struct sample)SAMPLE("\u00e4nn\u0301\uac00")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_blank_is_part_of_a_word),
		cmocka_unit_test(well_formed_utf8_is_accepted),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(agrees_with_rfc3629_on_all_of_three_bytes),
		cmocka_unit_test(the_longest_text_is_judged_to_its_end),
		cmocka_unit_test(printing_text_has_no_controls),
		cmocka_unit_test(a_word_has_no_spaces_of_any_kind),
		cmocka_unit_test(addresses_are_written_by_rfc5952),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
