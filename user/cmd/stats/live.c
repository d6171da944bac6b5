/* SPDX-License-Identifier: MIT */
/* The counters as one table that stays in its place on a terminal, its numbers changing. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd/stats/grid.h"
#include "cmd/stats/print.h"

/* ECMA-48: what moves the cursor home and clears behind it. */
#define HOME "\033[H"
#define CLEAR_ALL "\033[2J"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

static void put_rate(const struct grid *grid, const struct stats_view *view, uint64_t now,
	uint64_t before, const char *format, double scale)
{
	fputc('\t', grid->file);
	if (view->before)
		fprintf(grid->file, format, stats_rate(now, before, stats_seconds(view)) * scale);
	else
		fputc('-', grid->file);
}

#define MBIT (8 / 1e6) /* of a byte */

static void print_services(FILE *out, const struct stats_view *view,
	const struct stats_services *now, const struct stats_services *before)
{
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("service\trx/s\ttx/s\trx Mbit/s\ttx Mbit/s\tdropped/s\trx\ttx\tdropped\n", grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		uint64_t values[TRAFFIC_VALUES + 1], earlier[TRAFFIC_VALUES + 1];

		stats_sum_drops(values, total->values);
		stats_sum_drops(earlier, stats_service_before(before->rows, before->count, total));
		fprintf(grid.file, "%s:%u", total->service, total->port);
		put_rate(&grid, view, values[0], earlier[0], "%.0f", 1);
		put_rate(&grid, view, values[1], earlier[1], "%.0f", 1);
		put_rate(&grid, view, values[2], earlier[2], "%.1f", MBIT);
		put_rate(&grid, view, values[3], earlier[3], "%.1f", MBIT);
		put_rate(&grid, view, values[4], earlier[4], "%.0f", 1);
		fprintf(grid.file, "\t%ju\t%ju\t%ju\n", (uintmax_t)values[0], (uintmax_t)values[1],
			(uintmax_t)values[4]);
	}
	grid_end(&grid, out, 1);
}

static void print_verdicts(FILE *out, const struct stats_view *view)
{
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("filter\tframes/s\tMbit/s\tframes\t\n", grid.file);
	for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++) {
		const uint64_t *values = view->now->verdicts[i];
		const uint64_t *before = stats_verdict_before(view, i);

		if (!view->all && !values[0])
			continue;
		fputs(counters_verdict_names[i], grid.file);
		put_rate(&grid, view, values[0], before[0], "%.0f", 1);
		put_rate(&grid, view, values[1], before[1], "%.1f", MBIT);
		fprintf(grid.file, "\t%ju\t%s\n", (uintmax_t)values[0], counters_verdict_texts[i]);
	}
	grid_end(&grid, out, 1 | 1u << 4);
}

/* A reason that has moved since the first time keeps its row from then on. */
static void print_drops(FILE *out, const struct stats_view *view, const struct stats_services *now,
	const struct stats_services *before, const struct stats_services *first)
{
	bool any = false;
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("dropped by\treason\t/s\tdatagrams\t\n", grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		const uint64_t *earlier = stats_service_before(before->rows, before->count, total);
		const uint64_t *began = stats_service_before(first->rows, first->count, total);

		for (size_t v = TRAFFIC_VALUES; v < SERVICE_DROPS_END; v++) {
			if (!counters_value_name(total, v) ||
				(!view->all && total->values[v] == began[v]))
				continue;
			any = true;
			fprintf(grid.file, "%s:%u\t%s", total->service, total->port,
				counters_value_name(total, v));
			put_rate(&grid, view, total->values[v], earlier[v], "%.0f", 1);
			fprintf(grid.file, "\t%ju\t%s\n", (uintmax_t)total->values[v],
				counters_value_text(total, v));
		}
	}
	if (any)
		fputc('\n', out);
	grid_end(&grid, any ? out : NULL, 3 | 1u << 4);
}

static void print_heading(FILE *out, const struct stats_view *view)
{
	time_t now = time(NULL);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(out, "%s  %s  (Ctrl-C ends)\n\n", view->iface, text);
}

static void print_all(FILE *out, const struct stats_view *view, const struct counters *first)
{
	struct stats_services now = stats_services(view->now);
	struct stats_services before = stats_services(view->before);
	struct stats_services began = stats_services(first);

	print_heading(out, view);
	print_services(out, view, &now, &before);
	fputc('\n', out);
	print_verdicts(out, view);
	print_drops(out, view, &now, &before, &began);
	free(now.rows);
	free(before.rows);
	free(began.rows);
}

/* ---- the terminal ---------------------------------------------------------------------- */

bool stats_is_terminal(FILE *out)
{
	const char *kind = getenv("TERM");

	return isatty(fileno(out)) && kind && strcmp(kind, "dumb");
}

/* The bytes of a line that a terminal of so many columns shows without breaking it. */
static size_t fitting(const char *line, size_t len, unsigned columns)
{
	size_t at = 0;

	for (unsigned shown = 0; at < len; at++)
		if ((line[at] & 0xc0) != 0x80 && shown++ == columns) /* a character begins */
			break;
	return at;
}

void stats_draw(FILE *out, const struct stats_view *view, const struct counters *first)
{
	struct winsize window = {};
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	unsigned rows, columns;

	if (!memory)
		return;
	print_all(memory, view, first);
	fclose(memory);
	ioctl(fileno(out), TIOCGWINSZ, &window);
	rows = window.ws_row ? window.ws_row : 24;
	columns = window.ws_col ? window.ws_col : 80;
	fputs(view->before ? HOME : CLEAR_ALL HOME, out);
	for (const char *line = text, *end; line && rows > 1 && (end = strchr(line, '\n'));
		rows--) {
		fwrite(line, 1, fitting(line, (size_t)(end - line), columns), out);
		fputs(CLEAR_LINE "\n", out);
		line = end + 1;
	}
	fputs(CLEAR_BELOW, out);
	free(text);
}
