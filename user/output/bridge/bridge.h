/* SPDX-License-Identifier: MIT */
/*
 * The bridge to the other hosts of a room, by NATS JetStream: a thread of its own, which alone
 * knows the client library. A worker puts what members say into a bounded queue and takes from
 * another what comes from there; it never calls, allocates for or waits on the client. A server
 * that is gone costs the other hosts' messages and nothing else.
 *
 *   stream UDPXDP_ROOM, subject udpxdp.room.ROOM.HOST   what is said, see message.h; ROOM is the
 *                                                       name, with "SERVICE." before it where that
 *                                                       is no chat
 *   bucket UDPXDP_PRESENCE, key ROOM.HOST, with a TTL   who is there
 *   bucket UDPXDP_NICKS, key ROOM.HEX                   whose a name is
 */
#ifndef UDPXDP_BRIDGE_H
#define UDPXDP_BRIDGE_H

#include "udpxdp/abi.h"
#include "udpxdp/service_config.h"

struct bridge;

/*
 * Prepares one, with all that needs privileges or what a sandbox takes away: the credentials are
 * read, and the servers' names looked up once, which loads what the C library needs for that.
 * config outlives it. Returns NULL with one line in error.
 */
struct bridge *bridge_new(
	const struct service_config *config, const char *hostname, char *error, size_t size);

/* Starts its thread. place: what the history has; its epoch is 0 when there is none. doorbell: an
 * eventfd, rung when there is something to take. Returns 0, or -1 with errno. */
int bridge_start(struct bridge *bridge, const struct udpxdp_room_place *place, int doorbell);

/* The worker: queues a copy. Never waits; false: there was no room. */
bool bridge_put(struct bridge *bridge, const struct udpxdp_room_event *event);

/* The worker: the oldest event from there, its text valid until the next call; false: none. */
bool bridge_take(struct bridge *bridge, struct udpxdp_room_event *event);

/* The counters, in the order of UDPXDP_ROOM_COUNTERS. Any thread. */
void bridge_counters(const struct bridge *bridge, uint64_t values[UDPXDP_ROOM_COUNTER_COUNT]);

/* Says good-bye to the other hosts, if that takes no longer than a second, and ends the thread.
 * Call when the workers have stopped. NULL does nothing. */
void bridge_stop(struct bridge *bridge);

#endif
