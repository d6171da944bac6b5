/* SPDX-License-Identifier: MIT */
/* Text made safe for a terminal and for a file of lines. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

typedef size_t escaper(char *out, size_t size, const uint8_t *text, size_t len);

#define QUOTED(text, expected) check(escape_quoted, text, sizeof(text) - 1, expected, __LINE__)
#define JSON(text, expected) check(escape_json, text, sizeof(text) - 1, expected, __LINE__)
#define SAFE(text, expected) check(escape_text, text, sizeof(text) - 1, expected, __LINE__)
#define LINE(text, expected) check(escape_line, text, sizeof(text) - 1, expected, __LINE__)

static void check(escaper *escape, const char *text, size_t len, const char *expected, int line)
{
	char out[512];
	size_t used = escape(out, sizeof(out) - 1, (const uint8_t *)text, len);

	out[used] = '\0';
	if (strlen(out) != used || strcmp(out, expected))
		fail_msg("line %d: got %s instead of %s", line, out, expected);
}

static void quoted_text_is_one_line_between_quotes(void **state)
{
	QUOTED("", "\"\"");
	QUOTED("hello", "\"hello\"");
	QUOTED("say \"hi\" \\o/", "\"say \\\"hi\\\" \\\\o/\"");
	QUOTED("a\nb\rc\td", "\"a\\nb\\rc\\td\"");
	QUOTED("\x1b]0;owned\x07", "\"\\x1b]0;owned\\x07\"");
	QUOTED("a\0b\x7f", "\"a\\x00b\\x7f\"");
	QUOTED("\xc2\x85"
	       "\xc2\x9b"
	       "31m",
		"\"\\u{0085}\\u{009b}31m\"");
	QUOTED("\u2028\u2029", "\"\\u{2028}\\u{2029}\"");
	QUOTED("\u061c\u200e\u200f", "\"\\u{061c}\\u{200e}\\u{200f}\"");
	QUOTED("\u202a\u202e", "\"\\u{202a}\\u{202e}\"");
	QUOTED("\u2066\u2069", "\"\\u{2066}\\u{2069}\"");
	QUOTED("\u2065\u206a\u2029\u202f", "\"\\u{2065}\\u{206a}\\u{2029}\u202f\"");
	QUOTED("\u200b\ufeff\xee\x80\x80\U0010ffff", "\"\\u{200b}\\u{feff}\\u{e000}\\u{10ffff}\"");
	QUOTED("\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e",
		"\"\U0001f469\u200d\U0001f680 \u0645\u06cc\u200c\u062e\"");
	QUOTED("\u5f20\u4e09 \U0001f44b \u00a0", "\"\u5f20\u4e09 \U0001f44b \u00a0\"");
	QUOTED("\xff\xfe", "\"\\xff\\xfe\"");
	QUOTED("caf\xe9!", "\"caf\\xe9!\"");
	QUOTED("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"");
	QUOTED("\xc0\x8a", "\"\\xc0\\x8a\"");
	QUOTED("\xf0\x9f\x91", "\"\\xf0\\x9f\\x91\"");
	QUOTED("\xe2\x80", "\"\\xe2\\x80\"");
}

static void safe_text_steers_no_terminal(void **state)
{
	SAFE("", "");
	SAFE("say \"hi\" \\o/", "say \"hi\" \\o/");
	SAFE("a\nb\r\x1b[2J\0\x7f", "a\\nb\\r\\x1b[2J\\x00\\x7f");
	SAFE("\u202e\u2066\xc2\x9b", "\\u{202e}\\u{2066}\\u{009b}");
	SAFE("\u5f20\u4e09\xff\n", "\u5f20\u4e09\\xff\\n");
}

static void a_line_ends_where_the_text_ends(void **state)
{
	LINE("", "");
	LINE("hello", "hello");
	LINE("say \"hi\" \\o/ \u202ex", "say \"hi\" \\o/ \\u{202e}x");
	LINE("hello\n", "hello");
	LINE("hello\r\n", "hello");
	LINE("hello\n\n", "hello\\n");
	LINE("hello\r", "hello\\r");
	LINE("hello\n\r", "hello\\n\\r");
	LINE("\n", "");
	LINE("\r\n", "");
	LINE("a\nb\r\nc\td", "a\\nb\\r\\nc\\td");
	LINE("a\xc2\x85"
	     "b\u2028c\u2029d",
		"a\\u{0085}b\\u{2028}c\\u{2029}d");
	LINE("\x1b[2J\0\x7f\xc2\x9c", "\\x1b[2J\\x00\\x7f\\u{009c}");
	LINE("\xff\n", "\\xff");
	LINE("\xe2\x80\n", "\\xe2\\x80");
}

static void json_strings_hold_any_bytes(void **state)
{
	JSON("", "\"\"");
	JSON("say \"hi\" \\o/", "\"say \\\"hi\\\" \\\\o/\"");
	JSON("a\nb\rc\td\be", "\"a\\nb\\rc\\td\\u0008e\"");
	JSON("\x1b[2J\0\x7f", "\"\\u001b[2J\\u0000\\u007f\"");
	JSON("\xc2\x9b"
	     "31m\u2028\u202e",
		"\"\\u009b31m\\u2028\\u202e\"");
	JSON("\u5f20\u4e09 \U0001f44b", "\"\u5f20\u4e09 \U0001f44b\"");
	JSON("\U0010ffff", "\"\\udbff\\udfff\"");
	JSON("caf\xe9!", "\"caf\\ufffd!\"");
	JSON("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	JSON("\xc0\x8a", "\"\\ufffd\\ufffd\"");
	JSON("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	JSON("\xe2\x80", "\"\\ufffd\\ufffd\"");
}

static bool ends_with(const char *out, size_t used, const char *end)
{
	return used >= strlen(end) && !memcmp(out + used - strlen(end), end, strlen(end));
}

/* At every size: never a byte more than that, whole characters and escapes, marked as cut. */
static void what_is_cut_is_whole_characters_and_marked(void **state)
{
	static const char text[] = "a\u5f20\x1b\u202e\xff"
				   "b";
	static const char full[] = "\"a\u5f20\\x1b\\u{202e}\\xffb\"";

	for (size_t size = 0; size <= sizeof(full); size++) {
		char *out = malloc(size + !size); /* exact, for the address sanitizer */
		size_t used = escape_quoted(out, size, (const uint8_t *)text, sizeof(text) - 1);

		assert_true(used <= size);
		if (size >= sizeof(full) - 1) {
			assert_int_equal(used, sizeof(full) - 1);
			assert_memory_equal(out, full, used);
		} else if (size >= 5) {
			assert_true(ends_with(out, used, "\u2026\""));
			assert_memory_equal(out, full, used - 4);
			assert_true(strchr("\"a\\b\xe5", full[used - 4]));
		} else {
			assert_int_equal(used, 0);
		}
		used = escape_line(out, size, (const uint8_t *)"abcdef\n", 7);
		assert_true(used <= size);
		if (size >= 6)
			assert_int_equal(used, 6);
		else if (size >= 3)
			assert_true(ends_with(out, used, "\u2026") && used == size);
		else
			assert_int_equal(used, 0);
		free(out);
	}
}

static void any_bytes_stay_safe(void **state)
{
	static uint8_t text[65507];
	static char out[65507 * 10 + 2];
	uint32_t random = 1;

	for (unsigned round = 0; round < 8; round++) {
		size_t used;

		for (size_t i = 0; i < sizeof(text); i++) {
			random = random * 1664525 + 1013904223;
			text[i] = (uint8_t)(random >> 24);
		}
		used = escape_quoted(out, round & 1 ? sizeof(out) : 4096, text, sizeof(text));
		assert_true(used <= (round & 1 ? sizeof(out) : 4096));
		for (size_t i = 0; i < used; i++)
			assert_true((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
		used = escape_line(out, sizeof(out), text, sizeof(text));
		for (size_t i = 0; i < used; i++)
			assert_true((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quoted_text_is_one_line_between_quotes),
		cmocka_unit_test(safe_text_steers_no_terminal),
		cmocka_unit_test(a_line_ends_where_the_text_ends),
		cmocka_unit_test(json_strings_hold_any_bytes),
		cmocka_unit_test(what_is_cut_is_whole_characters_and_marked),
		cmocka_unit_test(any_bytes_stay_safe),
	};

	return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
