/* SPDX-License-Identifier: MIT */
#include "netlink/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <time.h>

#include "base/keep_errno.h"
#include "netlink/route.h"

#define SETTLE_USEC 10000 /* how long news are gathered before they are told */
#define TRIES 8           /* at reading the addresses while they change */

struct reading {
	struct link_facts link;
	struct links links;
	struct udpxdp_host_addr *addrs;
	size_t count, room;
};

static bool is_loopback(const struct udpxdp_addr *a)
{
	static const struct udpxdp_addr loopback = {.b = {[15] = 1}};

	return udpxdp_addr_is_ipv4(a) ? a->b[12] == 127 : udpxdp_addr_equal(a, &loopback);
}

static int add(struct reading *r, const struct udpxdp_host_addr *addr)
{
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 32;
		void *grown = reallocarray(r->addrs, room, sizeof(*r->addrs));

		if (!grown)
			return MNL_CB_ERROR;
		r->addrs = grown;
		r->room = room;
	}
	r->addrs[r->count++] = *addr;
	return MNL_CB_OK;
}

/*
 * Its subnet, as the kernel has it (ip-address(8)): that of the other end where there is one, and
 * no longer than the route to it says where the kernel was not to make one.
 */
static void read_subnet(struct udpxdp_host_addr *addr, const struct ifaddrmsg *a, uint32_t flags,
	const struct nlattr **attrs)
{
	addr->prefix_len = a->ifa_prefixlen;
	addr->off_link = flags & IFA_F_NOPREFIXROUTE;
	addr->inward = a->ifa_scope == RT_SCOPE_HOST;
	netlink_get_addr(&addr->broadcast, a->ifa_family, attrs[IFA_BROADCAST]);
	if (attrs[IFA_LOCAL] && netlink_get_addr(&addr->peer, a->ifa_family, attrs[IFA_ADDRESS]) &&
		udpxdp_addr_equal(&addr->peer, &addr->addr))
		addr->peer = (struct udpxdp_addr){};
}

/* Of which interface's subnets it is, and on which VLAN above that. */
static void place(struct udpxdp_host_addr *addr, const struct reading *r, int ifindex)
{
	const struct links_entry *link = links_find(&r->links, ifindex);

	addr->on_iface = true;
	if (!r->link.ifindex) /* of any, as sockets of the kernel have them */
		return;
	addr->on_iface = (link && link->road == ROAD_SAME) ||
			 (r->link.master && ifindex == r->link.master); /* a VRF */
	addr->vlan = link && link->road == ROAD_SAME ? link->vlan : UDPXDP_VLAN_ALL;
}

static int read_addr(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *a = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[IFA_FLAGS + 1] = {};
	struct reading *r = context;
	struct udpxdp_host_addr addr = {};
	uint32_t flags = a->ifa_flags;

	if (a->ifa_family != AF_INET && a->ifa_family != AF_INET6)
		return MNL_CB_OK;
	netlink_attributes(message, sizeof(*a), attrs, IFA_FLAGS);
	if (attrs[IFA_FLAGS])
		flags = mnl_attr_get_u32(attrs[IFA_FLAGS]);
	if (flags & IFA_F_DADFAILED || (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)))
		return MNL_CB_OK;
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	if (!netlink_get_addr(&addr.addr, a->ifa_family,
		    attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS]))
		return MNL_CB_OK;
	read_subnet(&addr, a, flags, attrs);
	place(&addr, r, (int)a->ifa_index);
	if ((is_loopback(&addr.addr) && r->link.ifindex) ||
		(a->ifa_family == AF_INET6 && a->ifa_scope == RT_SCOPE_LINK && !addr.on_iface))
		return MNL_CB_OK;
	return add(r, &addr);
}

static int ask_addrs(struct mnl_socket *socket, struct reading *r)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question = netlink_question(buffer, RTM_GETADDR, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(question, sizeof(struct ifaddrmsg));
	return netlink_ask(socket, question, read_addr, r);
}

/* The kernel names lo first; a host is better known by another address. */
static void move_loopback_behind(struct reading *r)
{
	size_t kept = 0, moved = 0;
	struct udpxdp_host_addr *loopback = calloc(r->count + 1, sizeof(*loopback));

	for (size_t i = 0; loopback && i < r->count; i++)
		if (is_loopback(&r->addrs[i].addr))
			loopback[moved++] = r->addrs[i];
		else
			r->addrs[kept++] = r->addrs[i];
	if (moved)
		memcpy(&r->addrs[kept], loopback, moved * sizeof(*loopback));
	free(loopback);
}

/* Whoever gave an address without a route may have made one besides. */
static void ask_subnets(struct mnl_socket *socket, struct reading *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct udpxdp_host_addr *a = &r->addrs[i];

		if (a->off_link && a->on_iface && r->link.ifindex)
			a->off_link = !route_is_on_link(socket, r->link.ifindex, a);
	}
}

static struct udpxdp_host *make_host(struct reading *r, const struct vlan_set *vlans)
{
	struct udpxdp_host_links taken = {};
	struct udpxdp_host *net;

	memcpy(taken.mac, r->link.mac, sizeof(taken.mac));
	if (links_taken(&r->links, vlans, &taken))
		return NULL;
	net = udpxdp_host_new_on(&taken, r->link.mtu, r->addrs, r->count);
	links_free_taken(&taken);
	return net;
}

/* Of a single interface: which links get frames by it? */
static int read_links(struct mnl_socket *socket, struct reading *r)
{
	if (!r->link.ifindex)
		return 0;
	if (links_read(socket, &r->links))
		return -1;
	links_find_roads(&r->links, r->link.ifindex);
	return 0;
}

static struct udpxdp_host *read_once(
	int ifindex, const struct vlan_set *vlans, struct link_facts *link)
{
	struct reading r = {.link = {.ethernet = true, .up = true, .carrier = true}};
	struct mnl_socket *socket = netlink_open(0);
	struct udpxdp_host *net = NULL;

	if (!socket)
		return NULL;
	if (!ifindex || !link_read_itself(socket, ifindex, &r.link)) {
		errno = ENOTSUP;
		/* A bond's inactive member is not to answer: as if there were no address. */
		if ((r.link.ethernet || r.link.loopback) && !read_links(socket, &r) &&
			(r.link.backup || !ask_addrs(socket, &r))) {
			move_loopback_behind(&r);
			ask_subnets(socket, &r);
			net = make_host(&r, vlans);
		}
	}
	KEEP_ERRNO;
	mnl_socket_close(socket);
	links_free(&r.links);
	free(r.addrs);
	if (net)
		*link = r.link;
	return net;
}

struct udpxdp_host *addresses_read(
	int ifindex, const struct vlan_set *vlans, struct link_facts *link)
{
	struct udpxdp_host *net = NULL;

	/* EINTR: something changed meanwhile, and what was read may not be the whole. */
	for (int i = 0; i < TRIES && !(net = read_once(ifindex, vlans, link)); i++)
		if (errno != EINTR)
			break;
	return net;
}

/* ---- news ----------------------------------------------------------------------------- */

struct addresses {
	struct mnl_socket *socket;
	sd_event_source *readable, *settled;
	void (*changed)(void *context);
	void *context;
};

static int on_settled(sd_event_source *source, uint64_t usec, void *data)
{
	struct addresses *a = data;

	a->changed(a->context);
	return 0;
}

/* Of routes, only those without a router tell of a subnet; a routing daemon has thousands of the
 * others. */
static bool is_route_beyond(const struct nlmsghdr *message)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[RTA_VIA + 1] = {};

	if (message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE)
		return false;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*route))
		return true;
	netlink_attributes(message, sizeof(*route), attrs, RTA_VIA);
	return route->rtm_type != RTN_UNICAST || !attrs[RTA_OIF] || attrs[RTA_GATEWAY] ||
	       attrs[RTA_VIA];
}

static bool concerns_us(const void *news, ssize_t len)
{
	int left = (int)len;

	if (len < 0) /* more than there was room for */
		return true;
	for (const struct nlmsghdr *m = news; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
		if (!is_route_beyond(m))
			return true;
	return false;
}

/* What else the news say does not matter: everything is read again a moment after the first of
 * them, however many follow. */
static int on_news(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct addresses *a = data;
	_Alignas(struct nlmsghdr) char buffer[NETLINK_BUFFER_SIZE];
	bool changed = false;
	ssize_t len;

	while ((len = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS)
		changed |= concerns_us(buffer, len);
	if (!changed || sd_event_source_get_enabled(a->settled, NULL) != SD_EVENT_OFF)
		return 0;
	sd_event_source_set_time_relative(a->settled, SETTLE_USEC);
	sd_event_source_set_enabled(a->settled, SD_EVENT_ONESHOT);
	return 0;
}

struct addresses *addresses_watch(sd_event *loop, void (*changed)(void *context), void *context)
{
	struct addresses *a = calloc(1, sizeof(*a));
	int error = 0;

	if (!a)
		return NULL;
	a->changed = changed;
	a->context = context;
	a->socket = netlink_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
	if (!a->socket)
		error = -errno;
	if (!error)
		error = sd_event_add_io(
			loop, &a->readable, mnl_socket_get_fd(a->socket), EPOLLIN, on_news, a);
	if (error >= 0)
		error = sd_event_add_time_relative(
			loop, &a->settled, CLOCK_MONOTONIC, 0, 0, on_settled, a);
	if (error >= 0) /* whatever changed before we listened */
		return a;
	addresses_close(a);
	errno = -error;
	return NULL;
}

void addresses_close(struct addresses *a)
{
	if (!a)
		return;
	sd_event_source_unref(a->readable);
	sd_event_source_unref(a->settled);
	if (a->socket)
		mnl_socket_close(a->socket);
	free(a);
}
