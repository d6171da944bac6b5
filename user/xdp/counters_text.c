/* SPDX-License-Identifier: MIT */
/* Counters as text and back: what a server tells of them over its control socket. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "services/service_table.h"
#include "xdp/counters.h"

/* ---- from the memory of a server without maps ------------------------------------------ */

static void take_own(struct service_total *total, const struct service_counters *row)
{
	for (size_t n = 0; n < UDPXDP_OWN_DROPS; n++) {
		memcpy(total->own[n].name, row->own[n].name, sizeof(row->own[n].name) - 1);
		memcpy(total->own[n].text, row->own[n].text, sizeof(row->own[n].text) - 1);
		total->values[OWN_VALUE + n] = row->own[n].count;
	}
}

void counters_take_row(struct service_total *total, const struct service_counters *row)
{
	*total = (struct service_total){.port = row->port, .worker = row->worker};
	memcpy(total->service, row->service, sizeof(total->service) - 1);
	total->values[0] = row->rx;
	total->values[1] = row->tx;
	total->values[2] = row->rx_bytes;
	total->values[3] = row->tx_bytes;
	memcpy(total->values + TRAFFIC_VALUES, row->drops, sizeof(row->drops));
	memcpy(total->values + SERVICE_DROPS_END, row->room, sizeof(row->room));
	take_own(total, row);
}

int counters_take_rows(struct counters *counters, const struct service_counters *rows, size_t count)
{
	*counters = (struct counters){.time_ns = clock_ns()};
	counters->services = calloc(count + 1, sizeof(*counters->services));
	if (!counters->services)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (rows[i].service[0])
			counters_take_row(&counters->services[counters->service_count++], &rows[i]);
	return 0;
}

/* ---- text ------------------------------------------------------------------------------ */

static void put_values(FILE *out, const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fprintf(out, " %" PRIu64, values[i]);
	fputc('\n', out);
}

void counters_write(FILE *out, const struct counters *counters)
{
	fprintf(out, "interface %s %zu %d %zu\n", counters->iface[0] ? counters->iface : "-",
		PORT_VALUES, FRAME_VERDICT_COUNT, (size_t)SERVICE_VALUES);
	for (size_t i = 0; i < counters->port_count; i++) {
		fprintf(out, "port %u", counters->ports[i].port);
		put_values(out, counters->ports[i].values, PORT_VALUES);
	}
	for (unsigned i = 0; i < FRAME_VERDICT_COUNT; i++) {
		fprintf(out, "verdict %u", i);
		put_values(out, counters->verdicts[i], VERDICT_VALUES);
	}
	for (size_t i = 0; i < counters->service_count; i++) {
		const struct service_total *row = &counters->services[i];

		fprintf(out, "service %s %u %u", row->service, row->port, row->worker);
		put_values(out, row->values, SERVICE_VALUES);
		for (size_t n = 0; n < UDPXDP_OWN_DROPS; n++)
			if (*row->own[n].name)
				fprintf(out, "reason %zu %s %s\n", n, row->own[n].name,
					row->own[n].text);
	}
}

static bool read_values(char *text, uint64_t *values, size_t count)
{
	char *end = text;

	for (size_t i = 0; i < count; i++, text = end) {
		values[i] = strtoull(text, &end, 10);
		if (end == text)
			return false;
	}
	return !*end;
}

/* Room for one more, zeroed. */
static void *grow(void **rows, size_t *count, size_t size)
{
	char *grown = reallocarray(*rows, *count + 1, size);

	if (!grown)
		return NULL;
	*rows = grown;
	return memset(grown + (*count)++ * size, 0, size);
}

/* One of its own reasons, of the service whose line was the last; text is what stands behind. */
static bool read_own(struct counters *c, unsigned n, const char *name, const char *text)
{
	struct service_total *total;

	if (!c->service_count || n >= UDPXDP_OWN_DROPS || *text++ != ' ' ||
		!service_is_name(name, UDPXDP_OWN_DROP_SIZE))
		return false;
	total = &c->services[c->service_count - 1];
	strcpy(total->own[n].name, name);
	memset(total->own[n].text, 0, sizeof(total->own[n].text));
	escape_text(total->own[n].text, sizeof(total->own[n].text) - 1, (const uint8_t *)text,
		strlen(text));
	return true;
}

static bool read_row(struct counters *c, char *line)
{
	struct service_total service = {}, *row;
	struct port_total port, *total;
	char reason[UDPXDP_OWN_DROP_SIZE];
	unsigned number;
	int used = 0;

	if (sscanf(line, "port %hu%n", &port.port, &used) == 1 && used) {
		if (!read_values(line + used, port.values, PORT_VALUES))
			return false;
		total = grow((void **)&c->ports, &c->port_count, sizeof(*c->ports));
		if (total)
			*total = port;
		return total;
	}
	if (sscanf(line, "verdict %u%n", &number, &used) == 1 && used)
		return number < FRAME_VERDICT_COUNT &&
		       read_values(line + used, c->verdicts[number], VERDICT_VALUES);
	if (sscanf(line, "reason %u %23s%n", &number, reason, &used) == 2 && used)
		return read_own(c, number, reason, line + used);
	if (sscanf(line, "service %11s %hu %hu%n", service.service, &service.port, &service.worker,
		    &used) != 3 ||
		!used || !service_is_name(service.service, sizeof(service.service)) ||
		!read_values(line + used, service.values, SERVICE_VALUES))
		return false;
	row = grow((void **)&c->services, &c->service_count, sizeof(*c->services));
	if (row)
		*row = service;
	return row;
}

_Static_assert(UDPXDP_NAME_SIZE == 12 && UDPXDP_OWN_DROP_SIZE == 24, "as sscanf() is told");

static bool read_head(struct counters *c, const char *line)
{
	size_t ports, services;
	int verdicts;
	char name[64];

	*c = (struct counters){.time_ns = clock_ns()};
	if (sscanf(line, "interface %63s %zu %d %zu", name, &ports, &verdicts, &services) != 4 ||
		ports != PORT_VALUES || verdicts != FRAME_VERDICT_COUNT ||
		services != SERVICE_VALUES)
		return false;
	if (strcmp(name, "-") && strlen(name) < sizeof(c->iface))
		strcpy(c->iface, name);
	return true;
}

int counters_parse(char **text, struct counters *counters)
{
	char *line = strsep(text, "\n");

	if (!line || !read_head(counters, line)) {
		errno = EPROTO;
		return -1;
	}
	while (*text && **text && strncmp(*text, "interface ", 10)) {
		line = strsep(text, "\n");
		if (!read_row(counters, line)) {
			counters_free(counters);
			errno = EPROTO;
			return -1;
		}
	}
	return 0;
}
