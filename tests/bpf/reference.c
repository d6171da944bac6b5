/* SPDX-License-Identifier: MIT */
/*
 * The frame grammar a second time, byte by byte and without a thought of speed or verifier, so
 * that a mistake in packet.h is not also made by what judges it.
 */
#include <string.h>

#include "harness.h"

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static bool is_mapped(const uint8_t *addr)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return !memcmp(addr, mapped, 12);
}

/* RFC 768; size bytes are left for the datagram by the IP header. */
static enum frame_verdict reference_udp(
	const uint8_t *frame, uint32_t at, uint32_t size, struct frame_info *info)
{
	if (size < 8 || be16(frame + at + 4) < 8 || be16(frame + at + 4) > size)
		return FRAME_MALFORMED;
	info->l4 = at;
	info->payload = at + 8;
	info->payload_len = be16(frame + at + 4) - 8;
	info->source_port = be16(frame + at);
	info->dest_port = be16(frame + at + 2);
	return FRAME_UDP;
}

/* RFC 791, section 3.1. */
static enum frame_verdict reference_ipv4(
	const uint8_t *frame, uint32_t at, uint32_t len, struct frame_info *info)
{
	const uint8_t *ip = frame + at;
	uint32_t header, total;

	if (len - at < 20)
		return FRAME_MALFORMED;
	header = (ip[0] & 15) * 4;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20 || header > total || total > len - at)
		return FRAME_MALFORMED;
	if (ip[9] != 17)
		return FRAME_NOT_UDP;
	if (ip[6] & 0x20 || ip[6] & 0x1f || ip[7])
		return FRAME_FRAGMENT;
	info->version = 4;
	memset(&info->source, 0, 10);
	memset(&info->source.b[10], 0xff, 2);
	info->dest = info->source;
	memcpy(&info->source.b[12], ip + 12, 4);
	memcpy(&info->dest.b[12], ip + 16, 4);
	return reference_udp(frame, at + header, total - header, info);
}

/* RFC 8200, section 3; a length of 0 is a jumbogram's (RFC 2675), which has an extension header. */
static enum frame_verdict reference_ipv6(
	const uint8_t *frame, uint32_t at, uint32_t len, struct frame_info *info)
{
	static const uint8_t extensions[] = {0, 43, 50, 51, 60, 135, 139, 140, 253, 254};
	const uint8_t *ip = frame + at;
	uint32_t size;

	if (len - at < 40)
		return FRAME_MALFORMED;
	size = be16(ip + 4);
	if (ip[0] >> 4 != 6 || size > len - at - 40)
		return FRAME_MALFORMED;
	if (ip[6] == 44)
		return FRAME_FRAGMENT;
	if (memchr(extensions, ip[6], sizeof(extensions)))
		return FRAME_IPV6_EXTENSION;
	if (ip[6] != 17)
		return FRAME_NOT_UDP;
	if (is_mapped(ip + 8) || is_mapped(ip + 24))
		return FRAME_NOT_OURS;
	info->version = 6;
	memcpy(&info->source, ip + 8, 16);
	memcpy(&info->dest, ip + 24, 16);
	return reference_udp(frame, at + 40, size, info);
}

enum frame_verdict reference_classify(const uint8_t *frame, uint32_t len, struct frame_info *info)
{
	uint32_t at = 14, type;

	memset(info, 0, sizeof(*info));
	if (len < 14)
		return FRAME_MALFORMED;
	type = be16(frame + 12);
	while ((type == 0x8100 || type == 0x88a8) && info->tags < 2) {
		if (len - at < 4)
			return FRAME_MALFORMED;
		type = be16(frame + at + 2);
		at += 4;
		info->tags++;
	}
	info->l3 = at;
	if (type == 0x0800)
		return reference_ipv4(frame, at, len, info);
	if (type == 0x86dd)
		return reference_ipv6(frame, at, len, info);
	return FRAME_NOT_IP;
}
