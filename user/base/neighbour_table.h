/* SPDX-License-Identifier: MIT */
/*
 * Which MAC the kernel's neighbour table has for an address of the link. One thread writes, any
 * number read at the same time without waiting. Of a fixed size: what is forgotten is asked for
 * again.
 */
#ifndef UDPXDP_NEIGHBOUR_TABLE_H
#define UDPXDP_NEIGHBOUR_TABLE_H

#include <stdatomic.h>
#include <stdlib.h>

#include "udpxdp/host.h"

enum neighbour_state {
	NEIGHBOUR_UNKNOWN, /* nobody has said */
	NEIGHBOUR_NONE,    /* the kernel has asked, and nobody answered */
	NEIGHBOUR_FOUND,
	NEIGHBOUR_BEYOND, /* it is not on the link: the MAC is that of the router towards it */
};

#define NEIGHBOUR_VLAN_MAX 4095
#define NEIGHBOUR_WAYS 4
#define NEIGHBOUR_SETS 2048 /* a power of two */

/* Readers take an entry whole or not at all: its sequence is odd while it is being written. */
struct neighbour_entry {
	atomic_uint sequence;
	_Atomic uint64_t addr[2];
	_Atomic uint64_t what; /* MAC, and behind it VLAN << 2 | enum neighbour_state */
};

struct neighbour_table {
	_Atomic uint64_t edition;
	unsigned next[NEIGHBOUR_SETS]; /* the writer's: whose turn it is to be forgotten */
	struct neighbour_entry set[NEIGHBOUR_SETS][NEIGHBOUR_WAYS];
};

/* An empty one; free() frees it. Returns NULL with errno ENOMEM. */
static inline struct neighbour_table *neighbour_table_new(void)
{
	return calloc(1, sizeof(struct neighbour_table));
}

static inline uint32_t neighbour_set_of(const struct udpxdp_addr *addr)
{
	return udpxdp_host_hash(addr) & (NEIGHBOUR_SETS - 1);
}

static inline uint64_t neighbour_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint64_t neighbour_pack(
	const uint8_t mac[6], uint32_t vlan, enum neighbour_state state)
{
	const uint16_t tail = (uint16_t)(vlan << 2 | state);
	uint8_t bytes[8] = {};
	uint64_t what;

	if (state >= NEIGHBOUR_FOUND)
		memcpy(bytes, mac, 6);
	memcpy(bytes + 6, &tail, sizeof(tail));
	memcpy(&what, bytes, sizeof(what));
	return what;
}

static inline uint16_t neighbour_tail(uint64_t what)
{
	uint16_t tail;

	memcpy(&tail, (const uint8_t *)&what + 6, sizeof(tail));
	return tail;
}

static inline enum neighbour_state neighbour_state_of(uint64_t what)
{
	return neighbour_tail(what) & 3;
}

static inline bool neighbour_is_of(
	const struct neighbour_entry *entry, const uint64_t addr[2], uint32_t vlan)
{
	return neighbour_load(&entry->addr[0]) == addr[0] &&
	       neighbour_load(&entry->addr[1]) == addr[1] &&
	       neighbour_tail(neighbour_load(&entry->what)) >> 2 == vlan;
}

static inline void neighbour_write(
	struct neighbour_entry *entry, const uint64_t addr[2], uint64_t what)
{
	unsigned sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);

	atomic_store_explicit(&entry->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&entry->addr[0], addr[0], memory_order_relaxed);
	atomic_store_explicit(&entry->addr[1], addr[1], memory_order_relaxed);
	atomic_store_explicit(&entry->what, what, memory_order_relaxed);
	atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

/* Where this address is, else where nothing useful is, else in turn. */
static inline struct neighbour_entry *neighbour_place(
	struct neighbour_table *table, uint32_t set, const uint64_t addr[2], uint32_t vlan)
{
	struct neighbour_entry *place = NULL;

	for (unsigned i = 0; i < NEIGHBOUR_WAYS; i++) {
		struct neighbour_entry *entry = &table->set[set][i];

		if (neighbour_is_of(entry, addr, vlan))
			return entry;
		if (neighbour_state_of(neighbour_load(&entry->what)) < NEIGHBOUR_FOUND)
			place = entry;
	}
	return place ? place : &table->set[set][table->next[set]++ % NEIGHBOUR_WAYS];
}

/* What the kernel says of an address in a VLAN (0: none); mac is void unless it is NEIGHBOUR_FOUND
 * or NEIGHBOUR_BEYOND. */
static inline void neighbour_table_set(struct neighbour_table *table,
	const struct udpxdp_addr *addr, uint32_t vlan, enum neighbour_state state,
	const uint8_t mac[6])
{
	const uint64_t what = neighbour_pack(mac, vlan, state);
	uint64_t words[2];
	struct neighbour_entry *entry;

	memcpy(words, addr, sizeof(words));
	entry = neighbour_place(table, neighbour_set_of(addr), words, vlan);
	if (state == NEIGHBOUR_UNKNOWN && !neighbour_is_of(entry, words, vlan))
		return;
	if (neighbour_is_of(entry, words, vlan) && neighbour_load(&entry->what) == what)
		return;
	neighbour_write(entry, words, what);
	atomic_fetch_add(&table->edition, 1);
}

/* What is known; mac is set when it is NEIGHBOUR_FOUND or NEIGHBOUR_BEYOND, else void. vlan is as
 * udpxdp_vlan_id() has it: nobody is found behind two tags. */
static inline enum neighbour_state neighbour_table_find(const struct neighbour_table *table,
	const struct udpxdp_addr *addr, uint32_t vlan, uint8_t mac[6])
{
	const struct neighbour_entry *set = table->set[neighbour_set_of(addr)];
	uint64_t words[2];

	if (vlan > NEIGHBOUR_VLAN_MAX)
		return NEIGHBOUR_NONE;

	memcpy(words, addr, sizeof(words));
	for (unsigned i = 0; i < NEIGHBOUR_WAYS; i++) {
		unsigned before = atomic_load_explicit(&set[i].sequence, memory_order_acquire);
		bool same = neighbour_is_of(&set[i], words, vlan);
		uint64_t what = neighbour_load(&set[i].what);

		atomic_thread_fence(memory_order_acquire);
		if (!same || before & 1 ||
			atomic_load_explicit(&set[i].sequence, memory_order_relaxed) != before)
			continue;
		memcpy(mac, &what, 6);
		return neighbour_state_of(what);
	}
	return NEIGHBOUR_UNKNOWN;
}

/* Another number after each change. */
static inline uint64_t neighbour_table_edition(const struct neighbour_table *table)
{
	return atomic_load_explicit(&table->edition, memory_order_acquire);
}

#endif
