/* SPDX-License-Identifier: MIT */
/* Lines of cells, written as text with tabs between them, printed in columns. */
#ifndef UDPXDP_STATS_GRID_H
#define UDPXDP_STATS_GRID_H

#include <stdbool.h>
#include <stdio.h>

struct grid {
	FILE *file; /* where the cells go; each line ends with a newline */
	char *text;
	size_t size;
};

/* Returns false when out of memory. Each grid that began is ended. */
bool grid_begin(struct grid *grid);

/*
 * Prints it to out (NULL: nowhere). The columns of the bit set left begin at their left edge, the
 * others end at their right one.
 */
void grid_end(struct grid *grid, FILE *out, unsigned left);

#endif
