/* SPDX-License-Identifier: MIT */
/* The counters in the text exposition format of Prometheus, version 0.0.4. */

#include "cmd/stats/print.h"

static void put_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void put_family(FILE *out, const char *object, const char *value, const char *help)
{
	fprintf(out, "# HELP udpxdp_%s%s_total %s\n# TYPE udpxdp_%s%s_total counter\n", object,
		value, help, object, value);
}

static void put_sample_begin(
	FILE *out, const struct stats_view *view, const char *object, const char *value)
{
	fprintf(out, "udpxdp_%s%s_total{", object, value);
	put_label(out, "iface", view->iface);
}

/* Samples of a family stand together, whatever interface they are of. */
static void put_port_values(FILE *out, const struct stats_view *view, size_t v)
{
	for (size_t i = 0; i < view->now->port_count; i++) {
		const struct port_total *port = &view->now->ports[i];

		put_sample_begin(out, view, "port_", counters_port_names[v]);
		fprintf(out, ",port=\"%u\"} %ju\n", port->port, (uintmax_t)port->values[v]);
	}
}

static void put_ports(FILE *out, const struct stats_view *view)
{
	struct stats_part part;

	for (size_t v = 0; v < PORT_TRAFFIC; v++) {
		put_family(out, "port_", counters_port_names[v], counters_port_texts[v]);
		for (size_t p = 0; p < stats_parts(view); p++) {
			stats_part(&part, view, p);
			put_port_values(out, &part.view, v);
		}
	}
}

static void put_verdicts(FILE *out, const struct stats_view *view)
{
	static const char *const names[VERDICT_VALUES] = {"frames", "frame_bytes"};
	static const char *const texts[VERDICT_VALUES] = {
		"Frames that the filter saw, by what it did with them and why.",
		"Bytes of the frames that the filter saw, without FCS."};
	struct stats_part part;

	for (size_t v = 0; v < VERDICT_VALUES; v++) {
		put_family(out, "", names[v], texts[v]);
		for (size_t n = 0; n < stats_parts(view) * FRAME_VERDICT_COUNT; n++) {
			const size_t i = n % FRAME_VERDICT_COUNT;

			stats_part(&part, view, n / FRAME_VERDICT_COUNT);
			put_sample_begin(out, &part.view, "", names[v]);
			fprintf(out, ",reason=\"%s\"} %ju\n", counters_verdict_names[i],
				(uintmax_t)part.view.now->verdicts[i][v]);
		}
	}
}

static void put_service_labels(FILE *out, const struct service_total *row)
{
	const char *worker = counters_worker_name(row->worker);

	fputc(',', out);
	put_label(out, "service", row->service);
	fprintf(out, ",port=\"%u\",", row->port);
	if (worker)
		put_label(out, "worker", worker);
	else
		fprintf(out, "worker=\"%u\"", row->worker);
}

static void put_traffic(FILE *out, const struct stats_view *view, const char *name, size_t v)
{
	const struct counters *now = view->now;

	for (size_t i = 0; i < now->service_count; i++) {
		put_sample_begin(out, view, "service_", name);
		put_service_labels(out, &now->services[i]);
		fprintf(out, "} %ju\n", (uintmax_t)now->services[i].values[v]);
	}
}

static void put_drops(FILE *out, const struct stats_view *view)
{
	const struct counters *now = view->now;

	for (size_t i = 0; i < now->service_count; i++) {
		for (size_t v = TRAFFIC_VALUES; v < SERVICE_DROPS_END; v++) {
			const char *name = counters_value_name(&now->services[i], v);

			if (!name)
				continue;
			put_sample_begin(out, view, "service_", "drops");
			put_service_labels(out, &now->services[i]);
			fprintf(out, ",reason=\"%s\"} %ju\n", name,
				(uintmax_t)now->services[i].values[v]);
		}
	}
}

static void put_services(FILE *out, const struct stats_view *view)
{
	static const char *const names[TRAFFIC_VALUES] = {
		"rx_datagrams", "tx_datagrams", "rx_bytes", "tx_bytes"};
	const size_t parts = stats_parts(view);
	struct stats_part part;

	for (size_t v = 0; v < TRAFFIC_VALUES; v++) {
		put_family(out, "service_", names[v], counters_service_texts[v]);
		for (size_t p = 0; p < parts; p++) {
			stats_part(&part, view, p);
			put_traffic(out, &part.view, names[v], v);
		}
	}
	put_family(out, "service_", "drops",
		"Datagrams and replies that the services refused, by reason.");
	for (size_t p = 0; p < parts; p++) {
		stats_part(&part, view, p);
		put_drops(out, &part.view);
	}
}

/* Of the services whose rooms span hosts. */
static void put_rooms(FILE *out, const struct stats_view *view)
{
	const struct counters *now = view->now;
	bool any = false;

	for (size_t i = 0; i < now->service_count; i++)
		any |= now->services[i].values[SERVICE_ROOM_STATE] != 0;
	for (size_t v = SERVICE_DROPS_END; any && v < SERVICE_ROOM_STATE; v++) {
		put_family(out, "room_", counters_room_names[v - SERVICE_DROPS_END],
			counters_room_texts[v - SERVICE_DROPS_END]);
		for (size_t i = 0; i < now->service_count; i++) {
			if (!now->services[i].values[SERVICE_ROOM_STATE])
				continue;
			put_sample_begin(
				out, view, "room_", counters_room_names[v - SERVICE_DROPS_END]);
			put_service_labels(out, &now->services[i]);
			fprintf(out, "} %ju\n", (uintmax_t)now->services[i].values[v]);
		}
	}
	if (any)
		fputs("# HELP udpxdp_room_connected 1 while the room's server is there.\n"
		      "# TYPE udpxdp_room_connected gauge\n",
			out);
	for (size_t i = 0; i < now->service_count; i++) {
		const uint64_t state = now->services[i].values[SERVICE_ROOM_STATE];

		if (!state)
			continue;
		fputs("udpxdp_room_connected{", out);
		put_label(out, "iface", view->iface);
		put_service_labels(out, &now->services[i]);
		fprintf(out, "} %d\n", state == UDPXDP_ROOM_CONNECTED);
	}
}

void stats_print_prometheus(FILE *out, const struct stats_view *view)
{
	put_ports(out, view);
	put_verdicts(out, view);
	put_services(out, view);
	put_rooms(out, view);
}
