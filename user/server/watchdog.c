/* SPDX-License-Identifier: MIT */
#include "server/watchdog.h"

#include <systemd/sd-daemon.h>

#include "base/log.h"

#define SHORTEST_USEC 3000000u /* we look once a second, and an idle worker turns once a second */
#define STUCK_SECONDS 3

void watchdog_start(struct watchdog *watchdog)
{
	uint64_t usec = 0;

	*watchdog = (struct watchdog){.enabled = sd_watchdog_enabled(0, &usec) > 0};
	if (watchdog->enabled && usec < SHORTEST_USEC)
		log_line("a watchdog of %llu ms bites too early: an idle worker turns once a "
			 "second; give WatchdogSec=3 at least",
				(unsigned long long)(usec / 1000));
}

unsigned watchdog_look(struct watchdog *watchdog, const uint64_t *turns, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (turns[i] == watchdog->seen[i])
			return i;
	for (unsigned i = 0; i < count; i++)
		watchdog->seen[i] = turns[i];
	return count;
}

void watchdog_tend(struct watchdog *watchdog, const struct workers *workers, unsigned count)
{
	uint64_t turns[MAX_QUEUES];
	unsigned stuck;

	if (!watchdog->enabled)
		return;
	for (unsigned i = 0; i < count; i++)
		turns[i] = workers_turns(workers, i);
	stuck = watchdog_look(watchdog, turns, count);
	if (stuck == count) {
		watchdog->late = 0;
		sd_notify(0, "WATCHDOG=1");
	} else if (++watchdog->late == STUCK_SECONDS) {
		log_line("worker %u is stuck: it has not turned for %d s; the watchdog is not fed",
				stuck, STUCK_SECONDS);
	}
}
