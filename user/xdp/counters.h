/* SPDX-License-Identifier: MIT */
/* Reads the counters of a running server out of its BPF maps (abi.h), summed over the CPUs. */
#ifndef UDPXDP_COUNTERS_H
#define UDPXDP_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "udpxdp/abi.h"

#define PORT_VALUES (sizeof(struct port_counters) / sizeof(uint64_t)) /* in its order */
#define PORT_TRAFFIC 5   /* rx_packets to answered; the rest a service's row has too */
#define VERDICT_VALUES 2 /* frames, bytes */
#define TRAFFIC_VALUES 4 /* of a service: rx, tx, rx_bytes, tx_bytes; the drop reasons follow */
#define OWN_VALUE (TRAFFIC_VALUES + UDPXDP_DROP_COUNT)   /* the first of a service's own reasons */
#define SERVICE_DROPS_END (OWN_VALUE + UDPXDP_OWN_DROPS) /* the first of what a room counts */
#define SERVICE_VALUES (SERVICE_DROPS_END + UDPXDP_ROOM_COUNTER_COUNT)
#define SERVICE_ROOM_STATE (SERVICE_DROPS_END + UDPXDP_ROOM_state)

extern const char *const counters_port_names[PORT_TRAFFIC];
extern const char *const counters_port_texts[PORT_TRAFFIC];
extern const char *const counters_verdict_value_names[VERDICT_VALUES];
extern const char *const counters_service_names[OWN_VALUE];
extern const char *const counters_service_texts[OWN_VALUE];
extern const char *const counters_room_names[UDPXDP_ROOM_COUNTER_COUNT];
extern const char *const counters_room_texts[UDPXDP_ROOM_COUNTER_COUNT];
extern const char *const counters_verdict_names[FRAME_VERDICT_COUNT];
extern const char *const counters_verdict_texts[FRAME_VERDICT_COUNT];

struct port_total {
	uint16_t port;
	uint64_t values[PORT_VALUES];
};

#define COUNTERS_DRIVER UINT16_MAX /* as a worker: the filter, which answers by itself */

/* Who has such a row, of those that are no workers: "driver", "sockets"; NULL: it is a number. */
const char *counters_worker_name(unsigned worker);

struct service_total {
	char service[UDPXDP_NAME_SIZE];
	uint16_t port;
	uint16_t worker; /* its number, COUNTERS_DRIVER or COUNTERS_SOCKETS */
	uint64_t values[SERVICE_VALUES];
	struct {
		char name[UDPXDP_OWN_DROP_SIZE]; /* empty: none */
		char text[UDPXDP_OWN_TEXT_SIZE];
	} own[UDPXDP_OWN_DROPS]; /* its own reasons, whose counts are the values from OWN_VALUE on
				  */
};

/* What a value of a service is called, and what it counts; NULL: it is none of this service. */
const char *counters_value_name(const struct service_total *total, size_t value);
const char *counters_value_text(const struct service_total *total, size_t value);

/* What the maps say at one time. */
struct counters {
	uint64_t time_ns;                                     /* CLOCK_MONOTONIC */
	char iface[sizeof(((struct verdict_row *)0)->iface)]; /* whose; "": it does not say */
	size_t port_count;
	struct port_total *ports; /* in ascending order */
	uint64_t verdicts[FRAME_VERDICT_COUNT][VERDICT_VALUES];
	size_t service_count;
	struct service_total *services; /* one for each worker and service, then the driver's */
	size_t part_count;              /* of a sum over several interfaces: theirs; else 0 */
	struct counters *parts;
};

/* The maps, open for reading; -1: closed. */
struct counters_maps {
	int ports, verdicts, services;
};

/* Opens the pins in dir. Returns 0, or -1 with errno. */
int counters_maps_open(struct counters_maps *maps, const char *dir);

/*
 * Opens the maps of udpxdp's program on an interface of this network namespace; needs
 * CAP_SYS_ADMIN, but no bpffs. Returns 0; or -1 with errno, ENOENT when there is no such program.
 */
int counters_maps_find(struct counters_maps *maps, int ifindex);

void counters_maps_close(struct counters_maps *maps);

/*
 * Reads them. Returns 0 with *counters for counters_free(); or -1 with errno, EPROTO when the
 * maps are not laid out as this program knows them.
 */
int counters_read(const struct counters_maps *maps, struct counters *counters);
void counters_free(struct counters *counters);

/* One worker's row of a service. */
void counters_take_row(struct service_total *total, const struct service_counters *row);

/* Those of a server without maps: count rows, as they are now. Returns as counters_read(). */
int counters_take_rows(
	struct counters *counters, const struct service_counters *rows, size_t count);

/* Writes them as lines of text. */
void counters_write(FILE *out, const struct counters *counters);

/* Reads what counters_write() wrote, from *text, which is changed and moved behind it. Returns 0
 * with *counters for counters_free(), or -1 with errno EPROTO. */
int counters_parse(char **text, struct counters *counters);

/* sums[i] = the sum of values[cpu * stride + i] over all CPUs, for count values. */
void counters_sum(
	uint64_t *sums, size_t count, const uint64_t *values, size_t stride, unsigned cpus);

/*
 * Sums services over their workers, in the order in which they come first. Returns their
 * number; totals has room for all rows, and its workers are 0.
 */
size_t counters_by_service(const struct counters *counters, struct service_total *totals);

#endif
