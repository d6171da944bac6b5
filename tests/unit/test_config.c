/* SPDX-License-Identifier: MIT */
/* Configuration files: what a line may be, what is refused and where, and the options of serve. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cmd/serve/options.h"
#include "cli/verbs.h"

#include <cmocka.h>

/* What the lines said, as "name=value;" or "name;"; a name of "bad" is refused. */
struct seen {
	char text[512];
};

static int see(void *context, const char *name, const char *value, char *error, size_t size)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);

	if (!strcmp(name, "bad")) {
		snprintf(error, size, "bad: refused");
		return -1;
	}
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s%s%s;", name, value ? "=" : "",
		value ? value : "");
	return 0;
}

/* In memory of exactly its size, for the address sanitizer. */
static unsigned parse(
	const char *file, size_t len, config_set *set, void *context, char *error, size_t size)
{
	char *text = malloc(len + 1);
	unsigned line;

	assert_non_null(text);
	memcpy(text, file, len);
	error[0] = '\0';
	line = config_parse(text, len, set, context, error, size);
	free(text);
	return line;
}

static void check(const char *file, size_t len, const char *expected, int source_line)
{
	struct seen seen = {};
	char error[128];
	unsigned line = parse(file, len, see, &seen, error, sizeof(error));

	if (line || strcmp(seen.text, expected))
		fail_msg("line %d: got %s (%u: %s)", source_line, seen.text, line, error);
}

static void check_wrong(
	const char *file, size_t len, unsigned number, const char *expected, int source_line)
{
	struct seen seen = {};
	char error[128];
	unsigned line = parse(file, len, see, &seen, error, sizeof(error));

	if (line != number || strcmp(error, expected))
		fail_msg("line %d: got %u: %s", source_line, line, error);
}

#define READS(file, expected) check(file, sizeof(file) - 1, expected, __LINE__)
#define WRONG(file, number, expected) \
	check_wrong(file, sizeof(file) - 1, number, expected, __LINE__)

static void a_line_is_a_name_or_a_name_and_a_value(void **state)
{
	READS("", "");
	READS("\n\n \n\t\n", "");
	READS("a = b\n", "a=b;");
	READS("a = b", "a=b;");
	READS("a=b\nc=d", "a=b;c=d;");
	READS("  a\t =  b c  \n", "a=b c;");
	READS("quiet\n", "quiet;");
	READS("a = b = c\n", "a=b = c;");
	READS("a = b\r\nc\r\n", "a=b;c;");
	READS("service = echo:9,stamp=off\nservice = chat\n",
		"service=echo:9,stamp=off;service=chat;");
}

/* As editors and tools elsewhere write it. */
static void other_systems_line_ends_are_accepted(void **state)
{
	READS("\xef\xbb\xbf"
	      "a = b\r\n\r\n# comment\r\n\tquiet\t\r\nc\t=\td # e\r\nf = g\r",
		"a=b;quiet;c=d;f=g;");
	READS("\xef\xbb\xbf", "");
	READS("\xef\xbb\xbf# a comment in the first line\nquiet", "quiet;");
	READS("service = echo:7\n", "service=echo:7;");
	READS("\xef\xbb", "\xef\xbb;"); /* half a mark is a name, and nobody knows it */
	WRONG("iface: eth0\n", 1, "'iface: eth0': expected NAME = VALUE");
	WRONG("iface:eth0\n", 1, "'iface:eth0': expected NAME = VALUE");
	WRONG("a = b\nservice: echo,stamp=off\n", 2,
		"'service: echo,stamp': expected NAME = VALUE");
	WRONG("\xff\xfe"
	      "a\0=\0b\0",
		1, "a NUL byte: not a text file in UTF-8");
}

static void a_comment_begins_at_a_word(void **state)
{
	READS("# a = b\n", "");
	READS("#", "");
	READS("   # a = b\nc = d # e = f\n", "c=d;");
	READS("quiet # is the word\n", "quiet;");
	READS("file = a#b\n", "file=a#b;");
	READS("file = a\t#b\n", "file=a;");
}

static void a_wrong_line_is_said_with_its_number(void **state)
{
	WRONG("bad", 1, "bad: refused");
	WRONG("a = b\n\n# more\nbad = 1\nalso bad\n", 4, "bad: refused");
	WRONG("iface eth0\n", 1, "'iface eth0': expected NAME = VALUE");
	WRONG("a = b\n= c\n", 2, "'': expected NAME = VALUE");
	WRONG("=", 1, "'': expected NAME = VALUE");
	WRONG("a =\n", 1, "a: requires a value");
	WRONG("a = # nothing\n", 1, "a: requires a value");
	WRONG("a = b\nc = \0d\n", 2, "a NUL byte: not a text file in UTF-8");
	WRONG("\0", 1, "a NUL byte: not a text file in UTF-8");
}

/* ---- the options of serve ------------------------------------------------------------ */

static int set_option(void *options, const char *name, const char *value, char *error, size_t size)
{
	return options_set(&serve_verb, options, name, value, error, size);
}

static void options_of_serve_are_set(void **state)
{
	static const char file[] = "# comment\n"
				   "interface = eth7\n"
				   "service = echo:7\n"
				   "service = chat:9000,history=off\n"
				   "mode = skb\n"
				   "queues = 1-2\n"
				   "poll = block\n"
				   "cpus = 0,2-3\n"
				   "limit = 1000/200\n"
				   "allow = 10.0.0.0/8\n"
				   "deny = fd00::/16\n"
				   "coalesce = 40\n"
				   "busy-poll = 50\n"
				   "write = /tmp/a.pcap\n"
				   "control = /run/x.sock\n"
				   "user = daemon\n"
				   "log-format = json\n"
				   "print = 250\n"
				   "quiet = yes\n"
				   "no-sandbox\n"
				   "verbose = 2\n";
	struct serve_options o = {};
	char text[sizeof(file)], error[256];

	memcpy(text, file, sizeof(file));
	assert_int_equal(
		config_parse(text, sizeof(file) - 1, set_option, &o, error, sizeof(error)), 0);
	assert_string_equal(o.server.iface, "eth7");
	assert_int_equal(o.server.service_count, 2);
	assert_int_equal(o.server.services[0].port, 7);
	assert_int_equal(o.server.services[1].port, 9000);
	assert_int_equal(o.server.mode, XDP_MODE_SKB);
	assert_int_equal(o.server.first_queue, 1);
	assert_int_equal(o.server.last_queue, 2);
	assert_int_equal(o.server.wait, WAIT_BLOCK);
	assert_int_equal(o.server.cpu_count, 3);
	assert_int_equal(o.server.limit.interval, 1000000);
	assert_int_equal(o.server.rule_count, 2);
	assert_int_equal(o.server.coalesce_us, 40);
	assert_int_equal(o.server.busy_poll, 50);
	assert_string_equal(o.server.capture, "/tmp/a.pcap");
	assert_string_equal(o.control, "/run/x.sock");
	assert_string_equal(o.server.user, "daemon");
	assert_int_equal(o.server.log_format, PRINTER_JSON);
	assert_int_equal(o.server.print_rate, 250);
	assert_true(o.server.quiet);
	assert_true(o.server.no_sandbox);
	assert_int_equal(o.verbose, 2);
}

/* What takes no argument on the command line may have a boolean here, or stand alone: once more. */
static void what_may_be_given_twice_may_have_a_boolean(void **state)
{
	static const struct {
		const char *line;
		unsigned verbose;
	} cases[] = {{"verbose", 8}, {"verbose = on", 1}, {"verbose = off", 0}, {"verbose = no", 0},
		{"verbose = 1", 1}, {"verbose = 3", 3}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct serve_options o = {.verbose = 7};
		char text[32], error[256];

		snprintf(text, sizeof(text), "%s", cases[i].line);
		assert_int_equal(
			config_parse(text, strlen(text), set_option, &o, error, sizeof(error)), 0);
		assert_int_equal(o.verbose, cases[i].verbose);
	}
}

/* The last of print and quiet counts, as on the command line. */
static void the_last_of_print_and_quiet_counts(void **state)
{
	struct server_config *c = &(struct serve_options){.server.print_rate = 7}.server;
	char error[256];

#define SET(name, value) \
	assert_int_equal(options_set(&serve_verb, c, name, value, error, sizeof(error)), 0)
	SET("print", "none");
	assert_true(c->quiet);
	SET("print", "all");
	assert_false(c->quiet);
	assert_int_equal(c->print_rate, PRINTER_ALL);
	SET("print", "1");
	assert_int_equal(c->print_rate, 1);
	SET("quiet", NULL);
	assert_true(c->quiet);
	SET("print", "1000000000");
	assert_false(c->quiet);
	assert_int_equal(c->print_rate, 1000000000);
}

static void check_refused(const char *line, const char *expected)
{
	struct serve_options o = {};
	char error[256];

	assert_int_equal(parse(line, strlen(line), set_option, &o, error, sizeof(error)), 1);
	assert_string_equal(error, expected);
}

static void wrong_options_of_serve_are_refused(void **state)
{
	check_refused("ifcae = eth0", "ifcae: unknown");
	check_refused("i = eth0", "i: unknown");
	check_refused("help", "help: unknown");
	check_refused("mode = fast",
		"mode: invalid value 'fast', expected auto, zerocopy, copy, skb or sockets");
	check_refused("log-format = xml", "log-format: invalid value 'xml', expected text or json");
	check_refused("busy-poll = 10001", "busy-poll: '10001' is not a number from 0 to 10000");
	check_refused("quiet = perhaps", "quiet: invalid boolean 'perhaps', expected on or off");
	check_refused(
		"verbose = perhaps", "verbose: 'perhaps' is not a number from 0 to 4294967295");
	for (const char *const *wrong = (const char *const[]){"0", "-1", "1e3", "10 a second",
		     "1000000001", "99999999999999999999", "ALL", "", NULL};
		*wrong; wrong++) {
		char line[64], why[128] = "print: requires a value";

		snprintf(line, sizeof(line), "print = %s", *wrong);
		if (**wrong)
			snprintf(why, sizeof(why),
				"print: invalid value '%s', expected all, none or a number "
				"of lines a second",
				*wrong);
		check_refused(line, why);
	}
	check_refused("mode", "mode: requires a value");
	check_refused("service = echo:x", "service: echo: invalid port 'x', expected 1 to 65535, "
					  "or a range such as 5000-5015");
}

/* ---- files --------------------------------------------------------------------------- */

static void a_file_is_read_whole_or_refused(void **state)
{
	char path[] = "/tmp/udpxdp-test-config-XXXXXX", error[256], *text;
	int fd = mkstemp(path);
	size_t len;

	assert_true(fd >= 0);
	text = config_load(path, &len, error, sizeof(error));
	assert_non_null(text);
	assert_int_equal(len, 0);
	text[len] = '\0';
	free(text);

	assert_int_equal(write(fd, "a = b\n", 6), 6);
	text = config_load(path, &len, error, sizeof(error));
	assert_non_null(text);
	assert_int_equal(len, 6);
	assert_memory_equal(text, "a = b\n", 6);
	free(text);

	assert_int_equal(ftruncate(fd, CONFIG_SIZE_MAX), 0);
	text = config_load(path, &len, error, sizeof(error));
	assert_non_null(text);
	assert_int_equal(len, CONFIG_SIZE_MAX);
	free(text);
	assert_int_equal(ftruncate(fd, CONFIG_SIZE_MAX + 1), 0);
	assert_null(config_load(path, &len, error, sizeof(error)));
	assert_string_equal(error, "File too large");
	close(fd);
	unlink(path);
	assert_null(config_load(path, &len, error, sizeof(error)));
	assert_string_equal(error, "No such file or directory");
	assert_null(config_load("/tmp", &len, error, sizeof(error)));
	assert_string_equal(error, "Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_name_or_a_name_and_a_value),
		cmocka_unit_test(a_comment_begins_at_a_word),
		cmocka_unit_test(other_systems_line_ends_are_accepted),
		cmocka_unit_test(a_wrong_line_is_said_with_its_number),
		cmocka_unit_test(options_of_serve_are_set),
		cmocka_unit_test(what_may_be_given_twice_may_have_a_boolean),
		cmocka_unit_test(the_last_of_print_and_quiet_counts),
		cmocka_unit_test(wrong_options_of_serve_are_refused),
		cmocka_unit_test(a_file_is_read_whole_or_refused),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
