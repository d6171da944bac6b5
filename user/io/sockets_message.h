/* SPDX-License-Identifier: MIT */
/*
 * From what recvmsg(2) says of a datagram to the headers of a frame, and from a frame to what
 * sendmsg(2) wants to hear. Pure.
 *
 * A kernel socket knows no MAC. That of the peer holds the index of the interface it came by, as
 * 02:00 and four bytes; so whoever keeps the path to a peer keeps that too. Ours is all zero, that
 * of a broadcast all ones.
 */
#ifndef UDPXDP_IO_SOCKETS_MESSAGE_H
#define UDPXDP_IO_SOCKETS_MESSAGE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "udpxdp/datagram.h"
#include "udpxdp/frame_io.h"

/* Bytes of ancillary data, either way: addresses, TTL, TOS, time and the size of a segment. */
#define SOCKETS_CONTROL_SIZE 192

#define SOCKETS_TTL 64 /* that the sockets send with, where a message says nothing else */

struct sockets_name {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	};
};

/* What came: a datagram, or a train of datagrams that the kernel gathered (UDP_GRO). */
struct sockets_arrival {
	struct udpxdp_path path; /* as the frame's headers say it: local is the sender */
	uint8_t tos;
	uint16_t segment; /* bytes of each payload but the last; 0: a single one */
	uint64_t time_ns; /* 0: the kernel does not say */
};

/* Reads a message that came to the port `port`, its name that of a family of ours. */
void sockets_read_message(
	struct sockets_arrival *arrival, const struct msghdr *message, uint16_t port);

/* Writes the headers in front of a payload of len bytes: where the frame begins is returned. */
uint8_t *sockets_write_headers(
	const struct sockets_arrival *arrival, uint8_t *payload, uint32_t len);

/* Where a frame is to go: what two consecutive ones have in common when one call can send both. */
struct sockets_flow {
	struct udpxdp_addr local, peer; /* local unspecified: as the route says */
	uint16_t local_port, peer_port;
	uint32_t ifindex; /* of the interface that it came by; 0: not known */
	uint16_t ttl, tos;
};

/*
 * Reads a frame that is to be sent. Returns false when it is no whole UDP datagram over IPv4 or
 * IPv6; otherwise *payload and *len say what is to be sent, and where it lies.
 */
bool sockets_read_frame(
	struct sockets_flow *flow, const struct frame *frame, uint8_t **payload, uint32_t *len);

/*
 * Sets a message's name and ancillary data, which lie in *name and control (SOCKETS_CONTROL_SIZE
 * bytes, aligned as struct cmsghdr). segment: bytes of each datagram but the last of the train
 * that the message's payload is; 0: it is a single one.
 */
void sockets_write_message(struct msghdr *message, struct sockets_name *name, void *control,
	const struct sockets_flow *flow, uint16_t segment);

/* Are these the MAC addresses of a datagram that came by a socket, to this host alone? For who
 * finds it in a capture. */
bool sockets_wrote(const uint8_t *frame, uint32_t len);

#endif
