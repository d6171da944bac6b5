/* SPDX-License-Identifier: MIT */
/* What a network driver says of itself by SIOCETHTOOL. Needs no privilege. */
#ifndef UDPXDP_NETLINK_ETHTOOL_IOCTL_H
#define UDPXDP_NETLINK_ETHTOOL_IOCTL_H

#include <stdbool.h>
#include <stdint.h>

/* Puts one of the questions of linux/ethtool.h. Returns 0; or -1 with errno when it is not
 * answered. */
int ethtool_ask(int ifindex, void *question);

/* Is this its driver? */
bool ethtool_driver_is(int ifindex, const char *driver);

/*
 * How many frames that an XDP program wanted sent back did not leave, summed over the statistics
 * that say so under whatever name. 0 where there are none.
 */
uint64_t ethtool_tx_errors(int ifindex);

#endif
