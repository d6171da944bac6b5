/* SPDX-License-Identifier: MIT */
/*
 * The monitor: a small process that stays root when the server does not. It opens again, on
 * request, files whose paths were registered before it was sealed, has the kernel find neighbours,
 * which takes CAP_NET_ADMIN, and at the end removes what only root can remove. It reads nothing
 * from the network and takes no path from anybody. Which paths it takes: see trusted_path.h. Where
 * there is no monitor, this process does the same, but for the neighbours.
 */
#ifndef UDPXDP_MONITOR_H
#define UDPXDP_MONITOR_H

#include "udpxdp/datagram.h"

#define MONITOR_PATHS 64

/* How it has the kernel find neighbours: see netlink/resolver.h. open() is called once, before it
 * gives up what it does not need. */
struct monitor_resolver {
	int (*open)(void);
	int (*use)(int ifindex, const struct udpxdp_addr *addr);
};

/* Starts it. resolver NULL: there are no neighbours to be found. Returns 0, or -1 with errno. */
int monitor_start(const struct monitor_resolver *resolver);

/* Has it do resolver->use(). Returns 0, or -1 with errno: EPERM where it has no resolver, ENOTCONN
 * where there is no monitor. Any thread. */
int monitor_resolve(int ifindex, const struct udpxdp_addr *addr);

/*
 * Registers an output: a path that monitor_open() may open. Returns 0, or -1 with errno: ENOSPC
 * beyond MONITOR_PATHS; EPERM once sealed, or because the path is not to be trusted; EEXIST: that
 * file is an output already, be it as standard output or error.
 */
int monitor_register(const char *path);

/* Registers what is removed at the end, in that order: a file, or a directory that is empty by
 * then. It must be there now. Without a monitor nothing happens. Returns and errno as above. */
int monitor_remove_at_end(const char *path);

/* From here on nothing more can be registered. */
void monitor_seal(void);

/* open(2) with mode 0640 of a registered path, without a monitor of any, by one thread for each
 * path; see trusted_path_open(). Returns the
 * file descriptor (close-on-exec), or -1 with errno. */
int monitor_open(const char *path, int flags);

/* Has it remove what is to be removed, and waits for its end. Nothing happens without one. */
void monitor_stop(void);

#endif
