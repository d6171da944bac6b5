/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/grid.h"

#define COLUMNS_MAX 24

static void print_aligned(FILE *out, char *text, unsigned left)
{
	int widths[COLUMNS_MAX] = {};
	unsigned column = 0;

	for (const char *at = text; *at; column++) {
		int len = (int)strcspn(at, "\t\n");

		if (len > widths[column])
			widths[column] = len;
		at += len;
		if (*at++ == '\n')
			column = UINT_MAX;
	}
	column = 0;
	for (const char *at = text; *at; column++) {
		int len = (int)strcspn(at, "\t\n");
		int space = widths[column] - len;
		bool flush = left >> column & 1;

		if (len || at[len] != '\n')
			fprintf(out, "%s%*s%.*s", column ? "  " : "", flush ? 0 : space, "", len,
				at);
		at += len;
		if (*at == '\t' && flush)
			fprintf(out, "%*s", space, "");
		if (*at++ == '\n') {
			fputc('\n', out);
			column = UINT_MAX;
		}
	}
}

bool grid_begin(struct grid *grid)
{
	grid->file = open_memstream(&grid->text, &grid->size);
	return grid->file;
}

void grid_end(struct grid *grid, FILE *out, unsigned left)
{
	if (!fclose(grid->file) && out)
		print_aligned(out, grid->text, left);
	free(grid->text);
}
