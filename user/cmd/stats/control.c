/* SPDX-License-Identifier: MIT */
/* The counters as a server tells them over its control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/control_connect.h"
#include "cmd/stats/control.h"
#include "base/keep_errno.h"
#include "server/control_protocol.h"

#define ANSWER_SECONDS 10
#define TEXT_MAX (64u << 20) /* more than any server has to say */

/* What stands behind the line of a packet with a piece of the counters; NULL: it is another. */
static const char *piece_of(const char *packet, size_t len)
{
	const size_t word = sizeof(CONTROL_COUNTERS_WORD);

	if (len < word || memcmp(packet, CONTROL_COUNTERS_WORD "\n", word))
		return NULL;
	return packet + word;
}

/* Everything up to the answer. Returns text for free(), or NULL with errno. */
static char *ask(int fd)
{
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	static char packet[CONTROL_PACKET_MAX];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	ssize_t len = -1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (out && send(fd, CONTROL_STATS_WORD, strlen(CONTROL_STATS_WORD), MSG_NOSIGNAL) > 0)
		while ((len = recv(fd, packet, sizeof(packet), 0)) > 0) {
			const char *piece = piece_of(packet, (size_t)len);

			if (!piece || ftell(out) > TEXT_MAX)
				break;
			fwrite(piece, 1, (size_t)(packet + len - piece), out);
		}
	if (out && !fclose(out) && len >= 2 && !memcmp(packet, CONTROL_OK_WORD, 2))
		return text;
	if (!len)
		errno = ECONNRESET;
	else if (len > 0)
		errno = EPROTO; /* it is older, and knows no such request */
	free(text);
	return NULL;
}

static struct service_total *row_like(struct counters *c, const struct service_total *row)
{
	for (size_t i = 0; i < c->service_count; i++)
		if (c->services[i].port == row->port && c->services[i].worker == row->worker &&
			!strcmp(c->services[i].service, row->service))
			return &c->services[i];
	return NULL;
}

/* Rows of the same service and worker become one. */
static int add_services(struct counters *sum, const struct counters *more)
{
	const size_t most = sum->service_count + more->service_count;
	struct service_total *rows = reallocarray(sum->services, most + 1, sizeof(*rows));

	if (!rows)
		return -1;
	sum->services = rows;
	for (size_t i = 0; i < more->service_count; i++) {
		const struct service_total *row = &more->services[i];
		struct service_total *same = row_like(sum, row);

		if (!same)
			sum->services[sum->service_count++] = *row;
		for (size_t v = 0; same && v < SERVICE_VALUES; v++)
			same->values[v] += row->values[v];
	}
	return 0;
}

/* Adds what an interface of the same server counts: it serves the same ports. */
static int add(struct counters *sum, const struct counters *more)
{
	if (add_services(sum, more))
		return -1;
	if (!sum->ports && more->port_count) {
		sum->ports = calloc(more->port_count, sizeof(*sum->ports));
		if (!sum->ports)
			return -1;
		sum->port_count = more->port_count;
		for (size_t i = 0; i < more->port_count; i++)
			sum->ports[i].port = more->ports[i].port;
	}
	for (size_t i = 0; i < sum->port_count && i < more->port_count; i++)
		for (size_t v = 0; v < PORT_VALUES; v++)
			sum->ports[i].values[v] += more->ports[i].values[v];
	for (size_t i = 0; i < FRAME_VERDICT_COUNT; i++)
		for (size_t v = 0; v < VERDICT_VALUES; v++)
			sum->verdicts[i][v] += more->verdicts[i][v];
	sum->time_ns = more->time_ns;
	return 0;
}

/* Of one interface they are as they come; of several the sum, with each as a part of it. */
static int parse_all(char *text, struct counters *all)
{
	*all = (struct counters){};
	do {
		struct counters *parts =
			reallocarray(all->parts, all->part_count + 1, sizeof(*parts));

		if (!parts)
			return -1;
		all->parts = parts;
		if (counters_parse(&text, &parts[all->part_count]))
			return -1;
		all->part_count++;
	} while (text && *text);
	if (all->part_count == 1) {
		const struct counters only = all->parts[0];

		free(all->parts);
		*all = only;
		return 0;
	}
	snprintf(all->iface, sizeof(all->iface), "all interfaces");
	for (size_t i = 0; i < all->part_count; i++)
		if (add(all, &all->parts[i]))
			return -1;
	return 0;
}

/* Leaves nothing but the part of that interface. Returns false: it has none. */
static bool keep_part(struct counters *all, const char *iface)
{
	for (size_t i = 0; i < all->part_count; i++) {
		const struct counters part = all->parts[i];

		if (strcmp(part.iface, iface))
			continue;
		all->parts[i] = (struct counters){};
		counters_free(all);
		*all = part;
		return true;
	}
	return !strcmp(all->iface, iface);
}

int stats_ask(int fd, const char *iface, struct counters *counters)
{
	char *text = ask(fd);
	int result = text ? parse_all(text, counters) : -1;
	KEEP_ERRNO;

	if (text && result)
		counters_free(counters);
	else if (text && iface)
		keep_part(counters, iface);
	free(text);
	return result;
}

static bool serves(int control, const char *iface)
{
	struct counters counters;
	bool is_it;

	if (stats_ask(control, NULL, &counters))
		return false;
	is_it = keep_part(&counters, iface);
	counters_free(&counters);
	return is_it;
}

int stats_find(const char *iface)
{
	int control = control_try(iface);

	return control >= 0 ? control : control_find(serves, iface);
}
