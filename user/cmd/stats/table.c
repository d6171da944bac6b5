/* SPDX-License-Identifier: MIT */
/* The counters as aligned tables. */
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/grid.h"
#include "cmd/stats/print.h"

static void put_names(const struct grid *grid, const struct stats_view *view,
	const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(grid->file, "\t%s%s", names[i], view->before ? "\t/s" : "");
}

static void put_values(const struct grid *grid, const struct stats_view *view,
	const uint64_t *values, const uint64_t *before, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(grid->file, "\t%ju", (uintmax_t)values[i]);
		if (view->before)
			fprintf(grid->file, "\t%.1f",
				stats_rate(values[i], before[i], stats_seconds(view)));
	}
}

static void print_ports(FILE *out, const struct stats_view *view)
{
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("port", grid.file);
	put_names(&grid, view, counters_port_names, PORT_TRAFFIC);
	fputc('\n', grid.file);
	for (size_t i = 0; i < view->now->port_count; i++) {
		const struct port_total *port = &view->now->ports[i];

		fprintf(grid.file, "%u", port->port);
		put_values(&grid, view, port->values, stats_port_before(view, port), PORT_TRAFFIC);
		fputc('\n', grid.file);
	}
	grid_end(&grid, out, 1);
}

static void print_verdicts(FILE *out, const struct stats_view *view)
{
	unsigned text_column = 1 + (view->before ? 2 : 1) * VERDICT_VALUES;
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("verdict", grid.file);
	put_names(&grid, view, counters_verdict_value_names, VERDICT_VALUES);
	fputs("\t\n", grid.file);
	for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++) {
		const uint64_t *values = view->now->verdicts[i];

		if (!view->all && !values[0])
			continue;
		fputs(counters_verdict_names[i], grid.file);
		put_values(&grid, view, values, stats_verdict_before(view, i), VERDICT_VALUES);
		fprintf(grid.file, "\t%s\n", counters_verdict_texts[i]);
	}
	grid_end(&grid, out, 1 | 1u << text_column);
}

/* What came by the kernel's sockets beside XDP, below the service's own line. */
static void put_roads(
	struct grid *grid, const struct stats_view *view, const struct service_total *service)
{
	for (size_t i = 0; i < view->now->service_count; i++) {
		const struct service_total *row = &view->now->services[i];
		uint64_t values[TRAFFIC_VALUES + 1], earlier[TRAFFIC_VALUES + 1];

		if (row->worker != COUNTERS_SOCKETS || !row->values[0] ||
			row->port != service->port)
			continue;
		stats_sum_drops(values, row->values);
		stats_sum_drops(
			earlier, stats_service_before(view->before ? view->before->services : NULL,
					 view->before ? view->before->service_count : 0, row));
		fputs(" by sockets", grid->file);
		put_values(grid, view, values, earlier, TRAFFIC_VALUES + 1);
		fputc('\n', grid->file);
	}
}

/* Of a server of several interfaces, what came by each. */
static void put_interfaces(
	struct grid *grid, const struct stats_view *view, const struct service_total *service)
{
	struct stats_part part;

	for (size_t i = 0; i < view->now->part_count; i++) {
		struct stats_services now, before;

		stats_part(&part, view, i);
		now = stats_services(part.view.now);
		before = stats_services(part.view.before);
		for (size_t n = 0; n < now.count; n++) {
			const struct service_total *row = &now.rows[n];
			uint64_t values[TRAFFIC_VALUES + 1], earlier[TRAFFIC_VALUES + 1];

			if (row->port != service->port)
				continue;
			stats_sum_drops(values, row->values);
			stats_sum_drops(
				earlier, stats_service_before(before.rows, before.count, row));
			fprintf(grid->file, " %s", part.view.iface);
			put_values(grid, view, values, earlier, TRAFFIC_VALUES + 1);
			fputc('\n', grid->file);
		}
		free(now.rows);
		free(before.rows);
	}
}

static void print_services(FILE *out, const struct stats_view *view,
	const struct stats_services *now, const struct stats_services *before)
{
	static const char *const dropped = "dropped";
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("service", grid.file);
	put_names(&grid, view, counters_service_names, TRAFFIC_VALUES);
	put_names(&grid, view, &dropped, 1);
	fputc('\n', grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		uint64_t values[TRAFFIC_VALUES + 1], earlier[TRAFFIC_VALUES + 1];

		stats_sum_drops(values, total->values);
		stats_sum_drops(earlier, stats_service_before(before->rows, before->count, total));
		fprintf(grid.file, "%s:%u", total->service, total->port);
		put_values(&grid, view, values, earlier, TRAFFIC_VALUES + 1);
		fputc('\n', grid.file);
		put_interfaces(&grid, view, total);
		put_roads(&grid, view, total);
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

	if (!grid_begin(&grid))
		return;
	fputs("dropped by\treason", grid.file);
	put_names(&grid, view, &heading, 1);
	fputs("\t\n", grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		const uint64_t *earlier = stats_service_before(before->rows, before->count, total);

		for (size_t v = TRAFFIC_VALUES; v < SERVICE_DROPS_END; v++) {
			if (!counters_value_name(total, v) || (!view->all && !total->values[v]))
				continue;
			any = true;
			fprintf(grid.file, "%s:%u\t%s", total->service, total->port,
				counters_value_name(total, v));
			put_values(&grid, view, &total->values[v], &earlier[v], 1);
			fprintf(grid.file, "\t%s\n", counters_value_text(total, v));
		}
	}
	if (any)
		fputc('\n', out);
	grid_end(&grid, any ? out : NULL, 3 | 1u << text_column);
}

/* Of the services whose rooms span hosts. */
static void print_rooms(FILE *out, const struct stats_view *view, const struct stats_services *now,
	const struct stats_services *before)
{
	const size_t counts = SERVICE_ROOM_STATE - SERVICE_DROPS_END;
	bool any = false;
	struct grid grid;

	if (!grid_begin(&grid))
		return;
	fputs("room of", grid.file);
	put_names(&grid, view, counters_room_names, counts);
	fputs("\tserver\n", grid.file);
	for (size_t i = 0; i < now->count; i++) {
		const struct service_total *total = &now->rows[i];
		const uint64_t *earlier = stats_service_before(before->rows, before->count, total);

		if (!total->values[SERVICE_ROOM_STATE])
			continue;
		any = true;
		fprintf(grid.file, "%s:%u", total->service, total->port);
		put_values(&grid, view, total->values + SERVICE_DROPS_END,
			earlier + SERVICE_DROPS_END, counts);
		fprintf(grid.file, "\t%s\n", stats_room_state(total->values[SERVICE_ROOM_STATE]));
	}
	if (any)
		fputc('\n', out);
	grid_end(&grid, any ? out : NULL, 1);
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
	print_services(out, view, &now, &before);
	print_drops(out, view, &now, &before);
	print_rooms(out, view, &now, &before);
	free(now.rows);
	free(before.rows);
}
