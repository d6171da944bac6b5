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

#include "types.h"

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
	struct udpxdp_vlan_tag tags[UDPXDP_VLAN_TAGS_MAX];
	uint8_t tag_count;
	uint8_t ingress; /* by which of the server's ways in and out the peer is reached: copy it */
	uint8_t ttl;     /* of what is sent: TTL or hop limit; 0 means 64 */
	uint8_t tos; /* of what is sent: type of service or traffic class (RFC 2474, RFC 3168) */
	/*
	 * The peer has shown that it hears us: it is of this host, its MAC is the one by which the
	 * kernel reaches it on the link, or a service sets this because it has echoed a secret. To
	 * one that has not, three times the bytes go that its address has sent, and no more.
	 */
	bool proven;
};

/*
 * A received datagram. payload is lent for the duration of the call it is passed to. Times are
 * nanoseconds since the epoch, UTC, of the host's clock.
 *
 * time_ns is when it arrived: by the kernel's stamp of its own where there is one (--mode sockets,
 * a capture); else, as over AF_XDP and on sockets beside it, when the batch of up to 64 that it
 * came in was taken, which is taken_ns, the same for all of them.
 */
struct udpxdp_datagram {
	struct udpxdp_path path;
	const uint8_t *payload;
	uint32_t len;
	uint32_t payload_sum; /* RFC 1071; taken when it was checked, so that whoever sends the
			       * payload on need not add it up again */
	bool broadcast; /* it was sent to a broadcast address; path.local is then our address in the
			 * peer's subnet, or the first of the interface */
	uint8_t ttl;    /* that it came with: TTL or hop limit */
	uint8_t tos;    /* that it came with: type of service or traffic class */
	uint64_t time_ns, taken_ns;
};

/* The VLANs that a path lies in, as one number: 0 without tags, and with those of priority alone
 * (IEEE 802.1Q, VID 0). */
static inline uint32_t udpxdp_vlan_id(const struct udpxdp_path *path)
{
	uint32_t id = 0;

	for (unsigned i = 0; i < path->tag_count; i++)
		id = id << 12 | (path->tags[i].tci & 0xfff);
	return id;
}

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
