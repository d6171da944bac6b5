/* SPDX-License-Identifier: MIT */
/*
 * First contact: how to reach a peer that never spoke to us. Route, source address and
 * neighbour come from the kernel by rtnetlink (rtnetlink(7), RTM_GETROUTE, RTM_NEWNEIGH with
 * NTF_USE); run by the server's event loop, never by a data-path thread.
 */
#ifndef UDPXDP_NEIGHBOURS_H
#define UDPXDP_NEIGHBOURS_H

#include <systemd/sd-event.h>

#include "base/neighbour_table.h"

struct neighbours;

/* Opens it for the interface with this index. Returns NULL with errno. */
struct neighbours *neighbours_open(sd_event *loop, int ifindex);

/* Has this do the part of resolver_use() from now on, for a process that may not. */
void neighbours_resolve_by(
	struct neighbours *neighbours, int (*use)(int ifindex, const struct udpxdp_addr *addr));

/*
 * Finds the way to peer. done is called exactly once, at once or later (at most about three
 * seconds): with error NULL and a path whose local and peer addresses, MACs and VLAN tags are
 * set (the ports are the caller's); or with path NULL and one line that says why there is no way,
 * such as "no answer to ARP from 10.0.0.9", "no route to 10.9.9.9", "the route to 10.9.9.9 goes
 * out of eth1, not of this interface".
 */
void neighbours_resolve(struct neighbours *neighbours, const struct udpxdp_addr *peer,
	void (*done)(void *context, const struct udpxdp_path *path, const char *error),
	void *context);

/* Who is on the link, by the kernel's own table, kept up to date from the event loop. Lasts until
 * neighbours_close(). */
const struct neighbour_table *neighbours_table(const struct neighbours *neighbours);

/* Looks at this neighbour in a VLAN (0: none), has the kernel look for it if need be, and writes
 * what is found into the table, at once or later. */
void neighbours_ask(struct neighbours *neighbours, const struct udpxdp_addr *addr, uint32_t vlan);

/* Looks for the way to an address, on the link or beyond, in a VLAN (0: none): its own MAC or that
 * of the router towards it goes into the table, and a router is followed from then on. */
void neighbours_follow(
	struct neighbours *neighbours, const struct udpxdp_addr *addr, uint32_t vlan);

/* Once a second: routes may have changed, who did not answer may be asked for again after a while.
 */
void neighbours_periodic(struct neighbours *neighbours);

/* Ends; requests under way are answered with an error. */
void neighbours_close(struct neighbours *neighbours);

#endif
