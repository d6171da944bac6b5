/* SPDX-License-Identifier: MIT */
/* Threads beside the data path. */
#ifndef UDPXDP_THREAD_H
#define UDPXDP_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"

/* Every thread started from now on calls this first: the sandbox takes its capabilities away. */
void thread_on_start(void (*call)(void));

/*
 * Starts a thread called name (at most 15 characters) with every signal blocked: signals are the
 * event loop's business, and a broken pipe is an error like others. Returns 0 or an errno.
 */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg);

/* Sleeps that long. */
void thread_sleep_ms(unsigned ms);

/* For a thread that nobody wakes, because waking would cost the one who does a system call:
 * sleeps 1 ms when there was something to do, otherwise twice as long as last time, up to max_ms.
 * Returns how long. */
unsigned thread_nap(unsigned last_ms, bool busy, unsigned max_ms);

#endif
