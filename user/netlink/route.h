/* SPDX-License-Identifier: MIT */
/* The kernel's own choice of a way to a peer, as far as the next hop: by rtnetlink. */
#ifndef UDPXDP_ROUTE_H
#define UDPXDP_ROUTE_H

#include "netlink/netlink.h"
#include "udpxdp/host.h"

#define ROUTE_ERROR_SIZE 160

/* Whose link-layer address is wanted: the peer itself, or the gateway to it. */
struct hop {
	int ifindex; /* the route's: the interface, a VLAN device on it, or its bridge */
	uint8_t family;
	struct udpxdp_addr addr;
};

static inline bool hop_equal(const struct hop *a, const struct hop *b)
{
	return a->ifindex == b->ifindex && a->family == b->family &&
	       udpxdp_addr_equal(&a->addr, &b->addr);
}

/*
 * Finds the way to peer by the interface ifindex. *path gets all but the ports and the peer's
 * MAC, *hop who is to be asked for that. Returns false with one line in error when there is none.
 */
bool route_find(struct mnl_socket *socket, int ifindex, const struct udpxdp_addr *peer,
	struct udpxdp_path *path, struct hop *hop, char error[ROUTE_ERROR_SIZE]);

/* Does a route to the subnet of this address say that it is on the link of ifindex, or of a VLAN
 * device on it? */
bool route_is_on_link(struct mnl_socket *socket, int ifindex, const struct udpxdp_host_addr *addr);

#endif
