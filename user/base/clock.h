/* SPDX-License-Identifier: MIT */
/* The clocks. Engine and services get the time as an argument; whoever gives it takes it here. */
#ifndef UDPXDP_CLOCK_H
#define UDPXDP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_MSEC 1000000u

/* Since an arbitrary moment, by a clock that never steps: for durations and deadlines. */
uint64_t clock_ns(void);
uint64_t clock_ms(void);

/* Since the epoch, by the clock that people set: for what they read. */
uint64_t clock_realtime_ns(void);

/* Is that clock synchronized to UTC, as the kernel knows from whoever disciplines it? */
bool clock_is_synchronized(void);

/* A duration as system calls take it. */
struct timespec clock_timespec(uint64_t ns);

#endif
