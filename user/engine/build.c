/* SPDX-License-Identifier: MIT */
#include "engine/build.h"

#include "engine/checksum.h"
#include "udpxdp/packet.h"

#define DEFAULT_TTL 64

static inline uint8_t *put16(uint8_t *p, uint16_t v)
{
	v = PACKET_BE16(v);
	memcpy(p, &v, 2);
	return p + 2;
}

static inline uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

static inline uint32_t sum16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t sum_ipv4(const struct ip_addr *a)
{
	return sum16(a->b + 12) + sum16(a->b + 14);
}

void headers_write(uint8_t *p, const struct path *path, uint32_t len, uint32_t payload_sum)
{
	const struct endpoint *from = &path->local, *to = &path->peer;
	uint16_t udp_len = UDP_HEADER_LEN + len;
	uint8_t ttl = path->ttl ? path->ttl : DEFAULT_TTL;
	uint32_t addr_sum;
	uint16_t checksum;

	p = put(p, to->mac, 6);
	p = put(p, from->mac, 6);
	for (int i = 0; i < path->tag_count; i++) {
		p = put16(p, path->tags[i].tpid);
		p = put16(p, path->tags[i].tci);
	}

	if (ip_addr_is_ipv4(&to->addr)) {
		uint16_t total_len = IPV4_HEADER_LEN + udp_len;

		addr_sum = sum_ipv4(&from->addr) + sum_ipv4(&to->addr);
		checksum = ~checksum_fold(0x4500 + total_len + 0x4000 +
				((uint32_t)ttl << 8 | IP_PROTO_UDP) + addr_sum);
		p = put16(p, ETHERTYPE_IPV4);
		p = put16(p, 0x4500);
		p = put16(p, total_len);
		p = put16(p, 0);
		p = put16(p, 0x4000); /* DF */
		*p++ = ttl;
		*p++ = IP_PROTO_UDP;
		p = put16(p, checksum);
		p = put(p, from->addr.b + 12, 4);
		p = put(p, to->addr.b + 12, 4);
	} else {
		addr_sum = checksum_sum(from->addr.b, 16) + checksum_sum(to->addr.b, 16);
		p = put16(p, ETHERTYPE_IPV6);
		p = put16(p, 0x6000);
		p = put16(p, 0);
		p = put16(p, udp_len);
		*p++ = IP_PROTO_UDP;
		*p++ = ttl;
		p = put(p, from->addr.b, 16);
		p = put(p, to->addr.b, 16);
	}

	checksum = ~checksum_fold(addr_sum + IP_PROTO_UDP + 2u * udp_len + from->port + to->port +
			payload_sum);
	p = put16(p, from->port);
	p = put16(p, to->port);
	p = put16(p, udp_len);
	put16(p, checksum ? checksum : 0xffff); /* 0 would say: none (RFC 768) */
}
