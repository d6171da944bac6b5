/* SPDX-License-Identifier: MIT */
#include "netlink/neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/keep_errno.h"
#include "netlink/route.h"
#include "udpxdp/service.h"

#define PENDING_MAX 64
#define PATIENCE_USEC 3000000 /* the kernel itself gives up after three requests, one a second */
#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

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
	struct mnl_socket *questions, *events;
	sd_event_source *event_source, *timer;
	unsigned count;
	struct pending pending[PENDING_MAX]; /* in the order in which they were asked for */
};

/* ---- what the kernel knows of a hop --------------------------------------------------- */

struct neighbour {
	unsigned state;
	bool has_mac;
	uint8_t mac[6];
};

static int parse_neighbour(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attrs[NDA_LLADDR + 1] = {0};
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	struct neighbour *neighbour = context;

	netlink_attributes(message, sizeof(*header), attrs, NDA_LLADDR);
	neighbour->state = header->ndm_state;
	neighbour->has_mac = netlink_get_mac(neighbour->mac, attrs[NDA_LLADDR]);
	return MNL_CB_OK;
}

static struct nlmsghdr *about_hop(
	void *buffer, uint16_t type, uint16_t flags, uint8_t ndm_flags, const struct hop *hop)
{
	struct nlmsghdr *message = netlink_question(buffer, type, flags);
	struct ndmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ndm_family = hop->family;
	header->ndm_ifindex = hop->ifindex;
	header->ndm_flags = ndm_flags;
	netlink_put_addr(message, NDA_DST, &hop->addr);
	return message;
}

/* As it is now; NUD_NONE when the kernel has never heard of it. */
static struct neighbour look_up(struct neighbours *n, const struct hop *hop)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct neighbour found = {.state = NUD_NONE};

	netlink_ask(
		n->questions, about_hop(buffer, RTM_GETNEIGH, 0, 0, hop), parse_neighbour, &found);
	return found;
}

/* Has the kernel find it, or find out whether what it knows still holds. */
static int make_kernel_resolve(struct neighbours *n, const struct hop *hop)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];

	return netlink_ask(n->questions,
		about_hop(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, NTF_USE, hop), NULL,
		NULL);
}

/* ---- who waits ------------------------------------------------------------------------ */

static bool find_pending(const struct neighbours *n, const struct hop *hop, unsigned *i)
{
	for (*i = 0; *i < n->count; (*i)++) {
		const struct hop *other = &n->pending[*i].hop;

		if (other->ifindex == hop->ifindex && other->family == hop->family &&
			udpxdp_addr_equal(&other->addr, &hop->addr))
			return true;
	}
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
	found = look_up(n, &hop);
	if (!(found.state & (USABLE | NUD_FAILED)))
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

static int parse_event(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attrs[NDA_DST + 1] = {0};
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	struct hop hop = {.ifindex = header->ndm_ifindex, .family = header->ndm_family};

	if (message->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	netlink_attributes(message, sizeof(*header), attrs, NDA_DST);
	if (netlink_get_addr(&hop.addr, hop.family, attrs[NDA_DST]))
		settle(context, hop);
	return MNL_CB_OK;
}

/* Events were lost: look for oneself. */
static void settle_all(struct neighbours *n)
{
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
		done(context, NULL, "too many peers are being looked for; try again");
		return;
	}
	sd_event_now(n->loop, CLOCK_MONOTONIC, &p.deadline);
	p.deadline += PATIENCE_USEC;
	n->pending[n->count++] = p;
	found = look_up(n, &p.hop);
	if (!(found.state & USABLE) || found.state & NUD_STALE) {
		if (make_kernel_resolve(n, &p.hop) && !(found.state & USABLE)) {
			snprintf(error, sizeof(error),
				"the kernel does not look for the next hop: %s; see ip neighbour",
				strerror(errno));
			end(n, n->count - 1, NULL, error);
			return;
		}
	}
	if (found.state & USABLE)
		settle(n, p.hop);
	else
		arm_timer(n);
}

/* ---- open and close ------------------------------------------------------------------- */

static int start(struct neighbours *n)
{
	int result;

	n->questions = netlink_open(0);
	n->events = n->questions ? netlink_open(RTMGRP_NEIGH) : NULL;
	if (!n->events)
		return -1;
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
	if (start(n)) {
		KEEP_ERRNO;

		neighbours_close(n);
		return NULL;
	}
	return n;
}

void neighbours_close(struct neighbours *n)
{
	if (!n)
		return;
	while (n->count)
		end(n, 0, NULL, "udpxdp is stopping; start it again");
	sd_event_source_disable_unref(n->event_source);
	sd_event_source_disable_unref(n->timer);
	if (n->events)
		mnl_socket_close(n->events);
	if (n->questions)
		mnl_socket_close(n->questions);
	free(n);
}
