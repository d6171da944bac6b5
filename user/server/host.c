/* SPDX-License-Identifier: MIT */
/* The server follows the host: addresses, link, MTU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "server/kernel_sockets.h"
#include "base/log.h"

struct udpxdp_host *server_read_host(const struct server_config *config, bool *up)
{
	struct udpxdp_host *net = addresses_read(config->ifindex, up);

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
		log_line("not every address can be served: the filter knows %d at most",
			MAX_LOCAL_ADDRS);
	s->said_full = full;
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
			 "to size its umem anew",
			s->config->iface, net->mtu, s->mtu_max);
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
		log_line("the filter is no longer on %s: the interface was made anew, or somebody "
			 "detached it; start udpxdp again",
			s->config->iface);
	else
		log_line(
			"%s is gone: the interface was removed; start udpxdp again when it is back",
			s->config->iface);
	sd_event_exit(s->loop, EXIT_RUNTIME);
	return true;
}

/* Sockets for queues that come later would need a privilege that was given up. */
static void count_queues(struct server *s)
{
	bool exact;
	unsigned queues = xsk_sockets_count_queues(s->config->iface, &exact);

	if (!exact || queues == s->queues)
		return;
	if (queues > s->queues && s->config->last_queue >= s->queues)
		log_line(
			"%s has %u RX queues now, not %u: what arrives on the new ones goes to the "
			"kernel; restart udpxdp to serve them",
			s->config->iface, queues, s->queues);
	s->queues = queues;
}

/* Announcing needs an IPv4 address; everything else is served without one. */
void server_check_ipv4(struct server *s, const struct udpxdp_host *net)
{
	bool missing = !udpxdp_addr_is_ipv4(&net->ipv4), wanted = false;

	for (unsigned i = 0; i < s->config->service_count; i++)
		wanted |= s->config->services[i].service->wants_broadcast;
	if (missing && wanted && !s->said_no_ipv4)
		log_line("%s has no IPv4 address: broadcast is silent until it has one; the other "
			 "services go on",
			s->config->iface);
	s->said_no_ipv4 = missing && wanted;
}

void server_on_addresses(void *context)
{
	struct server *s = context;
	bool up;
	struct udpxdp_host *net = server_read_host(s->config, &up);

	if (!net && errno != ENODEV) {
		if (!s->stale)
			log_line("reading the addresses of %s failed: %s; trying again",
				s->config->iface, strerror(errno));
		s->stale = true;
		return;
	}
	s->stale = false;
	if (lost_interface(s, net)) {
		free(net);
		return;
	}
	if (up != s->was_up)
		log_verbose("%s is %s", s->config->iface, up ? "up" : "down");
	s->was_up = up;
	server_check_ipv4(s, net);
	if (s->filter) {
		limit_mtu(s, net);
		server_update_filter(s, s->net, net);
	}
	s->net = net;
	workers_set_net(s->workers, net);
}

void server_periodic(struct server *s)
{
	const bool attached = s->filter && filter_is_attached(s->filter);

	if (attached)
		count_queues(s);
	if (s->stale || (s->filter && !attached))
		server_on_addresses(s);
}
