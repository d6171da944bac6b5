/* SPDX-License-Identifier: MIT */
#include "server/watchdog.h"

#include <systemd/sd-daemon.h>

#include "base/log.h"

#define SHORTEST_USEC 3000000u /* we look once a second, and an idle worker polls once a second */
#define STUCK_SECONDS 3

void watchdog_start(struct watchdog *watchdog)
{
	uint64_t usec = 0;

	*watchdog = (struct watchdog){.enabled = sd_watchdog_enabled(0, &usec) > 0};
	if (watchdog->enabled && usec < SHORTEST_USEC)
		log_line("WatchdogSec of %llu ms is too short: an idle worker polls once a "
			 "second; use WatchdogSec=3 or more",
			(unsigned long long)(usec / 1000));
}

unsigned watchdog_first_stuck(struct watchdog *watchdog, const uint64_t *polls, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (polls[i] == watchdog->seen[i])
			return i;
	for (unsigned i = 0; i < count; i++)
		watchdog->seen[i] = polls[i];
	return count;
}

void watchdog_periodic(struct watchdog *watchdog, const struct workers *workers, unsigned count)
{
	uint64_t polls[MAX_QUEUES];
	unsigned stuck;

	if (!watchdog->enabled)
		return;
	for (unsigned i = 0; i < count; i++)
		polls[i] = workers_polls(workers, i);
	stuck = watchdog_first_stuck(watchdog, polls, count);
	if (stuck == count) {
		watchdog->late = 0;
		sd_notify(0, "WATCHDOG=1");
	} else if (++watchdog->late == STUCK_SECONDS) {
		log_line("worker %u is stuck: it has not polled for %d s; withholding the watchdog "
			 "keep-alive",
			stuck, STUCK_SECONDS);
	}
}
