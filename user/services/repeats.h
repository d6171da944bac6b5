/* SPDX-License-Identifier: MIT */
/* Loops with services that we do not know, ended in user space as the filter does: see
 * packet_repeats(). */
#ifndef UDPXDP_REPEATS_H
#define UDPXDP_REPEATS_H

#include "udpxdp/abi.h"
#include "udpxdp/packet.h"
#include "udpxdp/service.h"

struct loops {
	__u64 seed[2];
	struct repeats repeats[REPEATS_MAX];
};

static inline void loops_start(struct loops *loops, const struct udpxdp_seed *seed)
{
	loops->seed[0] = seed->key[0];
	loops->seed[1] = seed->key[1];
}

/* Is this one of a chain that has to end here? */
static inline bool loops_end(struct loops *loops, const struct udpxdp_datagram *d)
{
	const uint64_t who =
		packet_repeats_who(&d->path.peer.addr, d->path.local.port, loops->seed);
	struct repeats *r = &loops->repeats[packet_repeats_key(who)];

	switch (packet_repeats(r, who, (uint16_t)d->payload_sum | d->len << 16)) {
	case 1:
		r->since = d->time_ns;
		return false;
	case 2:
		return packet_ends_repeats(r, d->time_ns);
	default:
		return false;
	}
}

#endif
