/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "base/log.h"

/* What getopt_long() returns: a letter, or LONG_BASE and the position of the row. */
#define LONG_BASE 256

static const struct option_row common_rows[] = {
	{.name = "help", .letter = 'h', .help = "print this text and exit"},
	{.name = "version", .letter = 'V', .help = "print the version and exit"},
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
static const struct option_row *row_at(const struct verb *verb, size_t i)
{
	size_t own = row_count(verb);

	return i < own ? &verb->options[i] : &common_rows[i - own];
}

static bool takes_argument(const struct option_row *row)
{
	return row->arg != NULL;
}

/* The row for what getopt_long() returned or left in optopt; NULL: there is none. */
static const struct option_row *row_of(const struct verb *verb, int value)
{
	size_t count = row_count(verb) + COMMON_ROWS;

	if (value >= LONG_BASE)
		return row_at(verb, (size_t)(value - LONG_BASE));
	for (size_t i = 0; i < count; i++)
		if (value && row_at(verb, i)->letter == value)
			return row_at(verb, i);
	return NULL;
}

static int set_uint(
	const struct option_row *row, unsigned *number, const char *arg, char *error, size_t size)
{
	unsigned max = row->max ? row->max : UINT_MAX;
	unsigned long value = 0;
	char *end = NULL;

	if (*arg >= '0' && *arg <= '9') {
		errno = 0;
		value = strtoul(arg, &end, 10);
	}
	if (!end || *end || errno || value < row->min || value > max) {
		snprintf(error, size, "'%s' is not a number from %u to %u", arg, row->min, max);
		return -1;
	}
	*number = (unsigned)value;
	return 0;
}

static int set_seconds(
	const struct option_row *row, uint64_t *time_ns, const char *arg, char *error, size_t size)
{
	double min = row->min / 1e3, max = (row->max ? row->max : UINT_MAX) / 1e3;
	double value = -1;
	char *end = NULL;

	if (arg[strspn(arg, "0123456789.")] == 0)
		value = strtod(arg, &end);
	if (!end || end == arg || *end || value < min || value > max) {
		snprintf(error, size, "'%s' is not a number of seconds from %g to %.10g", arg, min,
			max);
		return -1;
	}
	*time_ns = (uint64_t)(value * 1e9);
	return 0;
}

static int set_value(
	const struct option_row *row, void *config, const char *arg, char *error, size_t size)
{
	void *member = (char *)config + row->offset;

	switch (row->kind) {
	case OPT_FLAG:
		*(bool *)member = true;
		return 0;
	case OPT_COUNT:
		*(unsigned *)member += 1;
		return 0;
	case OPT_STRING:
		*(const char **)member = arg;
		return 0;
	case OPT_UINT:
		return set_uint(row, member, arg, error, size);
	case OPT_SECONDS:
		return set_seconds(row, member, arg, error, size);
	case OPT_CALL:
		break;
	}
	return row->set(config, arg, error, size);
}

/* ---- reading a command line ---------------------------------------------------------- */

struct tables {
	struct option *longs;
	char *letters;
};

static void add_long(struct option **to, const char *name, const struct option_row *row, int value)
{
	*(*to)++ = (struct option){
		.name = name,
		.has_arg = takes_argument(row) ? required_argument : no_argument,
		.val = value,
	};
}

static struct tables make_tables(const struct verb *verb)
{
	size_t count = row_count(verb) + COMMON_ROWS;
	struct tables tables = {
		.longs = calloc(2 * count + 1, sizeof(struct option)),
		.letters = calloc(2 * count + 2, 1),
	};
	struct option *to = tables.longs;
	char *letter = tables.letters;

	if (!tables.longs || !tables.letters)
		log_fail(EXIT_RUNTIME, "options: out of memory");
	*letter++ = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < count; i++) {
		const struct option_row *row = row_at(verb, i);
		int value = LONG_BASE + (int)i;

		add_long(&to, row->name, row, value);
		if (row->alias)
			add_long(&to, row->alias, row, value);
		if (!row->letter)
			continue;
		*letter++ = row->letter;
		if (takes_argument(row))
			*letter++ = ':';
	}
	return tables;
}

static void __attribute__((noreturn))
bad_option(const struct verb *verb, const char *option, const char *why)
{
	log_fail(EXIT_USAGE, "option %s: %s; see udpxdp %s --help", option, why, verb->name);
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

static void __attribute__((noreturn))
report(const struct verb *verb, char **argv, int result, const struct option *longs)
{
	const struct option_row *row = row_of(verb, optopt);
	char option[64];

	if (row && optopt >= LONG_BASE)
		snprintf(option, sizeof(option), "--%s", row->name);
	else
		snprintf(option, sizeof(option), "-%c", optopt);
	if (result == ':')
		bad_option(verb, option, "needs an argument");
	if (optopt >= LONG_BASE)
		bad_option(verb, option, "takes no argument");
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

	if (count < verb->min_operands) {
		operand_name(verb->operands, count, name, sizeof(name));
		log_fail(EXIT_USAGE, "%s: not given; see udpxdp %s --help", name, verb->name);
	}
	if (verb->max_operands >= 0 && count > verb->max_operands)
		log_fail(EXIT_USAGE, "operand '%s': one too many; see udpxdp %s --help",
			operands[verb->max_operands], verb->name);
}

/* Ends a run that printed what was asked for; a full disk behind standard output is an error. */
static void __attribute__((noreturn)) printed(void)
{
	if (fflush(stdout) || ferror(stdout))
		log_fail_output();
	exit(EXIT_CLEAN);
}

static void apply(const struct verb *verb, void *config, const struct option_row *row, int value,
	const char *arg)
{
	char error[256], option[64];

	if (row == &common_rows[HELP_ROW]) {
		options_help(verb);
		printed();
	}
	if (row == &common_rows[VERSION_ROW]) {
		puts("udpxdp " UDPXDP_VERSION);
		printed();
	}
	if (!set_value(row, config, arg, error, sizeof(error)))
		return;
	if (value < LONG_BASE)
		snprintf(option, sizeof(option), "-%c", value);
	else
		snprintf(option, sizeof(option), "--%s", row->name);
	bad_option(verb, option, error);
}

int options_parse(const struct verb *verb, void *config, int argc, char **argv)
{
	struct tables tables = make_tables(verb);
	int value;

	optind = 0; /* glibc: begin anew, also after an earlier parse of another line */
	opterr = 0;
	while ((value = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			report(verb, argv, value, tables.longs);
		apply(verb, config, row_of(verb, value), value, optarg);
	}
	free(tables.longs);
	free(tables.letters);
	check_operands(verb, argc - optind, argv + optind);
	return optind;
}

/* ---- a line of a configuration file -------------------------------------------------- */

static int set_switch(bool *flag, const char *value, char *error, size_t size)
{
	static const char *const words[][2] = {
		{"no", "yes"}, {"off", "on"}, {"false", "true"}, {"0", "1"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		for (int truth = 0; truth < 2; truth++) {
			if (!strcmp(value, words[i][truth])) {
				*flag = truth;
				return 0;
			}
		}
	}
	snprintf(error, size, "'%s' is neither yes nor no", value);
	return -1;
}

static int set_from_file(
	const struct option_row *row, void *config, const char *value, char *error, size_t size)
{
	void *member = (char *)config + row->offset;

	if (!value && takes_argument(row)) {
		snprintf(error, size, "needs a value");
		return -1;
	}
	if (value && row->kind == OPT_FLAG)
		return set_switch(member, value, error, size);
	if (value && row->kind == OPT_COUNT)
		return set_uint(row, member, value, error, size);
	return set_value(row, config, value, error, size);
}

int options_set(const struct verb *verb, void *config, const char *name, const char *value,
	char *error, size_t size)
{
	char why[256];

	for (const struct option_row *row = verb->options; row && row->name; row++) {
		if (strcmp(row->name, name) && (!row->alias || strcmp(row->alias, name)))
			continue;
		if (!set_from_file(row, config, value, why, sizeof(why)))
			return 0;
		snprintf(error, size, "%s: %s", name, why);
		return -1;
	}
	snprintf(error, size, "%s: unknown", name);
	return -1;
}

/* ---- help ---------------------------------------------------------------------------- */

#define HELP_COLUMN 29
#define HELP_WIDTH 80

void options_print_text(const char *text, int column)
{
	if (column + 2 > HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", HELP_COLUMN - column, "");
	column = HELP_COLUMN;
	while (*text) {
		int word = (int)strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + word > HELP_WIDTH) {
			printf("\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			column += putchar(' ') == ' ';
		}
		column += printf("%.*s", word, text);
		text += word;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_row(const struct option_row *row)
{
	int column = row->letter ? printf("  -%c, ", row->letter) : printf("      ");

	column += printf("--%s", row->name);
	if (row->arg)
		column += printf(" %s", row->arg);
	options_print_text(row->help, column);
}

void options_help(const struct verb *verb)
{
	size_t count = row_count(verb) + COMMON_ROWS;

	printf("Usage: udpxdp %s [OPTION...]%s%s\n", verb->name, *verb->operands ? " " : "",
		verb->operands);
	printf("%s\n\nOptions:\n", verb->summary);
	for (size_t i = 0; i < count; i++)
		print_row(row_at(verb, i));
	if (verb->more)
		verb->more();
	if (verb->notes)
		printf("\n%s\n", verb->notes);
}
