/* SPDX-License-Identifier: MIT */
/* The options of `udpxdp serve`, on the command line and in a configuration file. */
#ifndef UDPXDP_SERVE_OPTIONS_H
#define UDPXDP_SERVE_OPTIONS_H

#include "cli/options.h"
#include "server/server.h"

#define MAX_CPUS 1024 /* their numbers end below it, as in a cpu_set_t */

struct serve_options {
	struct server_config server;
	const char *config;            /* NULL: none */
	char *config_text;             /* what is in it; options point into it */
	const char *control, *pin_dir; /* NULL: the default */
	enum { ATTACH_LINK, ATTACH_DISPATCHER } attach;
	bool check, print_asked;
	unsigned verbose;
};

/* The table, ended by a row without a name; and what --help says behind it. */
extern const struct udpxdp_option serve_options[];
extern const char serve_notes[];

#endif
