/* SPDX-License-Identifier: MIT */
/* Has the kernel find out a neighbour's MAC address: the one thing here that takes CAP_NET_ADMIN,
 * and so a process that has it may do it for another. */
#ifndef UDPXDP_RESOLVER_H
#define UDPXDP_RESOLVER_H

#include "udpxdp/datagram.h"

/* Opens the way to the kernel, once, for a process that may not do so later. Returns 0, or -1 with
 * errno. */
int resolver_open(void);

/*
 * Has it find the neighbour with this address on the interface with this index, or find out whether
 * what it knows still holds (RTM_NEWNEIGH with NTF_USE). The answer comes as an event of rtnetlink.
 * Opens the way when it is not. Returns 0, or -1 with errno as the kernel says it.
 */
int resolver_use(int ifindex, const struct udpxdp_addr *addr);

#endif
