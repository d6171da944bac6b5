/* SPDX-License-Identifier: MIT */
#include "engine/build.h"

#include "engine/checksum.h"
#include "udpxdp/packet.h"

#define DEFAULT_TTL 64

static inline uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* Two 16-bit fields, in host order. */
static inline uint8_t *put32(uint8_t *p, uint16_t first, uint16_t second)
{
	uint32_t word = PACKET_BE32((uint32_t)first << 16 | second);

	return put(p, &word, 4);
}

static inline uint8_t *put16(uint8_t *p, uint16_t v)
{
	v = PACKET_BE16(v);
	return put(p, &v, 2);
}

static uint8_t *put_tags(uint8_t *p, const struct path *path)
{
	for (int i = 0; i < path->tag_count; i++)
		p = put32(p, path->tags[i].tpid, path->tags[i].tci);
	return p;
}

/* Returns the sum of the addresses in *sum. */
static inline uint8_t *put_ipv4(uint8_t *p, const struct path *path, uint16_t total_len,
		uint64_t *sum)
{
	uint8_t fixed[12] = {0x45, 0, total_len >> 8, total_len & 0xff, 0, 0, 0x40 /* DF */, 0,
			path->ttl ? path->ttl : DEFAULT_TTL, IP_PROTO_UDP};
	uint16_t checksum;

	*sum = (uint64_t)path->local.addr.w[3] + path->peer.addr.w[3];
	checksum = ~checksum_fold(*sum + checksum_word32(fixed) + checksum_word32(fixed + 4) +
			checksum_word32(fixed + 8));
	memcpy(fixed + 10, &checksum, 2);
	p = put(p, fixed, sizeof(fixed));
	p = put(p, &path->local.addr.w[3], 4);
	return put(p, &path->peer.addr.w[3], 4);
}

static inline uint8_t *put_ipv6(uint8_t *p, const struct path *path, uint16_t payload_len,
		uint64_t *sum)
{
	const uint8_t fixed[8] = {0x60, 0, 0, 0, payload_len >> 8, payload_len & 0xff,
			IP_PROTO_UDP, path->ttl ? path->ttl : DEFAULT_TTL};

	*sum = checksum_sum(&path->local.addr, 16) + checksum_sum(&path->peer.addr, 16);
	p = put(p, fixed, sizeof(fixed));
	p = put(p, &path->local.addr, 16);
	return put(p, &path->peer.addr, 16);
}

void headers_write(uint8_t *p, const struct path *path, uint32_t len, uint32_t payload_sum)
{
	uint16_t udp_len = UDP_HEADER_LEN + len, checksum;
	uint64_t sum;
	uint8_t *udp;

	p = put(p, path->peer.mac, 6);
	p = put(p, path->local.mac, 6);
	if (path->tag_count)
		p = put_tags(p, path);
	if (ip_addr_is_ipv4(&path->peer.addr)) {
		p = put16(p, ETHERTYPE_IPV4);
		p = put_ipv4(p, path, IPV4_HEADER_LEN + udp_len, &sum);
	} else {
		p = put16(p, ETHERTYPE_IPV6);
		p = put_ipv6(p, path, udp_len, &sum);
	}
	udp = p;
	p = put32(p, path->local.port, path->peer.port);
	/* The length counts twice: in the header and in the pseudo-header. */
	sum += checksum_word32(udp) + PACKET_BE16(IP_PROTO_UDP) + 2u * PACKET_BE16(udp_len) +
			payload_sum;
	checksum = ~checksum_fold(sum);
	p = put16(p, udp_len);
	if (!checksum)
		checksum = 0xffff; /* 0 would say: none (RFC 768) */
	put(p, &checksum, 2);
}
