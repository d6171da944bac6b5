/* SPDX-License-Identifier: MIT */
/* The options table: every kind, abbreviations, permutation, errors, configuration files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/options.h"
#include "base/log.h"

#include <cmocka.h> /* behind log.h: it makes fail() a macro */

struct config {
	bool quiet;
	unsigned verbose;
	const char *write;
	unsigned count;
	uint64_t wait_ns;
	unsigned calls;
	char last[64];
	int colour;
	char path[8];
};

static int set_service(void *config, const char *arg, char *error, size_t size)
{
	struct config *c = config;

	if (!strcmp(arg, "bad")) {
		snprintf(error, size, "'%s' is bad", arg);
		return -1;
	}
	c->calls++;
	snprintf(c->last, sizeof(c->last), "%s", arg);
	return 0;
}

#define MEMBER(name) .offset = offsetof(struct config, name)

enum { RED = 3, GREEN };

static const struct udpxdp_word colours[] = {{"red", RED}, {"rouge", RED}, {"green", GREEN}, {}};

static const struct udpxdp_option rows[] = {
	{.name = "quiet",
		.letter = 'q',
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(quiet),
		.help = "say less"},
	{.name = "verbose",
		.letter = 'v',
		.kind = UDPXDP_OPTION_COUNT,
		MEMBER(verbose),
		.help = "say more"},
	{.name = "write",
		.letter = 'w',
		.kind = UDPXDP_OPTION_STRING,
		MEMBER(write),
		.arg = "FILE",
		.help = "write FILE"},
	{.name = "capture", .kind = UDPXDP_OPTION_STRING, MEMBER(write)},
	{.name = "count",
		.letter = 'c',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(count),
		.min = 1,
		.max = 100,
		.fallback = "7",
		.arg = "N",
		.help = "a number with a help text that is far too long for one line of "
			"a terminal"},
	{.name = "any",
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(count),
		.arg = "N",
		.help = "any number"},
	{.name = "wait",
		.kind = UDPXDP_OPTION_SECONDS,
		MEMBER(wait_ns),
		.min = 10,
		.max = 60000,
		.arg = "SEC",
		.help = "wait SEC seconds"},
	{.name = "service",
		.letter = 's',
		.kind = UDPXDP_OPTION_CALL,
		.arg = "NAME",
		.help = "run NAME",
		.set = set_service},
	{.name = "paint",
		.kind = UDPXDP_OPTION_ENUM,
		.words = colours,
		MEMBER(colour),
		.fallback = "green",
		.help = "paint it"},
	{.name = "file",
		.kind = UDPXDP_OPTION_PATH,
		MEMBER(path),
		.max = 8,
		.arg = "PATH",
		.help = "a file"},
	{},
};

static const struct verb verb = {
	.name = "test",
	.operands = "HOST [PORT]",
	.min_operands = 1,
	.max_operands = 2,
	.summary = "Does what is tested.",
	.options = rows,
	.notes = "A note.",
};

#define ARGS_MAX 16

struct line {
	int argc;
	char *argv[ARGS_MAX + 1];
};

static struct line line_of(const char *first, va_list args)
{
	struct line line = {.argc = 1, .argv = {"test"}};

	for (const char *arg = first; arg; arg = va_arg(args, const char *)) {
		assert_in_range(line.argc, 1, ARGS_MAX - 1);
		line.argv[line.argc++] = (char *)arg;
	}
	return line;
}

/* Parses words that must be right; returns how many operands there are. */
static int parse(struct config *config, char **operands, ...)
{
	struct line line;
	va_list args;
	int first;

	va_start(args, operands);
	line = line_of(va_arg(args, const char *), args);
	va_end(args);
	*config = (struct config){};
	first = options_parse(&verb, config, line.argc, line.argv);
	for (int i = first; i < line.argc; i++)
		operands[i - first] = line.argv[i];
	return line.argc - first;
}

/* Parses words that end the process; checks its status and what it printed. */
static void ends(int status, int fd, const char *expected, ...)
{
	char printed[4096];
	size_t len = 0;
	struct line line;
	va_list args;
	int ends[2], result;
	ssize_t got;
	pid_t child;

	va_start(args, expected);
	line = line_of(va_arg(args, const char *), args);
	va_end(args);
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct config config = {};

		dup2(ends[1], fd);
		close(ends[0]);
		options_parse(&verb, &config, line.argc, line.argv);
		_exit(99);
	}
	close(ends[1]);
	while ((got = read(ends[0], printed + len, sizeof(printed) - 1 - len)) > 0)
		len += (size_t)got;
	printed[len] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result));
	assert_string_equal(printed, expected);
	assert_int_equal(WEXITSTATUS(result), status);
}

#define SEE "; see udpxdp test --help\n"
#define FAILS(message, ...) \
	ends(EXIT_USAGE, STDERR_FILENO, "udpxdp: " message SEE, __VA_ARGS__, NULL)

static void every_kind_of_option_is_set(void **state)
{
	struct config c;
	char *operands[ARGS_MAX];

	assert_int_equal(parse(&c, operands, "-q", "-vv", "-w", "f", "-c5", "-sx", "h", NULL), 1);
	assert_true(c.quiet);
	assert_int_equal(c.verbose, 2);
	assert_string_equal(c.write, "f");
	assert_int_equal(c.count, 5);
	assert_string_equal(c.last, "x");

	parse(&c, operands, "--quiet", "--verbose", "--write=g", "--count", "100", "--service", "y",
		"--service=z", "h", NULL);
	assert_true(c.quiet);
	assert_int_equal(c.verbose, 1);
	assert_string_equal(c.write, "g");
	assert_int_equal(c.count, 100);
	assert_int_equal(c.calls, 2);
	assert_string_equal(c.last, "z");

	parse(&c, operands, "h", NULL);
	assert_false(c.quiet);
	assert_int_equal(c.verbose, 0);
	assert_null(c.write);
	assert_int_equal(c.count, 7);

	parse(&c, operands, "--any=4294967295", "h", NULL);
	assert_true(c.count == 4294967295u);
	assert_int_equal(c.colour, GREEN);
	assert_string_equal(c.path, "");
	parse(&c, operands, "--paint", "rouge", "--file=/123456", "h", NULL);
	assert_int_equal(c.colour, RED);
	assert_string_equal(c.path, "/123456");
}

static void seconds_have_fractions_and_bounds(void **state)
{
	struct config c;
	char *operands[ARGS_MAX];

	parse(&c, operands, "--wait", "2", "h", NULL);
	assert_true(c.wait_ns == 2000000000u);
	parse(&c, operands, "--wait=0.25", "h", NULL);
	assert_true(c.wait_ns == 250000000u);
	parse(&c, operands, "--wait=.5", "h", NULL);
	assert_true(c.wait_ns == 500000000u);
	parse(&c, operands, "--wait=0.01", "h", NULL);
	assert_true(c.wait_ns == 10000000u);
	parse(&c, operands, "--wait=60", "h", NULL);
	assert_true(c.wait_ns == 60000000000u);
#define NOT_SECONDS(word)                                                                       \
	FAILS("option --wait: '" word "' is not a number of seconds from 0.01 to 60", "--wait", \
		word, "h")
	NOT_SECONDS("");
	NOT_SECONDS(".");
	NOT_SECONDS("0");
	NOT_SECONDS("0.009");
	NOT_SECONDS("60.5");
	NOT_SECONDS("-1");
	NOT_SECONDS("1e1");
	NOT_SECONDS("1.2.3");
	NOT_SECONDS("nan");
	NOT_SECONDS("inf");
	NOT_SECONDS("2s");
	NOT_SECONDS("99999999999999999999999");
}

static void abbreviations_and_aliases_name_the_option(void **state)
{
	struct config c;
	char *operands[ARGS_MAX];

	parse(&c, operands, "--qui", "--verb", "--wr", "f", "--cou=3", "h", NULL);
	assert_true(c.quiet);
	assert_int_equal(c.verbose, 1);
	assert_string_equal(c.write, "f");
	assert_int_equal(c.count, 3);
	parse(&c, operands, "--capture", "f", "h", NULL);
	assert_string_equal(c.write, "f");
	parse(&c, operands, "--cap=g", "h", NULL);
	assert_string_equal(c.write, "g");
	FAILS("option --w: could be --write or --wait", "--w=1", "h");
	FAILS("option --c: could be --capture or --count", "--c", "h");
	FAILS("option --ver: could be --verbose or --version", "--ver", "h");
}

static void options_and_operands_come_in_any_order(void **state)
{
	struct config c;
	char *operands[ARGS_MAX];

	assert_int_equal(parse(&c, operands, "host", "-q", "8080", "-c", "9", NULL), 2);
	assert_string_equal(operands[0], "host");
	assert_string_equal(operands[1], "8080");
	assert_true(c.quiet);
	assert_int_equal(c.count, 9);

	assert_int_equal(parse(&c, operands, "-q", "--", "-v", "--write", NULL), 2);
	assert_string_equal(operands[0], "-v");
	assert_string_equal(operands[1], "--write");
	assert_int_equal(c.verbose, 0);
	assert_null(c.write);

	assert_int_equal(parse(&c, operands, "-", NULL), 1);
	assert_string_equal(operands[0], "-");
}

static void what_is_wrong_is_said(void **state)
{
	FAILS("option --foo: unknown", "--foo", "h");
	FAILS("option --foo: unknown", "--foo=bar", "h");
	FAILS("option --quietly: unknown", "h", "--quietly");
	FAILS("option -x: unknown", "-x", "h");
	FAILS("option -x: unknown", "-qx", "h");
	FAILS("option --write: requires an argument", "h", "--write");
	FAILS("option --write: requires an argument", "h", "--wri");
	FAILS("option -w: requires an argument", "h", "-w");
	FAILS("option --quiet: takes no argument", "--quiet=yes", "h");
	FAILS("option --verbose: takes no argument", "--verb=2", "h");
	FAILS("option --help: takes no argument", "--help=me", "h");
	FAILS("option --count: '0' is not a number from 1 to 100", "--count=0", "h");
	FAILS("option -c: '101' is not a number from 1 to 100", "-c101", "h");
	FAILS("option -c: '+1' is not a number from 1 to 100", "-c+1", "h");
	FAILS("option -c: ' 1' is not a number from 1 to 100", "-c", " 1", "h");
	FAILS("option -c: '1x' is not a number from 1 to 100", "-c1x", "h");
	FAILS("option -c: '' is not a number from 1 to 100", "-c", "", "h");
	FAILS("option -c: '-5' is not a number from 1 to 100", "-c", "-5", "h");
	FAILS("option --any: '4294967296' is not a number from 0 to 4294967295", "--any=4294967296",
		"h");
	FAILS("option --any: '99999999999999999999' is not a number from 0 to 4294967295",
		"--any=99999999999999999999", "h");
	FAILS("option --paint: invalid value 'blue', expected red or green", "--paint=blue", "h");
	FAILS("option --paint: invalid value '', expected red or green", "--paint=", "h");
	FAILS("option --file: invalid path '', expected 1 to 7 bytes", "--file=", "h");
	FAILS("option --file: invalid path '/12345678', expected 1 to 7 bytes", "--file=/12345678",
		"h");
	FAILS("option --service: 'bad' is bad", "--service=bad", "h");
	FAILS("option --\\x1b[2J: unknown", "--\x1b[2J", "h");
	FAILS("operand 'c': unexpected argument", "a", "b", "c", "d");
	ends(EXIT_USAGE, STDERR_FILENO, "udpxdp: HOST: not given" SEE, "-q", NULL);
}

static void help_and_version_are_printed(void **state)
{
	static const char help[] =
		"Usage: udpxdp test [OPTION...] HOST [PORT]\n"
		"Does what is tested.\n"
		"\n"
		"Options:\n"
		"  -q, --quiet                say less\n"
		"  -v, --verbose              say more\n"
		"  -w, --write FILE           write FILE\n"
		"  -c, --count N              a number with a help text that is far too long for\n"
		"                             one line of a terminal (default: 7)\n"
		"      --any N                any number\n"
		"      --wait SEC             wait SEC seconds\n"
		"  -s, --service NAME         run NAME\n"
		"      --paint red|green      paint it (default: green)\n"
		"      --file PATH            a file\n"
		"  -h, --help                 print this text and exit\n"
		"  -V, --version              print the version and exit\n"
		"\n"
		"A note.\n";

	ends(EXIT_CLEAN, STDOUT_FILENO, help, "--help", NULL);
	ends(EXIT_CLEAN, STDOUT_FILENO, help, "-q", "-h", "--nonsense", NULL);
	ends(EXIT_CLEAN, STDOUT_FILENO, "udpxdp " UDPXDP_VERSION "\n", "--version", NULL);
	ends(EXIT_CLEAN, STDOUT_FILENO, "udpxdp " UDPXDP_VERSION "\n", "-V", NULL);
}

/* What is read can be asked for before anything is set. */
static void options_are_read_before_they_are_set(void **state)
{
	char *argv[] = {"test", "-w", "a", "host", "--capture=b", "-w", "c", "-v", NULL};
	struct command_line line;
	struct config c = {.count = 3};

	command_line_read(&line, &verb, 8, argv);
	assert_int_equal(line.first_operand, 7);
	assert_string_equal(argv[7], "host");
	assert_string_equal(command_line_value(&line, "write"), "c");
	assert_null(command_line_value(&line, "service"));
	assert_true(command_line_has(&line, "verbose"));
	assert_false(command_line_has(&line, "quiet"));
	assert_null(c.write);
	command_line_apply(&line, &c);
	assert_string_equal(c.write, "c");
	assert_int_equal(c.verbose, 1);
	assert_int_equal(c.count, 3); /* no defaults */
	command_line_free(&line);
}

static void a_verb_without_operands_says_what_to_use(void **state)
{
	static const struct verb none = {.name = "none",
		.operands = "",
		.instead = "name it with -i",
		.summary = "",
		.options = rows};
	char *argv[] = {"none", "eth0", NULL};
	struct config c = {};
	int status, ends[2];
	char said[256] = "";

	assert_int_equal(pipe(ends), 0);
	if (!fork()) {
		dup2(ends[1], STDERR_FILENO);
		options_parse(&none, &c, 2, argv);
		_exit(99);
	}
	close(ends[1]);
	assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
	close(ends[0]);
	wait(&status);
	assert_int_equal(WEXITSTATUS(status), EXIT_USAGE);
	assert_string_equal(said, "udpxdp: operand 'eth0': unexpected argument; name it with -i\n");
}

static void operands_may_have_no_limit(void **state)
{
	const struct verb any = {
		.name = "any", .operands = "[TEXT...]", .max_operands = -1, .options = NULL};
	char *argv[] = {"any", "a", "b", "c", NULL};

	assert_int_equal(options_parse(&any, NULL, 4, argv), 1);
}

static void a_configuration_file_sets_the_same_options(void **state)
{
	struct config c = {};
	char error[128] = "";

#define SETS(name, value) assert_int_equal(options_set(&verb, &c, name, value, error, 128), 0)
#define REFUSES(name, value, message)                                                  \
	do {                                                                           \
		assert_int_equal(options_set(&verb, &c, name, value, error, 128), -1); \
		assert_string_equal(error, message);                                   \
	} while (0)

	SETS("quiet", NULL);
	assert_true(c.quiet);
	SETS("quiet", "no");
	assert_false(c.quiet);
	SETS("quiet", "on");
	assert_true(c.quiet);
	SETS("quiet", "false");
	assert_false(c.quiet);
	SETS("verbose", NULL);
	SETS("verbose", NULL);
	assert_int_equal(c.verbose, 2);
	SETS("verbose", "1");
	assert_int_equal(c.verbose, 1);
	SETS("write", "file");
	assert_string_equal(c.write, "file");
	SETS("capture", "other");
	assert_string_equal(c.write, "other");
	SETS("count", "42");
	assert_int_equal(c.count, 42);
	SETS("wait", "1.5");
	assert_true(c.wait_ns == 1500000000u);
	SETS("service", "echo:7");
	assert_string_equal(c.last, "echo:7");

	SETS("paint", "red");
	assert_int_equal(c.colour, RED);
	REFUSES("paint", "pink", "paint: invalid value 'pink', expected red or green");
	REFUSES("colour", "red", "colour: unknown");
	REFUSES("q", NULL, "q: unknown");
	REFUSES("qui", NULL, "qui: unknown");
	REFUSES("help", NULL, "help: unknown");
	REFUSES("quiet", "maybe", "quiet: invalid boolean 'maybe', expected on or off");
	REFUSES("write", NULL, "write: requires a value");
	REFUSES("count", "0", "count: '0' is not a number from 1 to 100");
	REFUSES("service", "bad", "service: 'bad' is bad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_option_is_set),
		cmocka_unit_test(seconds_have_fractions_and_bounds),
		cmocka_unit_test(abbreviations_and_aliases_name_the_option),
		cmocka_unit_test(options_and_operands_come_in_any_order),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(help_and_version_are_printed),
		cmocka_unit_test(options_are_read_before_they_are_set),
		cmocka_unit_test(a_verb_without_operands_says_what_to_use),
		cmocka_unit_test(operands_may_have_no_limit),
		cmocka_unit_test(a_configuration_file_sets_the_same_options),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
