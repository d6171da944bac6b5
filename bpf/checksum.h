/* SPDX-License-Identifier: MIT */
/*
 * The checksums of a question, as the engine judges them. What is costly to verify stands, here and
 * in answer.h, in functions that are inlined into the program for CAP_PERFMON and global for the
 * others: the verifier looks at a global function once and by itself, but its call takes time.
 */
#ifndef UDPXDP_BPF_CHECKSUM_H
#define UDPXDP_BPF_CHECKSUM_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "udpxdp/packet.h"

#define PAYLOAD_MAX 1480  /* what check_sums() can sum */
#define ANSWER_CANNOT -99 /* to be left to the engine */
#define REFUSED(reason) (-1 - UDPXDP_DROP_##reason)

/* Any alignment, as the machines do it on which the kernel wants none. */
#define LOAD16(p, at) (*(const __u16 *)((const __u8 *)(p) + (at)))
#define LOAD32(p, at) (*(const __u32 *)((const __u8 *)(p) + (at)))
#define LOAD64(p, at) (*(const __u64 *)((const __u8 *)(p) + (at)))
#define STORE16(p, at, value) (*(__u16 *)((__u8 *)(p) + (at)) = (value))
#define STORE32(p, at, value) (*(__u32 *)((__u8 *)(p) + (at)) = (value))
#define STORE64(p, at, value) (*(__u64 *)((__u8 *)(p) + (at)) = (value))

/*
 * The shape of a datagram, all that the functions below are told of it: bits 0-15 the length of its
 * payload, 16-17 the number of tags, 18 whether it is IPv6, 19 whether its DSCP is to be kept.
 */
#define SHAPE_IPV6 (1u << 18)
#define SHAPE_DSCP (1u << 19)

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
 * The pointer moves by constants alone, so the verifier goes as many paths as there are lengths;
 * with CAP_PERFMON a variable may be added, and it goes on from there once.
 */
static __always_inline int check_sums(struct xdp_md *ctx, __u32 shape, bool perfmon)
{
	const __u8 *p = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	const __u8 *payload;
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
	payload = p;

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
	SUM_PIECE(64, SUM32(0) + SUM32(32));
	if (perfmon)
		p = payload + (len & 0x7c0); /* where it is */
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

__attribute__((noinline)) int answer_check(struct xdp_md *ctx, __u32 shape)
{
	return check_sums(ctx, shape, false);
}

#endif
