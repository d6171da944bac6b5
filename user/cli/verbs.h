/* SPDX-License-Identifier: MIT */
/* The verbs of the command line, each defined by a file of user/cmd. */
#ifndef UDPXDP_VERBS_H
#define UDPXDP_VERBS_H

#include "cli/options.h"

extern const struct verb serve_verb, replay_verb, client_verb, broadcast_verb, chat_verb,
	stats_verb, bench_verb, check_verb;

/* Prints the help of one service: built in, in the service directory, or a shared object by its
 * path. Returns false where nothing is called so; a shared object that is none ends the program. */
bool service_help_of(const char *name);

/* Prints the services and their options, for --help. */
void service_help_print(void);

#endif
