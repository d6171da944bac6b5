/* SPDX-License-Identifier: MIT */
/* The counters written out: for people, for programs, for Prometheus. */
#ifndef UDPXDP_STATS_PRINT_H
#define UDPXDP_STATS_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/escape.h"
#include "xdp/counters.h"

struct stats_view {
	const char *iface; /* valid UTF-8 */
	const struct counters *now;
	const struct counters *before; /* of an earlier time: rates are printed too; or NULL */
	bool all;                      /* rows that are zero, too */
	bool compact;                  /* JSON on one line */
};

/* Aligned tables. */
void stats_print_table(FILE *out, const struct stats_view *view);

/*
 * Rates, Mbit/s and what is dropped, drawn over what was drawn before; first: since when a drop
 * reason has to have moved to be shown. Cut to the terminal, which stats_is_terminal() says it is.
 */
void stats_draw(FILE *out, const struct stats_view *view, const struct counters *first);
bool stats_is_terminal(FILE *out);

/* One JSON object and a newline. Returns 0, or -1 when out of memory. */
int stats_print_json(FILE *out, const struct stats_view *view);

/* The text exposition format 0.0.4 of Prometheus. */
void stats_print_prometheus(FILE *out, const struct stats_view *view);

/* ---- what these have in common ---------------------------------------------------------- */

/* What a room's state is called. */
const char *stats_room_state(uint64_t state);

/* What is shown of one interface where there are several: i < stats_parts(). Of a single one, which
 * is part 0, the view itself. */
struct stats_part {
	struct stats_view view;
	char iface[ESCAPE_TEXT_MAX(sizeof(((struct counters *)0)->iface)) + 1];
};

size_t stats_parts(const struct stats_view *view);
void stats_part(struct stats_part *part, const struct stats_view *view, size_t i);

/* How much a counter that went from before to now grew in a second; one that fell began anew at
 * 0. */
double stats_rate(uint64_t now, uint64_t before, double seconds);

/* Between the two times; 0 when there is only one. */
double stats_seconds(const struct stats_view *view);

/* The values of a row at the earlier time; zeros when it was not there. */
const uint64_t *stats_port_before(const struct stats_view *view, const struct port_total *port);
const uint64_t *stats_verdict_before(const struct stats_view *view, size_t verdict);
const uint64_t *stats_service_before(
	const struct service_total *rows, size_t count, const struct service_total *row);

/* The traffic of a service and behind it the sum of its drops. */
void stats_sum_drops(uint64_t out[TRAFFIC_VALUES + 1], const uint64_t *values);

/* Services summed over their workers; free() the rows. counters may be NULL. */
struct stats_services {
	struct service_total *rows;
	size_t count;
};

struct stats_services stats_services(const struct counters *counters);

#endif
