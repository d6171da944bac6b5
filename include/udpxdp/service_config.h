/* SPDX-License-Identifier: MIT */
/* A service as it was asked for: what everything around the engine needs to know of it. */
#ifndef UDPXDP_SERVICE_CONFIG_H
#define UDPXDP_SERVICE_CONFIG_H

#include "service.h"

/* One -s option: a service, the port it serves, and its options as parsed. */
struct service_config {
	const struct udpxdp_service *service;
	uint16_t port;
	_Alignas(64) uint8_t options[UDPXDP_OPTIONS_SIZE];
};

#endif
