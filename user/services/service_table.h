/* SPDX-License-Identifier: MIT */
/* The services that there are: built in, or loaded; and those that run unless others are asked for.
 */
#ifndef UDPXDP_SERVICE_TABLE_H
#define UDPXDP_SERVICE_TABLE_H

#include "udpxdp/service_config.h"

/* The services of services.def, ended by NULL. */
extern const struct udpxdp_service *const service_table[];

/* What runs when no -s is given, one spec each, ended by NULL. */
extern const char *const default_services[];

/* The service of this name that is built in, or NULL. */
const struct udpxdp_service *service_find(const char *name);

/*
 * The service of this name: built in, or out of NAME.so in the service directory; or that of the
 * shared object at this path, which has a slash. It stays loaded. Returns NULL with one line in
 * error; or with an empty one, when nothing is called so.
 */
const struct udpxdp_service *service_load(const char *name, char *error, size_t size);

/* Is it made for this version, and what service.h asks for? Returns 0; or -1 with what is wrong in
 * error, one line. */
int service_check(const struct udpxdp_service *service, char *error, size_t size);

/* Is it a name of a service or of something of one: a-z, 0-9, _ and -, fewer bytes than size? */
bool service_is_name(const char *name, size_t size);

#endif
