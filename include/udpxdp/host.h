/* SPDX-License-Identifier: MIT */
/*
 * The host as the engine sees it: its addresses, and the interface's MAC, MTU and subnets. A
 * snapshot that never changes; when the host changes, a new one takes its place. It knows no
 * system call: whoever builds it brings the addresses (from rtnetlink, or from --local).
 */
#ifndef UDPXDP_HOST_H
#define UDPXDP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datagram.h"

struct udpxdp_host_addr {
	struct udpxdp_addr addr;
	struct udpxdp_addr broadcast; /* of its subnet; unspecified: there is none */
	uint8_t prefix_len;           /* 0-32 for IPv4, 0-128 for IPv6 */
	bool on_iface;                /* on the served interface, not on another */
};

struct udpxdp_host {
	uint32_t mtu; /* bytes of an IP packet */
	uint8_t mac[6];
	bool any_unicast;        /* replay without --local: every unicast destination is ours */
	struct udpxdp_addr ipv4; /* the interface's first IPv4 address; unspecified: it has none */
	uint32_t count;
	uint32_t mask;                  /* of the index; its size is mask + 1 */
	struct udpxdp_host_addr *addrs; /* count of them */
	struct udpxdp_host_slot *index; /* open addressing; kind 0: free */
};

/* One address in the index: LOCAL_UNICAST, or LOCAL_BROADCAST of one of the interface's subnets. */
struct udpxdp_host_slot {
	struct udpxdp_addr addr;
	uint32_t kind;
	uint32_t reserved[3]; /* so that its place is found by a shift */
};

/*
 * Makes a snapshot. addrs (count of them, at most MAX_LOCAL_ADDRS; more are left out) is copied;
 * duplicates are harmless. Returns one block that free() frees, or NULL with errno ENOMEM.
 */
struct udpxdp_host *udpxdp_host_new(
	const uint8_t mac[6], uint32_t mtu, const struct udpxdp_host_addr *addrs, size_t count);

static inline uint32_t udpxdp_host_hash(const struct udpxdp_addr *addr)
{
	uint64_t q[2];

	memcpy(q, addr, sizeof(q));
	return ((q[0] ^ q[1]) * 0x9e3779b97f4a7c15u) >> 32;
}

/*
 * What an address is to this host: LOCAL_UNICAST, on whatever interface; LOCAL_BROADCAST for
 * 255.255.255.255 and the broadcast addresses of the interface's subnets; 0 for anything else.
 */
static inline uint32_t udpxdp_host_kind(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	uint32_t i = udpxdp_host_hash(addr) & net->mask;

	while (net->index[i].kind && !udpxdp_addr_equal(&net->index[i].addr, addr))
		i = (i + 1) & net->mask;
	return net->index[i].kind;
}

/*
 * Our address in the same subnet of the interface as this one (RFC 1122 3.3.1.1, on-link), the
 * first where there are several; NULL: it is in none of them.
 */
const struct udpxdp_addr *udpxdp_host_addr_on_subnet_of(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr);

static inline bool udpxdp_host_on_link(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	return udpxdp_host_addr_on_subnet_of(net, addr);
}

#endif
