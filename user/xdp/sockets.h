/* SPDX-License-Identifier: MIT */
/* The AF_XDP sockets of a server, one for each RX queue, in the best mode that is to be had. */
#ifndef UDPXDP_SOCKETS_H
#define UDPXDP_SOCKETS_H

#include "xdp/filter.h"
#include "io/afxdp.h"

enum mode { MODE_AUTO, MODE_ZEROCOPY, MODE_COPY, MODE_SKB };

struct sockets_config {
	const char *iface;
	int ifindex;
	unsigned first, last; /* queues; last is cut to what the interface has */
	unsigned most;        /* sockets that there is room for */
	uint32_t mtu;
	enum mode mode;
	unsigned busy_poll;
};

struct sockets {
	enum mode mode; /* what was obtained */
	unsigned first, count;
	struct frame_io *ios[MAX_QUEUES];
	int doorbells[MAX_QUEUES];
};

/* "zerocopy", "copy", "skb". */
const char *mode_name(enum mode mode);

/* How many RX queues the interface has now, at least 1; exact says whether that is certain. */
unsigned sockets_count_queues(const char *iface, bool *exact);

/*
 * What sockets_open() finds out by itself, for a filter that is attached before: may it be natively?
 * Otherwise MODE_AUTO becomes MODE_SKB, with its reason said. Returns EXIT_CLEAN, or the exit
 * status with an error line said.
 */
int sockets_settle_mode(struct sockets_config *config);

/* Does another process hold the first of these queues? */
bool sockets_are_taken(const struct sockets_config *config);

/*
 * Opens and binds the sockets, puts them into the filter's map and attaches the filter; with
 * MODE_AUTO each step down is said with its reason. Returns EXIT_CLEAN; or the exit status, an
 * error line said and everything undone.
 */
int sockets_open(struct sockets *sockets, const struct sockets_config *config,
		struct filter *filter);

/* Closes them all; the filter is detached by then. */
void sockets_close(struct sockets *sockets);

#endif
