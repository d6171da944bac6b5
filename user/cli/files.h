/* SPDX-License-Identifier: MIT */
/* Files that a command line names: none of them is to be spoiled by what another is for. */
#ifndef UDPXDP_FILES_H
#define UDPXDP_FILES_H

#include <stdbool.h>

#include "udpxdp/service_config.h"

struct named_file {
	const char *option; /* "--write" */
	const char *path;   /* NULL: it was not given */
	bool written;
};

/* Ends the program, with a line and EXIT_USAGE, when one of them that is written, or a history of
 * these services, is also another of them. Nothing is opened. */
void files_check(const struct named_file *files, unsigned file_count,
	const struct service_config *services, unsigned service_count);

#endif
