/* SPDX-License-Identifier: MIT */
#include "host/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <time.h>

#define SETTLE_USEC 10000 /* how long news are gathered before they are told */
#define TRIES 8 /* at reading the addresses while they change */

struct reading {
	int ifindex, master;
	bool found, up, ethernet;
	uint8_t mac[6];
	uint32_t mtu;
	struct local_addr *addrs;
	size_t count, room;
};

static int read_link(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(header);
	struct reading *r = data;
	const struct nlattr *attr;

	if (link->ifi_index != r->ifindex)
		return MNL_CB_OK;
	r->found = true;
	r->ethernet = link->ifi_type == ARPHRD_ETHER || link->ifi_type == ARPHRD_LOOPBACK;
	r->up = (link->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	mnl_attr_for_each(attr, header, sizeof(*link)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(r->mac))
				memcpy(r->mac, mnl_attr_get_payload(attr), sizeof(r->mac));
			break;
		case IFLA_MTU:
			r->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_MASTER:
			r->master = mnl_attr_get_u32(attr);
			break;
		}
	}
	return MNL_CB_OK;
}

static bool to_addr(struct ip_addr *to, const struct nlattr *attr, int family)
{
	size_t len = family == AF_INET ? 4 : 16;

	if (!attr || mnl_attr_get_payload_len(attr) != len)
		return false;
	if (family == AF_INET)
		*to = ip_addr_ipv4(0, 0, 0, 0);
	memcpy(to->b + 16 - len, mnl_attr_get_payload(attr), len);
	return true;
}

static bool is_loopback(const struct ip_addr *a)
{
	static const struct ip_addr loopback = {.b = {[15] = 1}};

	return ip_addr_is_ipv4(a) ? a->b[12] == 127 : ip_addr_equal(a, &loopback);
}

static int add(struct reading *r, const struct local_addr *addr)
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

static int read_addr(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *a = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr, *attrs[IFA_MAX + 1] = {};
	struct reading *r = data;
	struct local_addr addr = {.prefix_len = a->ifa_prefixlen};
	uint32_t flags = a->ifa_flags;

	if (a->ifa_family != AF_INET && a->ifa_family != AF_INET6)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, header, sizeof(*a))
		if (mnl_attr_type_valid(attr, IFA_MAX) > 0)
			attrs[mnl_attr_get_type(attr)] = attr;
	if (attrs[IFA_FLAGS])
		flags = mnl_attr_get_u32(attrs[IFA_FLAGS]);
	if (flags & IFA_F_DADFAILED || (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)))
		return MNL_CB_OK;
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	if (!to_addr(&addr.addr, attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS],
			    a->ifa_family))
		return MNL_CB_OK;
	to_addr(&addr.broadcast, attrs[IFA_BROADCAST], a->ifa_family);
	addr.on_iface = (int)a->ifa_index == r->ifindex ||
			(r->master && (int)a->ifa_index == r->master);
	if (is_loopback(&addr.addr) ||
			(a->ifa_family == AF_INET6 && a->ifa_scope == RT_SCOPE_LINK &&
					!addr.on_iface))
		return MNL_CB_OK;
	return add(r, &addr);
}

static int dump(struct mnl_socket *socket, int type, mnl_cb_t read_one, struct reading *r)
{
	char buffer[32768];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	unsigned seq = time(NULL);
	int n;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = seq;
	/* The same size as struct ifaddrmsg needs padded; the family, AF_UNSPEC, comes first. */
	mnl_nlmsg_put_extra_header(header, type == RTM_GETLINK ? sizeof(struct ifinfomsg)
							       : sizeof(struct ifaddrmsg));
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -1;
	do {
		n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (n > 0)
			n = mnl_cb_run(buffer, n, seq, mnl_socket_get_portid(socket), read_one, r);
	} while (n > 0);
	return n;
}

static struct local_net *read_once(int ifindex, bool *up)
{
	struct reading r = {.ifindex = ifindex};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct local_net *net = NULL;
	int saved;

	if (!socket)
		return NULL;
	if (!mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) &&
			!dump(socket, RTM_GETLINK, read_link, &r)) {
		errno = r.found ? ENOTSUP : ENODEV;
		if (r.ethernet && !dump(socket, RTM_GETADDR, read_addr, &r))
			net = local_net_new(r.mac, r.mtu, r.addrs, r.count);
	}
	saved = errno;
	mnl_socket_close(socket);
	free(r.addrs);
	errno = saved;
	if (net && up)
		*up = r.up;
	return net;
}

struct local_net *addresses_read(int ifindex, bool *up)
{
	struct local_net *net = NULL;

	/* EINTR: something changed meanwhile, and what was read may not be the whole. */
	for (int i = 0; i < TRIES && !(net = read_once(ifindex, up)); i++)
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
	char buffer[32768];

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
	a->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!a->socket || mnl_socket_bind(a->socket,
				RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
				MNL_SOCKET_AUTOPID) < 0)
		error = -errno;
	if (!error)
		error = sd_event_add_io(loop, &a->readable, mnl_socket_get_fd(a->socket), EPOLLIN,
				on_news, a);
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
