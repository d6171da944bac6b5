/* SPDX-License-Identifier: MIT */
/* The guard rails: who is served, and how much; see abi.h. user/io/guard.c does the same for frames
 * that come by no filter. */
#ifndef UDPXDP_BPF_GUARD_H
#define UDPXDP_BPF_GUARD_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "udpxdp/packet.h"

const volatile struct filter_config filter_config = {};
struct filter_guard filter_guard;

/* When the next datagram of all is due; see source_limits. It is written for each. */
static __u64 total_arrival __attribute__((aligned(64)));

#define RULES_TRIE                                    \
	{                                             \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);  \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 4096);            \
		__type(key, struct source_rule_key);  \
		__type(value, __u32);                 \
	}

struct RULES_TRIE source_rules SEC(".maps");
struct RULES_TRIE source_rules_b SEC(".maps");

#define LIMITS                                       \
	{                                            \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__uint(max_entries, 65536);          \
		__type(key, struct udpxdp_addr);     \
		__type(value, __u64);                \
	}

struct LIMITS source_limits SEC(".maps");
struct LIMITS net_limits SEC(".maps");
struct LIMITS site_limits SEC(".maps");

/* What they are asked with stands in struct keys, for the reasons that it has. */

static __always_inline bool is_denied(const struct frame_info *info, struct source_rule_key *key)
{
	const __u32 *rule;

	if (!filter_config.rules)
		return false;
	key->prefix_len = 128;
	key->addr = info->source;
	if (*(const volatile __u32 *)&filter_guard.trie)
		rule = bpf_map_lookup_elem(&source_rules_b, key);
	else
		rule = bpf_map_lookup_elem(&source_rules, key);
	return rule && *rule == RULE_DENY;
}

static __always_inline bool is_early(const __u64 *arrival, __u64 now, __u64 burst)
{
	return *arrival > now && *arrival - now > burst;
}

/*
 * While one is behind, no CPU takes back what another charged; two that race on a source that is
 * not let at most one datagram more through.
 */
static __always_inline void charge(__u64 *arrival, __u64 now, __u64 interval)
{
	if (*arrival > now)
		__sync_fetch_and_add(arrival, interval);
	else
		*arrival = now + interval;
}

static __always_inline bool is_over_total(__u64 now)
{
	return filter_config.total_interval &&
	       is_early(&total_arrival, now, filter_config.total_burst);
}

/*
 * A source that is not known yet has an arrival of its own on the stack, which becomes its entry. A
 * pointer that might be NULL until then would be followed by older verifiers, speculatively, on the
 * path where it is.
 */
#define FIND_LIMIT(map, tier)                                           \
	do {                                                            \
		packet_limit_key(info, tier, keys[tier]);               \
		fresh[tier] = 0;                                        \
		arrivals[tier] = bpf_map_lookup_elem(&map, keys[tier]); \
		if (!arrivals[tier]) {                                  \
			unknown |= 1u << (tier);                        \
			arrivals[tier] = &fresh[tier];                  \
		}                                                       \
	} while (0)

/* Each is kept apart from the others, as in COUNT(). */
#define CHARGE(map, tier, interval)                                                   \
	do {                                                                          \
		charge(arrivals[tier], now, interval);                                \
		if (unknown & 1u << (tier))                                           \
			bpf_map_update_elem(&map, keys[tier], &fresh[tier], BPF_ANY); \
		__asm__ volatile("" : : "i"(__COUNTER__));                            \
	} while (0)

/* The widest are asked first: what they refuse makes no entry that would drive out another. */
static __always_inline bool is_over_tiers(
	const struct frame_info *info, __u64 keys[LIMIT_TIERS][2], __u64 now)
{
	const __u64 interval = filter_config.limit_interval, burst = filter_config.limit_burst;
	__u64 *arrivals[LIMIT_TIERS], fresh[LIMIT_TIERS];
	__u32 unknown = 0;

	FIND_LIMIT(site_limits, LIMIT_SITE);
	if (is_early(arrivals[LIMIT_SITE], now,
		    packet_limit_burst(interval, burst, LIMIT_SITE_FACTOR)))
		return true;
	FIND_LIMIT(net_limits, LIMIT_NET);
	if (is_early(arrivals[LIMIT_NET], now,
		    packet_limit_burst(interval, burst, LIMIT_NET_FACTOR)))
		return true;
	FIND_LIMIT(source_limits, LIMIT_HOST);
	if (is_early(arrivals[LIMIT_HOST], now, burst))
		return true;
	CHARGE(site_limits, LIMIT_SITE, packet_limit_interval(interval, LIMIT_SITE_FACTOR));
	CHARGE(net_limits, LIMIT_NET, packet_limit_interval(interval, LIMIT_NET_FACTOR));
	CHARGE(source_limits, LIMIT_HOST, interval);
	return false;
}

static __always_inline bool is_over_limit(const struct frame_info *info, __u64 keys[LIMIT_TIERS][2])
{
	__u64 now;

	if (!filter_config.limit_interval && !filter_config.total_interval)
		return false;
	now = bpf_ktime_get_ns();
	if (is_over_total(now))
		return true;
	if (filter_config.limit_interval && is_over_tiers(info, keys, now))
		return true;
	if (filter_config.total_interval)
		charge(&total_arrival, now, filter_config.total_interval);
	return false;
}

#endif
