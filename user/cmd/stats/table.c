/* SPDX-License-Identifier: MIT */
/* The counters as aligned tables. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/print.h"

#define COLUMNS_MAX 24

/*
 * Prints lines of cells that tabs separate, in columns; those of the bit set `left` begin at
 * their left edge, the others end at their right one.
 */
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

struct grid {
	FILE *file;
	char *text;
	size_t size;
	bool rates;
	double seconds;
};

static bool grid_begin(struct grid *grid, const struct stats_view *view)
{
	*grid = (struct grid){.rates = view->before != NULL, .seconds = stats_seconds(view)};
	grid->file = open_memstream(&grid->text, &grid->size);
	return grid->file;
}

/* out NULL: throw it away. */
static void grid_end(struct grid *grid, FILE *out, unsigned left)
{
	if (!fclose(grid->file) && out)
		print_aligned(out, grid->text, left);
	free(grid->text);
}

static void put_names(struct grid *grid, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(grid->file, "\t%s%s", names[i], grid->rates ? "\t/s" : "");
}

static void put_values(
	struct grid *grid, const uint64_t *values, const uint64_t *before, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(grid->file, "\t%ju", (uintmax_t)values[i]);
		if (grid->rates)
			fprintf(grid->file, "\t%.1f",
				stats_rate(values[i], before[i], grid->seconds));
	}
}

static void print_ports(FILE *out, const struct stats_view *view)
{
	struct grid grid;

	if (!grid_begin(&grid, view))
		return;
	fputs("port", grid.file);
	put_names(&grid, counters_port_names, PORT_TRAFFIC);
	fputc('\n', grid.file);
	for (size_t i = 0; i < view->now->port_count; i++) {
		const struct port_total *port = &view->now->ports[i];

		fprintf(grid.file, "%u", port->port);
		put_values(&grid, port->values, stats_port_before(view, port), PORT_TRAFFIC);
		fputc('\n', grid.file);
	}
	grid_end(&grid, out, 1);
}

static void print_verdicts(FILE *out, const struct stats_view *view)
{
	unsigned text_column = 1 + (view->before ? 2 : 1) * VERDICT_VALUES;
	struct grid grid;

	if (!grid_begin(&grid, view))
		return;
	fputs("verdict", grid.file);
	put_names(&grid, counters_verdict_value_names, VERDICT_VALUES);
	fputs("\t\n", grid.file);
	for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++) {
		const uint64_t *values = view->now->verdicts[i];

		if (!view->all && !values[0])
			continue;
		fputs(counters_verdict_names[i], grid.file);
		put_values(&grid, values, stats_verdict_before(view, i), VERDICT_VALUES);
		fprintf(grid.file, "\t%s\n", counters_verdict_texts[i]);
	}
	grid_end(&grid, out, 1 | 1u << text_column);
}

/* The traffic of a service and behind it the sum of its drops. */
static void sum_drops(uint64_t out[TRAFFIC_VALUES + 1], const uint64_t *values)
{
	memcpy(out, values, TRAFFIC_VALUES * sizeof(*out));
	out[TRAFFIC_VALUES] = 0;
	for (size_t i = TRAFFIC_VALUES; i < SERVICE_VALUES; i++)
		out[TRAFFIC_VALUES] += values[i];
}

static void service_help_print(FILE *out, const struct stats_view *view,
	const struct stats_services *now, const struct stats_services *before)
{
	static const char *const dropped = "dropped";
	struct grid grid;

	if (!grid_begin(&grid, view))
		return;
	fputs("service", grid.file);
	put_names(&grid, counters_service_names, TRAFFIC_VALUES);
	put_names(&grid, &dropped, 1);
	fputc('\n', grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		uint64_t values[TRAFFIC_VALUES + 1], earlier[TRAFFIC_VALUES + 1];

		sum_drops(values, total->values);
		sum_drops(earlier, stats_service_before(before->rows, before->count, total));
		fprintf(grid.file, "%s:%u", total->service, total->port);
		put_values(&grid, values, earlier, TRAFFIC_VALUES + 1);
		fputc('\n', grid.file);
	}
	grid_end(&grid, out, 1);
}

static void print_drops(FILE *out, const struct stats_view *view, const struct stats_services *now,
	const struct stats_services *before)
{
	static const char *const heading = "datagrams";
	unsigned text_column = view->before ? 4 : 3;
	bool any = false;
	struct grid grid;

	if (!grid_begin(&grid, view))
		return;
	fputs("dropped by\treason", grid.file);
	put_names(&grid, &heading, 1);
	fputs("\t\n", grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		const uint64_t *earlier = stats_service_before(before->rows, before->count, total);

		for (size_t v = TRAFFIC_VALUES; v < SERVICE_VALUES; v++) {
			if (!view->all && !total->values[v])
				continue;
			any = true;
			fprintf(grid.file, "%s:%u\t%s", total->service, total->port,
				counters_service_names[v]);
			put_values(&grid, &total->values[v], &earlier[v], 1);
			fprintf(grid.file, "\t%s\n", counters_service_texts[v]);
		}
	}
	if (any)
		fputc('\n', out);
	grid_end(&grid, any ? out : NULL, 3 | 1u << text_column);
}

void stats_print_table(FILE *out, const struct stats_view *view)
{
	struct stats_services now = stats_services(view->now);
	struct stats_services before = stats_services(view->before);

	fprintf(out, "%s\n\n", view->iface);
	print_ports(out, view);
	fputc('\n', out);
	print_verdicts(out, view);
	fputc('\n', out);
	service_help_print(out, view, &now, &before);
	print_drops(out, view, &now, &before);
	free(now.rows);
	free(before.rows);
}
