/* SPDX-License-Identifier: MIT */
#ifndef UDPXDP_STATS_CONTROL_H
#define UDPXDP_STATS_CONTROL_H

#include "xdp/counters.h"

/* The control socket of the server on this interface, whichever it is named after; -1: there is
 * none that answers. */
int stats_find(const char *iface);

/* Asks the server behind a control socket, and adds up what its interfaces count, or takes what one
 * of them does; NULL: all. Returns 0 with *counters for counters_free(); or -1 with errno, EPROTO
 * when it does not say them as this program knows them. */
int stats_ask(int control, const char *iface, struct counters *counters);

#endif
