/* SPDX-License-Identifier: MIT */
/* What can be known of a server before anything is opened: whether it can be as asked. */
#ifndef UDPXDP_SERVE_CHECK_H
#define UDPXDP_SERVE_CHECK_H

#include "cmd/serve/options.h"
#include "xdp/iface_check.h"

/*
 * Checks what was asked for against this system, the command line first, and finds the interface.
 * Ends the program with an error line where it cannot be. facts[] are the interfaces', as many as
 * are named.
 */
void serve_check(struct serve_options *options, struct iface_facts facts[INTERFACES_MAX]);

/*
 * For --check: also tries what the start of the server would fail with, as far as that changes
 * nothing, and prints what would be done. Returns the exit status, an error line said.
 */
int serve_check_report(
	const struct serve_options *options, const struct iface_facts facts[INTERFACES_MAX]);

#endif
