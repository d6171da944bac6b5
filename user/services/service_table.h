/* SPDX-License-Identifier: MIT */
/* The services that there are, and those that run unless others are asked for. */
#ifndef UDPXDP_SERVICE_TABLE_H
#define UDPXDP_SERVICE_TABLE_H

#include "udpxdp/service_config.h"

/* The services of services.def, ended by NULL. */
extern const struct udpxdp_service *const service_table[];

/* What runs when no -s is given, one spec each, ended by NULL. */
extern const char *const default_services[];

/* The service of this name, or NULL. */
const struct udpxdp_service *service_find(const char *name);

#endif
