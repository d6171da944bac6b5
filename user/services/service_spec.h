/* SPDX-License-Identifier: MIT */
/* `-s NAME[:PORT[-PORT]][,KEY=VALUE...]`: reading one, and what only shows in the whole list. */
#ifndef UDPXDP_SERVICE_SPEC_H
#define UDPXDP_SERVICE_SPEC_H

#include "engine/engine.h"

/* The options that the server has for a service, and not the service itself: those of its history
 * and of a room that spans hosts. Their offsets are in struct service_config. NULL: none. */
const struct udpxdp_option *service_server_options(const struct udpxdp_service *service);

/*
 * Reads one spec, of one port, into *config. Returns 0; or -1 with one line in error (at most size
 * bytes, NUL terminated, no newline) that says what is wrong with it, *config then void.
 */
int service_parse(struct service_config *config, const char *spec, char *error, size_t size);

/*
 * The same for a spec that may name a range of ports, FIRST-LAST: appends a service for each of
 * them to configs, which has room for MAX_SERVICES, and adds their number to *count. Returns -1
 * also where that would be more; configs and *count are then what they were.
 */
int services_add(struct service_config *configs, unsigned *count, const char *spec, char *error,
	size_t size);

/* Gives each service that keeps a history a file, where nobody has said which: NAME.txt, or
 * NAME-PORT.txt when one before it in the list has that. */
void services_name_histories(struct service_config *configs, unsigned count);

/* Overwrites, with stars and in place, the user and password of each URL in a text, such as an
 * argument that ps would show. */
void service_hide_password(char *text);

/* Checks the whole list: a port served twice, a history file written twice, two in one room of
 * several hosts. Returns 0, or -1 with
 * one line in error. */
int services_check(const struct service_config *configs, unsigned count, char *error, size_t size);

/* The history file of a service; NULL when it keeps none, or nobody has said which. */
const char *service_history(const struct service_config *config);

/* The first of these services whose history is this file, or NULL. */
const struct service_config *services_history_owner(
	const struct service_config *configs, unsigned count, const char *path);

/* Writes "echo:8080,chat:8090" to text. */
void services_text(const struct service_config *configs, unsigned count, char *text, size_t size);

#endif
