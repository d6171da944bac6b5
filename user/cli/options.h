/* SPDX-License-Identifier: MIT */
/*
 * Command lines and configuration files, by tables of struct udpxdp_option. getopt_long() does
 * the reading; argp would print an error in two lines, and ours are one.
 */
#ifndef UDPXDP_OPTIONS_H
#define UDPXDP_OPTIONS_H

#include "udpxdp/service.h"

struct verb {
	const char *name;
	const char *operands;                /* "HOST [PORT]", or "" */
	int min_operands, max_operands;      /* max -1: no limit */
	const char *instead;                 /* what to do where operands are not taken, or NULL */
	const char *summary;                 /* one line of at most 51 characters */
	const struct udpxdp_option *options; /* ends with a NULL name */
	void (*more)(void);                  /* prints what --help says behind them, or NULL */
	const char *notes;                   /* printed at the end of --help, or NULL */
	/* argv[0] is the verb. Returns the exit status. */
	int (*run)(const struct verb *verb, int argc, char **argv);
};

/* A command line as it was read: its options in their order, and where its operands are. */
struct command_line {
	const struct verb *verb;
	struct given_option {
		const struct udpxdp_option *row;
		const char *text; /* its value, or NULL */
		bool by_letter;
	} * options;
	unsigned option_count;
	int first_operand; /* in argv, which was permuted so that operands come last */
};

/*
 * Reads a command line; no value yet. --help and --version print to standard output and exit with
 * 0; an error prints one line and exits with EXIT_USAGE. Options and operands may be mixed; `--`
 * ends the options.
 */
void command_line_read(struct command_line *line, const struct verb *verb, int argc, char **argv);

/* The last value of the option of this name: NULL where it was not given. Not for a switch. */
const char *command_line_value(const struct command_line *line, const char *name);
bool command_line_has(const struct command_line *line, const char *name);

/* Sets what was given; a value that cannot be ends the program as above. */
void command_line_apply(const struct command_line *line, void *config);
void command_line_free(struct command_line *line);

/* Sets the defaults and then what is given, in one go. Returns the index of the first operand. */
int options_parse(const struct verb *verb, void *config, int argc, char **argv);

/* Gives config the defaults of the verb's options; nothing that is without one is touched. */
void options_set_defaults(const struct verb *verb, void *config);

/* Sets one option by its long name, as a line of a configuration file does. value is NULL for a
 * switch that stands alone. Returns 0, or -1 with one line in error. */
int options_set(const struct verb *verb, void *config, const char *name, const char *value,
	char *error, size_t size);

/* ---- help ---------------------------------------------------------------------------- */

/* Prints a text of --help in the column for texts, lines broken between words. column is where
 * the line is now. */
void options_print_text(const char *text, int column);

/* Prints one option of a verb as --help does. */
void options_print(const struct verb *verb, const char *name);

/* Prints the help of a verb to standard output. */
void options_help(const struct verb *verb);

#endif
