/* SPDX-License-Identifier: MIT */
#include "server/interfaces/interfaces.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

int interfaces_make(struct server *s)
{
	for (unsigned i = 0; i < s->config->more_count; i++) {
		const struct server_interface *other = &s->config->more[i];
		struct server *one = calloc(1, sizeof(*one));

		if (!one)
			return server_start_failed("starting");
		one->own_config = *s->config;
		one->own_config.iface = other->iface;
		one->own_config.ifindex = other->ifindex;
		one->own_config.pin_dir = other->pin_dir;
		one->config = &one->own_config;
		one->event_fd = -1;
		one->ingress = i + 1;
		s->more[s->more_count++] = one;
	}
	return EXIT_CLEAN;
}

void interfaces_free(struct server *s)
{
	while (s->more_count)
		free(s->more[--s->more_count]);
}

int interfaces_share(struct server *s)
{
	for (unsigned i = 0; i < s->more_count; i++) {
		s->more[i]->loop = s->loop;
		s->more[i]->capture = s->capture;
		s->more[i]->guard = s->guard;
	}
	return EXIT_CLEAN;
}

unsigned interfaces_workers(const struct server *s)
{
	unsigned most = s->sockets.count;

	for (unsigned i = 0; i < s->more_count; i++)
		if (s->more[i]->sockets.count > most)
			most = s->more[i]->sockets.count;
	return most;
}

void interfaces_ask(struct server *s, const struct engine_question *question)
{
	struct neighbours *neighbours = server_interface(s, question->ingress)->neighbours;

	if (question->follow)
		neighbours_follow(neighbours, &question->addr, question->vlan);
	else
		neighbours_ask(neighbours, &question->addr, question->vlan);
}

uint64_t interfaces_neighbours_edition(struct server *s)
{
	uint64_t edition = 0;

	for (unsigned i = 0; i <= s->more_count; i++) {
		const struct neighbours *neighbours = server_interface(s, i)->neighbours;

		if (neighbours)
			edition += neighbour_table_edition(neighbours_table(neighbours));
	}
	return edition;
}

void interfaces_settle_rows(struct server *s)
{
	unsigned most = 0;

	for (unsigned i = 0; i <= s->more_count; i++)
		if (server_interface(s, i)->opening.most > most)
			most = server_interface(s, i)->opening.most;
	for (unsigned i = 0; i <= s->more_count; i++)
		server_interface(s, i)->counter_workers = most;
}

struct service_counters *interfaces_beside_counters(const struct server *s)
{
	return filter_counters(s->filter) + (size_t)s->counter_workers * s->config->service_count;
}

unsigned interfaces_ways(struct server *s, struct workers_ingress *more, int *doorbells)
{
	unsigned count = 0;

	for (unsigned i = 0; i <= s->more_count; i++) {
		const struct xsk_sockets *sockets =
			&server_interface(s, s->more_count - i)->sockets;

		memcpy(doorbells, sockets->doorbells, sockets->count * sizeof(*doorbells));
	}
	for (unsigned i = 0; i < s->more_count; i++)
		more[count++] = (struct workers_ingress){
			.ios = s->more[i]->sockets.ios,
			.name = s->filter ? s->more[i]->config->iface : "sockets",
			.counters = s->filter ? filter_counters(s->more[i]->filter)
					      : s->more[i]->counters,
			.neighbours = s->filter ? neighbours_table(s->more[i]->neighbours) : NULL,
		};
	if (s->beside.count)
		more[count++] = (struct workers_ingress){
			.ios = s->beside.ios,
			.name = "sockets",
			.counters = interfaces_beside_counters(s),
			.is_kernel = true,
			.services = s->beside.services,
		};
	return count;
}

int interfaces_snapshots(struct server *s, struct udpxdp_host **nets)
{
	struct udpxdp_host *kernel = NULL;

	if (s->beside.count && !(kernel = server_read_kernel_host(s->starting)))
		return -1;
	for (unsigned i = 0; i <= s->more_count; i++) {
		struct server *one = server_interface(s, i);

		nets[i] = one->starting;
		one->net = one->starting;
		one->starting = NULL;
	}
	if (kernel)
		nets[s->more_count + 1] = kernel;
	return 0;
}

struct server *interfaces_with(struct server *s, const struct udpxdp_addr *own)
{
	for (unsigned i = 0; i <= s->more_count; i++) {
		const struct udpxdp_host *net = server_interface(s, i)->net;

		for (uint32_t n = 0; n < net->count; n++)
			if (net->addrs[n].on_iface && udpxdp_addr_equal(&net->addrs[n].addr, own))
				return server_interface(s, i);
	}
	return s;
}

struct server *interfaces_towards(struct server *s, const struct udpxdp_addr *peer)
{
	for (unsigned i = 0; i <= s->more_count; i++)
		if (udpxdp_host_on_link(server_interface(s, i)->net, peer))
			return server_interface(s, i);
	for (unsigned i = 0; i <= s->more_count; i++)
		if (!server_interface(s, i)->gone)
			return server_interface(s, i);
	return s;
}

bool interfaces_path_here(
	struct server *s, struct udpxdp_path *path, const struct udpxdp_addr *peer)
{
	for (unsigned i = 0; i <= s->more_count; i++)
		if (kernel_sockets_path_here(path, server_interface(s, i)->net, peer,
			    s->filter ? s->more_count + 1 : i))
			return true;
	return false;
}
