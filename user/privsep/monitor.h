/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a small process that stays root when the server does not. It opens again, on
 * request, files whose paths were registered before it was sealed, and at the end removes what
 * only root can remove. It reads nothing from the network and takes no path from anybody.
 */
#ifndef UDPXDP_KEEPER_H
#define UDPXDP_KEEPER_H

#define KEEPER_PATHS 64

/* Starts it. Early: it inherits every descriptor that is open. Returns 0, or -1 with errno. */
int keeper_start(void);

/* Registers a path that keeper_open() may open, or one that is removed at the end (a file, or a
 * directory once it is empty), in that order. Without a keeper nothing happens. Returns 0, or -1
 * with errno: ENOSPC beyond KEEPER_PATHS, EPERM once sealed. */
int keeper_register(const char *path);
int keeper_remove_at_end(const char *path);

/* From here on nothing more can be registered. */
void keeper_seal(void);

/* open(2) with mode 0640, by the keeper if it runs, else by this process. Any thread. Returns the
 * file descriptor (close-on-exec), or -1 with errno. */
int keeper_open(const char *path, int flags);

/* Has it remove what is to be removed, and waits for its end. Nothing happens without one. */
void keeper_stop(void);

#endif
