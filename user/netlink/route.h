/* SPDX-License-Identifier: MIT */
/* The kernel's own choice of a way to a peer, as far as the next hop: by rtnetlink. */
#ifndef UDPXDP_ROUTE_H
#define UDPXDP_ROUTE_H

#include "netlink/netlink.h"

#define ROUTE_ERROR_SIZE 160

/* Whose link-layer address is wanted: the peer itself, or the gateway to it. */
struct hop {
	int ifindex; /* the route's: the interface, a VLAN device on it, or its bridge */
	uint8_t family;
	struct udpxdp_addr addr;
};

/*
 * Finds the way to peer by the interface ifindex. *path gets all but the ports and the peer's
 * MAC, *hop who is to be asked for that. Returns false with one line in error when there is none.
 */
bool route_find(struct mnl_socket *socket, int ifindex, const struct udpxdp_addr *peer,
	struct udpxdp_path *path, struct hop *hop, char error[ROUTE_ERROR_SIZE]);

#endif
