/* SPDX-License-Identifier: MIT */
/* What rtnetlink says of an interface and of those above and below it (rtnetlink(7)). */
#ifndef UDPXDP_NETLINK_LINK_H
#define UDPXDP_NETLINK_LINK_H

#include <net/if.h>

#include "netlink/netlink.h"

#define LINK_KIND_SIZE 16
#define LINK_VLANS_MAX 8   /* devices above that are kept by name */
#define LINK_STOREYS_MAX 8 /* devices above each other, as the kernel allows */

struct link_facts {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[LINK_KIND_SIZE]; /* "veth", "bond", "bridge", "vlan", …; "": hardware */
	bool ethernet, loopback, up, carrier;
	bool filters_vlans; /* a bridge that knows its ports' VLANs */
	bool layer3;        /* an ipvlan in mode l3 or l3s, which has no frames */
	bool has_mac;
	uint8_t mac[6];
	uint32_t mtu;
	struct udpxdp_vlan_tag tag;    /* of a VLAN device: what it puts on frames; else TPID 0 */
	unsigned rx_queues, tx_queues; /* as the kernel made them */
	uint32_t xdp_native, xdp_generic, xdp_offloaded; /* ids of programs attached; 0: none */

	int master; /* index of the bridge, bond, … that it is a member of; 0: none */
	char master_name[IFNAMSIZ], master_kind[LINK_KIND_SIZE];
	bool backup; /* a bond's member that is not the active one */

	int lower; /* index of the device it stands on; 0: none, or in another namespace */
	char lower_name[IFNAMSIZ];

	char xdp_beside[IFNAMSIZ]; /* one right above or below it that has a program; "": none */

	unsigned vlan_count; /* VLAN devices above it */
	char vlan_names[LINK_VLANS_MAX][IFNAMSIZ];
};

/* Reads them. Returns 0, or -1 with errno (ENODEV: no such interface), *facts then void. */
int link_read(int ifindex, struct link_facts *facts);

/* The same, but nothing of the others: their names, kinds and number stay empty. An interface can
 * be renamed: this says what it is called now. */
int link_read_itself(struct mnl_socket *socket, int ifindex, struct link_facts *facts);

/* How many devices of this namespace it stands on, LINK_STOREYS_MAX at most. */
unsigned link_storey(int ifindex);

/* On which device the kernel keeps an interface's neighbours: a port's are its bridge's or bond's,
 * a VRF's member has its own. Itself, where its master cannot be read. */
int link_neighbour_holder(struct mnl_socket *socket, int ifindex);

#endif
