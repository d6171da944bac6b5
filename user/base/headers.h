/* SPDX-License-Identifier: MIT */
/* The headers of a frame: the reverse of packet.h. */
#ifndef UDPXDP_HEADERS_H
#define UDPXDP_HEADERS_H

#include <stdbool.h>

#include "udpxdp/datagram.h"
#include "udpxdp/packet.h"

#define HEADERS_MAX (14 + UDPXDP_VLAN_TAGS_MAX * 4 + 40 + 8)

/* Bytes of IP and UDP header on this path. */
static inline uint32_t ip_udp_len(const struct udpxdp_path *path)
{
	return (udpxdp_addr_is_ipv4(&path->peer.addr) ? 20 : 40) + 8;
}

/* Bytes from the start of the frame to the payload on this path. */
static inline uint32_t headers_len(const struct udpxdp_path *path)
{
	return 14 + path->tag_count * 4 + ip_udp_len(path);
}

/*
 * Writes headers_len(path) bytes at p (any alignment) for a datagram from path->local to
 * path->peer with a payload of len bytes whose sum (see checksum_sum()) is payload_sum. IPv4: no
 * options, DF set and so no identification (RFC 6864, 4.1). The UDP checksum is always there.
 */
void headers_write(uint8_t *p, const struct udpxdp_path *path, uint32_t len, uint32_t payload_sum);

/*
 * Is a datagram one that routers may fragment? IPv4 packets of more than IPV4_WHOLE_MAX bytes are,
 * since nobody here hears of paths that carry no more.
 */
static inline bool headers_may_be_fragmented(const struct udpxdp_path *path, uint32_t len)
{
	return udpxdp_addr_is_ipv4(&path->peer.addr) && ip_udp_len(path) + len > IPV4_WHOLE_MAX;
}

/* Makes it one, where headers_write() made its headers at p, by this identification (host order;
 * RFC 6864, 4.2) in place of DF. */
void headers_allow_fragments(uint8_t *p, const struct udpxdp_path *path, uint16_t id);

/*
 * The same for a datagram whose payload needs no sum: the UDP checksum is that of the
 * pseudo-header alone, not complemented, as a sender on this machine leaves it for an offload to
 * complete. tos is the TOS or traffic class.
 */
void headers_write_partial(uint8_t *p, const struct udpxdp_path *path, uint8_t tos, uint32_t len);

#endif
