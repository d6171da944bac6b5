/* SPDX-License-Identifier: MIT */
/* What engine.c and outlet.c share: the engine's state, and the outlet of one call. */
#ifndef UDPXDP_ENGINE_INTERNAL_H
#define UDPXDP_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* A service as it runs on this engine. */
struct service_instance {
	const struct udpxdp_service *service;
	struct service_counters *counters;
	void *state; /* NULL: a single service that lives on another worker */
};

struct engine {
	struct frame_io *io;
	const struct udpxdp_host *net;
	struct engine_sinks sinks;
	const char *hostname;
	unsigned instance_count;
	struct service_instance instances[MAX_SERVICES];
	uint64_t verdicts[FRAME_VERDICT_COUNT + 1];
	uint8_t port_instance[65536]; /* 1 + index of the instance that serves it; 0: none */
};

struct udpxdp_ctx {
	struct engine *engine;
	struct service_instance *instance;
	struct frame *frame; /* that the datagram of this call lies in; NULL: it lies elsewhere,
			      * handed over by another worker, or the frame has been sent */
	uint64_t time_ns;    /* of what the call is about; what is sent carries it */
};

#endif
