/* SPDX-License-Identifier: MIT */
/* Ends loops with other services, known and unknown: as the filter does, see packet_repeats(). */
#ifndef UDPXDP_LOOPS_H
#define UDPXDP_LOOPS_H

#include "udpxdp/abi.h"
#include "udpxdp/packet.h"
#include "udpxdp/service.h"

#define LOWEST_CLIENT_PORT 1024 /* below it live services, which might answer an answer */

struct loops {
	__u64 seed[2];
	struct repeats repeats[REPEATS_MAX];
};

static inline void loops_start(struct loops *loops, const struct udpxdp_seed *seed)
{
	loops->seed[0] = seed->key[0];
	loops->seed[1] = seed->key[1];
}

/* One of a chain that has to end here? */
static inline bool loops_repeats(struct loops *loops, const struct udpxdp_datagram *d)
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

/* Why a datagram is not answered that could be an answer itself; UDPXDP_DROP_NONE: it is. */
static inline enum udpxdp_drop loops_refuse(
	struct loops *loops, const struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const uint16_t port = d->path.peer.port;

	if (port < LOWEST_CLIENT_PORT || udpxdp_serves(ctx, port) ||
		udpxdp_stamp_starts(d->payload, d->len))
		return UDPXDP_DROP_loop;
	return loops_repeats(loops, d) ? UDPXDP_DROP_repeated : UDPXDP_DROP_NONE;
}

#endif
