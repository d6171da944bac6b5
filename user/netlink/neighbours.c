/* SPDX-License-Identifier: MIT */
#include "netlink/neighbours.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/keep_errno.h"
#include "netlink/beyond.h"
#include "netlink/link.h"
#include "netlink/resolver.h"
#include "udpxdp/service.h"

#define PENDING_MAX 64
#define ABSENT_MAX 64 /* who did not answer, remembered */
#define DEVICES_MAX 64
#define NO_VLAN UINT32_MAX
#define ABSENT_USEC 10000000
#define ASKS_MAX 64           /* neighbours that the kernel is made to look for, a second */
#define FOLLOW_ASKS_MAX 32    /* the same, of those who are followed */
#define PATIENCE_USEC 3000000 /* the kernel itself gives up after three requests, one a second */

struct pending {
	struct hop hop;
	struct udpxdp_path path; /* complete, but for the peer's MAC */
	uint64_t deadline;       /* CLOCK_MONOTONIC, microseconds */
	void (*done)(void *context, const struct udpxdp_path *path, const char *error);
	void *context;
};

struct neighbours {
	sd_event *loop;
	int ifindex;
	int (*use)(int ifindex, const struct udpxdp_addr *addr); /* resolver_use(), or who may */
	int holder; /* on which device the neighbours are: a port's are its bridge's or bond's */
	struct device { /* others, as known since a second ago at most */
		int ifindex;
		uint32_t vlan; /* whose neighbours it has; NO_VLAN: it is none of our interface's */
	} devices[DEVICES_MAX];
	unsigned device_count;
	struct neighbour_table *table;
	struct absent {
		struct udpxdp_addr addr;
		uint32_t vlan;
		uint64_t until; /* microseconds; 0: free */
	} absent[ABSENT_MAX];
	unsigned next_absent, asks, follow_asks;
	struct mnl_socket *questions, *events;
	sd_event_source *event_source, *timer;
	struct beyond *beyond;
	unsigned count;
	struct pending pending[PENDING_MAX]; /* in the order in which they were asked for */
};

/* ---- who waits ------------------------------------------------------------------------ */

static bool find_pending(const struct neighbours *n, const struct hop *hop, unsigned *i)
{
	for (*i = 0; *i < n->count; (*i)++)
		if (hop_equal(&n->pending[*i].hop, hop))
			return true;
	return false;
}

/* Taken out before it is called: done() may ask for another peer. mac is void with an error. */
static void end(struct neighbours *n, unsigned i, const uint8_t mac[6], const char *error)
{
	struct pending p = n->pending[i];

	n->count--;
	memmove(n->pending + i, n->pending + i + 1, (n->count - i) * sizeof(p));
	if (!error)
		memcpy(p.path.peer.mac, mac, sizeof(p.path.peer.mac));
	p.done(p.context, error ? NULL : &p.path, error);
}

static void end_in_silence(struct neighbours *n, unsigned i)
{
	const struct hop *hop = &n->pending[i].hop;
	char addr[UDPXDP_ADDR_TEXT_MAX], error[ROUTE_ERROR_SIZE];

	udpxdp_addr_format(addr, &hop->addr);
	snprintf(error, sizeof(error),
		"no answer to %s from %s; check that it is up and on this network",
		hop->family == AF_INET ? "ARP" : "ND", addr);
	end(n, i, NULL, error);
}

/* The first has waited longest, so its deadline is the next. */
static void arm_timer(struct neighbours *n)
{
	if (n->count)
		sd_event_source_set_time(n->timer, n->pending[0].deadline);
	sd_event_source_set_enabled(n->timer, n->count ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Looks at a hop as it is now, and ends all who wait for it, in order, if it is decided. */
static void settle(struct neighbours *n, struct hop hop)
{
	struct neighbour found;
	unsigned i;

	if (!find_pending(n, &hop, &i))
		return;
	found = hop_look_up(n->questions, &hop);
	if (!(found.state & (NEIGHBOUR_USABLE | NUD_FAILED)))
		return;
	do {
		if (found.state & NUD_FAILED)
			end_in_silence(n, i);
		else
			end(n, i, found.mac,
				found.has_mac
					? NULL
					: "the next hop has no Ethernet address; see ip neighbour");
	} while (find_pending(n, &hop, &i));
	arm_timer(n);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	struct neighbours *n = context;

	while (n->count && n->pending[0].deadline <= usec)
		end_in_silence(n, 0);
	arm_timer(n);
	return 0;
}

/* ---- the table of who is on the link --------------------------------------------------- */

/* Of whose VLAN a device of the host has the neighbours: 0, or a VLAN device's on the interface. */
static uint32_t vlan_of(struct neighbours *n, int ifindex)
{
	struct device device = {.ifindex = ifindex, .vlan = NO_VLAN};
	struct link_facts link;

	if (ifindex == n->holder)
		return 0;
	for (unsigned i = 0; i < n->device_count; i++)
		if (n->devices[i].ifindex == ifindex)
			return n->devices[i].vlan;
	if (n->device_count == DEVICES_MAX)
		return NO_VLAN;
	if (!link_read_itself(n->questions, ifindex, &link) && link.tag.tpid &&
		(link.lower == n->ifindex || link.lower == n->holder))
		device.vlan = link.tag.tci & 0xfff;
	n->devices[n->device_count++] = device;
	return device.vlan;
}

/* The device that has the neighbours of a VLAN; 0: there is none. */
static int device_of(struct neighbours *n, uint32_t vlan)
{
	struct link_facts link;

	if (!vlan)
		return n->holder;
	for (unsigned i = 0; i < n->device_count; i++)
		if (n->devices[i].vlan == vlan)
			return n->devices[i].ifindex;
	if (link_read(n->ifindex, &link))
		return 0;
	for (unsigned i = 0; i < link.vlan_count && i < LINK_VLANS_MAX; i++) {
		int ifindex = (int)if_nametoindex(link.vlan_names[i]);

		if (ifindex && vlan_of(n, ifindex) == vlan)
			return ifindex;
	}
	return 0;
}

static void forget_absent(struct neighbours *n, struct absent *a)
{
	uint8_t mac[6];

	if (a->until && neighbour_table_find(n->table, &a->addr, a->vlan, mac) == NEIGHBOUR_NONE)
		neighbour_table_set(n->table, &a->addr, a->vlan, NEIGHBOUR_UNKNOWN, NULL);
	a->until = 0;
}

static void set_absent(struct neighbours *n, const struct udpxdp_addr *addr, uint32_t vlan)
{
	struct absent *a = &n->absent[n->next_absent++ % ABSENT_MAX];

	forget_absent(n, a);
	a->addr = *addr;
	a->vlan = vlan;
	sd_event_now(n->loop, CLOCK_MONOTONIC, &a->until);
	a->until += ABSENT_USEC;
	neighbour_table_set(n->table, addr, vlan, NEIGHBOUR_NONE, NULL);
}

static void note(struct neighbours *n, const struct udpxdp_addr *addr, uint32_t vlan,
	const struct neighbour *neighbour)
{
	if (neighbour->state & NEIGHBOUR_USABLE && neighbour->has_mac)
		neighbour_table_set(n->table, addr, vlan, NEIGHBOUR_FOUND, neighbour->mac);
	else if (neighbour->state & NUD_FAILED)
		set_absent(n, addr, vlan);
	else if (neighbour->state == NUD_NONE)
		neighbour_table_set(n->table, addr, vlan, NEIGHBOUR_UNKNOWN, NULL);
}

/* What the kernel says of a neighbour: state NUD_NONE when it is no more. */
static bool read_message(
	const struct nlmsghdr *message, struct hop *hop, struct neighbour *neighbour)
{
	const struct nlattr *attrs[NDA_LLADDR + 1] = {0};
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);

	netlink_attributes(message, sizeof(*header), attrs, NDA_LLADDR);
	*hop = (struct hop){.ifindex = header->ndm_ifindex, .family = header->ndm_family};
	*neighbour = (struct neighbour){.state = NUD_NONE};
	if (message->nlmsg_type != RTM_DELNEIGH)
		neighbour->state = header->ndm_state;
	neighbour->has_mac = netlink_get_mac(neighbour->mac, attrs[NDA_LLADDR]);
	return netlink_get_addr(&hop->addr, hop->family, attrs[NDA_DST]);
}

/* Of VLANs they come when they are asked for: a question cannot be asked within another. */
static int parse_all(const struct nlmsghdr *message, void *context)
{
	struct neighbours *n = context;
	struct neighbour neighbour;
	struct hop hop;

	if (read_message(message, &hop, &neighbour) && hop.ifindex == n->holder)
		note(n, &hop.addr, 0, &neighbour);
	return MNL_CB_OK;
}

/* All that the kernel has. */
static int note_all(struct neighbours *n)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *message = netlink_question(buffer, RTM_GETNEIGH, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(message, sizeof(struct ndmsg));
	return netlink_ask(n->questions, message, parse_all, n);
}

const struct neighbour_table *neighbours_table(const struct neighbours *n)
{
	return n->table;
}

void neighbours_ask(struct neighbours *n, const struct udpxdp_addr *addr, uint32_t vlan)
{
	const struct hop hop = {.ifindex = device_of(n, vlan),
		.family = udpxdp_addr_is_ipv4(addr) ? AF_INET : AF_INET6,
		.addr = *addr};
	struct neighbour found;

	if (!hop.ifindex) {
		set_absent(n, addr, vlan);
		return;
	}
	found = hop_look_up(n->questions, &hop);
	if (found.state & NEIGHBOUR_USABLE)
		note(n, addr, vlan, &found);
	if ((!(found.state & NEIGHBOUR_USABLE) || found.state & NUD_STALE) &&
		n->asks++ < ASKS_MAX && n->use(hop.ifindex, &hop.addr) &&
		!(found.state & NEIGHBOUR_USABLE))
		set_absent(n, addr, vlan);
}

void neighbours_follow(struct neighbours *n, const struct udpxdp_addr *addr, uint32_t vlan)
{
	struct neighbour found;
	struct hop hop;

	if (!beyond_follow(n->beyond, addr, vlan, &hop, &found))
		return;
	if (udpxdp_addr_equal(&hop.addr, addr))
		note(n, addr, vlan, &found);
	if ((!(found.state & NEIGHBOUR_USABLE) || found.state & NUD_STALE) &&
		n->follow_asks++ < FOLLOW_ASKS_MAX)
		n->use(hop.ifindex, &hop.addr);
}

void neighbours_periodic(struct neighbours *n)
{
	uint64_t now;

	n->asks = n->follow_asks = 0;
	beyond_periodic(n->beyond);
	n->device_count = 0;
	sd_event_now(n->loop, CLOCK_MONOTONIC, &now);
	for (unsigned i = 0; i < ABSENT_MAX; i++)
		if (n->absent[i].until && n->absent[i].until <= now)
			forget_absent(n, &n->absent[i]);
}

static int parse_event(const struct nlmsghdr *message, void *context)
{
	struct neighbours *n = context;
	struct neighbour neighbour;
	struct hop hop;
	uint32_t vlan;

	if (!read_message(message, &hop, &neighbour))
		return MNL_CB_OK;
	vlan = vlan_of(n, hop.ifindex);
	if (vlan != NO_VLAN)
		note(n, &hop.addr, vlan, &neighbour);
	beyond_note(n->beyond, &hop, &neighbour);
	if (neighbour.state != NUD_NONE)
		settle(n, hop);
	return MNL_CB_OK;
}

/* Events were lost: look for oneself. */
static void settle_all(struct neighbours *n)
{
	note_all(n);
	beyond_look_again(n->beyond);
	for (unsigned i = n->count; i--;)
		if (i < n->count)
			settle(n, n->pending[i].hop);
}

static int on_event(sd_event_source *source, int fd, uint32_t events, void *context)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_BUFFER_SIZE];
	struct neighbours *n = context;
	ssize_t len = mnl_socket_recvfrom(n->events, buffer, sizeof(buffer));

	if (len > 0)
		mnl_cb_run(buffer, (size_t)len, 0, 0, parse_event, n);
	else if (len < 0 && errno == ENOBUFS)
		settle_all(n);
	return 0;
}

/* ---- the way to a peer ---------------------------------------------------------------- */

/*
 * Those who wait for the same hop go first, so that what is said to one peer stays in order.
 * A stale address is used, as the kernel would, and verified meanwhile: the kernel sees none of
 * the traffic, so nothing else would tell it that the address is in use.
 */
void neighbours_resolve(struct neighbours *n, const struct udpxdp_addr *peer,
	void (*done)(void *context, const struct udpxdp_path *path, const char *error),
	void *context)
{
	struct pending p = {.done = done, .context = context};
	char error[ROUTE_ERROR_SIZE];
	struct neighbour found;

	if (!route_find(n->questions, n->ifindex, peer, &p.path, &p.hop, error)) {
		done(context, NULL, error);
		return;
	}
	if (n->count == PENDING_MAX) {
		done(context, NULL, "too many peers are being resolved; try again");
		return;
	}
	sd_event_now(n->loop, CLOCK_MONOTONIC, &p.deadline);
	p.deadline += PATIENCE_USEC;
	n->pending[n->count++] = p;
	found = hop_look_up(n->questions, &p.hop);
	if (!(found.state & NEIGHBOUR_USABLE) || found.state & NUD_STALE) {
		if (n->use(p.hop.ifindex, &p.hop.addr) && !(found.state & NEIGHBOUR_USABLE)) {
			snprintf(error, sizeof(error),
				"the kernel cannot resolve the next hop: %s; see ip neighbour",
				strerror(errno));
			end(n, n->count - 1, NULL, error);
			return;
		}
	}
	if (found.state & NEIGHBOUR_USABLE)
		settle(n, p.hop);
	else
		arm_timer(n);
}

/* ---- open and close ------------------------------------------------------------------- */

static int start(struct neighbours *n)
{
	int result;

	n->table = neighbour_table_new();
	if (!n->table)
		return -1;
	n->questions = netlink_open(0);
	n->events = n->questions ? netlink_open(RTMGRP_NEIGH) : NULL;
	n->beyond = n->events ? beyond_open(n->loop, n->questions, n->table, n->ifindex) : NULL;
	if (!n->beyond)
		return -1;
	n->holder = link_neighbour_holder(n->questions, n->ifindex);
	note_all(n);
	result = sd_event_add_io(
		n->loop, &n->event_source, mnl_socket_get_fd(n->events), EPOLLIN, on_event, n);
	if (result >= 0)
		result = sd_event_add_time(
			n->loop, &n->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, n);
	if (result >= 0)
		result = sd_event_source_set_enabled(n->timer, SD_EVENT_OFF);
	errno = -result;
	return result < 0 ? -1 : 0;
}

struct neighbours *neighbours_open(sd_event *loop, int ifindex)
{
	struct neighbours *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = loop;
	n->ifindex = ifindex;
	n->use = resolver_use;
	if (start(n)) {
		KEEP_ERRNO;

		neighbours_close(n);
		return NULL;
	}
	return n;
}

void neighbours_resolve_by(
	struct neighbours *n, int (*use)(int ifindex, const struct udpxdp_addr *addr))
{
	n->use = use;
}

void neighbours_close(struct neighbours *n)
{
	if (!n)
		return;
	while (n->count)
		end(n, 0, NULL, "the server is stopping; try again later");
	sd_event_source_disable_unref(n->event_source);
	beyond_close(n->beyond);
	sd_event_source_disable_unref(n->timer);
	if (n->events)
		mnl_socket_close(n->events);
	if (n->questions)
		mnl_socket_close(n->questions);
	free(n->table);
	free(n);
}
