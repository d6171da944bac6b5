/* SPDX-License-Identifier: MIT */
/* Is a datagram for this host, as the kernel has it: by MAC address, VLAN and IP address. */
#ifndef UDPXDP_BPF_OURS_H
#define UDPXDP_BPF_OURS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <stddef.h>

#include "guard.h"
#include "verifier.h"
#include "udpxdp/packet.h"

struct filter_favourites filter_favourites;
struct filter_local_bits filter_local_bits;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, UDPXDP_LOCAL_ADDRS_MAX);
	__type(key, struct udpxdp_addr);
	__type(value, struct local_addr);
} local_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LOCAL_MACS);
	__type(key, __u64);
	__type(value, __u8);
} local_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_LOCAL_VLANS);
	__type(key, __u32);
	__type(value, __u32);
} local_vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u16);
	__type(value, __u8);
} broadcast_ports SEC(".maps");

/*
 * What the maps are asked with. It is copied from the frame_info, whose address is never taken, so
 * that one lives in registers. Each key begins on 8 bytes of its own and an address is stored in
 * whole halves, for the reason that packet_addr_set() has; in one structure the compiler does not
 * let keys share a place.
 */
struct keys {
	struct udpxdp_addr dest;
	__u64 net[LIMIT_TIERS][2];
	__u64 mac;
	__u32 vlan;
	__u32 padding[2];
	struct source_rule_key source; /* its address on 8 bytes */
	__u32 queue __attribute__((aligned(8)));
	__u32 verdict __attribute__((aligned(8)));
	__u16 port __attribute__((aligned(8)));
};

_Static_assert(offsetof(struct keys, source.addr) % 8 == 0, "or older verifiers refuse it");

/* What an address is to this host where a frame is in this VLAN: UDPXDP_LOCAL_UNICAST,
 * UDPXDP_LOCAL_BROADCAST, or 0. */
static __always_inline __u32 local_flags(const struct udpxdp_addr *addr, __u32 vlan)
{
	const __u32 bit = packet_addr_bit(addr);
	const struct local_addr *local;

	if (filter_local_bits.complete && !(filter_local_bits.words[bit / 64] >> bit % 64 & 1))
		return 0;
	local = bpf_map_lookup_elem(&local_addrs, addr);
	if (!local ||
		(local->vlan != vlan && local->vlan != UDPXDP_VLAN_ALL && vlan != UDPXDP_VLAN_ALL))
		return 0;
	return local->flags;
}

/* In which VLAN a frame is: see struct local_addr. */
static __always_inline __u32 vlan_of(const struct frame_info *info, struct keys *keys)
{
	const __u32 *vlan;

	if (!info->vlan)
		return 0;
	if (filter_config.any_vlan)
		return UDPXDP_VLAN_ALL;
	keys->vlan = info->vlan;
	vlan = bpf_map_lookup_elem(&local_vlans, &keys->vlan);
	return vlan ? *vlan : UDPXDP_VLAN_NONE;
}

static __always_inline bool is_our_mac(const struct frame_info *info, struct keys *keys)
{
	if (filter_config.any_mac || info->dest_mac == filter_favourites.mac)
		return true;
	keys->mac = info->dest_mac;
	return bpf_map_lookup_elem(&local_macs, &keys->mac);
}

static __always_inline bool is_favourite(const struct frame_info *info)
{
	const struct filter_favourites *f = &filter_favourites;
	__u64 dest[2], ipv4, ipv6[2];

	if (f->current) {
		ipv4 = f->pair[1].ipv4;
		ipv6[0] = f->pair[1].ipv6[0];
		ipv6[1] = f->pair[1].ipv6[1];
		LOADED(ipv4);
		LOADED(ipv6[0]);
		LOADED(ipv6[1]);
	} else {
		ipv4 = f->pair[0].ipv4;
		ipv6[0] = f->pair[0].ipv6[0];
		ipv6[1] = f->pair[0].ipv6[1];
		LOADED(ipv4);
		LOADED(ipv6[0]);
		LOADED(ipv6[1]);
	}
	__builtin_memcpy(dest, &info->dest, sizeof(dest));
	if (info->version == 4)
		return dest[1] == ipv4;
	return dest[1] && dest[1] == ipv6[1] && dest[0] == ipv6[0];
}

/* As the kernel would take it: by MAC address, VLAN and IP address. A group's MAC address is that
 * of a broadcast alone. */
static __always_inline bool is_ours(const struct frame_info *info, struct keys *keys)
{
	const __u32 vlan = vlan_of(info, keys);
	const bool group = packet_mac_is_group(info->dest_mac);
	__u32 flags;

	if (vlan == UDPXDP_VLAN_NONE || (!group && !is_our_mac(info, keys)))
		return false;
	if (!group && !vlan && is_favourite(info))
		return true;
	keys->dest = info->dest;
	flags = local_flags(&keys->dest, vlan);
	if (flags & UDPXDP_LOCAL_UNICAST)
		return !group;
	return flags && bpf_map_lookup_elem(&broadcast_ports, &keys->port);
}

#endif
