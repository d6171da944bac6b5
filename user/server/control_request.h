/* SPDX-License-Identifier: MIT */
/* Parses what a console says (control_protocol.h). Pure. */
#ifndef UDPXDP_CONTROL_REQUEST_H
#define UDPXDP_CONTROL_REQUEST_H

#include "server/control_protocol.h"
#include "udpxdp/service_config.h"

struct control_request {
	enum { CONTROL_WATCH, CONTROL_ANNOUNCE, CONTROL_SAY, CONTROL_STATS } verb;
	int instance;            /* of watch: index of the service */
	struct udpxdp_addr peer; /* of say */
	uint16_t port;
	const uint8_t *text; /* of announce and say: inside the packet */
	uint32_t len;
};

/* Reads one packet. Returns NULL, or what is wrong with it (a static string). */
const char *control_request_read(struct control_request *request, const uint8_t *packet, size_t len,
	const struct service_config *services, unsigned service_count);

#endif
