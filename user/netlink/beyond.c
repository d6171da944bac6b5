/* SPDX-License-Identifier: MIT */
#include "netlink/beyond.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HOSTS_MAX 1024 /* who comes when there are so many takes the place of the oldest */
#define ROUTE_GROUPS                                                \
	(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | \
		1u << (RTNLGRP_IPV6_RULE - 1) | 1u << (RTNLGRP_NEXTHOP - 1))

struct beyond {
	struct mnl_socket *questions, *routes;
	sd_event_source *news;
	bool routes_changed;
	struct neighbour_table *table;
	int ifindex;
	unsigned next; /* whose place is taken */
	struct beyond_host {
		struct udpxdp_addr addr;
		uint32_t vlan;
		struct hop hop; /* the router; ifindex 0: nobody has this place */
	} hosts[HOSTS_MAX];
};

/* What was not known by a router is left to those who know of the link. */
static void forget(struct beyond *b, struct beyond_host *host)
{
	uint8_t mac[6];

	if (neighbour_table_find(b->table, &host->addr, host->vlan, mac) == NEIGHBOUR_BEYOND)
		neighbour_table_set(b->table, &host->addr, host->vlan, NEIGHBOUR_UNKNOWN, NULL);
	host->hop.ifindex = 0;
}

static struct beyond_host *find(struct beyond *b, const struct udpxdp_addr *addr, uint32_t vlan)
{
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		if (b->hosts[i].hop.ifindex && b->hosts[i].vlan == vlan &&
			udpxdp_addr_equal(&b->hosts[i].addr, addr))
			return &b->hosts[i];
	return NULL;
}

static struct beyond_host *take_place(
	struct beyond *b, const struct udpxdp_addr *addr, uint32_t vlan)
{
	struct beyond_host *host = &b->hosts[b->next++ % HOSTS_MAX];

	if (host->hop.ifindex)
		forget(b, host);
	*host = (struct beyond_host){.addr = *addr, .vlan = vlan};
	return host;
}

static void write_mac(
	struct beyond *b, const struct beyond_host *host, const struct neighbour *router)
{
	if (router->state & NEIGHBOUR_USABLE && router->has_mac)
		neighbour_table_set(
			b->table, &host->addr, host->vlan, NEIGHBOUR_BEYOND, router->mac);
	else
		neighbour_table_set(b->table, &host->addr, host->vlan, NEIGHBOUR_UNKNOWN, NULL);
}

bool beyond_follow(struct beyond *b, const struct udpxdp_addr *addr, uint32_t vlan, struct hop *hop,
	struct neighbour *found)
{
	struct beyond_host *host = find(b, addr, vlan);
	char error[ROUTE_ERROR_SIZE];
	struct udpxdp_path path;
	const bool ours = route_find(b->questions, b->ifindex, addr, &path, hop, error) &&
			  udpxdp_vlan_id(&path) == vlan;

	if (ours)
		*found = hop_look_up(b->questions, hop);
	if (!ours || udpxdp_addr_equal(&hop->addr, addr)) {
		if (host)
			forget(b, host);
		return ours;
	}
	if (!host)
		host = take_place(b, addr, vlan);
	host->hop = *hop;
	write_mac(b, host, found);
	return true;
}

void beyond_note(struct beyond *b, const struct hop *router, const struct neighbour *neighbour)
{
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		if (hop_equal(&b->hosts[i].hop, router))
			write_mac(b, &b->hosts[i], neighbour);
}

void beyond_look_again(struct beyond *b)
{
	struct neighbour found;
	struct hop hop;

	b->routes_changed = false;
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		if (b->hosts[i].hop.ifindex)
			beyond_follow(b, &b->hosts[i].addr, b->hosts[i].vlan, &hop, &found);
}

void beyond_periodic(struct beyond *b)
{
	if (b->routes_changed)
		beyond_look_again(b);
}

/* What the news say does not matter: there may be more than anybody wants to read. */
static int on_news(sd_event_source *source, int fd, uint32_t events, void *context)
{
	uint8_t buffer[NETLINK_BUFFER_SIZE];
	struct beyond *b = context;

	while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
	b->routes_changed = true;
	return 0;
}

struct beyond *beyond_open(
	sd_event *loop, struct mnl_socket *questions, struct neighbour_table *table, int ifindex)
{
	struct beyond *b = calloc(1, sizeof(*b));
	int error;

	if (!b)
		return NULL;
	*b = (struct beyond){.questions = questions, .table = table, .ifindex = ifindex};
	b->routes = netlink_open(ROUTE_GROUPS);
	error = b->routes ? sd_event_add_io(loop, &b->news, mnl_socket_get_fd(b->routes), EPOLLIN,
				    on_news, b)
			  : -errno;
	if (error >= 0)
		return b;
	beyond_close(b);
	errno = -error;
	return NULL;
}

void beyond_close(struct beyond *b)
{
	if (!b)
		return;
	sd_event_source_disable_unref(b->news);
	if (b->routes)
		mnl_socket_close(b->routes);
	free(b);
}
