/* SPDX-License-Identifier: MIT */
#include "services/chat/members.h"

#define LOOK_MAX 64 /* members that are looked at to find one who makes place */
#define SILENCE_NS (60 * UDPXDP_NSEC_PER_SEC)

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
	return sizeof(struct members) + (capacity + 2) * sizeof(struct member) +
	       (capacity + 2 * bucket_count(capacity)) * sizeof(uint32_t);
}

void members_init(struct members *members, uint32_t capacity, uint32_t places)
{
	members->capacity = capacity;
	members->places = places;
	members->mask = bucket_count(capacity) - 1;
	members->slots = (struct member *)(members + 1);
	members->order = (uint32_t *)(members->slots + capacity + 2);
	members->buckets = members->order + capacity;
	members->hosts = members->buckets + members->mask + 1;
	for (uint32_t i = 0; i < capacity; i++)
		members->order[i] = i + 1;
	members->slots[capacity + 1].older = members->slots[capacity + 1].newer = capacity + 1;
}

struct member *members_find(const struct members *members, const struct identity *identity,
	const struct udpxdp_path *path)
{
	uint32_t i = members->buckets[identity->id & members->mask];

	for (; i; i = members->slots[i].chain) {
		struct member *member = &members->slots[i];

		if (member->path.peer.port == path->peer.port &&
			udpxdp_addr_equal(&member->path.peer.addr, &path->peer.addr) &&
			udpxdp_vlan_id(&member->path) == udpxdp_vlan_id(path) &&
			member->identity.link == identity->link)
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

/* The head of the ring that a member is in. */
static uint32_t ring_of(const struct members *members, const struct member *member)
{
	return member->path.proven ? 0 : members->capacity + 1;
}

/* As the newest of its ring: that one stands before the head. */
static void ring_insert(struct members *members, struct member *member)
{
	struct member *ring = members->slots;
	uint32_t head = ring_of(members, member), i = members_number(members, member);

	member->older = ring[head].older;
	member->newer = head;
	ring[member->older].newer = i;
	ring[head].older = i;
}

static void ring_remove(struct members *members, struct member *member)
{
	struct member *ring = members->slots;

	ring[member->older].newer = member->newer;
	ring[member->newer].older = member->older;
}

/* How many members, up to most, have this address. */
static uint32_t count_host(const struct members *members, const struct identity *identity,
	const struct udpxdp_addr *addr, uint32_t most)
{
	uint32_t i = members->hosts[identity->host & members->mask], count = 0;

	for (; i && count < most; i = members->slots[i].host_chain)
		count += udpxdp_addr_equal(&members->slots[i].path.peer.addr, addr);
	return count;
}

/* The same of the unproven and their MAC. */
static uint32_t count_mac(const struct members *members, const uint8_t mac[6])
{
	uint32_t head = members->capacity + 1, i = members->slots[head].older, count = 0;

	for (unsigned looked = 0; i != head && looked < LOOK_MAX; looked++) {
		count += !memcmp(members->slots[i].path.peer.mac, mac, 6);
		i = members->slots[i].older;
	}
	return count;
}

/* Of an address that has more than its share, and silent for a while. */
static bool can_go(const struct members *members, const struct member *member, uint64_t time_ns)
{
	if (time_ns - member->seen_ns < SILENCE_NS)
		return false;
	return count_host(members, &member->identity, &member->path.peer.addr,
		       members->places + 1) > members->places;
}

/*
 * Of a MAC that has more than its share of those who were silent longest: one host may have any
 * number of addresses. Where no MAC is seen, all of an interface share one.
 */
static struct member *one_of_a_crowd(const struct members *members, uint64_t time_ns)
{
	struct member *silent[LOOK_MAX];
	uint32_t i = members->slots[0].newer;
	unsigned count = 0;

	for (; i && count < LOOK_MAX && time_ns - members->slots[i].seen_ns >= SILENCE_NS;
		i = members->slots[i].newer)
		silent[count++] = &members->slots[i];
	for (unsigned n = 0; n < count; n++) {
		uint32_t same = 0;

		for (unsigned k = n; k < count; k++)
			same += !memcmp(silent[k]->path.peer.mac, silent[n]->path.peer.mac, 6);
		if (same > members->places)
			return silent[n];
	}
	return NULL;
}

/* Who has to go so that somebody from this address can come; NULL: nobody. Who
 * is unproven drives out no one who is not. */
static struct member *who_must_go(
	const struct members *members, const struct udpxdp_path *path, uint64_t time_ns)
{
	const struct udpxdp_addr *addr = &path->peer.addr;
	uint32_t i = members->slots[members->capacity + 1].newer;

	if (i != members->capacity + 1)
		return &members->slots[i];
	i = path->proven ? members->slots[0].newer : 0;
	for (unsigned looked = 0; i && looked < LOOK_MAX; looked++) {
		struct member *member = &members->slots[i];

		if (!udpxdp_addr_equal(&member->path.peer.addr, addr) &&
			can_go(members, member, time_ns))
			return member;
		i = member->newer;
	}
	return path->proven ? one_of_a_crowd(members, time_ns) : NULL;
}

static bool may_have_place(const struct members *members, const struct identity *identity,
	const struct udpxdp_path *path, bool on_link)
{
	const uint32_t most = path->proven ? members->places : MEMBERS_UNPROVEN;

	if (on_link && path->proven)
		return true;
	return count_host(members, identity, &path->peer.addr, most) < most &&
	       (path->proven || count_mac(members, path->peer.mac) < MEMBERS_UNPROVEN_MAC);
}

struct member *members_join(struct members *members, const struct identity *identity,
	const struct udpxdp_path *path, bool on_link, uint64_t time_ns)
{
	uint32_t *bucket = &members->buckets[identity->id & members->mask];
	uint32_t *host = &members->hosts[identity->host & members->mask];
	struct member *member;
	uint32_t i;

	if (!may_have_place(members, identity, path, on_link))
		return NULL;
	if (members->count == members->capacity) {
		member = who_must_go(members, path, time_ns);
		if (!member)
			return NULL;
		members_leave(members, member);
	}
	i = members->order[members->count];
	member = &members->slots[i];
	*member = (struct member){
		.path = *path,
		.seen_ns = time_ns,
		.joined = ++members->joins,
		.identity = *identity,
		.place = members->count++,
		.chain = *bucket,
		.host_chain = *host,
		.neighbour = on_link,
	};
	member->name_len =
		(uint32_t)udpxdp_addr_port_format(member->name, &path->peer.addr, path->peer.port);
	members->ipv6 += !udpxdp_addr_is_ipv4(&path->peer.addr);
	*bucket = *host = i;
	ring_insert(members, member);
	return member;
}

void members_prove(struct members *members, struct member *member)
{
	ring_remove(members, member);
	member->path.proven = true;
	ring_insert(members, member);
}

void members_touch(struct members *members, struct member *member, uint64_t time_ns)
{
	member->seen_ns = time_ns;
	ring_remove(members, member);
	ring_insert(members, member);
}

/* Fills the place of who leaves, so that those who have the line under way still stand in front. */
static void close_gap(struct members *members, uint32_t place)
{
	uint32_t *order = members->order, gone = order[place];

	if (place < members->served) {
		order[place] = order[--members->served];
		members->slots[order[place]].place = place;
		place = members->served;
	}
	order[place] = order[--members->count];
	members->slots[order[place]].place = place;
	order[members->count] = gone;
}

void members_leave(struct members *members, struct member *member)
{
	uint32_t i = members_number(members, member);
	uint32_t *link = &members->buckets[member->identity.id & members->mask];

	if (members->on_leave)
		members->on_leave(members->context, member);
	while (*link != i)
		link = &members->slots[*link].chain;
	*link = member->chain;
	link = &members->hosts[member->identity.host & members->mask];
	while (*link != i)
		link = &members->slots[*link].host_chain;
	*link = member->host_chain;
	ring_remove(members, member);
	members->ipv6 -= !udpxdp_addr_is_ipv4(&member->path.peer.addr);
	close_gap(members, member->place);
}

static void expire(struct members *members, uint32_t head, uint64_t time_ns, uint64_t idle_ns)
{
	while (members->slots[head].newer != head) {
		struct member *oldest = &members->slots[members->slots[head].newer];

		if (time_ns < oldest->seen_ns || time_ns - oldest->seen_ns < idle_ns)
			return;
		members_leave(members, oldest);
	}
}

void members_expire(struct members *members, uint64_t time_ns, uint64_t idle_ns)
{
	expire(members, 0, time_ns, idle_ns);
	expire(members, members->capacity + 1, time_ns, idle_ns);
}

void members_rewind(struct members *members, uint64_t time_ns)
{
	for (uint32_t i = 0; i < members->count; i++) {
		struct member *member = members_at(members, i);

		if (member->seen_ns > time_ns)
			member->seen_ns = time_ns;
	}
}
