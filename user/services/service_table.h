/* SPDX-License-Identifier: MIT */
/*
 * The services that there are, and the reading of `-s NAME[:PORT][,KEY=VALUE...]`.
 */
#ifndef UDPXDP_REGISTRY_H
#define UDPXDP_REGISTRY_H

#include "udpxdp/service_config.h"

/* The classes of services.def, ended by NULL. */
extern const struct udpxdp_service *const service_table[];

/* What runs when no -s is given, one spec each, ended by NULL. */
extern const char *const default_services[];

/*
 * Reads one spec into *config. Returns 0; or -1 with one line in error (at most size bytes, NUL
 * terminated, no newline) that says what is wrong with it, *config then void.
 */
int service_parse(struct service_config *config, const char *spec, char *error, size_t size);

/*
 * Checks what only shows in the whole list: a port served twice, a history file written twice
 * (a second service that names no file of its own gets chat-PORT.txt). Returns as above.
 */
int services_check(struct service_config *configs, unsigned count, char *error, size_t size);

/* Gives each service that keeps secrets its share of these random bits. A live server calls it once
 * with bits from getrandom(2); replay does not, so that its output is the same each time. */
void services_seed(struct service_config *configs, unsigned count, const struct udpxdp_seed *seed);

/* The history file of a service, NULL when it keeps none (history=off); seconds between syncs. */
const char *service_history(const struct service_config *config, uint32_t *sync_seconds);

/* Did somebody name that file? */
bool service_history_named(const struct service_config *config);

/* Writes "echo:8080,chat:8090" to text. */
void services_text(const struct service_config *configs, unsigned count, char *text, size_t size);

#endif
