/* SPDX-License-Identifier: MIT */
/* The AF_XDP sockets of a server, one for each RX queue, in the best mode that is to be had. */
#ifndef UDPXDP_XSK_SOCKETS_H
#define UDPXDP_XSK_SOCKETS_H

#include "xdp/filter.h"
#include "io/afxdp.h"

enum xdp_mode {
	XDP_MODE_AUTO,
	XDP_MODE_ZEROCOPY,
	XDP_MODE_COPY,
	XDP_MODE_SKB,
	XDP_MODE_SOCKETS, /* no XDP at all: sockets of the kernel */
};

struct xsk_sockets_config {
	const char *iface; /* its name, for messages */
	int ifindex;
	unsigned first, last; /* queues; last is cut to what the interface has */
	unsigned most;        /* sockets that there is room for */
	uint32_t mtu;
	enum xdp_mode mode;
	unsigned busy_poll;
};

struct xsk_sockets {
	enum xdp_mode mode; /* what was obtained */
	unsigned first, count;
	struct frame_io *ios[MAX_QUEUES];
	int doorbells[MAX_QUEUES];
};

/* "zerocopy", "copy", "skb", "sockets". */
const char *xdp_mode_name(enum xdp_mode mode);

/* How many queues an interface has. */
struct xsk_queues {
	unsigned rx, tx; /* at least 1 */
	bool exact;      /* false: the driver does not say; there are not more than these */
};

struct xsk_queues xsk_sockets_count_queues(int ifindex);

/* Those numbered below this can be served: a socket sends on the TX queue of its own number, and
 * where there is none the kernel drops what it sends without a word. */
static inline unsigned xsk_sockets_served_queues(const struct xsk_queues *queues)
{
	return queues->rx < queues->tx ? queues->rx : queues->tx;
}

/*
 * What xsk_sockets_open() finds out by itself, for a filter that is attached before: may it be
 * natively? Otherwise XDP_MODE_AUTO becomes XDP_MODE_SKB, with its reason said. Returns EXIT_CLEAN,
 * or the exit status with an error line said.
 */
int xsk_sockets_settle_mode(struct xsk_sockets_config *config);

/* Does another process hold the first of these queues? */
bool xsk_sockets_are_taken(const struct xsk_sockets_config *config);

/*
 * Opens and binds the sockets, puts them into the filter's map and attaches the filter; with
 * XDP_MODE_AUTO each step down is said with its reason. Returns EXIT_CLEAN; or the exit status, an
 * error line said and everything undone.
 */
int xsk_sockets_open(struct xsk_sockets *sockets, const struct xsk_sockets_config *config,
	struct filter *filter);

/* Closes them all; the filter is detached by then. */
void xsk_sockets_close(struct xsk_sockets *sockets);

#endif
