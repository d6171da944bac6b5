/* SPDX-License-Identifier: MIT */
#include "netlink/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <time.h>

#define SETTLE_USEC 10000 /* how long news are gathered before they are told */
#define TRIES 8           /* at reading the addresses while they change */

struct reading {
	struct link_facts link;
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

static int read_addr(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *a = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[IFA_FLAGS + 1] = {};
	struct reading *r = context;
	struct udpxdp_host_addr addr = {.prefix_len = a->ifa_prefixlen};
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
	netlink_get_addr(&addr.broadcast, a->ifa_family, attrs[IFA_BROADCAST]);
	addr.on_iface = !r->link.ifindex || (int)a->ifa_index == r->link.ifindex ||
			(r->link.master && (int)a->ifa_index == r->link.master);
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

static struct udpxdp_host *read_once(int ifindex, struct link_facts *link)
{
	struct reading r = {.link = {.ethernet = true, .up = true, .carrier = true}};
	struct mnl_socket *socket = netlink_open(0);
	struct udpxdp_host *net = NULL;
	int saved;

	if (!socket)
		return NULL;
	if (!ifindex || !link_read_itself(socket, ifindex, &r.link)) {
		errno = ENOTSUP;
		if ((r.link.ethernet || r.link.loopback) && !ask_addrs(socket, &r)) {
			move_loopback_behind(&r);
			net = udpxdp_host_new(r.link.mac, r.link.mtu, r.addrs, r.count);
		}
	}
	saved = errno;
	mnl_socket_close(socket);
	free(r.addrs);
	errno = saved;
	if (net)
		*link = r.link;
	return net;
}

struct udpxdp_host *addresses_read(int ifindex, struct link_facts *link)
{
	struct udpxdp_host *net = NULL;

	/* EINTR: something changed meanwhile, and what was read may not be the whole. */
	for (int i = 0; i < TRIES && !(net = read_once(ifindex, link)); i++)
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

/* What the news say does not matter: everything is read again a moment after the first of them,
 * however many follow. */
static int on_news(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct addresses *a = data;
	char buffer[NETLINK_BUFFER_SIZE];

	while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
	if (sd_event_source_get_enabled(a->settled, NULL) != SD_EVENT_OFF)
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
	a->socket = netlink_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
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
