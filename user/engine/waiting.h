/* SPDX-License-Identifier: MIT */
/*
 * Where datagrams wait whose sender is on the link, but not known to the kernel yet: it is asked,
 * and they go on, in order, as soon as it has said, or soon anyway. So a neighbour's first words
 * are as good as its next.
 */
#ifndef UDPXDP_WAITING_H
#define UDPXDP_WAITING_H

#include "engine/engine.h"

#define WAITING_MAX 256
#define WAITING_EACH 128 /* of one address */
#define WAITING_PAYLOAD 2048
#define WAITING_PATIENCE (2 * UDPXDP_NSEC_PER_SEC)
#define WAITING_ASKS 256     /* a second, at most */
#define WAITING_FOLLOWS 64   /* the same, about peers that are spoken to */
#define WAITING_LOOK_EACH 32 /* seconds after which the way to such a peer is looked at again */

struct waiting {
	unsigned count;
	uint64_t edition; /* of the neighbour tables, when all were looked at last */
	uint64_t second, asked, followed; /* asks in this second */
	uint16_t order[WAITING_MAX]; /* slots in use, in the order of arrival; then the free ones */
	struct waiting_slot {
		unsigned instance;
		uint64_t until_ns; /* of the steady clock */
		struct udpxdp_datagram datagram;
		uint8_t payload[WAITING_PAYLOAD];
	} slots[WAITING_MAX];
};

/* Makes an empty one; free() frees it. Returns NULL with errno ENOMEM. */
struct waiting *waiting_new(void);

/* Takes a datagram to wait, and asks for its sender. Returns false when it need not, or cannot. */
bool waiting_take(struct engine *engine, unsigned instance, const struct udpxdp_datagram *d);

/*
 * Has the way to a peer that is spoken to found out and kept up to date: at once, or when it is its
 * turn to be looked at, now and then. Does nothing where nobody can.
 */
void waiting_follow(struct engine *engine, const struct udpxdp_path *path, bool at_once);

/* Delivers what need not wait any longer. Returns how much that was. */
unsigned waiting_poll(struct engine *engine);

#endif
