/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/option.h"
#include "cli/help.h"

/* What getopt_long() returns: a letter, or LONG_BASE and the position of the row. */
#define LONG_BASE 256

const struct udpxdp_option common_options[] = {
	{.name = "help", .letter = 'h', .help = "print this text and exit"},
	{.name = "version", .letter = 'V', .help = "print the version and exit"},
	{},
};

enum { HELP_ROW, VERSION_ROW, COMMON_ROWS };

static size_t row_count(const struct verb *verb)
{
	size_t count = 0;

	while (verb->options && verb->options[count].name)
		count++;
	return count;
}

/* The rows of the verb, and behind them the common ones. */
static const struct udpxdp_option *row_at(const struct verb *verb, size_t i)
{
	size_t own = row_count(verb);

	return i < own ? &verb->options[i] : &common_options[i - own];
}

static bool takes_value(const struct udpxdp_option *row)
{
	return row->kind != UDPXDP_OPTION_BOOL && row->kind != UDPXDP_OPTION_COUNT;
}

/* The row for what getopt_long() returned or left in optopt; NULL: there is none. */
static const struct udpxdp_option *row_of(const struct verb *verb, int value)
{
	size_t count = row_count(verb) + COMMON_ROWS;

	if (value >= LONG_BASE)
		return row_at(verb, (size_t)(value - LONG_BASE));
	for (size_t i = 0; i < count; i++)
		if (value && row_at(verb, i)->letter == value)
			return row_at(verb, i);
	return NULL;
}

/* ---- errors -------------------------------------------------------------------------- */

static void __attribute__((noreturn))
bad_option(const struct verb *verb, const char *option, const char *why)
{
	log_fail(EXIT_USAGE, "option %s: %s; see udpxdp %s --help", option, why, verb->name);
}

static void __attribute__((noreturn))
bad_given(const struct verb *verb, const struct udpxdp_option *row, bool by_letter, const char *why)
{
	char option[64];

	if (by_letter)
		snprintf(option, sizeof(option), "-%c", row->letter);
	else
		snprintf(option, sizeof(option), "--%s", row->name);
	bad_option(verb, option, why);
}

/* getopt_long() says only that it could not tell which one; say between which. */
static void __attribute__((noreturn))
bad_long_option(const struct verb *verb, const char *arg, const struct option *longs)
{
	size_t len = strcspn(arg, "=");
	char option[128], why[512] = "could be";
	size_t used = strlen(why);
	int matches = 0;

	snprintf(option, sizeof(option), "%.*s", (int)(len < 100 ? len : 100), arg);
	for (; longs->name && used < sizeof(why); longs++) {
		if (strncmp(longs->name, arg + 2, len - 2))
			continue;
		used += (size_t)snprintf(why + used, sizeof(why) - used, "%s --%s",
			matches ? " or" : "", longs->name);
		matches++;
	}
	bad_option(verb, option, matches ? why : "unknown");
}

/* What getopt_long() stumbled over. */
static void __attribute__((noreturn))
report(const struct verb *verb, char **argv, int result, const struct option *longs)
{
	const struct udpxdp_option *row = row_of(verb, optopt);
	char option[] = {'-', (char)optopt, '\0'};

	if (row && result == ':')
		bad_given(verb, row, optopt < LONG_BASE, "requires an argument");
	if (row && optopt >= LONG_BASE)
		bad_given(verb, row, false, "takes no argument");
	if (optopt)
		bad_option(verb, option, "unknown");
	bad_long_option(verb, argv[optind - 1], longs);
}

/* The n-th word of "HOST [PORT]", without its brackets. */
static void operand_name(const char *operands, int n, char *name, size_t size)
{
	for (; n > 0 && *operands; n--) {
		operands += strcspn(operands, " ");
		operands += strspn(operands, " ");
	}
	operands += strspn(operands, "[");
	snprintf(name, size, "%.*s", (int)strcspn(operands, "] "), operands);
}

static void check_operands(const struct verb *verb, int count, char **operands)
{
	char name[32];

	for (int n = 0; n < verb->min_operands; n++) {
		if (n < count && *operands[n])
			continue;
		operand_name(verb->operands, n, name, sizeof(name));
		log_fail(EXIT_USAGE, "%s: not given; see udpxdp %s --help", name, verb->name);
	}
	if (verb->max_operands < 0 || count <= verb->max_operands)
		return;
	if (verb->instead)
		log_fail(EXIT_USAGE, "operand '%s': unexpected argument; %s",
			operands[verb->max_operands], verb->instead);
	log_fail(EXIT_USAGE, "operand '%s': unexpected argument; see udpxdp %s --help",
		operands[verb->max_operands], verb->name);
}

/* ---- reading a command line ---------------------------------------------------------- */

struct tables {
	struct option *longs;
	char *letters;
};

static struct tables make_tables(const struct verb *verb)
{
	size_t count = row_count(verb) + COMMON_ROWS;
	struct tables tables = {
		.longs = calloc(count + 1, sizeof(struct option)),
		.letters = calloc(2 * count + 2, 1),
	};
	char *letter = tables.letters;

	if (!tables.longs || !tables.letters)
		log_fail(EXIT_RUNTIME, "options: out of memory");
	*letter++ = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < count; i++) {
		const struct udpxdp_option *row = row_at(verb, i);

		tables.longs[i] = (struct option){
			.name = row->name,
			.has_arg = takes_value(row) ? required_argument : no_argument,
			.val = LONG_BASE + (int)i,
		};
		if (!row->letter)
			continue;
		*letter++ = row->letter;
		if (takes_value(row))
			*letter++ = ':';
	}
	return tables;
}

/* Ends a run that printed what was asked for; a full disk behind standard output is an error. */
static void __attribute__((noreturn)) printed(void)
{
	if (fflush(stdout) || ferror(stdout))
		log_fail_output();
	exit(EXIT_CLEAN);
}

static void take_option(struct command_line *line, int value, const char *text)
{
	const struct udpxdp_option *row = row_of(line->verb, value);

	if (row == &common_options[HELP_ROW]) {
		options_help(line->verb);
		printed();
	}
	if (row == &common_options[VERSION_ROW]) {
		puts("udpxdp " UDPXDP_VERSION);
		printed();
	}
	line->options = reallocarray(line->options, line->option_count + 1, sizeof(*line->options));
	if (!line->options)
		log_fail(EXIT_RUNTIME, "options: out of memory");
	line->options[line->option_count++] =
		(struct given_option){.row = row, .text = text, .by_letter = value < LONG_BASE};
}

void command_line_read(struct command_line *line, const struct verb *verb, int argc, char **argv)
{
	struct tables tables = make_tables(verb);
	int value;

	*line = (struct command_line){.verb = verb};
	optind = 0; /* glibc: begin anew, also after an earlier parse of another line */
	opterr = 0;
	while ((value = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			report(verb, argv, value, tables.longs);
		take_option(line, value, optarg);
	}
	free(tables.longs);
	free(tables.letters);
	line->first_operand = optind;
	check_operands(verb, argc - optind, argv + optind);
}

static const struct given_option *last_given(const struct command_line *line, const char *name)
{
	for (unsigned i = line->option_count; i > 0; i--)
		if (!strcmp(line->options[i - 1].row->name, name))
			return &line->options[i - 1];
	return NULL;
}

const char *command_line_value(const struct command_line *line, const char *name)
{
	const struct given_option *given = last_given(line, name);

	return given ? given->text : NULL;
}

bool command_line_has(const struct command_line *line, const char *name)
{
	return last_given(line, name) != NULL;
}

void command_line_apply(const struct command_line *line, void *config)
{
	char error[512];

	for (unsigned i = 0; i < line->option_count; i++) {
		const struct given_option *given = &line->options[i];
		void *member = (char *)config + given->row->offset;

		if (given->row->kind == UDPXDP_OPTION_BOOL)
			*(bool *)member = true;
		else if (given->row->kind == UDPXDP_OPTION_COUNT)
			*(unsigned *)member += 1;
		else if (option_set(given->row, config, given->text, error, sizeof(error)) < 0)
			bad_given(line->verb, given->row, given->by_letter, error);
	}
}

void command_line_free(struct command_line *line)
{
	free(line->options);
	line->options = NULL;
	line->option_count = 0;
}

void options_set_defaults(const struct verb *verb, void *config)
{
	char error[512];

	if (option_set_fallbacks(verb->options, config, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "udpxdp %s: a default of its own: %s; report it", verb->name,
			error);
}

int options_parse(const struct verb *verb, void *config, int argc, char **argv)
{
	struct command_line line;

	command_line_read(&line, verb, argc, argv);
	options_set_defaults(verb, config);
	command_line_apply(&line, config);
	command_line_free(&line);
	return line.first_operand;
}

/* ---- a line of a configuration file -------------------------------------------------- */

static int set_from_file(
	const struct udpxdp_option *row, void *config, const char *value, char *error, size_t size)
{
	void *member = (char *)config + row->offset;

	if (value)
		return option_set(row, config, value, error, size);
	if (takes_value(row)) {
		snprintf(error, size, "requires a value");
		return -1;
	}
	if (row->kind == UDPXDP_OPTION_BOOL)
		*(bool *)member = true;
	else
		*(unsigned *)member += 1;
	return 0;
}

int options_set(const struct verb *verb, void *config, const char *name, const char *value,
	char *error, size_t size)
{
	const struct udpxdp_option *row = option_find(verb->options, name);
	char why[512];

	if (!row) {
		snprintf(error, size, "%s: unknown", name);
		return -1;
	}
	if (!set_from_file(row, config, value, why, sizeof(why)))
		return 0;
	snprintf(error, size, "%s: %s", name, why);
	return -1;
}
