/* SPDX-License-Identifier: MIT */
/*
 * Who is in a chat room: found by address and port, by name and by who was silent longest. All
 * of it lives in one block that is sized at the start.
 */
#ifndef UDPXDP_MEMBERS_H
#define UDPXDP_MEMBERS_H

#include "udpxdp/service.h"

#define NAME_MAX_LEN 32 /* bytes of a name that a member chose */

struct member {
	struct udpxdp_path path;         /* how it spoke last, and so how to reach it */
	uint64_t seen_ns;                /* when */
	uint64_t id;                     /* hash of its address and port */
	char name[UDPXDP_ADDR_TEXT_MAX]; /* chosen, else ADDR:PORT; not NUL-terminated */
	uint32_t name_len;
	uint32_t place;        /* in members->order */
	uint32_t chain;        /* next with the same bucket; 0: none */
	uint32_t older, newer; /* in the ring of all members, by seen_ns */
};

struct members {
	uint32_t capacity;
	uint32_t count;
	uint32_t mask;        /* of the buckets */
	uint32_t *order;      /* numbers of the members in, then of the free records */
	uint32_t *buckets;    /* number of the first member of a chain; 0: none */
	struct member *slots; /* [1 .. capacity]; [0] closes the ring of age */
};

/* Bytes that a room for so many takes, this struct included. */
size_t members_size(uint32_t capacity);

/* Prepares a block of that size, zeroed. */
void members_init(struct members *members, uint32_t capacity);

/* The member with this address and port, or NULL. id is a keyed hash of the two. */
struct member *members_find(
	const struct members *members, uint64_t id, const struct udpxdp_endpoint *peer);

/* The member of this name, or NULL. Looks at all of them. */
struct member *members_named(const struct members *members, const uint8_t *name, size_t len);

/* Lets a newcomer in, named after its address. Returns NULL when the room is full. */
struct member *members_join(
	struct members *members, uint64_t id, const struct udpxdp_path *path, uint64_t time_ns);

/* It spoke again, perhaps by another path. */
void members_touch(struct members *members, struct member *member, const struct udpxdp_path *path,
	uint64_t time_ns);

void members_leave(struct members *members, struct member *member);

/* Lets everybody go who was silent for idle_ns. */
void members_expire(struct members *members, uint64_t time_ns, uint64_t idle_ns);

/* The clock was set back to time_ns: nobody was seen later than that. */
void members_rewind(struct members *members, uint64_t time_ns);

/* The i-th member, i < count, in the order of joining as long as nobody has left. */
static inline struct member *members_at(const struct members *members, uint32_t i)
{
	return &members->slots[members->order[i]];
}

#endif
