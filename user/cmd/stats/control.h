/* SPDX-License-Identifier: MIT */
#ifndef UDPXDP_STATS_CONTROL_H
#define UDPXDP_STATS_CONTROL_H

#include "xdp/counters.h"

/* Asks the server behind a control socket, and adds up what its interfaces count. Returns 0 with
 * *counters for counters_free(); or -1 with errno, EPROTO when it does not say them as this program
 * knows them. */
int stats_ask(int control, struct counters *counters);

#endif
