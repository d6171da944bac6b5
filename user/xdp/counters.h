/* SPDX-License-Identifier: MIT */
/* Reads the counters of a running server out of its BPF maps (abi.h), summed over the CPUs. */
#ifndef UDPXDP_COUNTERS_H
#define UDPXDP_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udpxdp/abi.h"

#define PORT_VALUES (sizeof(struct port_counters) / sizeof(uint64_t)) /* in its order */
#define PORT_TRAFFIC 5   /* rx_packets to answered; the rest a service's row has too */
#define VERDICT_VALUES 2 /* frames, bytes */
#define TRAFFIC_VALUES 4 /* of a service: rx, tx, rx_bytes, tx_bytes; the drop reasons follow */
#define SERVICE_VALUES (TRAFFIC_VALUES + UDPXDP_DROP_COUNT)

extern const char *const counters_port_names[PORT_TRAFFIC];
extern const char *const counters_port_texts[PORT_TRAFFIC];
extern const char *const counters_verdict_value_names[VERDICT_VALUES];
extern const char *const counters_service_names[SERVICE_VALUES];
extern const char *const counters_service_texts[SERVICE_VALUES];
extern const char *const counters_verdict_names[FRAME_VERDICT_COUNT];
extern const char *const counters_verdict_texts[FRAME_VERDICT_COUNT];

struct port_total {
	uint16_t port;
	uint64_t values[PORT_VALUES];
};

#define COUNTERS_DRIVER UINT16_MAX /* as a worker: the filter, which answers by itself */

struct service_total {
	char service[UDPXDP_NAME_SIZE];
	uint16_t port;
	uint16_t worker; /* its number, or COUNTERS_DRIVER */
	uint64_t values[SERVICE_VALUES];
};

/* What the maps say at one time. */
struct counters {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	size_t port_count;
	struct port_total *ports; /* in ascending order */
	uint64_t verdicts[FRAME_VERDICT_COUNT][VERDICT_VALUES];
	size_t service_count;
	struct service_total *services; /* one for each worker and service, then the driver's */
};

/* The maps, open for reading; -1: closed. */
struct counter_maps {
	int ports, verdicts, services;
};

/* Opens the pins in dir. Returns 0, or -1 with errno. */
int counter_maps_open(struct counter_maps *maps, const char *dir);

/*
 * Opens the maps of udpxdp's program on an interface of this network namespace; needs
 * CAP_SYS_ADMIN, but no bpffs. Returns 0; or -1 with errno, ENOENT when there is no such program.
 */
int counter_maps_find(struct counter_maps *maps, int ifindex);

void counter_maps_close(struct counter_maps *maps);

/*
 * Reads them. Returns 0 with *counters for counters_free(); or -1 with errno, EPROTO when the
 * maps are not laid out as this program knows them.
 */
int counters_read(const struct counter_maps *maps, struct counters *counters);
void counters_free(struct counters *counters);

/* sums[i] = the sum of values[cpu * stride + i] over all CPUs, for count values. */
void counters_sum(
	uint64_t *sums, size_t count, const uint64_t *values, size_t stride, unsigned cpus);

/*
 * Sums services over their workers, in the order in which they come first. Returns their
 * number; totals has room for all rows, and its workers are 0.
 */
size_t counters_by_service(const struct counters *counters, struct service_total *totals);

#endif
