/* SPDX-License-Identifier: MIT */
/*
 * The service manager's watchdog: fed only while every worker polls, so that a data path that
 * hangs is restarted even if the rest of the process is well.
 */
#ifndef UDPXDP_WATCHDOG_H
#define UDPXDP_WATCHDOG_H

#include "server/workers.h"

struct watchdog {
	bool enabled;              /* the service manager waits for us */
	unsigned late;             /* seconds since it should have been fed */
	uint64_t seen[MAX_QUEUES]; /* each worker's polls when it was fed last */
};

/* Finds out whether there is one. */
void watchdog_start(struct watchdog *watchdog);

/*
 * Has every worker polled since this was last true? polls holds count numbers, as of now.
 * Returns count, and remembers the numbers; or the first worker that has not.
 */
unsigned watchdog_first_stuck(struct watchdog *watchdog, const uint64_t *polls, unsigned count);

/* Once a second: feeds it, or says that a worker is stuck. */
void watchdog_periodic(struct watchdog *watchdog, const struct workers *workers, unsigned count);

#endif
