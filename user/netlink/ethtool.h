/* SPDX-License-Identifier: MIT */
/*
 * What a driver says of its interface: queues, rings and offloads, by ethtool netlink
 * (Documentation/networking/ethtool-netlink.rst). Reads, and changes nothing.
 */
#ifndef UDPXDP_NETLINK_ETHTOOL_H
#define UDPXDP_NETLINK_ETHTOOL_H

#include <stdbool.h>

/* Numbers are 0, and flags false, where the driver does not say. */
struct ethtool_facts {
	char driver[32];                       /* "" for a purely virtual one that does not say */
	unsigned rx_queues, tx_queues;         /* as set; combined ones count for both */
	unsigned rx_queues_max, tx_queues_max; /* what can be set */
	bool combined;                         /* are queues set as combined ones? */
	unsigned rx_ring, rx_ring_max;         /* descriptors of an RX queue */
	bool lro, gro_hw, udp_gro_forwarding, rxvlan; /* offloads that are on */
	bool rxvlan_fixed;                            /* and cannot be turned off */
	bool hash_known;                              /* the UDP flow hash is known: */
	bool hash_ports;                              /* it has the ports in it */
};

/* Reads them. Returns 0, or -1 with errno when the kernel has no ethtool netlink (before Linux
 * 5.6) or refuses; what could be read is then in *facts all the same. */
int ethtool_read(int ifindex, struct ethtool_facts *facts);

#endif
