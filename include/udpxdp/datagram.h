/* SPDX-License-Identifier: MIT */
/*
 * The datum that services and the engine speak of: a UDP datagram, where it came from and how
 * an answer gets back. Ports, tags and lengths are in host byte order; addresses are bytes as
 * they stand on the wire.
 */
#ifndef UDPXDP_DATAGRAM_H
#define UDPXDP_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "abi.h"

#define NSEC_PER_SEC 1000000000ull

/* The most UDP payload that a datagram can carry over IPv4 (65,535 - 20 - 8). */
#define UDPXDP_PAYLOAD_MAX 65507

struct udpxdp_vlan_tag {
	uint16_t tpid; /* 0x8100 or 0x88a8 */
	uint16_t tci;  /* priority, DEI, VLAN id */
};

struct udpxdp_endpoint {
	struct udpxdp_addr addr;
	uint16_t port;
	uint8_t mac[6];
};

/*
 * Everything that the headers of a frame say, seen from here: local is the address, port and
 * MAC that the peer spoke to and that an answer leaves from; tags are outermost first.
 */
struct udpxdp_path {
	struct udpxdp_endpoint local;
	struct udpxdp_endpoint peer;
	struct udpxdp_vlan_tag tags[MAX_VLAN_TAGS];
	uint8_t tag_count;
	uint8_t ttl; /* of what is sent: TTL or hop limit; 0 means 64 */
};

/*
 * A received datagram. payload is lent for the duration of the call it is passed to. time_ns is
 * when it was received, nanoseconds since the epoch, UTC.
 */
struct udpxdp_datagram {
	struct udpxdp_path path;
	const uint8_t *payload;
	uint32_t len;
	uint32_t payload_sum; /* RFC 1071; taken when it was checked, so that whoever sends the
			       * payload on need not add it up again */
	bool broadcast; /* it was sent to a broadcast address; path.local is then our address in the
			 * peer's subnet, or the first of the interface */
	uint64_t time_ns;
};

static inline bool udpxdp_addr_is_ipv4(const struct udpxdp_addr *a)
{
	return !(a->w[0] | a->w[1]) && !memcmp(&a->w[2], "\0\0\xff\xff", 4);
}

static inline bool udpxdp_addr_equal(const struct udpxdp_addr *a, const struct udpxdp_addr *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]));
}

static inline struct udpxdp_addr udpxdp_addr_ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct udpxdp_addr){.b = {[10] = 0xff, [11] = 0xff, [12] = a, b, c, d}};
}

#endif
