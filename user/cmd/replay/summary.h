/* SPDX-License-Identifier: MIT */
/* The last line of a replay: what became of its frames. */
#ifndef UDPXDP_REPLAY_SUMMARY_H
#define UDPXDP_REPLAY_SUMMARY_H

#include "engine/engine.h"

/* replay: frames=7 udp=5 not_ip=2; echo:8080 rx=5 tx=3 bad_udp_checksum=2
 * rows: a row of counters for each of the services, of which there are count. */
void replay_say_summary(const struct engine *engine, const struct service_counters *rows,
	const struct service_config *services, unsigned count);

#endif
