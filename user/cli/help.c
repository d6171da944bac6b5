/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/option.h"

#define HELP_COLUMN 29
#define HELP_WIDTH 80

/* Prints words from column on; returns the column behind them. */
static int print_words(const char *text, int column)
{
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
	return column;
}

/* Goes to the column for texts. */
static void indent(int column)
{
	if (column + 2 > HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", HELP_COLUMN - column, "");
}

void options_print_text(const char *text, int column)
{
	indent(column);
	print_words(text, HELP_COLUMN);
	putchar('\n');
}

static void print_row(const struct udpxdp_option *row)
{
	int column = row->letter ? printf("  -%c, ", row->letter) : printf("      ");
	char words[OPTION_WORDS_MAX], fallback[64];

	column += printf("--%s", row->name);
	if (row->kind == UDPXDP_OPTION_ENUM && !row->arg) {
		option_words(row->words, words);
		column += printf(" %s", words);
	} else if (row->arg) {
		column += printf(" %s", row->arg);
	}
	indent(column);
	column = print_words(row->help, HELP_COLUMN);
	if (row->fallback) {
		snprintf(fallback, sizeof(fallback), "(default: %s)", row->fallback);
		print_words(fallback, column);
	}
	putchar('\n');
}

static void print_rows(const struct udpxdp_option *rows)
{
	for (; rows && rows->name; rows++)
		if (rows->help)
			print_row(rows);
}

void options_print(const struct verb *verb, const char *name)
{
	const struct udpxdp_option *row = option_find(verb->options, name);

	if (row)
		print_row(row);
}

void options_help(const struct verb *verb)
{
	printf("Usage: udpxdp %s [OPTION...]%s%s\n", verb->name, *verb->operands ? " " : "",
		verb->operands);
	printf("%s\n\nOptions:\n", verb->summary);
	print_rows(verb->options);
	print_rows(common_options);
	if (verb->more)
		verb->more();
	if (verb->notes)
		printf("\n%s\n", verb->notes);
}
