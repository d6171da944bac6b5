/* SPDX-License-Identifier: MIT */
/*
 * An echo's answer, made in the frame that the question came in: what the engine and the service
 * would send, byte for byte (user/engine/engine.c, build.c, user/services/echo.c). What is costly
 * to verify stands in global functions, which the verifier looks at once and by themselves.
 */
#ifndef UDPXDP_BPF_ANSWER_H
#define UDPXDP_BPF_ANSWER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "udpxdp/packet.h"

#define PAYLOAD_MAX 1480  /* what answer_check() can sum */
#define ANSWER_CANNOT -99 /* to be left to the engine */
#define REFUSED(reason) (-1 - UDPXDP_DROP_##reason)
#define NO_STAMP 2u
#define LOWEST_CLIENT_PORT 1024 /* as in echo.c */
#define NSEC_PER_SEC 1000000000u
#define SECOND_ENDS 20000000u /* ns: longer than a jiffy */

struct filter_answers filter_answers;

/* Which slot was chosen last, and of when that is: see choose_stamp(). */
static __u64 stamp_choice;

/* Any alignment, as the machines do it on which the kernel wants none. */
#define LOAD16(p, at) (*(const __u16 *)((const __u8 *)(p) + (at)))
#define LOAD32(p, at) (*(const __u32 *)((const __u8 *)(p) + (at)))
#define LOAD64(p, at) (*(const __u64 *)((const __u8 *)(p) + (at)))
#define STORE16(p, at, value) (*(__u16 *)((__u8 *)(p) + (at)) = (value))
#define STORE32(p, at, value) (*(__u32 *)((__u8 *)(p) + (at)) = (value))
#define STORE64(p, at, value) (*(__u64 *)((__u8 *)(p) + (at)) = (value))

/*
 * The shape of a datagram, all that the functions below are told of it: bits 0-15 the length of its
 * payload, 16-17 the number of tags, 18 whether it is IPv6.
 */
#define SHAPE_IPV6 (1u << 18)

static __always_inline __u32 shape_of(const struct frame_info *info)
{
	return info->payload_len | (__u32)info->tags << 16 | (info->version == 6 ? SHAPE_IPV6 : 0);
}

/* As checksum_fold(). */
static __always_inline __u16 fold(__u64 sum)
{
	__u32 half = (sum + (sum << 32 | sum >> 32)) >> 32;

	return (half + (half << 16 | half >> 16)) >> 16;
}

#define TO_L3(p, shape)                               \
	do {                                          \
		PACKET_STEP(p, ETH_HEADER_LEN);       \
		if ((shape) >> 16 & 3)                \
			PACKET_STEP(p, VLAN_TAG_LEN); \
		if (((shape) >> 16 & 3) == 2)         \
			PACKET_STEP(p, VLAN_TAG_LEN); \
	} while (0)

#define TO_PAYLOAD(p, shape)                                              \
	do {                                                              \
		TO_L3(p, shape);                                          \
		if ((shape)&SHAPE_IPV6)                                   \
			PACKET_STEP(p, IPV6_HEADER_LEN + UDP_HEADER_LEN); \
		else                                                      \
			PACKET_STEP(p, IPV4_HEADER_LEN + UDP_HEADER_LEN); \
	} while (0)

/* A piece of the payload: len has its bit, and p moves on behind it. */
#define SUM_PIECE(bytes, what)                        \
	do {                                          \
		if (len & (bytes)) {                  \
			if (p + (bytes) > end)        \
				return ANSWER_CANNOT; \
			sum += (what);                \
			PACKET_STEP(p, bytes);        \
		}                                     \
	} while (0)
#define SUM8(at) ((__u64)LOAD32(p, at) + LOAD32(p, (at) + 4))
#define SUM32(at) (SUM8(at) + SUM8((at) + 8) + SUM8((at) + 16) + SUM8((at) + 24))
#define SUM_MANY(bytes) ((__u32)bpf_csum_diff(0, 0, (void *)p, bytes, 0))

/*
 * Are the checksums right? Returns the sum of the payload, folded; or REFUSED(), or ANSWER_CANNOT.
 * The pointer moves by constants alone, so the verifier goes as many paths as there are lengths.
 */
__attribute__((noinline)) int answer_check(struct xdp_md *ctx, __u32 shape)
{
	const __u8 *p = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	const __u32 len = shape & 0xffff;
	__u64 sum, pseudo, udp;
	__u16 field;

	TO_L3(p, shape);
	if (shape & SHAPE_IPV6) {
		if (p + IPV6_HEADER_LEN + UDP_HEADER_LEN > end)
			return ANSWER_CANNOT;
		pseudo = SUM32(8);
		udp = SUM8(IPV6_HEADER_LEN);
		field = LOAD16(p, IPV6_HEADER_LEN + 6);
		PACKET_STEP(p, IPV6_HEADER_LEN + UDP_HEADER_LEN);
	} else {
		if (p + IPV4_HEADER_LEN + UDP_HEADER_LEN > end)
			return ANSWER_CANNOT;
		pseudo = SUM8(12);
		if (fold(pseudo + SUM8(0) + LOAD32(p, 8)) != 0xffff)
			return REFUSED(bad_ip_checksum);
		udp = SUM8(IPV4_HEADER_LEN);
		field = LOAD16(p, IPV4_HEADER_LEN + 6);
		PACKET_STEP(p, IPV4_HEADER_LEN + UDP_HEADER_LEN);
	}
	pseudo += PACKET_BE16(IP_PROTO_UDP);
	pseudo += PACKET_BE16(UDP_HEADER_LEN + len);

	sum = 0;
	if (len & 1024) {
		if (p + 1024 > end)
			return ANSWER_CANNOT;
		sum += SUM_MANY(512);
		PACKET_STEP(p, 512);
		sum += SUM_MANY(512);
		PACKET_STEP(p, 512);
	}
	SUM_PIECE(512, SUM_MANY(512));
	SUM_PIECE(256, SUM_MANY(256));
	SUM_PIECE(128, SUM_MANY(128));
	SUM_PIECE(64, SUM_MANY(64));
	SUM_PIECE(32, SUM32(0));
	SUM_PIECE(16, SUM8(0) + SUM8(8));
	SUM_PIECE(8, SUM8(0));
	SUM_PIECE(4, LOAD32(p, 0));
	SUM_PIECE(2, LOAD16(p, 0));
	SUM_PIECE(1, PACKET_BE16((__u16)(*p << 8)));

	sum = fold(sum);
	if (field && fold(pseudo + udp + sum) == 0xffff)
		return sum;
	/* Absent; or left by a sender on this machine for an offload to complete. */
	if (field ? field == fold(pseudo) : !(shape & SHAPE_IPV6))
		return sum;
	return REFUSED(bad_udp_checksum);
}

#define WORD(a, b, c) ((a) | (b) << 8 | (c) << 16)

static __always_inline bool is_day(__u32 w)
{
	return w == WORD('S', 'u', 'n') || w == WORD('M', 'o', 'n') || w == WORD('T', 'u', 'e') ||
	       w == WORD('W', 'e', 'd') || w == WORD('T', 'h', 'u') || w == WORD('F', 'r', 'i') ||
	       w == WORD('S', 'a', 't');
}

static __always_inline bool is_month(__u32 w)
{
	return w == WORD('J', 'a', 'n') || w == WORD('F', 'e', 'b') || w == WORD('M', 'a', 'r') ||
	       w == WORD('A', 'p', 'r') || w == WORD('M', 'a', 'y') || w == WORD('J', 'u', 'n') ||
	       w == WORD('J', 'u', 'l') || w == WORD('A', 'u', 'g') || w == WORD('S', 'e', 'p') ||
	       w == WORD('O', 'c', 't') || w == WORD('N', 'o', 'v') || w == WORD('D', 'e', 'c');
}

static __always_inline bool is_open(const __u8 *p)
{
	return p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x90;
}

/* As udpxdp_stamp_starts(). */
__attribute__((noinline)) int answer_is_stamped(struct xdp_md *ctx, __u32 shape)
{
	static const char pattern[] = " _0 00:00:00 0000";
	const __u8 *p = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;

	TO_PAYLOAD(p, shape);
	if ((shape & 0xffff) < STAMP_LEN - 1 || p + STAMP_LEN - 1 > end || !is_open(p))
		return 0;
	if (!is_day(WORD(p[3], p[4], p[5])) || p[6] != ' ' || !is_month(WORD(p[7], p[8], p[9])))
		return 0;
#pragma unroll
	for (int i = 0; i < (int)sizeof(pattern) - 1; i++) {
		const __u8 c = p[10 + i];
		const bool digit = (__u8)(c - '0') <= 9;

		if (pattern[i] == '0'       ? !digit
			: pattern[i] == '_' ? !digit && c != ' '
					    : c != pattern[i])
			return 0;
	}
	return p[27] == 0xe3 && p[28] == 0x80 && p[29] == 0x91;
}

/*
 * The slot of the stamp that says this second; NO_STAMP: user space has not published any. Reading
 * the clock costs as much as all else that is done with a short datagram; the jiffies, which are a
 * load, say whether it has to be. Towards a second's end it always is.
 */
static __always_inline __u32 choose_stamp(void)
{
	const struct filter_stamps *stamps = &filter_answers.stamps;
	const __u32 edition = *(const volatile __u32 *)&stamps->edition & 127;
	const __u64 when = bpf_jiffies64() << 7 | edition;
	const __u64 choice = *(volatile __u64 *)&stamp_choice;
	__u64 now;

	if (choice >> 1 == when)
		return choice & 1;
	now = bpf_ktime_get_ns();
#pragma unroll
	for (__u32 slot = 0; slot < 2; slot++) {
		const __u64 from = *(const volatile __u64 *)&stamps->slots[slot].from_ns;

		if (!from || now - from >= NSEC_PER_SEC)
			continue;
		if (now - from < NSEC_PER_SEC - SECOND_ENDS)
			*(volatile __u64 *)&stamp_choice = when << 1 | slot;
		return slot;
	}
	return NO_STAMP;
}

/* Copies a stamp, unless user space is about to change it. */
static __always_inline bool read_stamp(__u64 text[4], __u64 *sum, __u32 slot)
{
	const volatile struct filter_stamp *stamp = &filter_answers.stamps.slots[slot & 1];
	const __u64 from = stamp->from_ns;

	text[0] = *(const volatile __u64 *)&stamp->text[0];
	text[1] = *(const volatile __u64 *)&stamp->text[8];
	text[2] = *(const volatile __u64 *)&stamp->text[16];
	text[3] = *(const volatile __u64 *)&stamp->text[24];
	*sum = stamp->sum;
	return from && stamp->from_ns == from;
}

#define WRITE_SUM8(word) ((__u64)(__u32)(word) + ((word) >> 32))

/*
 * Writes the answer: sum is that of its payload, with the stamp of this slot in front (NO_STAMP:
 * none); padding is what Ethernet has behind the datagram. Returns 0; or ANSWER_CANNOT, with the
 * datagram as it was.
 */
__attribute__((noinline)) int answer_write(
	struct xdp_md *ctx, __u32 shape, __u32 payload_sum, __u32 slot, __u32 padding)
{
	__u32 udp_len = UDP_HEADER_LEN + (shape & 0xffff), mac[2], ports;
	__u64 text[4] = {}, addr[4], sum = payload_sum;
	__u8 *to, *from, *end;
	__u16 mac_end[2], wire_len, checksum;

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
	for (__u32 i = 0; i < MAX_VLAN_TAGS; i++) {
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
		STORE16(to, 0, PACKET_BE16(ETHERTYPE_IPV6));
		STORE32(to, 2, PACKET_BE32(0x60000000));
		STORE32(to, 6, PACKET_BE32(udp_len << 16 | IP_PROTO_UDP << 8 | 64));
		STORE64(to, 10, addr[2]);
		STORE64(to, 18, addr[3]);
		STORE64(to, 26, addr[0]);
		STORE64(to, 34, addr[1]);
		sum += WRITE_SUM8(addr[0]) + WRITE_SUM8(addr[1]);
		sum += WRITE_SUM8(addr[2]) + WRITE_SUM8(addr[3]);
		PACKET_STEP(to, 2 + IPV6_HEADER_LEN);
	} else {
		const __u16 version = PACKET_BE16(0x4500), flags = PACKET_BE16(0x4000 /* DF */);
		const __u16 ttl_protocol = PACKET_BE16(64 << 8 | IP_PROTO_UDP);
		const __u16 total_len = PACKET_BE16(IPV4_HEADER_LEN + udp_len);
		__u64 addresses;

		if (from + 2 + IPV4_HEADER_LEN + UDP_HEADER_LEN > end ||
			to + 2 + IPV4_HEADER_LEN + UDP_HEADER_LEN > end)
			return ANSWER_CANNOT;
		addr[0] = LOAD32(from, 14);
		addr[1] = LOAD32(from, 18);
		ports = LOAD32(from, 2 + IPV4_HEADER_LEN);
		addresses = addr[0] + addr[1];
		STORE16(to, 0, PACKET_BE16(ETHERTYPE_IPV4));
		STORE64(to, 2, PACKET_HALF(version, total_len, 0, flags));
		STORE16(to, 10, ttl_protocol);
		STORE16(to, 12, ~fold(addresses + version + total_len + flags + ttl_protocol));
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

#endif
