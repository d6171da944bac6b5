/* SPDX-License-Identifier: MIT */
#include "services/chat/members.h"

/* Twice as many buckets as members, so that chains stay short. */
static uint32_t bucket_count(uint32_t capacity)
{
	uint32_t count = 2;

	while (count < 2 * capacity)
		count *= 2;
	return count;
}

size_t members_size(uint32_t capacity)
{
	return sizeof(struct members) + (capacity + 1) * sizeof(struct member) +
	       (capacity + bucket_count(capacity)) * sizeof(uint32_t);
}

void members_init(struct members *members, uint32_t capacity)
{
	members->capacity = capacity;
	members->mask = bucket_count(capacity) - 1;
	members->slots = (struct member *)(members + 1);
	members->order = (uint32_t *)(members->slots + capacity + 1);
	members->buckets = members->order + capacity;
	for (uint32_t i = 0; i < capacity; i++)
		members->order[i] = i + 1;
}

struct member *members_find(
	const struct members *members, uint64_t id, const struct udpxdp_endpoint *peer)
{
	uint32_t i = members->buckets[id & members->mask];

	for (; i; i = members->slots[i].chain) {
		struct member *member = &members->slots[i];

		if (member->path.peer.port == peer->port &&
			udpxdp_addr_equal(&member->path.peer.addr, &peer->addr))
			return member;
	}
	return NULL;
}

struct member *members_named(const struct members *members, const uint8_t *name, size_t len)
{
	for (uint32_t i = 0; i < members->count; i++) {
		struct member *member = members_at(members, i);

		if (member->name_len == len && !memcmp(member->name, name, len))
			return member;
	}
	return NULL;
}

static void ring_insert(struct members *members, uint32_t i)
{
	struct member *ring = members->slots;

	ring[i].older = ring[0].older; /* the newest of all stands before [0] */
	ring[i].newer = 0;
	ring[ring[i].older].newer = i;
	ring[0].older = i;
}

static void ring_remove(struct members *members, uint32_t i)
{
	struct member *ring = members->slots;

	ring[ring[i].older].newer = ring[i].newer;
	ring[ring[i].newer].older = ring[i].older;
}

struct member *members_join(
	struct members *members, uint64_t id, const struct udpxdp_path *path, uint64_t time_ns)
{
	uint32_t *bucket = &members->buckets[id & members->mask];
	struct member *member;
	uint32_t i;

	if (members->count == members->capacity)
		return NULL;
	i = members->order[members->count];
	member = &members->slots[i];
	member->path = *path;
	member->seen_ns = time_ns;
	member->id = id;
	member->name_len =
		(uint32_t)udpxdp_addr_port_format(member->name, &path->peer.addr, path->peer.port);
	member->place = members->count++;
	member->chain = *bucket;
	*bucket = i;
	ring_insert(members, i);
	return member;
}

void members_touch(struct members *members, struct member *member, const struct udpxdp_path *path,
	uint64_t time_ns)
{
	uint32_t i = (uint32_t)(member - members->slots);

	member->path = *path;
	member->seen_ns = time_ns;
	ring_remove(members, i);
	ring_insert(members, i);
}

void members_leave(struct members *members, struct member *member)
{
	uint32_t i = (uint32_t)(member - members->slots);
	uint32_t *link = &members->buckets[member->id & members->mask];
	uint32_t last = members->order[--members->count];

	while (*link != i)
		link = &members->slots[*link].chain;
	*link = member->chain;
	ring_remove(members, i);
	members->order[member->place] = last;
	members->slots[last].place = member->place;
	members->order[members->count] = i;
}

void members_expire(struct members *members, uint64_t time_ns, uint64_t idle_ns)
{
	while (members->count) {
		struct member *oldest = &members->slots[members->slots[0].newer];

		if (time_ns < oldest->seen_ns || time_ns - oldest->seen_ns < idle_ns)
			return;
		members_leave(members, oldest);
	}
}

void members_rewind(struct members *members, uint64_t time_ns)
{
	for (uint32_t i = 0; i < members->count; i++) {
		struct member *member = members_at(members, i);

		if (member->seen_ns > time_ns)
			member->seen_ns = time_ns;
	}
}
