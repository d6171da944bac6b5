/* SPDX-License-Identifier: MIT */
/* The server follows the host: addresses, link, MTU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/internal.h"
#include "server/kernel_sockets.h"
#include "base/log.h"

struct udpxdp_host *server_read_host(const struct server_config *config, struct link_facts *link)
{
	struct udpxdp_host *net = addresses_read(config->ifindex, link);

	if (net && config->mode == XDP_MODE_SOCKETS)
		net->mtu = KERNEL_SOCKETS_MTU;
	return net;
}

/* Returns whether the filter knows it now. */
static bool set_address(struct server *s, const struct udpxdp_addr *addr, uint32_t flags)
{
	return !filter_set_address(s->filter, addr, flags);
}

static bool is_unspecified(const struct udpxdp_addr *a)
{
	return !a->w[0] && !a->w[1] && !a->w[2] && !a->w[3];
}

static bool is_link_local(const struct udpxdp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* The interface's own first addresses are the ones that are asked most often. */
static void set_favourites(struct server *s, const struct udpxdp_host *net)
{
	const struct udpxdp_addr *ipv4 = NULL, *ipv6 = NULL;

	for (uint32_t i = 0; i < net->count; i++) {
		const struct udpxdp_host_addr *a = &net->addrs[i];
		const struct udpxdp_addr **first = udpxdp_addr_is_ipv4(&a->addr) ? &ipv4 : &ipv6;

		if (a->on_iface && (!*first || is_link_local(*first)))
			*first = &a->addr;
	}
	filter_set_favourites(s->filter, ipv4, ipv6);
}

/* Brings the filter from one snapshot (NULL: nothing) to another. New ones come first, so that no
 * address that stays is ever missing. */
void server_update_filter(
	struct server *s, const struct udpxdp_host *old, const struct udpxdp_host *net)
{
	const struct udpxdp_addr everybody = udpxdp_addr_ipv4(255, 255, 255, 255);
	bool full = !set_address(s, &everybody, LOCAL_BROADCAST);

	for (uint32_t i = 0; i < net->count; i++) {
		const struct udpxdp_host_addr *a = &net->addrs[i];

		if (a->on_iface && !is_unspecified(&a->broadcast))
			full |= !set_address(s, &a->broadcast, LOCAL_BROADCAST);
	}
	for (uint32_t i = 0; i < net->count; i++)
		full |= !set_address(s, &net->addrs[i].addr, LOCAL_UNICAST);
	if (full && !s->said_full)
		log_line("too many addresses: the filter holds %d; the rest are not served",
			MAX_LOCAL_ADDRS);
	s->said_full = full;
	set_favourites(s, net);
	server_set_answers_mtu(s, net->mtu);
	for (uint32_t i = 0; old && i < old->count; i++) {
		const struct udpxdp_host_addr *a = &old->addrs[i];

		if (!udpxdp_host_kind(net, &a->addr))
			filter_clear_address(s->filter, &a->addr);
		if (!is_unspecified(&a->broadcast) && !udpxdp_host_kind(net, &a->broadcast))
			filter_clear_address(s->filter, &a->broadcast);
	}
}

static void limit_mtu(struct server *s, struct udpxdp_host *net)
{
	bool beyond = net->mtu > s->mtu_max;

	if (beyond && !s->mtu_beyond)
		log_line("%s has an MTU of %u now: frames beyond %u are not served; restart udpxdp "
			 "to resize its umem",
			s->iface, net->mtu, s->mtu_max);
	s->mtu_beyond = beyond;
	if (beyond)
		net->mtu = s->mtu_max;
}

/* Ends the server once it has lost its interface. */
static bool lost_interface(struct server *s, bool found)
{
	if (found && (!s->filter || filter_is_attached(s->filter)))
		return false;
	if (found)
		log_line("the filter is no longer on %s: the interface was re-created, or the "
			 "program was detached; restart udpxdp",
			s->iface);
	else
		log_line("%s is gone: the interface was removed; restart udpxdp when it is back",
			s->iface);
	sd_event_exit(s->loop, EXIT_RUNTIME);
	return true;
}

/* Sockets for queues that come later would need a privilege that was given up. */
static void follow_queues(struct server *s)
{
	const struct xsk_queues queues = xsk_queues_count(s->config->ifindex);

	if (!queues.exact)
		return;
	if (queues.rx > s->queues.rx && s->config->last_queue >= s->queues.rx)
		log_line("%s has %u RX queues now, not %u: frames on the new ones go to the "
			 "kernel; restart udpxdp to serve them",
			s->iface, queues.rx, s->queues.rx);
	s->queues = queues;
}

/* Announcing needs an IPv4 address; everything else is served without one. */
void server_check_ipv4(struct server *s, const struct udpxdp_host *net)
{
	bool missing = !udpxdp_addr_is_ipv4(&net->ipv4), wanted = false;

	for (unsigned i = 0; i < s->config->service_count; i++)
		wanted |= s->config->services[i].service->wants_broadcast;
	if (missing && wanted && !s->said_no_ipv4)
		log_line("%s has no IPv4 address: broadcast is disabled until it has one; add one "
			 "with ip address",
			s->iface);
	s->said_no_ipv4 = missing && wanted;
}

static void follow_link(struct server *s, const struct link_facts *link)
{
	if (strcmp(link->name, s->iface))
		log_line("%s was renamed to %s: serving it still", s->iface, link->name);
	memcpy(s->iface, link->name, sizeof(s->iface));
	if (server_is_up(link) != s->was_up)
		log_verbose("%s is %s", s->iface, server_is_up(link) ? "up" : "down");
	s->was_up = server_is_up(link);
}

void server_on_addresses(void *context)
{
	struct server *s = context;
	struct link_facts link;
	struct udpxdp_host *net = server_read_host(s->config, &link);

	if (!net && errno != ENODEV) {
		if (!s->stale)
			log_line("reading the addresses of %s failed: %s; retrying", s->iface,
				strerror(errno));
		s->stale = true;
		return;
	}
	s->stale = false;
	if (lost_interface(s, net)) {
		free(net);
		return;
	}
	if (s->config->ifindex)
		follow_link(s, &link);
	server_check_ipv4(s, net);
	if (s->filter) {
		limit_mtu(s, net);
		server_update_filter(s, s->net, net);
	}
	s->net = net;
	workers_set_host(s->workers, net, s->hostname);
}

/* Its name goes with the addresses, as one snapshot. */
static bool hostname_has_changed(struct server *s)
{
	char name[sizeof(s->hostname)] = "";

	gethostname(name, sizeof(name) - 1);
	if (!strcmp(name, s->hostname))
		return false;
	log_verbose("the host's name is %s now", name);
	memcpy(s->hostname, name, sizeof(name));
	return true;
}

void server_periodic(struct server *s)
{
	const bool renamed = hostname_has_changed(s);
	const bool attached = s->filter && filter_is_attached(s->filter);

	workers_publish_host(s->workers);
	if (attached)
		follow_queues(s);
	if (renamed || s->stale || (s->filter && !attached))
		server_on_addresses(s);
}
