/* SPDX-License-Identifier: MIT */
/* The stamps that the filter puts in front of its answers, made ahead. Pure: time is an argument.
 */
#ifndef UDPXDP_STAMPS_H
#define UDPXDP_STAMPS_H

#include <stdint.h>

#include "udpxdp/abi.h"

/* Who publishes them. Begins zeroed. */
struct stamps {
	uint64_t seconds[2]; /* since the epoch, that the slots say */
};

/*
 * Has the filter's two slots say this second and the next. monotonic_ns and realtime_ns are
 * CLOCK_MONOTONIC and CLOCK_REALTIME at the same moment. Call it more than once a second, and soon
 * after the clock was set; a slot that is right already is left alone. At no moment is there a
 * stamp that is not whole.
 */
void stamps_publish(struct stamps *stamps, struct filter_stamps *published, uint64_t monotonic_ns,
	uint64_t realtime_ns);

#endif
