/* SPDX-License-Identifier: MIT */
/* The counters as JSON. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/print.h"

static void set_values(
	json_t *object, const char *const *names, const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_object_set_new(object, names[i], json_integer((json_int_t)values[i]));
}

/* Sets "rates", when there is an earlier time: per second, to one decimal. */
static void set_rates(json_t *object, const struct stats_view *view, const char *const *names,
	const uint64_t *values, const uint64_t *before, size_t count)
{
	json_t *rates;

	if (!view->before)
		return;
	rates = json_object();
	for (size_t i = 0; i < count; i++) {
		double rate = stats_rate(values[i], before[i], stats_seconds(view));

		json_object_set_new(
			rates, names[i], json_real((double)(uint64_t)(rate * 10 + 0.5) / 10));
	}
	json_object_set_new(object, "rates", rates);
}

static json_t *json_ports(const struct stats_view *view)
{
	json_t *array = json_array();

	for (size_t i = 0; i < view->now->port_count; i++) {
		const struct port_total *total = &view->now->ports[i];
		json_t *port = json_pack("{s:i}", "port", total->port);

		set_values(port, counters_port_names, total->values, PORT_TRAFFIC);
		set_rates(port, view, counters_port_names, total->values,
			stats_port_before(view, total), PORT_TRAFFIC);
		json_array_append_new(array, port);
	}
	return array;
}

static json_t *json_verdicts(const struct stats_view *view)
{
	json_t *object = json_object();

	for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++) {
		const uint64_t *values = view->now->verdicts[i];
		json_t *verdict = json_object();

		set_values(verdict, counters_verdict_value_names, values, VERDICT_VALUES);
		set_rates(verdict, view, counters_verdict_value_names, values,
			stats_verdict_before(view, i), VERDICT_VALUES);
		json_object_set_new(object, counters_verdict_names[i], verdict);
	}
	return object;
}

/* Of a service whose room spans hosts. */
static void set_room(json_t *object, const uint64_t *values)
{
	json_t *room;

	if (!values[SERVICE_ROOM_STATE])
		return;
	room = json_object();
	set_values(
		room, counters_room_names, values + SERVICE_DROPS_END, UDPXDP_ROOM_COUNTER_COUNT);
	json_object_set_new(
		room, "state", json_string(stats_room_state(values[SERVICE_ROOM_STATE])));
	json_object_set_new(object, "room", room);
}

static void set_service(json_t *object, const struct stats_view *view,
	const struct service_total *total, const uint64_t *before)
{
	json_t *drops = json_object();

	set_values(object, counters_service_names, total->values, TRAFFIC_VALUES);
	set_rates(object, view, counters_service_names, total->values, before, TRAFFIC_VALUES);
	set_values(drops, counters_service_names + TRAFFIC_VALUES, total->values + TRAFFIC_VALUES,
		UDPXDP_DROP_COUNT);
	for (size_t v = OWN_VALUE; v < SERVICE_DROPS_END; v++)
		if (counters_value_name(total, v))
			json_object_set_new(drops, counters_value_name(total, v),
				json_integer((json_int_t)total->values[v]));
	json_object_set_new(object, "drops", drops);
	set_room(object, total->values);
}

static json_t *json_worker(unsigned worker)
{
	const char *name = counters_worker_name(worker);

	return name ? json_string(name) : json_integer(worker);
}

static json_t *json_workers(const struct stats_view *view, const struct service_total *service)
{
	json_t *array = json_array();

	for (size_t i = 0; i < view->now->service_count; i++) {
		const struct service_total *row = &view->now->services[i];
		json_t *worker;

		if (row->port != service->port || strcmp(row->service, service->service))
			continue;
		worker = json_object();
		json_object_set_new(worker, "worker", json_worker(row->worker));
		set_service(worker, view, row,
			stats_service_before(view->before ? view->before->services : NULL,
				view->before ? view->before->service_count : 0, row));
		json_array_append_new(array, worker);
	}
	return array;
}

static json_t *json_services(const struct stats_view *view)
{
	struct stats_services now = stats_services(view->now);
	struct stats_services before = stats_services(view->before);
	json_t *array = json_array();

	for (size_t i = 0; i < now.count; i++) {
		const struct service_total *total = &now.rows[i];
		json_t *service =
			json_pack("{s:s, s:i}", "service", total->service, "port", total->port);

		set_service(service, view, total,
			stats_service_before(before.rows, before.count, total));
		json_object_set_new(service, "workers", json_workers(view, total));
		json_array_append_new(array, service);
	}
	free(now.rows);
	free(before.rows);
	return array;
}

static json_t *json_all(const struct stats_view *view)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "iface", view->iface, "ports", json_ports(view),
		"verdicts", json_verdicts(view), "services", json_services(view));
}

/* Of a server of several interfaces, each one's. */
static json_t *json_interfaces(const struct stats_view *view)
{
	json_t *array = json_array();
	struct stats_part part;

	for (size_t i = 0; i < view->now->part_count; i++) {
		stats_part(&part, view, i);
		json_array_append_new(array, json_all(&part.view));
	}
	return array;
}

int stats_print_json(FILE *out, const struct stats_view *view)
{
	json_t *root = json_all(view);
	int result;

	if (root && view->now->part_count)
		json_object_set_new(root, "interfaces", json_interfaces(view));

	if (root && view->before)
		json_object_set_new(root, "seconds", json_real(stats_seconds(view)));
	result = json_dumpf(root, out,
		(view->compact ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
	json_decref(root);
	return result;
}
