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
	struct udpxdp_addr broadcast; /* that it was given; unspecified: none. That of its subnet
				       * is one, too */
	struct udpxdp_addr peer;      /* the subnet is this one's; unspecified: its own */
	uint8_t prefix_len;           /* of the subnet: 0-32 for IPv4, 0-128 for IPv6 */
	bool on_iface;                /* on the served interface, not on another */
	bool off_link;                /* no route says that the subnet is on the link */
	bool inward;                  /* of scope host: not to announce from */
	uint32_t vlan; /* that it is configured on, above the interface, its tags as one number,
			* 0: on none; or UDPXDP_VLAN_ALL: it counts on every one */
};

/* A VLAN from which frames are taken, and in which VLAN an address must be configured then: itself,
 * or UDPXDP_VLAN_ALL. */
struct udpxdp_host_vlan {
	uint32_t vlan, counts_as;
};

/* By what the kernel takes a frame for its own. */
struct udpxdp_host_links {
	uint8_t mac[6];       /* of the interface; answers to broadcasts leave from it */
	bool any_vlan;        /* frames are taken in whatever VLAN */
	const uint64_t *macs; /* mac_count further ones that are ours, as numbers */
	size_t mac_count;
	const struct udpxdp_host_vlan *vlans; /* vlan_count of them */
	size_t vlan_count;
};

struct udpxdp_host {
	uint32_t mtu;     /* bytes of an IP packet */
	uint32_t ifindex; /* by which the kernel knows the interface; 0: none */
	uint8_t ingress;  /* for paths to everybody on the interface: see struct udpxdp_path */
	uint8_t mac[6];
	bool any_mac;     /* replay without --mac: every unicast MAC address is ours */
	bool any_group;   /* replay: what went to a group's MAC address may be for us alone */
	bool any_vlan;    /* frames are taken in whatever VLAN */
	bool any_unicast; /* replay without --local: every unicast destination is ours */
	struct udpxdp_addr ipv4; /* the interface's first IPv4 address; unspecified: it has none */
	uint32_t count;
	uint32_t mask;                  /* of the index; its size is mask + 1 */
	struct udpxdp_host_addr *addrs; /* count of them */
	struct udpxdp_host_slot *index; /* open addressing; kind 0: free */
	uint32_t mac_count, vlan_count;
	uint64_t *macs; /* besides mac */
	struct udpxdp_host_vlan *vlans;
};

/* One address in the index: UDPXDP_LOCAL_UNICAST, or UDPXDP_LOCAL_BROADCAST of one of the
 * interface's subnets. */
struct udpxdp_host_slot {
	struct udpxdp_addr addr;
	uint32_t kind;
	uint32_t vlan;        /* as of the address */
	uint32_t reserved[2]; /* so that its place is found by a shift */
};

/*
 * Makes a snapshot. addrs (count of them, at most UDPXDP_LOCAL_ADDRS_MAX; more are left out) is
 * copied; duplicates are harmless: an address on several VLANs counts on every one. Frames are
 * taken to this MAC address, in any VLAN. Returns one block that free() frees, or NULL with errno
 * ENOMEM.
 */
struct udpxdp_host *udpxdp_host_new(
	const uint8_t mac[6], uint32_t mtu, const struct udpxdp_host_addr *addrs, size_t count);

/* The same, with all that is known of the links, which is copied. */
struct udpxdp_host *udpxdp_host_new_on(const struct udpxdp_host_links *links, uint32_t mtu,
	const struct udpxdp_host_addr *addrs, size_t count);

static inline uint32_t udpxdp_host_hash(const struct udpxdp_addr *addr)
{
	uint64_t q[2];

	memcpy(q, addr, sizeof(q));
	return ((q[0] ^ q[1]) * 0x9e3779b97f4a7c15u) >> 32;
}

/* Where an address stands in the index; kind 0: nowhere. */
static inline const struct udpxdp_host_slot *udpxdp_host_find(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	uint32_t i = udpxdp_host_hash(addr) & net->mask;

	while (net->index[i].kind && !udpxdp_addr_equal(&net->index[i].addr, addr))
		i = (i + 1) & net->mask;
	return &net->index[i];
}

/*
 * What an address is to this host: UDPXDP_LOCAL_UNICAST, on whatever interface;
 * UDPXDP_LOCAL_BROADCAST for 255.255.255.255 and the broadcast addresses of the interface's
 * subnets; 0 for anything else.
 */
static inline uint32_t udpxdp_host_kind(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	return udpxdp_host_find(net, addr)->kind;
}

/* The same, for a frame in this VLAN: see udpxdp_host_vlan_of(). */
static inline uint32_t udpxdp_host_kind_on(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr, uint32_t vlan)
{
	const struct udpxdp_host_slot *slot = udpxdp_host_find(net, addr);

	return slot->vlan == vlan || slot->vlan == UDPXDP_VLAN_ALL || vlan == UDPXDP_VLAN_ALL
		       ? slot->kind
		       : 0;
}

/* In which VLAN a frame with these tags, as one number, is: 0, one of ours, UDPXDP_VLAN_ALL: it is
 * in them all; UDPXDP_VLAN_NONE: it is not to be taken. */
uint32_t udpxdp_host_vlan_of(const struct udpxdp_host *net, uint32_t vlan);

/* Is a unicast MAC address, as a number, one of ours? */
bool udpxdp_host_has_mac(const struct udpxdp_host *net, uint64_t mac);

/*
 * Our address in the same subnet of the interface as this one (RFC 1122 3.3.1.1, on-link), the
 * first where there are several; NULL: it is in none of them.
 */
const struct udpxdp_addr *udpxdp_host_addr_on_subnet_of(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr);

/*
 * The broadcast address of an IPv4 address's subnet; unspecified where it has no room for one
 * (RFC 3021), or is that of all zeroes.
 */
struct udpxdp_addr udpxdp_host_subnet_broadcast(const struct udpxdp_host_addr *addr);

static inline bool udpxdp_host_on_link(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	return udpxdp_host_addr_on_subnet_of(net, addr);
}

#endif
