/* SPDX-License-Identifier: MIT */
/* What engine.c and service_ctx.c share: the engine's state, and the context of one call. */
#ifndef UDPXDP_ENGINE_INTERNAL_H
#define UDPXDP_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* A service as this engine serves it. */
struct service_instance {
	const struct udpxdp_service *service;
	struct service_counters *counters;
	bool elsewhere; /* a single service that lives on another worker: no state, datagrams go by
			 * handover */
	void *state;
};

struct engine {
	struct frame_io *io;
	const struct udpxdp_host *net;
	struct engine_sinks sinks;
	const struct engine_handover *handover;
	const char *hostname;
	unsigned instance_count;
	struct service_instance instances[MAX_SERVICES];
	uint64_t verdicts[FRAME_VERDICT_COUNT + 1];
	struct service_instance *dispatch[65536]; /* by port; NULL: not served */
};

struct udpxdp_ctx {
	struct engine *engine;
	struct service_instance *instance;
	struct frame *frame; /* that the datagram of this call lies in; NULL: it lies elsewhere,
			      * handed over by another worker, or the frame has been sent */
	uint64_t time_ns;    /* of what the call is about; what is sent carries it */
};

#endif
