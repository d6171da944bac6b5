/* SPDX-License-Identifier: MIT */
/* What a server says of its counters, read back; and what it should not say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xdp/counters.h"

static struct port_total ports[] = {{80, {1, 64, 1}}, {8080, {UINT64_MAX, 2000, 20, 7, 3}}};

static struct service_total services[] = {
	{"echo", 8080, 0, {10, 9, 100, 90, [SERVICE_VALUES - 1] = 2}, {}},
	{"my-own_1", 65535, 3, {5, [OWN_VALUE] = 4, [OWN_VALUE + 1] = 2},
		{{"too_dull", "it was, and \\x1b so on"}, {"abcdefghijklmnopqrstuvw", ""}}},
	{"chat", 8090, COUNTERS_SOCKETS, {1}, {}},
};

static const struct counters two = {
	.iface = "eth0",
	.ports = ports,
	.port_count = 2,
	.services = services,
	.service_count = 3,
	.verdicts = {[FRAME_REDIRECTED] = {21, 1500}, [FRAME_NOT_IP] = {4, 240}},
};

static char *written(const struct counters *first, const struct counters *second)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	counters_write(out, first);
	if (second)
		counters_write(out, second);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_same(const struct counters *a, const struct counters *b)
{
	assert_string_equal(a->iface, b->iface);
	assert_int_equal(a->port_count, b->port_count);
	assert_int_equal(a->service_count, b->service_count);
	assert_memory_equal(a->verdicts, b->verdicts, sizeof(a->verdicts));
	for (size_t i = 0; i < a->port_count; i++) {
		assert_int_equal(a->ports[i].port, b->ports[i].port);
		assert_memory_equal(
			a->ports[i].values, b->ports[i].values, sizeof(b->ports[i].values));
	}
	for (size_t i = 0; i < a->service_count; i++)
		assert_memory_equal(&a->services[i], &b->services[i], sizeof(b->services[i]));
}

static void what_is_written_is_read(void **state)
{
	const struct counters none = {};
	char *text = written(&two, &none), *at = text;
	struct counters read;

	assert_int_equal(counters_parse(&at, &read), 0);
	assert_same(&read, &two);
	counters_free(&read);
	assert_int_equal(counters_parse(&at, &read), 0);
	assert_same(&read, &none);
	counters_free(&read);
	assert_true(!at || !*at);
	free(text);
}

/* Reads whatever it is to its end. Returns whether all of it was understood. */
static bool reads(char *text)
{
	struct counters read;

	do {
		if (counters_parse(&text, &read)) {
			assert_int_equal(errno, EPROTO);
			return false;
		}
		counters_free(&read);
	} while (text && *text);
	return true;
}

/* The text, in which some other text stands in the place of what first reads so. */
static char *with(const char *old, const char *new)
{
	char *text = written(&two, NULL), *at = strstr(text, old), *changed;

	assert_non_null(at);
	*at = 0;
	assert_true(asprintf(&changed, "%s%s%s", text, new, at + strlen(old)) >= 0);
	free(text);
	return changed;
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *old, *new;
	} changes[] = {
		{"interface", "interfaces"},
		{"interface eth0 ", "interface "},
		{"interface eth0 ", "interface eth0 1"},
		{"port 80 ", "port "},
		{"port 80 ", "port x "},
		{"port 80 ", "port 80 1 "},
		{"port 80 1", "port 80"},
		{"verdict 1 ", "verdict 4711 "},
		{"verdict 1 ", "verdict -1 "},
		{"verdict 1 ", "verdict 1 x"},
		{"service echo ", "service "},
		{"service echo ", "service ECHO "},
		{"service echo ", "service \x1b[2Jecho "},
		{"service echo ", "service ech\xff "},
		{"service echo ", "service \"echo "},
		{"service echo ", "service twelve-bytes "},
		{"service echo 8080 0 10", "service echo 8080 0"},
		{"service echo 8080 0 10", "service echo 8080 0 ten"},
		{"service echo", "something echo"},
		{"service echo", "reason 0 too_early so\nservice echo"},
		{"service echo", "\nservice echo"},
		{"reason 0 ", "reason 4711 "},
		{"reason 0 ", "reason -1 "},
		{"reason 0 too_dull", "reason 0 too\x1b"
				      "dull"},
		{"reason 0 too_dull", "reason 0 twenty-four-bytes-and-mo"},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *text = with(changes[i].old, changes[i].new);

		if (reads(text))
			fail_msg("it reads %s for %s", changes[i].new, changes[i].old);
		free(text);
	}
	assert_false(reads((char[]){""}));
	assert_false(reads((char[]){"\n"}));
}

static void what_a_reason_means_prints(void **state)
{
	char *text = with("it was", "\x1b[2J\xff"), *at = text;
	struct counters read;

	assert_int_equal(counters_parse(&at, &read), 0);
	assert_string_equal(read.services[1].own[0].text, "\\x1b[2J\\xff, and \\x1b so on");
	counters_free(&read);
	free(text);
}

/* Under a sanitizer: whatever is cut or changed, nothing else is read or written. */
static void garbled_text_harms_nothing(void **state)
{
	char *text = written(&two, &two);
	const size_t len = strlen(text);
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	for (size_t i = 0; i < len; i++) {
		static const char others[] = {0, '\n', ' ', '9', '-', '\x80'};

		memcpy(copy, text, len + 1);
		copy[i] = others[i % sizeof(others)];
		reads(copy);
	}
	free(copy);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(what_a_reason_means_prints),
		cmocka_unit_test(garbled_text_harms_nothing),
	};

	return cmocka_run_group_tests_name("counters_text", tests, NULL, NULL);
}
