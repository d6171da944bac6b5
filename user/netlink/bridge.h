/* SPDX-License-Identifier: MIT */
/* Ports of a bridge: what is sent by one passes the bridge by, which would have chosen the port and
 * the tag of a frame by its forwarding database and its ports' VLANs (bridge(8)). */
#ifndef UDPXDP_NETLINK_BRIDGE_H
#define UDPXDP_NETLINK_BRIDGE_H

#include "netlink/route.h"

/*
 * Would the bridge that the interface is a port of, if it is one, send a frame on this path by that
 * port? The path, whose MAC addresses are known, is as the bridge itself is given it; its tags then
 * become those that the port puts on it. A host of which the bridge does not know where it is is
 * looked for by every port, and so by this one. Returns false, and why in error, the path
 * untouched.
 */
bool bridge_sends(int ifindex, struct udpxdp_path *path, char error[ROUTE_ERROR_SIZE]);

#endif
