/* SPDX-License-Identifier: MIT */
/*
 * Who is in a chat room: found by address, port and VLAN, by name and by who was silent longest.
 * All of it lives in one block that is sized at the start.
 */
#ifndef UDPXDP_MEMBERS_H
#define UDPXDP_MEMBERS_H

#include "services/budget.h"

#define NAME_MAX_LEN 32         /* bytes of a name that a member chose */
#define MEMBERS_UNPROVEN 4      /* places of an address whose speakers are unproven */
#define MEMBERS_UNPROVEN_MAC 16 /* and those of a MAC */

/* What is looked for: where a speaker is, and hashes of it that only the room can compute. */
struct identity {
	uint64_t id;   /* of address, port and VLAN */
	uint64_t host; /* of the address alone */
	uint32_t link; /* of a link-local address, which is another's on each; 0: it is none */
};

struct member {
	struct udpxdp_path path; /* how to reach it */
	uint8_t other_mac[6];    /* by which it may speak, too; all zero: none */
	bool neighbour;          /* when it spoke last, its MAC was the one that the kernel knows */
	uint64_t seen_ns;        /* when it spoke last */
	uint64_t joined;         /* the number of its join */
	struct identity identity;
	struct budget messages, bytes;
	char name[UDPXDP_ADDR_TEXT_MAX]; /* chosen, else ADDR:PORT; not NUL-terminated */
	uint32_t name_len;
	uint32_t place;        /* in members->order */
	uint32_t chain;        /* next with the same bucket; 0: none */
	uint32_t host_chain;   /* the same of its address */
	uint32_t older, newer; /* in the ring of those as proven as it is, by seen_ns */
};

struct members {
	uint32_t capacity;
	uint32_t count, ipv6; /* of them, and of those who are reached by IPv6 */
	uint32_t places;      /* of an address, when others want some */
	uint32_t served;      /* so many, at the beginning of the order, have the line that is under
			       * way */
	uint64_t joins;
	void (*on_leave)(void *context, const struct member *member); /* before a member leaves, for
								       * whatever reason; or NULL */
	void *context;
	uint32_t mask;        /* of the buckets */
	uint32_t *order;      /* numbers of the members in, then of the free records */
	uint32_t *buckets;    /* number of the first member of a chain; 0: none */
	uint32_t *hosts;      /* the same by address */
	struct member *slots; /* [1 .. capacity]; [0] closes the ring of the proven, [capacity + 1]
			       * that of the others */
};

/* Bytes that a room for so many takes, this struct included. */
size_t members_size(uint32_t capacity);

/* Prepares a block of that size, zeroed. */
void members_init(struct members *members, uint32_t capacity, uint32_t places);

/* The member with this address, port, VLAN and link, or NULL. */
struct member *members_find(const struct members *members, const struct identity *identity,
	const struct udpxdp_path *path);

/* The member of this name, or NULL. Looks at all of them. */
struct member *members_named(const struct members *members, const uint8_t *name, size_t len);

/*
 * Lets a newcomer in, named after its address; path says whether it is proven, and on_link that it
 * is a neighbour by the kernel's own word. Others have few places for each address; in a full room
 * the oldest unproven member makes place, or one of an address or MAC that has more than its share
 * who was silent for a minute. Returns NULL when there is no place.
 */
struct member *members_join(struct members *members, const struct identity *identity,
	const struct udpxdp_path *path, bool on_link, uint64_t time_ns);

/* It has shown that it hears us. */
void members_prove(struct members *members, struct member *member);

/* It spoke again. */
void members_touch(struct members *members, struct member *member, uint64_t time_ns);

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

/* A number, not 0, that is a member's own as long as it is one. */
static inline uint32_t members_number(const struct members *members, const struct member *member)
{
	return (uint32_t)(member - members->slots);
}

#endif
