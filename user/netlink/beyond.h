/* SPDX-License-Identifier: MIT */
/*
 * Who is beyond the link, and by which router the kernel would reach it: kept up to date as
 * neighbour_table entries of the state NEIGHBOUR_BEYOND.
 */
#ifndef UDPXDP_NETLINK_BEYOND_H
#define UDPXDP_NETLINK_BEYOND_H

#include <systemd/sd-event.h>

#include "base/neighbour_table.h"
#include "netlink/hop.h"

struct beyond;

/* Opens it for an interface. What is given outlives it. Returns NULL with errno. */
struct beyond *beyond_open(
	sd_event *loop, struct mnl_socket *questions, struct neighbour_table *table, int ifindex);
void beyond_close(struct beyond *beyond);

/*
 * Looks for the way to an address in a VLAN (0: none) of the interface, now. Returns false where
 * there is none. *hop gets whose MAC is wanted, the address itself or a router's, and *found what
 * the kernel knows of it. A router is followed from then on, and its MAC is in the table.
 */
bool beyond_follow(struct beyond *beyond, const struct udpxdp_addr *addr, uint32_t vlan,
	struct hop *hop, struct neighbour *found);

/* The kernel has said this of a neighbour, who may be a router. */
void beyond_note(
	struct beyond *beyond, const struct hop *router, const struct neighbour *neighbour);

/* Something was not heard of: looks at all of them again. */
void beyond_look_again(struct beyond *beyond);

/* Once a second: the same, if routes have changed. */
void beyond_periodic(struct beyond *beyond);

#endif
