/* SPDX-License-Identifier: MIT */
/* What the kernel knows of a neighbour: by rtnetlink. */
#ifndef UDPXDP_HOP_H
#define UDPXDP_HOP_H

#include <linux/neighbour.h>

#include "netlink/route.h"

#define NEIGHBOUR_USABLE \
	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct neighbour {
	unsigned state; /* NUD_* */
	bool has_mac;
	uint8_t mac[6];
};

/* As it is now; NUD_NONE when the kernel has never heard of it. */
struct neighbour hop_look_up(struct mnl_socket *questions, const struct hop *hop);

#endif
