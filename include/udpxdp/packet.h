/* SPDX-License-Identifier: MIT */
/*
 * The frame grammar: Ethernet (IEEE 802.3), up to UDPXDP_VLAN_TAGS_MAX (802.1Q, 802.1ad), IPv4
 * (RFC 791) with options or IPv6 (RFC 8200), UDP (RFC 768). One header, compiled by clang for
 * the filter and by the user-space compiler for the engine, so that both read a frame alike.
 *
 * Written for the BPF verifier: every access is preceded by a comparison with data_end, there
 * are no loops of unknown length, no pointer is subtracted from another and no variable is
 * added to one (either would need CAP_PERFMON).
 */
#ifndef UDPXDP_PACKET_H
#define UDPXDP_PACKET_H

#include "abi.h"

#define ETH_HEADER_LEN 14
#define VLAN_TAG_LEN 4
#define IPV4_HEADER_LEN 20
#define IPV4_HEADER_LEN_MAX 60
#define IPV4_WHOLE_MAX                                                             \
	576 /* bytes: what every host and path takes (RFC 791, 3.2); see headers.h \
	     */
#define IPV6_HEADER_LEN 40
#define UDP_HEADER_LEN 8

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_8021Q 0x8100
#define ETHERTYPE_8021AD 0x88a8
#define IP_PROTO_UDP 17

/*
 * The IP header of a received frame is only 2-byte aligned (14 bytes behind an aligned start),
 * so the wire structures say so. Multi-byte fields are in network byte order.
 */
#define WIRE __attribute__((packed, aligned(2)))

struct eth_header {
	__u8 dest[6];
	__u8 source[6];
	__u16 type;
} WIRE;

struct vlan_header {
	__u16 tci;
	__u16 type; /* of what follows */
} WIRE;

struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__u16 total_len;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u16 source[2];
	__u16 dest[2];
} WIRE;

struct ipv6_header {
	__u16 version_class;
	__u16 flow;
	__u16 payload_len;
	__u8 next_header;
	__u8 hop_limit;
	__u16 source[8];
	__u16 dest[8];
} WIRE;

struct udp_header {
	__u16 source;
	__u16 dest;
	__u16 len;
	__u16 checksum;
} WIRE;

/*
 * Where things are in a frame that frame_classify() accepted. Offsets and lengths are bytes
 * from the first byte of the Ethernet header; ports are in host byte order, addresses in
 * network byte order. payload + payload_len never exceeds the frame; Ethernet padding lies behind.
 */
struct frame_info {
	__u16 l3;
	__u16 l4;
	__u16 payload;
	__u16 payload_len;
	__u16 source_port;
	__u16 dest_port;
	__u8 version; /* 4 or 6 */
	__u8 tags;
	__u32 vlan;     /* see packet_vlan(); 0: untagged, or priority tags alone */
	__u64 dest_mac; /* see packet_mac() */
	struct udpxdp_addr source;
	struct udpxdp_addr dest;
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PACKET_BE16(v) ((__u16)__builtin_bswap16(v))
#define PACKET_BE32(v) ((__u32)__builtin_bswap32(v))
#else
#define PACKET_BE16(v) ((__u16)(v))
#define PACKET_BE32(v) ((__u32)(v))
#endif

/*
 * Moves a pointer on by a constant, and keeps the compiler from gathering several such steps
 * into the sum of a pointer and a variable.
 */
#define PACKET_STEP(pointer, bytes)                   \
	do {                                          \
		(pointer) += (bytes);                 \
		__asm__ volatile("" : "+r"(pointer)); \
	} while (0)

#define PACKET_INLINE static inline __attribute__((always_inline))

/*
 * Half an address as a number that can be stored: four pieces that follow each other in memory, or
 * an IPv4 address as it ends its mapped form.
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PACKET_HALF(a, b, c, d) \
	((__u64)(a) | (__u64)(b) << 16 | (__u64)(c) << 32 | (__u64)(d) << 48)
#define PACKET_MAPPED(word) ((__u64)(word) << 32 | 0xffff0000)
#else
#define PACKET_HALF(a, b, c, d) \
	((__u64)(a) << 48 | (__u64)(b) << 32 | (__u64)(c) << 16 | (__u64)(d))
#define PACKET_MAPPED(word) ((__u64)0xffff << 32 | (word))
#endif

/*
 * An address is written as two numbers of 64 bits: without CAP_PERFMON, the verifier of Linux 5.16
 * to 6.7 takes a narrower store over a part of an earlier one for an attempt to corrupt a pointer.
 */
PACKET_INLINE void packet_addr_set(struct udpxdp_addr *to, __u64 first, __u64 second)
{
	__builtin_memcpy(&to->w[0], &first, sizeof(first));
	__builtin_memcpy(&to->w[2], &second, sizeof(second));
}

/* The IPv4-mapped form of an address whose two halves stand at q, both in network byte order. */
PACKET_INLINE void packet_addr_from_ipv4(struct udpxdp_addr *to, const __u16 q[2])
{
	__u32 word;

	__builtin_memcpy(&word, q, sizeof(word));
	packet_addr_set(to, 0, PACKET_MAPPED(word));
}

PACKET_INLINE void packet_addr_from_ipv6(struct udpxdp_addr *to, const __u16 q[8])
{
	packet_addr_set(
		to, PACKET_HALF(q[0], q[1], q[2], q[3]), PACKET_HALF(q[4], q[5], q[6], q[7]));
}

PACKET_INLINE int packet_addr_is_mapped(const struct udpxdp_addr *a)
{
	return !a->w[0] && !a->w[1] && !a->b[8] && !a->b[9] && a->b[10] == 0xff && a->b[11] == 0xff;
}

/* A MAC address as a number: its six bytes as they lie in memory, two zeroes behind them. */
PACKET_INLINE __u64 packet_mac(const __u8 mac[6])
{
	__u16 q[3];

	__builtin_memcpy(q, mac, sizeof(q));
	return PACKET_HALF(q[0], q[1], q[2], 0);
}

/* That which a frame is for. From its type the filter's compiler knows that it may load by twos. */
PACKET_INLINE __u64 packet_dest_mac(const struct eth_header *eth)
{
	__u16 q[3];

	__builtin_memcpy(q, eth, sizeof(q));
	return PACKET_HALF(q[0], q[1], q[2], 0);
}

/* Multicast or broadcast (IEEE 802.3, 3.2.3). */
PACKET_INLINE int packet_mac_is_group(__u64 mac)
{
	return (mac & PACKET_HALF(PACKET_BE16(0x0100), 0, 0, 0)) != 0;
}

/*
 * The VLAN that a frame is in, one tag after the other: 16 bits for each tag that names a VLAN, the
 * innermost ones lowest. VID 0 names none: it is a priority tag (IEEE 802.1Q, 9.6).
 */
#define PACKET_VLAN_SERVICE 0x1000u /* the tag is an 802.1ad one */

PACKET_INLINE __u32 packet_vlan(__u32 outer, __u16 tpid, __u16 tci)
{
	const __u32 vid = tci & 0x0fff;

	if (!vid)
		return outer;
	return outer << 16 | (tpid == ETHERTYPE_8021AD ? PACKET_VLAN_SERVICE : 0) | vid;
}

/* Which of the LOCAL_BITS an address has. */
PACKET_INLINE __u32 packet_addr_bit(const struct udpxdp_addr *a)
{
	__u64 q[2];

	__builtin_memcpy(q, a, sizeof(q));
	return ((q[0] ^ q[1]) * 0x9e3779b97f4a7c15u) >> 52;
}

/* IANA's list of IPv6 extension header types, less the fragment header (44). */
PACKET_INLINE int ipv6_is_extension(__u8 next_header)
{
	return next_header == 0 || next_header == 43 || next_header == 50 || next_header == 51 ||
	       next_header == 60 || next_header == 135 || next_header == 139 ||
	       next_header == 140 || next_header == 253 || next_header == 254;
}

/*
 * Says what a frame is. data to data_end is the frame (2-byte aligned), len its length in
 * bytes. Returns FRAME_UDP for a whole UDP datagram, in which case *info is filled;
 * otherwise the reason why it is none, and *info holds nothing of use. Does not judge
 * addresses, ports or checksums, but for one: an IPv6 packet that carries an IPv4-mapped address
 * is FRAME_NOT_OURS (RFC 4038, 4.2), since it would be taken for IPv4 from here on.
 *
 * A datagram may be shorter than what the IP header leaves for it: what lies behind is no part of
 * it and no part of the checksum, as the kernel has it. (UDP Options, RFC 9868, lie there.)
 */
PACKET_INLINE enum frame_verdict frame_classify(
	const void *data, const void *data_end, __u32 len, struct frame_info *info)
{
	const struct eth_header *eth = data;
	const __u8 *l3 = (const __u8 *)data + ETH_HEADER_LEN;
	const struct udp_header *udp;
	__u32 l3_offset = ETH_HEADER_LEN, l3_len, l4_len, udp_len;
	__u16 type;

	if ((const void *)(eth + 1) > data_end)
		return FRAME_MALFORMED;
	type = PACKET_BE16(eth->type);
	info->dest_mac = packet_dest_mac(eth);
	info->vlan = 0;
	info->tags = 0;
#pragma GCC unroll 2 /* UDPXDP_VLAN_TAGS_MAX; a pragma expands no macro */
	for (int i = 0; i < UDPXDP_VLAN_TAGS_MAX; i++) {
		const struct vlan_header *vlan = (const void *)l3;

		if (type != ETHERTYPE_8021Q && type != ETHERTYPE_8021AD)
			break;
		if ((const void *)(vlan + 1) > data_end)
			return FRAME_MALFORMED;
		info->vlan = packet_vlan(info->vlan, type, PACKET_BE16(vlan->tci));
		type = PACKET_BE16(vlan->type);
		PACKET_STEP(l3, VLAN_TAG_LEN);
		l3_offset += VLAN_TAG_LEN;
		info->tags++;
	}

	if (type == ETHERTYPE_IPV4) {
		const struct ipv4_header *ip = (const void *)l3;
		__u32 header_len;

		if ((const void *)(ip + 1) > data_end)
			return FRAME_MALFORMED;
		header_len = (ip->version_ihl & 0x0f) * 4u;
		l3_len = PACKET_BE16(ip->total_len);
		if (ip->version_ihl >> 4 != 4 || header_len < IPV4_HEADER_LEN ||
			l3_len < header_len || l3_offset + l3_len > len)
			return FRAME_MALFORMED;
		if (ip->protocol != IP_PROTO_UDP)
			return FRAME_NOT_UDP;
		if (ip->fragment & PACKET_BE16(0x3fff)) /* more fragments, or an offset */
			return FRAME_FRAGMENT;
		packet_addr_from_ipv4(&info->source, ip->source);
		packet_addr_from_ipv4(&info->dest, ip->dest);
		info->version = 4;
		l4_len = l3_len - header_len;
		info->l4 = l3_offset + header_len;
		PACKET_STEP(l3, IPV4_HEADER_LEN);
#pragma GCC unroll 10
		for (__u32 i = IPV4_HEADER_LEN; i < IPV4_HEADER_LEN_MAX; i += 4) {
			if (i == header_len)
				break;
			PACKET_STEP(l3, 4);
		}
		udp = (const void *)l3;
	} else if (type == ETHERTYPE_IPV6) {
		const struct ipv6_header *ip = (const void *)l3;

		if ((const void *)(ip + 1) > data_end)
			return FRAME_MALFORMED;
		l4_len = PACKET_BE16(ip->payload_len);
		if ((ip->version_class & PACKET_BE16(0xf000)) != PACKET_BE16(0x6000) ||
			l3_offset + IPV6_HEADER_LEN + l4_len > len)
			return FRAME_MALFORMED;
		if (ip->next_header == 44)
			return FRAME_FRAGMENT;
		if (ipv6_is_extension(ip->next_header))
			return FRAME_IPV6_EXTENSION;
		if (ip->next_header != IP_PROTO_UDP)
			return FRAME_NOT_UDP;
		packet_addr_from_ipv6(&info->source, ip->source);
		packet_addr_from_ipv6(&info->dest, ip->dest);
		if (packet_addr_is_mapped(&info->source) || packet_addr_is_mapped(&info->dest))
			return FRAME_NOT_OURS;
		info->version = 6;
		info->l4 = l3_offset + IPV6_HEADER_LEN;
		udp = (const void *)(ip + 1);
	} else {
		return FRAME_NOT_IP;
	}

	if ((const void *)(udp + 1) > data_end)
		return FRAME_MALFORMED;
	udp_len = PACKET_BE16(udp->len);
	if (udp_len < UDP_HEADER_LEN || udp_len > l4_len)
		return FRAME_MALFORMED;
	info->l3 = l3_offset;
	info->payload = info->l4 + UDP_HEADER_LEN;
	info->payload_len = udp_len - UDP_HEADER_LEN;
	info->source_port = PACKET_BE16(udp->source);
	info->dest_port = PACKET_BE16(udp->dest);
	return FRAME_UDP;
}

/*
 * What a datagram is charged to in a tier of --limit: its source, with only so many bits as the
 * tier keeps apart: 32, 24, 16 of IPv4; 128, 64, 48 of IPv6.
 */
PACKET_INLINE void packet_limit_key(const struct frame_info *info, __u32 tier, __u64 key[2])
{
	__u64 half[2], mask = ~0ull;

	__builtin_memcpy(half, &info->source, sizeof(half));
	if (info->version == 4) {
		if (tier == LIMIT_NET)
			mask = PACKET_HALF(0xffff, 0xffff, 0xffff, PACKET_BE16(0xff00));
		if (tier == LIMIT_SITE)
			mask = PACKET_HALF(0xffff, 0xffff, 0xffff, 0);
		half[1] &= mask;
	} else {
		if (tier == LIMIT_SITE)
			mask = PACKET_HALF(0xffff, 0xffff, 0xffff, 0);
		half[0] &= mask;
		if (tier != LIMIT_HOST)
			half[1] = 0;
	}
	key[0] = half[0];
	key[1] = half[1];
}

/* A rate of a tier, as ns between its datagrams and ns ahead of that: of a host's, as many times as
 * the tier has. */
PACKET_INLINE __u64 packet_limit_interval(__u64 interval, __u32 factor)
{
	return interval / factor;
}

PACKET_INLINE __u64 packet_limit_burst(__u64 interval, __u64 burst, __u32 factor)
{
	return burst + interval - interval / factor;
}

/*
 * Loops with services that we do not know: whoever answers whatever it is sent with one and the
 * same text answers our answers. A datagram that is never answered ends that. So of equal payloads
 * that an address sends, every REPEATS-th is not answered when so many took less than
 * REPEATS_FAST_NS, as only they do who do not wait or wait for our answers and nothing else; and
 * every REPEATS_SLOW-th time, when it took less than REPEATS_SLOW_NS. Whoever is slower than that
 * (a person, a meter) or varies his payloads is never concerned.
 */
#define REPEATS 256u
#define REPEATS_FAST_NS 128000000ull   /* 2,000 a second */
#define REPEATS_SLOW_NS 12800000000ull /* 20 a second */
#define REPEATS_SLOW 64u
#define REPEATS_VOTES 1024u

/* Of an entry that is full, at a time: is this one not answered? */
PACKET_INLINE int packet_ends_repeats(struct repeats *r, __u64 now)
{
	const __u64 took = now - r->since;

	r->count = 0;
	r->since = now;
	if (took >= REPEATS_SLOW_NS) {
		r->slow = 0;
		return 0;
	}
	if (took >= REPEATS_FAST_NS && ++r->slow < REPEATS_SLOW)
		return 0;
	r->slow = 0;
	return 1;
}

/* Who sends to a port, as a number whose upper 12 bits say which entry is theirs. */
PACKET_INLINE __u64 packet_repeats_who(
	const struct udpxdp_addr *addr, __u16 port, const __u64 seed[2])
{
	__u64 half[2];

	__builtin_memcpy(half, addr, sizeof(half));
	half[0] = (half[0] ^ seed[0]) * 0xbf58476d1ce4e5b9 + port;
	half[0] ^= half[0] >> 32;
	return (half[0] ^ half[1] ^ seed[1]) * 0x94d049bb133111eb;
}

PACKET_INLINE __u32 packet_repeats_key(__u64 who)
{
	return who >> 52;
}

/*
 * Takes note of a datagram in the entry that its `who` has. Where several payloads compete for it,
 * the one that is more than half of them gets it. Returns 0: nothing speaks against an answer; 1:
 * a window begins, so r->since is to be the time; 2: packet_ends_repeats() is to be asked.
 */
PACKET_INLINE int packet_repeats(struct repeats *r, __u64 who, __u32 what)
{
	if (r->who == who && r->what == what) {
		if (r->votes < REPEATS_VOTES)
			r->votes++;
		r->count++;
		return r->count == 2 && !r->since ? 1 : r->count >= REPEATS ? 2 : 0;
	}
	if (r->votes) {
		r->votes--;
		return 0;
	}
	r->who = who;
	r->what = what;
	r->votes = r->count = 1;
	r->since = r->slow = 0;
	return 0;
}

#endif
