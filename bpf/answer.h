/* SPDX-License-Identifier: MIT */
/*
 * An echo's answer, made in the frame that the question came in: what the engine and the service
 * would send, byte for byte (user/engine/engine.c, user/base/headers.c, user/services/echo.c), but
 * for the identification of those that routers may fragment: it is a random one.
 */
#ifndef UDPXDP_BPF_ANSWER_H
#define UDPXDP_BPF_ANSWER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "checksum.h"
#include "stamp.h"
#include "udpxdp/packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REPEATS_MAX);
	__type(key, __u32);
	__type(value, struct repeats);
} repeats SEC(".maps");

/* As loops_repeats() of loops.h. who: packet_repeats_who(); what: sum and length of the payload. */
static __always_inline int is_repeated(__u64 who, __u32 what)
{
	const __u32 key = packet_repeats_key(who);
	struct repeats *r = bpf_map_lookup_elem(&repeats, &key);
	int step = r ? packet_repeats(r, who, what) : 0;

	if (!step || !r)
		return 0;
	if (step == 2)
		return packet_ends_repeats(r, bpf_ktime_get_ns());
	r->since = bpf_ktime_get_ns();
	return 0;
}

__attribute__((noinline)) int answer_is_repeated(__u64 who, __u32 what)
{
	return is_repeated(who, what);
}

#define WRITE_SUM8(word) ((__u64)(__u32)(word) + ((word) >> 32))

/*
 * Writes the answer: sum is that of its payload, with the stamp of this slot in front (NO_STAMP:
 * none); padding is what Ethernet has behind the datagram. Returns 0; or ANSWER_CANNOT, with the
 * datagram as it was.
 */
static __always_inline int write_answer(
	struct xdp_md *ctx, __u32 shape, __u32 payload_sum, __u32 slot, __u32 padding)
{
	__u32 udp_len = UDP_HEADER_LEN + (shape & 0xffff), mac[2], ports;
	__u64 text[4] = {}, addr[4], sum = payload_sum;
	__u8 *to, *from, *end;
	__u16 mac_end[2], wire_len, checksum, dscp;

	if (slot < NO_STAMP) {
		if (!read_stamp(text, &sum, slot))
			return ANSWER_CANNOT;
		sum += __builtin_bswap16(payload_sum); /* behind an odd number of bytes */
		udp_len += STAMP_LEN;
	}
	if (padding && bpf_xdp_adjust_tail(ctx, -(int)padding))
		return ANSWER_CANNOT;
	if (slot < NO_STAMP && bpf_xdp_adjust_head(ctx, -STAMP_LEN))
		return ANSWER_CANNOT;
	to = from = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (slot < NO_STAMP)
		PACKET_STEP(from, STAMP_LEN);

	/* The new headers begin in front of the old ones, so each is read before it is reached. */
	if (from + ETH_HEADER_LEN > end)
		return ANSWER_CANNOT;
	mac[0] = LOAD32(from, 0);
	mac_end[0] = LOAD16(from, 4);
	mac[1] = LOAD32(from, 6);
	mac_end[1] = LOAD16(from, 10);
	STORE32(to, 0, mac[1]);
	STORE16(to, 4, mac_end[1]);
	STORE32(to, 6, mac[0]);
	STORE16(to, 10, mac_end[0]);
	PACKET_STEP(to, 12);
	PACKET_STEP(from, 12);
#pragma unroll
	for (__u32 i = 0; i < UDPXDP_VLAN_TAGS_MAX; i++) {
		if ((shape >> 16 & 3) <= i)
			break;
		if (from + VLAN_TAG_LEN > end)
			return ANSWER_CANNOT;
		STORE32(to, 0, LOAD32(from, 0));
		PACKET_STEP(to, VLAN_TAG_LEN);
		PACKET_STEP(from, VLAN_TAG_LEN);
	}

	wire_len = PACKET_BE16(udp_len);
	if (shape & SHAPE_IPV6) {
		if (from + 2 + IPV6_HEADER_LEN + UDP_HEADER_LEN > end ||
			to + 2 + IPV6_HEADER_LEN + UDP_HEADER_LEN > end)
			return ANSWER_CANNOT;
		addr[0] = LOAD64(from, 10);
		addr[1] = LOAD64(from, 18);
		addr[2] = LOAD64(from, 26);
		addr[3] = LOAD64(from, 34);
		ports = LOAD32(from, 2 + IPV6_HEADER_LEN);
		dscp = shape & SHAPE_DSCP ? LOAD16(from, 2) & PACKET_BE16(0x0fc0) : 0;
		STORE16(to, 0, PACKET_BE16(ETHERTYPE_IPV6));
		STORE16(to, 2, PACKET_BE16(0x6000) | dscp);
		STORE16(to, 4, 0);
		STORE32(to, 6, PACKET_BE32(udp_len << 16 | IP_PROTO_UDP << 8 | 64));
		STORE64(to, 10, addr[2]);
		STORE64(to, 18, addr[3]);
		STORE64(to, 26, addr[0]);
		STORE64(to, 34, addr[1]);
		sum += WRITE_SUM8(addr[0]) + WRITE_SUM8(addr[1]);
		sum += WRITE_SUM8(addr[2]) + WRITE_SUM8(addr[3]);
		PACKET_STEP(to, 2 + IPV6_HEADER_LEN);
	} else {
		const bool whole = IPV4_HEADER_LEN + udp_len <= IPV4_WHOLE_MAX;
		const __u16 flags = whole ? PACKET_BE16(0x4000 /* DF */) : 0;
		const __u16 id = whole ? 0 : (__u16)bpf_get_prandom_u32();
		const __u16 ttl_protocol = PACKET_BE16(64 << 8 | IP_PROTO_UDP);
		const __u16 total_len = PACKET_BE16(IPV4_HEADER_LEN + udp_len);
		__u64 addresses;
		__u16 version;

		if (from + 2 + IPV4_HEADER_LEN + UDP_HEADER_LEN > end ||
			to + 2 + IPV4_HEADER_LEN + UDP_HEADER_LEN > end)
			return ANSWER_CANNOT;
		addr[0] = LOAD32(from, 14);
		addr[1] = LOAD32(from, 18);
		ports = LOAD32(from, 2 + IPV4_HEADER_LEN);
		addresses = addr[0] + addr[1];
		dscp = shape & SHAPE_DSCP ? LOAD16(from, 2) & PACKET_BE16(0x00fc) : 0;
		version = PACKET_BE16(0x4500) | dscp;
		STORE16(to, 0, PACKET_BE16(ETHERTYPE_IPV4));
		STORE64(to, 2, PACKET_HALF(version, total_len, id, flags));
		STORE16(to, 10, ttl_protocol);
		STORE16(to, 12, ~fold(addresses + version + total_len + id + flags + ttl_protocol));
		STORE32(to, 14, addr[1]);
		STORE32(to, 18, addr[0]);
		sum += addresses;
		PACKET_STEP(to, 2 + IPV4_HEADER_LEN);
	}
	sum += ports;
	sum += PACKET_BE16(IP_PROTO_UDP) + 2u * wire_len;
	checksum = ~fold(sum);
	if (to + UDP_HEADER_LEN > end)
		return ANSWER_CANNOT;
	STORE32(to, 0, ports >> 16 | ports << 16);
	STORE16(to, 4, wire_len);
	STORE16(to, 6, checksum ? checksum : 0xffff); /* 0 would say: none (RFC 768) */
	if (slot < NO_STAMP) {
		if (to + UDP_HEADER_LEN + STAMP_LEN > end)
			return ANSWER_CANNOT;
		STORE64(to, 8, text[0]);
		STORE64(to, 16, text[1]);
		STORE64(to, 24, text[2]);
		STORE32(to, 32, text[3]);
		STORE16(to, 36, text[3] >> 32);
		to[38] = text[3] >> 48;
	}
	return 0;
}

__attribute__((noinline)) int answer_write(
	struct xdp_md *ctx, __u32 shape, __u32 payload_sum, __u32 slot, __u32 padding)
{
	return write_answer(ctx, shape, payload_sum, slot, padding);
}

#endif
