/* SPDX-License-Identifier: MIT */
/* Finding a running server's control socket. */
#ifndef UDPXDP_CONTROL_CONNECT_H
#define UDPXDP_CONTROL_CONNECT_H

#include <stdbool.h>
#include <sys/un.h>

/*
 * Connects to the control socket at `control`; or that of the server on the interface `iface`;
 * or, when both are NULL, the only one that answers in CONTROL_DIR. *addr says which it was.
 * Returns the socket; ends the program with one line when there is none or it lets nobody in.
 */
int control_connect(const char *control, const char *iface, struct sockaddr_un *addr);

/* The same, but -1 when no such server answers, or lets us in; with several and no name it ends the
 * program. */
int control_try(const char *iface);

/* The first server that lets us in and of which is_it() is true; -1: there is none. */
int control_find(bool (*is_it)(int control, const char *name), const char *name);

/* Ends the program with one line when there is such a server, or was, but its socket is not for
 * this user. */
void control_check_refused(const char *iface);

#endif
