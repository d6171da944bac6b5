/* SPDX-License-Identifier: MIT */
#ifndef UDPXDP_ROOT_H
#define UDPXDP_ROOT_H

#include <stdbool.h>

/*
 * Is this process root? One that is called so in a user namespace of nobody else
 * (user_namespaces(7)), as sandboxes and containers without root make them, is none: it has the
 * rights of who made it, and can become nobody. Asked once, before the sandbox.
 */
bool root_is_ours(void);

#endif
