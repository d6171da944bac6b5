/* SPDX-License-Identifier: MIT */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "xdp/counters.h"
#include "xdp/filter.h"

#define PROGRAM_NAME "udpxdp" /* what the program's name begins with */
#define MAPS_MAX 64           /* of one program */

const char *const counters_port_names[PORT_TRAFFIC] = {
	"rx_packets", "rx_bytes", "redirected", "passed", "answered"};
const char *const counters_port_texts[PORT_TRAFFIC] = {
	"frames to an address of this host and this port", "bytes of those frames, without FCS",
	"frames redirected to a socket of udpxdp",
	"frames passed to the kernel for want of a socket on their RX queue",
	"frames answered by the filter itself"};
const char *const counters_verdict_value_names[VERDICT_VALUES] = {"frames", "bytes"};

const char *const counters_service_names[OWN_VALUE] = {"rx", "tx", "rx_bytes", "tx_bytes",
#define X(name, text) #name,
	UDPXDP_DROP_REASONS(X)
#undef X
};

const char *const counters_service_texts[OWN_VALUE] = {
	"datagrams that reached the service", "datagrams that the service sent",
	"bytes of payload that reached the service", "bytes of payload that the service sent",
#define X(name, text) text,
	UDPXDP_DROP_REASONS(X)
#undef X
};

const char *counters_value_name(const struct service_total *total, size_t value)
{
	if (value < OWN_VALUE)
		return counters_service_names[value];
	return *total->own[value - OWN_VALUE].name ? total->own[value - OWN_VALUE].name : NULL;
}

const char *counters_value_text(const struct service_total *total, size_t value)
{
	if (value < OWN_VALUE)
		return counters_service_texts[value];
	return counters_value_name(total, value) ? total->own[value - OWN_VALUE].text : NULL;
}

const char *const counters_room_names[UDPXDP_ROOM_COUNTER_COUNT] = {
#define X(name, text) #name,
	UDPXDP_ROOM_COUNTERS(X)
#undef X
};

const char *const counters_room_texts[UDPXDP_ROOM_COUNTER_COUNT] = {
#define X(name, text) text,
	UDPXDP_ROOM_COUNTERS(X)
#undef X
};

const char *const counters_verdict_names[FRAME_VERDICT_COUNT] = {
#define X(name, label, text) #label,
	FRAME_VERDICTS(X)
#undef X
};

const char *const counters_verdict_texts[FRAME_VERDICT_COUNT] = {
#define X(name, label, text) text,
	FRAME_VERDICTS(X)
#undef X
};

const char *counters_worker_name(unsigned worker)
{
	return worker == COUNTERS_DRIVER ? "driver" : worker == COUNTERS_SOCKETS ? "sockets" : NULL;
}

_Static_assert(offsetof(struct verdict_row, frames) == sizeof(uint64_t) &&
		       offsetof(struct verdict_row, bytes) == 2 * sizeof(uint64_t),
	"the values of a verdict are its second and third 64-bit word");

/* ---- opening ------------------------------------------------------------------------- */

static const struct counters_maps closed = {-1, -1, -1};

static int *map_of(struct counters_maps *maps, const char *name)
{
	static const char *const names[] = {PIN_PORT_COUNTERS, PIN_VERDICTS, PIN_SERVICE_COUNTERS};
	int *const fds[] = {&maps->ports, &maps->verdicts, &maps->services};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(names[i], name, BPF_OBJ_NAME_LEN - 1))
			return fds[i];
	return NULL;
}

static int open_pin(const char *dir, const char *name)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return bpf_obj_get_opts(path, &options);
}

int counters_maps_open(struct counters_maps *maps, const char *dir)
{
	int saved;

	*maps = closed;
	maps->ports = open_pin(dir, PIN_PORT_COUNTERS);
	if (maps->ports >= 0)
		maps->verdicts = open_pin(dir, PIN_VERDICTS);
	if (maps->verdicts >= 0)
		maps->services = open_pin(dir, PIN_SERVICE_COUNTERS);
	if (maps->services >= 0)
		return 0;
	saved = errno;
	counters_maps_close(maps);
	errno = saved;
	return -1;
}

/* Keeps the map with this id open when it is one of ours. */
static int take_map(struct counters_maps *maps, __u32 id)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, options, .open_flags = BPF_F_RDONLY);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_map_get_fd_by_id_opts(id, &options);
	int *slot;

	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0) {
		close(fd);
		return -1;
	}
	slot = map_of(maps, info.name);
	if (slot && *slot < 0)
		*slot = fd;
	else
		close(fd);
	return 0;
}

static int find_program(int ifindex)
{
	char name[BPF_OBJ_NAME_LEN];
	__u32 id;

	if (!filter_find_attached(ifindex, &id, name, sizeof(name))) {
		errno = ENOENT;
		return -1;
	}
	return bpf_prog_get_fd_by_id(id);
}

int counters_maps_find(struct counters_maps *maps, int ifindex)
{
	__u32 ids[MAPS_MAX];
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (__u64)(uintptr_t)ids};
	__u32 len = sizeof(info);
	int saved = ENOENT, program = find_program(ifindex);

	*maps = closed;
	if (program < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(program, &info, &len) < 0) {
		saved = errno;
		info.nr_map_ids = 0;
	} else if (strncmp(info.name, PROGRAM_NAME, strlen(PROGRAM_NAME))) {
		info.nr_map_ids = 0;
	}
	close(program);
	for (__u32 i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
		if (take_map(maps, ids[i]) < 0) {
			saved = errno;
			break;
		}
	}
	if (maps->ports >= 0 && maps->verdicts >= 0 && maps->services >= 0)
		return 0;
	counters_maps_close(maps);
	errno = saved;
	return -1;
}

void counters_maps_close(struct counters_maps *maps)
{
	const int fds[] = {maps->ports, maps->verdicts, maps->services};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*maps = closed;
}

/* ---- reading ------------------------------------------------------------------------- */

void counters_sum(
	uint64_t *sums, size_t count, const uint64_t *values, size_t stride, unsigned cpus)
{
	memset(sums, 0, count * sizeof(*sums));
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < count; i++)
			sums[i] += values[cpu * stride + i];
}

size_t counters_by_service(const struct counters *counters, struct service_total *totals)
{
	size_t count = 0;

	for (size_t i = 0; i < counters->service_count; i++) {
		const struct service_total *row = &counters->services[i];
		size_t at = 0;

		while (at < count &&
			(totals[at].port != row->port || strcmp(totals[at].service, row->service)))
			at++;
		if (at == count) {
			totals[count] = *row;
			totals[count++].worker = 0;
			continue;
		}
		for (size_t v = 0; v < SERVICE_VALUES; v++)
			totals[at].values[v] += row->values[v];
	}
	return count;
}

/* Checks a map's layout; returns how many entries it may have, or -1. */
static int map_entries(int fd, __u32 key_size, __u32 value_size)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -1;
	if (info.key_size != key_size || info.value_size != value_size) {
		errno = EPROTO;
		return -1;
	}
	return (int)info.max_entries;
}

static int compare_ports(const void *a, const void *b)
{
	return ((const struct port_total *)a)->port - ((const struct port_total *)b)->port;
}

static bool has_port(const struct counters *counters, uint16_t port)
{
	for (size_t i = 0; i < counters->port_count; i++)
		if (counters->ports[i].port == port)
			return true;
	return false;
}

static int read_ports(struct counters *counters, int fd, uint64_t *values, unsigned cpus)
{
	int entries = map_entries(fd, sizeof(__u16), sizeof(struct port_counters));
	__u16 key, *previous = NULL;

	if (entries < 0)
		return -1;
	counters->ports = calloc((size_t)entries + 1, sizeof(*counters->ports));
	if (!counters->ports)
		return -1;
	for (int i = 0; i < entries && !bpf_map_get_next_key(fd, previous, &key); i++) {
		struct port_total *total = &counters->ports[counters->port_count];

		previous = &key;
		/* When a key goes meanwhile, the kernel begins the walk anew. */
		if (has_port(counters, key) || bpf_map_lookup_elem(fd, &key, values))
			continue;
		total->port = key;
		counters_sum(total->values, PORT_VALUES, values, PORT_VALUES, cpus);
		counters->port_count++;
	}
	qsort(counters->ports, counters->port_count, sizeof(*counters->ports), compare_ports);
	return 0;
}

static int read_verdicts(struct counters *counters, int fd, uint64_t *values, unsigned cpus)
{
	const size_t words = sizeof(struct verdict_row) / sizeof(uint64_t);
	int entries = map_entries(fd, sizeof(__u32), sizeof(struct verdict_row));

	if (entries < 0)
		return -1;
	for (__u32 key = 0; key < FRAME_VERDICT_COUNT && key < (__u32)entries; key++) {
		if (bpf_map_lookup_elem(fd, &key, values))
			return -1;
		counters_sum(counters->verdicts[key], VERDICT_VALUES, values + 1, words, cpus);
		memcpy(counters->iface, ((const struct verdict_row *)values)->iface,
			sizeof(counters->iface) - 1);
	}
	return 0;
}

static const struct service_total *service_on(const struct counters *counters, uint16_t port)
{
	for (size_t i = 0; i < counters->service_count; i++)
		if (counters->services[i].port == port)
			return &counters->services[i];
	return NULL;
}

/*
 * What the filter did by itself on a port was done for the service there: a row of its own, as if
 * it were a worker. Returns whether it did anything.
 */
static bool driver_row(
	struct service_total *row, const struct counters *counters, const struct port_total *port)
{
	const struct service_total *service = service_on(counters, port->port);
	struct port_counters values;

	memcpy(&values, port->values, sizeof(values));
	if (!service)
		return false;
	*row = *service;
	row->worker = COUNTERS_DRIVER;
	memset(row->values, 0, sizeof(row->values));
	row->values[0] = row->values[1] = values.answered;
	row->values[2] = values.payload_bytes;
	row->values[3] = values.answered_bytes;
#define X(name)                        \
	row->values[0] += values.name; \
	row->values[TRAFFIC_VALUES + UDPXDP_DROP_##name] = values.name;
	FILTER_REFUSALS(X)
#undef X
	return row->values[0];
}

/* Behind those of the workers. */
static void add_driver_rows(struct counters *counters)
{
	size_t count = counters->service_count;

	for (size_t i = 0; i < counters->port_count; i++)
		count += driver_row(&counters->services[count], counters, &counters->ports[i]);
	counters->service_count = count;
}

/* After the ports. */
static int read_services(struct counters *counters, int fd, struct service_counters *row)
{
	int entries = map_entries(fd, sizeof(__u32), sizeof(*row));

	if (entries < 0)
		return -1;
	counters->services =
		calloc((size_t)entries + counters->port_count + 1, sizeof(*counters->services));
	if (!counters->services)
		return -1;
	for (__u32 key = 0; key < (__u32)entries; key++) {
		struct service_total *total = &counters->services[counters->service_count];

		if (bpf_map_lookup_elem(fd, &key, row))
			return -1;
		if (!row->service[0])
			continue; /* not yet in use */
		counters_take_row(total, row);
		counters->service_count++;
	}
	add_driver_rows(counters);
	return 0;
}

/* Room for the value of any of the maps, with those of all CPUs where it has some. */
static void *value_room(unsigned cpus)
{
	const size_t row = sizeof(struct service_counters), each = sizeof(struct port_counters);
	const size_t rows = (cpus * each + row - 1) / row;

	_Static_assert(sizeof(struct verdict_row) <= sizeof(struct port_counters), "");
	return aligned_alloc(_Alignof(struct service_counters), (rows ? rows : 1) * row);
}

int counters_read(const struct counters_maps *maps, struct counters *counters)
{
	int cpus = libbpf_num_possible_cpus();
	void *values;
	int result, saved;

	*counters = (struct counters){};
	if (cpus < 0) {
		errno = -cpus;
		return -1;
	}
	values = value_room((unsigned)cpus);
	if (!values)
		return -1;
	counters->time_ns = clock_ns();
	result = read_ports(counters, maps->ports, values, (unsigned)cpus);
	if (!result)
		result = read_verdicts(counters, maps->verdicts, values, (unsigned)cpus);
	if (!result)
		result = read_services(counters, maps->services, values);
	saved = errno;
	free(values);
	if (result)
		counters_free(counters);
	errno = saved;
	return result;
}

void counters_free(struct counters *counters)
{
	free(counters->ports);
	free(counters->services);
	for (size_t i = 0; i < counters->part_count; i++)
		counters_free(&counters->parts[i]);
	free(counters->parts);
	*counters = (struct counters){};
}
