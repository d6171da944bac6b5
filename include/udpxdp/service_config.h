/* SPDX-License-Identifier: MIT */
/* A service as it was asked for: what everything around the engine needs to know of it. */
#ifndef UDPXDP_SERVICE_CONFIG_H
#define UDPXDP_SERVICE_CONFIG_H

#include "service.h"

/* Where a room over several hosts is, of a service that has one. */
struct service_room {
	char name[33];     /* of the room */
	char servers[512]; /* URLs, a comma between them; "": a room of this host alone */
	char creds[UDPXDP_PATH_SIZE]; /* a file; "": none */
	uint32_t backlog;             /* lines of what was missed that members are told */
};

/* One -s option: a service, the port it serves, and its options as parsed. */
struct service_config {
	const struct udpxdp_service *service;
	uint16_t port;
	/* Of a service that has one: the server's own options. */
	uint32_t history_sync;          /* seconds between syncs */
	char history[UDPXDP_PATH_SIZE]; /* a path; "off"; or "": nobody has said */
	struct service_room room;
	_Alignas(16) uint8_t options[UDPXDP_OPTIONS_SIZE];
};

#endif
