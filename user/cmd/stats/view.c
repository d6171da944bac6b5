/* SPDX-License-Identifier: MIT */
/* What the three ways of writing the counters out have in common. */
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/print.h"
#include "udpxdp/datagram.h"

static const uint64_t zeros[SERVICE_VALUES];

const char *stats_room_state(uint64_t state)
{
	return state == UDPXDP_ROOM_CONNECTED ? "connected" : "away";
}

size_t stats_parts(const struct stats_view *view)
{
	return view->now->part_count ? view->now->part_count : 1;
}

void stats_part(struct stats_part *part, const struct stats_view *view, size_t i)
{
	const char *name;

	part->view = *view;
	if (!view->now->part_count)
		return;
	part->view.now = &view->now->parts[i];
	part->view.before =
		view->before && i < view->before->part_count ? &view->before->parts[i] : NULL;
	name = part->view.now->iface;
	part->iface[escape_text(
		part->iface, sizeof(part->iface) - 1, (const uint8_t *)name, strlen(name))] = 0;
	part->view.iface = part->iface;
}

double stats_rate(uint64_t now, uint64_t before, double seconds)
{
	uint64_t grown = now >= before ? now - before : now;

	return seconds > 0 ? (double)grown / seconds : 0;
}

double stats_seconds(const struct stats_view *view)
{
	if (!view->before)
		return 0;
	return (double)(view->now->time_ns - view->before->time_ns) / UDPXDP_NSEC_PER_SEC;
}

const uint64_t *stats_port_before(const struct stats_view *view, const struct port_total *port)
{
	for (size_t i = 0; view->before && i < view->before->port_count; i++)
		if (view->before->ports[i].port == port->port)
			return view->before->ports[i].values;
	return zeros;
}

const uint64_t *stats_verdict_before(const struct stats_view *view, size_t verdict)
{
	return view->before ? view->before->verdicts[verdict] : zeros;
}

const uint64_t *stats_service_before(
	const struct service_total *rows, size_t count, const struct service_total *row)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].port == row->port && rows[i].worker == row->worker &&
			!strcmp(rows[i].service, row->service))
			return rows[i].values;
	return zeros;
}

struct stats_services stats_services(const struct counters *counters)
{
	struct stats_services services = {};

	if (counters)
		services.rows = calloc(counters->service_count + 1, sizeof(*services.rows));
	if (services.rows)
		services.count = counters_by_service(counters, services.rows);
	return services;
}

void stats_sum_drops(uint64_t out[TRAFFIC_VALUES + 1], const uint64_t *values)
{
	memcpy(out, values, TRAFFIC_VALUES * sizeof(*out));
	out[TRAFFIC_VALUES] = 0;
	for (size_t i = TRAFFIC_VALUES; i < SERVICE_DROPS_END; i++)
		out[TRAFFIC_VALUES] += values[i];
}
