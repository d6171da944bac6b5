/* SPDX-License-Identifier: MIT */
/*
 * The host's addresses and the state of the interface, from rtnetlink (rtnetlink(7)), as
 * snapshots for the engine; and the news when they change.
 */
#ifndef UDPXDP_ADDRESSES_H
#define UDPXDP_ADDRESSES_H

#include <systemd/sd-event.h>

#include "netlink/link.h"
#include "netlink/links.h"
#include "udpxdp/host.h"

/*
 * Asks the kernel for everything at once (ifindex 0: see below): every usable address of the host
 * (not loopback, not link-local ones of other interfaces, not tentative IPv6 ones), the
 * interface's MAC and MTU, and by which MAC addresses and VLANs the kernel takes frames there, of
 * those VLANs that are chosen. The addresses of its master and of the VLAN devices above it count
 * as the interface's own, on their VLAN. ifindex 0 stands for all interfaces: every address is on
 * it, loopback ones come last, there is no MAC, and the MTU is 0. Returns a snapshot that free()
 * frees; or NULL with errno: ENODEV when there is no such interface, ENOTSUP when it does not carry
 * Ethernet frames. *link is set only with a snapshot.
 */
struct udpxdp_host *addresses_read(
	int ifindex, const struct vlan_set *vlans, struct link_facts *link);

struct addresses;

/*
 * Calls changed(context) from the event loop whenever addresses or the interface may have
 * changed; bursts of news make one call. Returns NULL with errno.
 */
struct addresses *addresses_watch(sd_event *loop, void (*changed)(void *context), void *context);
void addresses_close(struct addresses *addresses);

#endif
