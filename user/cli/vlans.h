/* SPDX-License-Identifier: MIT */
/* What --vlan takes, of whatever verb. */
#ifndef UDPXDP_CLI_VLANS_H
#define UDPXDP_CLI_VLANS_H

#include <stddef.h>

#include "netlink/links.h"

/* Reads own, any, none or a list of IDs, as in 5,10-12. Returns 0, or -1 with error, *set being
 * undefined. */
int vlans_read(struct vlan_set *set, const char *text, char *error, size_t size);

#endif
