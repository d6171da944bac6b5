/* SPDX-License-Identifier: MIT */
/*
 * Command-line options as a table: one row gives the option, its help, its key in a
 * configuration file and its completion. getopt_long() does the reading; argp would print an
 * error in two lines, and ours are one.
 */
#ifndef UDPXDP_OPTIONS_H
#define UDPXDP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
	OPT_FLAG,    /* bool: set to true */
	OPT_COUNT,   /* unsigned: one more each time */
	OPT_STRING,  /* const char *: the argument, not copied */
	OPT_UINT,    /* unsigned: decimal, min to max */
	OPT_SECONDS, /* uint64_t of nanoseconds: seconds, with decimals; min to max milliseconds */
	OPT_CALL,    /* set() reads it */
};

struct option_row {
	const char *name;  /* long name */
	const char *alias; /* another long name, not shown in --help; or NULL */
	char letter;       /* short name, or 0 */
	enum option_kind kind;
	size_t offset;   /* of the member of the verb's config (not for OPT_CALL) */
	const char *arg; /* the argument's name in --help; NULL: it takes none */
	const char *help;
	unsigned min, max; /* of a number; max 0: no limit */
	/* OPT_CALL: reads arg into config. Returns 0, or -1 with one line in error. */
	int (*set)(void *config, const char *arg, char *error, size_t size);
};

struct verb {
	const char *name;
	const char *operands;           /* "HOST [PORT]", or "" */
	int min_operands, max_operands; /* max -1: no limit */
	const char *summary;
	const struct option_row *options; /* ends with a NULL name */
	void (*more)(void);               /* prints what --help says behind the options, or NULL */
	const char *notes;                /* printed at the end of --help, or NULL */
	/* argv[0] is the verb. Returns the exit status. */
	int (*run)(const struct verb *verb, int argc, char **argv);
};

/*
 * Reads options into config, which holds the defaults. --help and --version print to standard
 * output and exit with 0; an error prints one line and exits with EXIT_USAGE. Options and
 * operands may be mixed; `--` ends the options. Returns the index of the first operand in argv,
 * which has been permuted so that operands come last.
 */
int options_parse(const struct verb *verb, void *config, int argc, char **argv);

/* Sets one option by its long name, as a line of a configuration file does. value is NULL for a
 * flag that stands alone. Returns 0, or -1 with one line in error. */
int options_set(const struct verb *verb, void *config, const char *name, const char *value,
	char *error, size_t size);

/* Prints a text of --help in the column for texts, lines broken between words. column is where
 * the line is now. */
void options_print_text(const char *text, int column);

/* Prints the help of a verb to standard output. */
void options_help(const struct verb *verb);

#endif
