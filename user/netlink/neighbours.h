/* SPDX-License-Identifier: MIT */
/*
 * First contact: how to reach a peer that never spoke to us. Route, source address and
 * neighbour come from the kernel by rtnetlink (rtnetlink(7), RTM_GETROUTE, RTM_NEWNEIGH with
 * NTF_USE); run by the server's event loop, never by a data-path thread.
 */
#ifndef UDPXDP_NEIGHBOURS_H
#define UDPXDP_NEIGHBOURS_H

#include <systemd/sd-event.h>

#include "udpxdp/datagram.h"

struct neighbours;

/* Opens it for the interface with this index. Returns NULL with errno. */
struct neighbours *neighbours_open(sd_event *loop, int ifindex);

/*
 * Finds the way to peer. done is called exactly once, at once or later (at most about three
 * seconds): with error NULL and a path whose local and peer addresses, MACs and VLAN tags are
 * set (the ports are the caller's); or with path NULL and one line that says why there is no way,
 * such as "no answer to ARP from 10.0.0.9", "no route to 10.9.9.9", "the route to 10.9.9.9 leaves
 * by eth1, not by this interface".
 */
void neighbours_resolve(struct neighbours *neighbours, const struct udpxdp_addr *peer,
	void (*done)(void *context, const struct udpxdp_path *path, const char *error),
	void *context);

/* Ends; requests under way are answered with an error. */
void neighbours_close(struct neighbours *neighbours);

#endif
