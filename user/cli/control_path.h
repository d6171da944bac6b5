/* SPDX-License-Identifier: MIT */
/* Where the control socket of a server is that is not told a path. */
#ifndef UDPXDP_CLI_CONTROL_PATH_H
#define UDPXDP_CLI_CONTROL_PATH_H

#include <stdbool.h>

#define CONTROL_PATH_SIZE 108 /* of a socket's name: unix(7) */
#define CONTROL_DIR_SIZE 80   /* of the directory in it */

/*
 * Where a user other than root has control sockets, who may not write to CONTROL_DIR:
 * $XDG_RUNTIME_DIR/udpxdp. Returns false when there is no such place.
 */
bool control_path_own_dir(char dir[CONTROL_DIR_SIZE]);

/* The path of the control socket of a server that is not told one; name is its interface. */
void control_path_default(char path[CONTROL_PATH_SIZE], const char *name);

#endif
