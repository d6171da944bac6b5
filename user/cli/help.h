/* SPDX-License-Identifier: MIT */
/* Between the reading of options and their --help. */
#ifndef UDPXDP_HELP_H
#define UDPXDP_HELP_H

#include "cli/options.h"

/* The options of every verb: --help and --version. */
extern const struct udpxdp_option common_options[];

#endif
