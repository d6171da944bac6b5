/* SPDX-License-Identifier: MIT */
/*
 * All links of this network namespace, and which of them get their frames by one of them: its
 * master, the VLAN devices and macvlans above it, its members. The reading is apart from the
 * judgement, which is pure.
 */
#ifndef UDPXDP_NETLINK_LINKS_H
#define UDPXDP_NETLINK_LINKS_H

#include "netlink/netlink.h"
#include "udpxdp/host.h"

/* --vlan: from which VLANs frames are taken, besides untagged ones. */
enum vlan_choice {
	VLAN_CHOICE_OWN, /* those that this host has a device for on the interface */
	VLAN_CHOICE_ANY,
	VLAN_CHOICE_NONE,
	VLAN_CHOICE_LIST,
};

#define VLAN_ID_MAX 4094

struct vlan_set {
	enum vlan_choice choice;
	uint64_t ids[VLAN_ID_MAX / 64 + 1]; /* of VLAN_CHOICE_LIST, a bit for each */
};

/* What a link is to the one asked about. */
enum link_road {
	ROAD_NONE,
	ROAD_BESIDE, /* frames of its MAC address come by it, but its subnets are not the link's: a
		      * member, a macvlan */
	ROAD_SAME,   /* it, or a device of the same network on it */
};

struct links_entry {
	int ifindex, lower, master; /* 0: none */
	uint32_t tag;               /* of a VLAN device: its piece of packet_vlan(); else 0 */
	bool above;                 /* gets what the lower one receives for its MAC address */
	bool gathers;               /* a bridge, bond, team: gets what its members receive */
	bool has_mac;
	uint8_t mac[6];

	enum link_road road; /* links_find_roads() sets these */
	uint32_t vlan;       /* of frames that come to it: packet_vlan() */
};

struct links {
	struct links_entry *entries;
	size_t count, room;
};

/* Reads them. Returns 0, or -1 with errno. links_free() frees them. */
int links_read(struct mnl_socket *socket, struct links *links);

/* Adds the link that a message of type RTM_NEWLINK is of. Returns 0, or -1 with errno ENOMEM. */
int links_add(struct links *links, const struct nlmsghdr *message);

/* Finds out of each what it is to ifindex. */
void links_find_roads(struct links *links, int ifindex);

/* The one of that index, after links_find_roads(); NULL: there is none. */
const struct links_entry *links_find(const struct links *links, int ifindex);

/*
 * What frames are taken by, after links_find_roads(); the MAC is left as it is. What it points to
 * is freed by links_free_taken(). Returns 0, or -1 with errno ENOMEM.
 */
int links_taken(
	const struct links *links, const struct vlan_set *vlans, struct udpxdp_host_links *taken);
void links_free_taken(struct udpxdp_host_links *taken);

void links_free(struct links *links);

#endif
