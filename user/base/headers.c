/* SPDX-License-Identifier: MIT */
#include "base/headers.h"

#include "base/checksum.h"
#include "udpxdp/packet.h"

#define DEFAULT_TTL 64

static inline void put16(uint8_t *p, uint16_t word)
{
	memcpy(p, &word, sizeof(word));
}

static inline void put32(uint8_t *p, uint32_t word)
{
	memcpy(p, &word, sizeof(word));
}

static inline void put64(uint8_t *p, uint64_t word)
{
	memcpy(p, &word, sizeof(word));
}

/* Two fields that follow each other, given in host order. */
static inline uint32_t two(uint16_t first, uint16_t second)
{
	return PACKET_BE32((uint32_t)first << 16 | second);
}

static uint8_t *put_tags(uint8_t *p, const struct udpxdp_path *path)
{
	for (int i = 0; i < path->tag_count; i++, p += VLAN_TAG_LEN)
		put32(p, two(path->tags[i].tpid, path->tags[i].tci));
	return p;
}

static inline uint8_t ttl_of(const struct udpxdp_path *path)
{
	return path->ttl ? path->ttl : DEFAULT_TTL;
}

/* Returns the sum of the addresses. */
PACKET_INLINE uint64_t put_ipv4(
	uint8_t *p, const struct udpxdp_path *path, uint8_t tos, uint32_t udp_len)
{
	const uint16_t version = PACKET_BE16(0x4500 | tos), flags = PACKET_BE16(0x4000 /* DF */);
	uint32_t local = path->local.addr.w[3], peer = path->peer.addr.w[3];
	uint64_t addresses = (uint64_t)local + peer;
	uint16_t total_len = PACKET_BE16(IPV4_HEADER_LEN + udp_len);
	uint16_t ttl_protocol = PACKET_BE16(ttl_of(path) << 8 | IP_PROTO_UDP);

	put64(p, PACKET_HALF(version, total_len, 0, flags));
	put16(p + 8, ttl_protocol);
	put16(p + 10, ~checksum_fold(addresses + version + total_len + flags + ttl_protocol));
	put32(p + 12, local);
	put32(p + 16, peer);
	return addresses;
}

PACKET_INLINE uint64_t put_ipv6(
	uint8_t *p, const struct udpxdp_path *path, uint8_t tos, uint32_t udp_len)
{
	put32(p, two(0x6000 | tos << 4, 0));
	put32(p + 4, two(udp_len, IP_PROTO_UDP << 8 | ttl_of(path)));
	memcpy(p + 8, &path->local.addr, 16);
	memcpy(p + 24, &path->peer.addr, 16);
	return checksum_sum(p + 8, 32);
}

/* Writes all but the UDP header's checksum. *pseudo gets the sum of the pseudo-header. Returns
 * where the UDP header stands. */
PACKET_INLINE uint8_t *put_headers(
	uint8_t *p, const struct udpxdp_path *path, uint8_t tos, uint32_t len, uint64_t *pseudo)
{
	uint32_t udp_len = UDP_HEADER_LEN + len;
	uint16_t wire_len = PACKET_BE16(udp_len);
	uint64_t addresses;

	memcpy(p, path->peer.mac, 6);
	memcpy(p + 6, path->local.mac, 6);
	p += 12;
	if (path->tag_count)
		p = put_tags(p, path);
	if (udpxdp_addr_is_ipv4(&path->peer.addr)) {
		put16(p, PACKET_BE16(ETHERTYPE_IPV4));
		addresses = put_ipv4(p + 2, path, tos, udp_len);
		p += 2 + IPV4_HEADER_LEN;
	} else {
		put16(p, PACKET_BE16(ETHERTYPE_IPV6));
		addresses = put_ipv6(p + 2, path, tos, udp_len);
		p += 2 + IPV6_HEADER_LEN;
	}
	put32(p, two(path->local.port, path->peer.port));
	put16(p + 4, wire_len);
	*pseudo = addresses + PACKET_BE16(IP_PROTO_UDP) + wire_len;
	return p;
}

void headers_write(uint8_t *p, const struct udpxdp_path *path, uint32_t len, uint32_t payload_sum)
{
	uint64_t pseudo;
	uint8_t *udp = put_headers(p, path, path->tos, len, &pseudo);
	/* The length counts twice: in the header and in the pseudo-header. */
	uint16_t checksum = ~checksum_fold(pseudo + two(path->local.port, path->peer.port) +
					   PACKET_BE16(UDP_HEADER_LEN + len) + payload_sum);

	put16(udp + 6, checksum ? checksum : 0xffff); /* 0 would say: none (RFC 768) */
}

void headers_allow_fragments(uint8_t *p, const struct udpxdp_path *path, uint16_t id)
{
	const uint16_t flags = PACKET_BE16(0x4000 /* DF */), wire_id = PACKET_BE16(id);
	uint8_t *ip = p + ETH_HEADER_LEN + path->tag_count * VLAN_TAG_LEN;
	uint16_t checksum;

	put32(ip + 4, two(id, 0));
	/* RFC 1624, equation 3. */
	memcpy(&checksum, ip + 10, sizeof(checksum));
	put16(ip + 10, ~checksum_fold((uint64_t)(uint16_t)~checksum + (uint16_t)~flags + wire_id));
}

void headers_write_partial(uint8_t *p, const struct udpxdp_path *path, uint8_t tos, uint32_t len)
{
	uint64_t pseudo;
	uint8_t *udp = put_headers(p, path, tos, len, &pseudo);

	put16(udp + 6, checksum_fold(pseudo));
}
