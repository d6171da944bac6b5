/* SPDX-License-Identifier: MIT */
/* Rules for networks: how the file is read, and which rule decides. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "io/rules.h"

static bool denies(const struct rule_set *set, const char *source)
{
	struct udpxdp_addr addr;

	assert_true(parse_addr(source, &addr));
	return rule_set_denies(set, &addr);
}

static struct rule_set *read_text(const char *text)
{
	char error[256] = "";
	struct rule_set *set = rule_set_new(NULL, 0, text, strlen(text), error, sizeof(error));

	if (!set)
		print_message("%s\n", error);
	assert_non_null(set);
	return set;
}

static void files_of_all_kinds(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
	} cases[] = {
		{"", 0},
		{"\n\n  \t\n", 0},
		{"# nothing\n#\n", 0},
		{"deny 192.0.2.0/24", 1},
		{"deny 192.0.2.0/24\n", 1},
		{"\xef\xbb\xbf"
		 "deny 192.0.2.0/24\r\ndeny 198.51.100.1\r\n",
			2},
		{"\xef\xbb\xbf# a comment\n\tdeny\t192.0.2.0/24 # with another\n", 1},
		{"  deny   192.0.2.77/24   \r\n\r\n#end", 1},
		{"deny 192.0.2.0/24#close", 1},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule_set *set = read_text(cases[i].text);

		assert_int_equal(rule_set_count(set), cases[i].count);
		assert_int_equal(denies(set, "192.0.2.200"), cases[i].count > 0);
		assert_false(denies(set, "192.0.3.0"));
		rule_set_free(set);
	}
}

static void errors_have_a_line(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"permit 10.0.0.0/8", "1: expected allow or deny, and a network"},
		{"allow", "1: expected one network, such as 10.0.0.0/8 or fd00::/16"},
		{"\n\nallow 10.0.0.0/33\n", "3: expected one network, such as"},
		{"deny 10.0.0.0/8\r\ndeny 10.0.0.0/8 10.0.0.1\r\n", "2: expected one network"},
		{"# 1\n# 2\n\nallow fd00::/129", "4: expected one network"},
		{"deny 10.0.0.0/8\nALLOW 10.0.0.0/8", "2: expected allow or deny"},
		{"allow 10.0.0.0/8\n10.0.0.0/8 deny\n", "2: expected allow or deny"},
		{"allow10.0.0.0/8", "1: expected allow or deny"},
	};
	char error[256], many[600];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(rule_set_new(
			NULL, 0, cases[i].text, strlen(cases[i].text), error, sizeof(error)));
		assert_memory_equal(error, cases[i].error, strlen(cases[i].error));
	}
	assert_null(rule_set_new(NULL, 0, "deny 10.0.0.1\0\n", 15, error, sizeof(error)));
	assert_string_equal(error, "1: a NUL is not text");
	memset(many, 'x', sizeof(many));
	assert_null(rule_set_new(NULL, 0, many, sizeof(many), error, sizeof(error)));
	assert_string_equal(error, "1: the line is too long");
	memset(many, ' ', sizeof(many));
	many[0] = '#';
	rule_set_free(rule_set_new(NULL, 0, many, sizeof(many), error, sizeof(error)));
}

/* Of rules for the same network a given one goes before the file's; else the last. */
static void alike(void **state)
{
	const struct guard_rule given = {
		.key = {.prefix_len = 120, .addr.b = {[10] = 0xff, 0xff, 192, 0, 2, 5}},
		.verdict = RULE_DENY};
	const char *text = "allow 192.0.2.0/24\nallow 10.0.0.0/8\ndeny 10.1.2.3/8\n";
	char error[256];
	struct rule_set *set = rule_set_new(&given, 1, text, strlen(text), error, sizeof(error));

	assert_non_null(set);
	assert_true(denies(set, "192.0.2.1"));
	assert_true(denies(set, "10.0.0.1"));
	assert_true(denies(set, "11.0.0.1")); /* some are allowed, so others are not */
	rule_set_free(set);
}

/* The slow way: look at each. */
static bool denies_slowly(const struct rule_set *set, const struct udpxdp_addr *addr)
{
	const struct guard_rule *rule, *best = NULL;

	for (size_t i = 0; (rule = rule_set_at(set, i)); i++) {
		unsigned same = 0;

		while (same < rule->key.prefix_len &&
			!((rule->key.addr.b[same / 8] ^ addr->b[same / 8]) & 0x80 >> same % 8))
			same++;
		if (same == rule->key.prefix_len &&
			(!best || best->key.prefix_len < rule->key.prefix_len))
			best = rule;
	}
	return best->verdict == RULE_DENY;
}

/* Networks within networks at random, few bits of which differ; asked at and around their ends. */
static void the_longest_decides(void **state)
{
	srand(11);
	for (unsigned round = 0; round < 100; round++) {
		struct guard_rule rules[60] = {};
		struct rule_set *set;
		char error[256];

		for (unsigned i = 0; i < 60; i++) {
			rules[i].key.addr.b[10] = rules[i].key.addr.b[11] = rand() % 3 ? 0xff : 0;
			for (unsigned b = 12; b < 16; b++)
				rules[i].key.addr.b[b] = (uint8_t)(rand() & rand());
			rules[i].key.prefix_len = rand() % 129;
			rules[i].verdict = rand() % 2 ? RULE_ALLOW : RULE_DENY;
		}
		set = rule_set_new(rules, 60, NULL, 0, error, sizeof(error));
		assert_non_null(set);
		for (unsigned i = 0; i < 600; i++) {
			struct udpxdp_addr addr = rules[i % 60].key.addr;

			addr.b[rand() % 16] ^= (uint8_t)(1 << rand() % 8);
			if (rand() % 2)
				addr.b[12 + rand() % 4] = rand() % 2 ? 0xff : 0;
			assert_int_equal(rule_set_denies(set, &addr), denies_slowly(set, &addr));
		}
		rule_set_free(set);
	}
}

static void too_many(void **state)
{
	char *text = malloc((RULES_MAX + 2) * 32), *end = text, error[256];

	for (unsigned i = 0; i < RULES_MAX; i++)
		end += sprintf(end, "deny 10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	assert_null(rule_set_new(NULL, 0, text, (size_t)(end - text), error, sizeof(error)));
	assert_string_equal(error, "262143: too many rules");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_all_kinds),
		cmocka_unit_test(errors_have_a_line),
		cmocka_unit_test(alike),
		cmocka_unit_test(the_longest_decides),
		cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
