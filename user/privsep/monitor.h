/* SPDX-License-Identifier: MIT */
/*
 * The monitor: a small process that stays root when the server does not. It opens again, on
 * request, files whose paths were registered before it was sealed, and at the end removes what
 * only root can remove. It reads nothing from the network and takes no path from anybody.
 */
#ifndef UDPXDP_MONITOR_H
#define UDPXDP_MONITOR_H

#define MONITOR_PATHS 64

/* Starts it. Early: it inherits every descriptor that is open. Returns 0, or -1 with errno. */
int monitor_start(void);

/* Registers a path that monitor_open() may open, or one that is removed at the end (a file, or a
 * directory once it is empty), in that order. Without a monitor nothing happens. Returns 0, or -1
 * with errno: ENOSPC beyond MONITOR_PATHS, EPERM once sealed. */
int monitor_register(const char *path);
int monitor_remove_at_end(const char *path);

/* From here on nothing more can be registered. */
void monitor_seal(void);

/* open(2) with mode 0640, by the monitor if it runs, else by this process. Any thread. Returns the
 * file descriptor (close-on-exec), or -1 with errno. */
int monitor_open(const char *path, int flags);

/* Has it remove what is to be removed, and waits for its end. Nothing happens without one. */
void monitor_stop(void);

#endif
