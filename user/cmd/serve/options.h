/* SPDX-License-Identifier: MIT */
/* The options of `udpxdp serve`, on the command line and in a configuration file. */
#ifndef UDPXDP_SERVE_OPTIONS_H
#define UDPXDP_SERVE_OPTIONS_H

#include "cli/options.h"
#include "server/server.h"

struct serve_options {
	struct server_config server;
	const char *config;            /* NULL: none */
	char *config_text;             /* what is in it; options point into it */
	const char *control, *pin_dir; /* NULL: the default */
	unsigned verbose;
};

/* The table, ended by a row without a name; and what --help says behind it. */
extern const struct option_row serve_options[];
extern const char serve_notes[];

#endif
