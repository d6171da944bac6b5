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

static void put_ports(FILE *out, const struct stats_view *view)
{
	for (size_t v = 0; v < PORT_TRAFFIC; v++) {
		put_family(out, "port_", counters_port_names[v], counters_port_texts[v]);
		for (size_t i = 0; i < view->now->port_count; i++) {
			const struct port_total *port = &view->now->ports[i];

			put_sample_begin(out, view, "port_", counters_port_names[v]);
			fprintf(out, ",port=\"%u\"} %ju\n", port->port, (uintmax_t)port->values[v]);
		}
	}
}

static void put_verdicts(FILE *out, const struct stats_view *view)
{
	static const char *const names[VERDICT_VALUES] = {"frames", "frame_bytes"};
	static const char *const texts[VERDICT_VALUES] = {
		"Frames that the filter saw, by what it did with them and why.",
		"Bytes of the frames that the filter saw, without FCS."};

	for (size_t v = 0; v < VERDICT_VALUES; v++) {
		put_family(out, "", names[v], texts[v]);
		for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++) {
			put_sample_begin(out, view, "", names[v]);
			fprintf(out, ",reason=\"%s\"} %ju\n", counters_verdict_names[i],
				(uintmax_t)view->now->verdicts[i][v]);
		}
	}
}

static void put_service_labels(FILE *out, const struct service_total *row)
{
	fputc(',', out);
	put_label(out, "service", row->service);
	fprintf(out, ",port=\"%u\",", row->port);
	if (row->worker == COUNTERS_DRIVER)
		put_label(out, "worker", "driver");
	else
		fprintf(out, "worker=\"%u\"", row->worker);
}

static void put_services(FILE *out, const struct stats_view *view)
{
	static const char *const names[TRAFFIC_VALUES] = {
		"rx_datagrams", "tx_datagrams", "rx_bytes", "tx_bytes"};
	const struct counters *now = view->now;

	for (size_t v = 0; v < TRAFFIC_VALUES; v++) {
		put_family(out, "service_", names[v], counters_service_texts[v]);
		for (size_t i = 0; i < now->service_count; i++) {
			put_sample_begin(out, view, "service_", names[v]);
			put_service_labels(out, &now->services[i]);
			fprintf(out, "} %ju\n", (uintmax_t)now->services[i].values[v]);
		}
	}
	put_family(out, "service_", "drops",
		"Datagrams and replies that the services refused, by reason.");
	for (size_t i = 0; i < now->service_count; i++) {
		for (size_t v = TRAFFIC_VALUES; v < SERVICE_VALUES; v++) {
			put_sample_begin(out, view, "service_", "drops");
			put_service_labels(out, &now->services[i]);
			fprintf(out, ",reason=\"%s\"} %ju\n", counters_service_names[v],
				(uintmax_t)now->services[i].values[v]);
		}
	}
}

void stats_print_prometheus(FILE *out, const struct stats_view *view)
{
	put_ports(out, view);
	put_verdicts(out, view);
	put_services(out, view);
}
