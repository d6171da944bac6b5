/* SPDX-License-Identifier: MIT */
/* The guard rails of a server: whom --allow, --deny and --rules let in, in the filter and for
 * frames that no filter saw. */
#ifndef UDPXDP_GUARDS_H
#define UDPXDP_GUARDS_H

#include "server/internal.h"

/* Are the rules of this configuration, and those in its file, rules? Returns the exit status, a
 * line said; otherwise text says which they are, or is empty. The file is registered. */
int guards_check(const struct server_config *config, char *text, size_t size);

/* Puts the rules in force, and makes the guard of frames that no filter sees. The filter is loaded,
 * if there is to be one. Returns the exit status, a line said. */
int guards_start(struct server *server);

/* Reads the file again and has its rules replace those in force, at once; those stay where it
 * cannot be read or used. Says what came of it. */
void guards_reload(struct server *server);

#endif
