/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <sys/timex.h>

#include "udpxdp/datagram.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * UDPXDP_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_ms(void)
{
	return clock_ns() / NSEC_PER_MSEC;
}

uint64_t clock_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

bool clock_is_synchronized(void)
{
	struct timex t = {};
	const int state = adjtimex(&t);

	return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / UDPXDP_NSEC_PER_SEC),
		.tv_nsec = (long)(ns % UDPXDP_NSEC_PER_SEC),
	};
}
