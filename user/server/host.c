/* SPDX-License-Identifier: MIT */
/* The server follows the host: addresses, link, MTU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/internal.h"
#include "server/interfaces/interfaces.h"
#include "server/kernel_sockets.h"
#include "base/log.h"
#include "udpxdp/packet.h"

/* Sockets that hear one interface have its subnets on the link, and those of the loopback. */
static void keep_subnets(struct udpxdp_host *all, const struct udpxdp_host *net)
{
	static const struct udpxdp_addr loopback = {.b = {[15] = 1}};

	for (uint32_t i = 0; i < all->count; i++) {
		struct udpxdp_host_addr *a = &all->addrs[i];

		a->on_iface = udpxdp_addr_is_ipv4(&a->addr)
				      ? a->addr.b[12] == 127
				      : udpxdp_addr_equal(&a->addr, &loopback);
		for (uint32_t n = 0; n < net->count && !a->on_iface; n++)
			a->on_iface = net->addrs[n].on_iface &&
				      udpxdp_addr_equal(&net->addrs[n].addr, &a->addr);
	}
}

struct udpxdp_host *server_read_host(const struct server_config *config, struct link_facts *link)
{
	struct udpxdp_host *net = addresses_read(config->ifindex, &config->vlans, link), *all;

	if (!net)
		return NULL;
	net->ifindex = (uint32_t)config->ifindex;
	if (config->mode != XDP_MODE_SOCKETS)
		return net;
	all = server_read_kernel_host(net);
	if (all && net->ifindex)
		keep_subnets(all, net);
	if (all)
		all->ifindex = net->ifindex;
	free(net);
	return all;
}

struct udpxdp_host *server_read_kernel_host(const struct udpxdp_host *net)
{
	struct link_facts link;
	const struct vlan_set any = {.choice = VLAN_CHOICE_ANY};
	struct udpxdp_host *all = addresses_read(0, &any, &link);

	if (!all)
		return NULL;
	all->mtu = KERNEL_SOCKETS_MTU;
	if (net->ifindex)
		all->ipv4 = net->ipv4;
	return all;
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

		if (a->on_iface && !a->vlan && (!*first || is_link_local(*first)))
			*first = &a->addr;
	}
	filter_set_favourites(s->filter, ipv4, ipv6);
}

/* An address in several VLANs counts on every one, and so is none that is compared first alone. */
static bool set_addresses(struct server *s, const struct udpxdp_host *net)
{
	bool full = false;

	for (uint32_t i = 0; i <= net->mask; i++) {
		const struct udpxdp_host_slot *slot = &net->index[i];

		if (slot->kind)
			full |= filter_set_address(s->filter, &slot->addr, slot->kind, slot->vlan);
	}
	return full;
}

static bool set_links(struct server *s, const struct udpxdp_host *net)
{
	bool full = false;

	filter_set_own_mac(s->filter, packet_mac(net->mac));
	for (uint32_t i = 0; i < net->mac_count; i++)
		full |= filter_set_mac(s->filter, net->macs[i]);
	for (uint32_t i = 0; i < net->vlan_count; i++)
		full |= filter_set_vlan(s->filter, net->vlans[i].vlan, net->vlans[i].counts_as);
	return full;
}

static void clear_old(
	struct server *s, const struct udpxdp_host *old, const struct udpxdp_host *net)
{
	for (uint32_t i = 0; i <= old->mask; i++)
		if (old->index[i].kind && !udpxdp_host_kind(net, &old->index[i].addr))
			filter_clear_address(s->filter, &old->index[i].addr);
	for (uint32_t i = 0; i < old->mac_count; i++)
		if (!udpxdp_host_has_mac(net, old->macs[i]))
			filter_clear_mac(s->filter, old->macs[i]);
	for (uint32_t i = 0; i < old->vlan_count; i++)
		if (udpxdp_host_vlan_of(net, old->vlans[i].vlan) == UDPXDP_VLAN_NONE)
			filter_clear_vlan(s->filter, old->vlans[i].vlan);
}

/* Brings the filter from one snapshot (NULL: nothing) to another. New ones come first, so that no
 * address that stays is ever missing. */
void server_update_filter(
	struct server *s, const struct udpxdp_host *old, const struct udpxdp_host *net)
{
	bool full = set_addresses(s, net);

	full |= set_links(s, net);
	if (full && !s->said_full)
		log_line("too many addresses: the filter holds %d; the rest are not served",
			UDPXDP_LOCAL_ADDRS_MAX);
	s->said_full = full;
	set_favourites(s, net);
	server_set_answers_mtu(s, net->mtu);
	if (old)
		clear_old(s, old, net);
}

/* What is longer than the umem was made for is left to the kernel. */
static void limit_mtu(struct server *s, struct udpxdp_host *net)
{
	const bool beyond = net->mtu > s->mtu_max && net->mtu > s->link_mtu;

	if (beyond && !s->mtu_beyond)
		log_line("%s has an MTU of %u now: frames beyond %u are %s; restart udpxdp to "
			 "resize its umem",
			s->iface, net->mtu, s->mtu_max,
			s->beside.count ? "served by kernel sockets" : "not served");
	s->mtu_beyond = beyond;
	net->mtu = net->mtu < s->mtu_max ? net->mtu : s->mtu_max;
}

/* Says that an interface is lost, if it is. */
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
	return true;
}

/* Sockets for queues that come later would need a privilege that was given up. */
static void follow_queues(struct server *s)
{
	const struct xsk_queues queues = xsk_sockets_count_queues(s->config->ifindex);

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
		log_line("%s was renamed to %s: still serving it", s->iface, link->name);
	memcpy(s->iface, link->name, sizeof(s->iface));
	if (server_is_up(link) != s->was_up)
		log_verbose("%s is %s", s->iface, server_is_up(link) ? "up" : "down");
	s->was_up = server_is_up(link);
}

/* Of an interface that is gone. With its sockets are those of this host itself. */
static struct udpxdp_host *nothing(const struct server *s)
{
	static const uint8_t no_mac[6];
	struct udpxdp_host *net = udpxdp_host_new(no_mac, s->mtu_max, NULL, 0), *all;

	if (!net || s->filter)
		return net;
	all = server_read_kernel_host(net);
	if (all) {
		keep_subnets(all, net);
		all->ipv4 = net->ipv4;
	}
	free(net);
	return all;
}

/* The host as seen from one interface now; of one that is gone, nothing. NULL with errno. */
static struct udpxdp_host *follow(struct server *s)
{
	struct link_facts link;
	struct udpxdp_host *net = s->gone ? NULL : server_read_host(s->config, &link);

	if (!net && !s->gone && errno != ENODEV)
		return NULL;
	if (s->gone || lost_interface(s, net)) {
		free(net);
		if (!s->gone && s->filter)
			filter_detach(s->filter); /* it may be in another namespace now */
		s->gone = true;
		return nothing(s);
	}
	net->ingress = (uint8_t)s->ingress;
	if (s->config->ifindex)
		follow_link(s, &link);
	server_check_ipv4(s, net);
	if (s->filter) {
		limit_mtu(s, net);
		server_update_filter(s, s->net, net);
	}
	return net;
}

void server_on_addresses(void *context)
{
	struct server *s = context;
	struct udpxdp_host *nets[INGRESSES_MAX] = {};
	unsigned left = 0;
	int failed = 0;

	for (unsigned i = 0; i <= s->more_count && !failed; i++) {
		struct server *one = server_interface(s, i);

		one->starting = follow(one);
		if (!one->starting)
			failed = errno;
		left += !one->gone;
	}
	if (!failed && interfaces_snapshots(s, nets))
		failed = errno;
	if (failed) {
		for (unsigned i = 0; i <= s->more_count; i++) {
			free(server_interface(s, i)->starting);
			server_interface(s, i)->starting = NULL;
		}
		if (!s->stale)
			log_line("reading the addresses of %s failed: %s; retrying", s->iface,
				strerror(failed));
		s->stale = true;
		return;
	}
	s->stale = false;
	workers_set_host(s->workers, nets, s->hostname);
	if (!left)
		sd_event_exit(s->loop, EXIT_RUNTIME);
}

/* Its name goes with the addresses, as one snapshot. */
static bool hostname_has_changed(struct server *s)
{
	char name[sizeof(s->hostname)] = "";

	gethostname(name, sizeof(name) - 1);
	if (!strcmp(name, s->hostname))
		return false;
	log_verbose("the host name is now %s", name);
	memcpy(s->hostname, name, sizeof(name));
	return true;
}

void server_periodic(struct server *s)
{
	bool again = hostname_has_changed(s) || s->stale;

	workers_publish_host(s->workers);
	for (unsigned i = 0; i <= s->more_count; i++) {
		struct server *one = server_interface(s, i);

		if (one->neighbours)
			neighbours_periodic(one->neighbours);
		if (!one->filter || one->gone)
			continue;
		if (filter_is_attached(one->filter))
			follow_queues(one);
		else
			again = true;
	}
	if (again)
		server_on_addresses(s);
}
