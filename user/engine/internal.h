/* SPDX-License-Identifier: MIT */
/* What engine.c and service_ctx.c share: the engine's state, and the context of one call. */
#ifndef UDPXDP_ENGINE_INTERNAL_H
#define UDPXDP_ENGINE_INTERNAL_H

#include "engine/accounts.h"
#include "engine/engine.h"
#include "engine/waiting.h"

/* A service as this engine serves it. */
struct service_instance {
	const struct udpxdp_service *service;
	unsigned number;
	uint16_t port;
	bool elsewhere; /* a single service that lives on another worker: no state, datagrams go by
			 * handover */
	void *state;
};

/* A way in, and out. */
struct ingress {
	struct frame_io *io;
	const char *name;
	const struct udpxdp_host *net;
	const struct neighbour_table *neighbours; /* NULL: nobody knows */
	uint8_t mac[6], mac_before[6];     /* of the host as it is, and what was ours before that */
	struct service_counters *counters; /* a row for each service */
	unsigned patience, due; /* see struct engine_ingress; what is left till the next look */
	uint32_t services;
	bool queued; /* something is to be flushed */
};

struct engine {
	unsigned ingress_count, interface_count; /* with and without the kernel's sockets */
	struct ingress ingresses[INGRESSES_MAX];
	struct ingress *kernel; /* the kernel's sockets beside others; NULL: there are none */
	struct engine_sinks sinks;
	const struct engine_handover *handover;
	const char *hostname;
	uint16_t ipv4_id; /* of the last answer that may be fragmented */
	struct engine_ask ask;
	struct waiting *waiting;           /* NULL: nobody waits here */
	uint64_t time_ns;                  /* the latest: of a frame, a tick, a command */
	uint64_t clock_real, clock_steady; /* as set last; both 0: packets have the time */
	unsigned last_turn;                /* frames taken in it, and 1 for itself */
	uint32_t resume;                   /* a bit for each instance that asked for it */
	struct accounts accounts;
	unsigned instance_count;
	struct service_instance instances[MAX_SERVICES];
	uint64_t verdicts[FRAME_VERDICT_COUNT + 1];
	struct service_instance *dispatch[65536]; /* by port; NULL: not served */
};

struct udpxdp_ctx {
	struct engine *engine;
	struct ingress *ingress; /* that the datagram came by; the first one where there is none */
	struct service_instance *instance;
	struct service_counters *counters; /* of this service by that ingress */
	struct frame *frame; /* that the datagram of this call lies in; NULL: it lies elsewhere,
			      * handed over by another worker, or the frame has been sent */
	uint64_t time_ns;    /* of what the call is about; what is sent carries it */
	const struct udpxdp_datagram *received; /* of a call of receive() */
	bool settled; /* what came with it is in its sender's account, or was spent on its reply */
};

/* The context of a call of service n, about what came by that ingress at that time. */
static inline struct udpxdp_ctx ctx_of(
	struct engine *e, unsigned n, unsigned ingress, uint64_t time_ns)
{
	return (struct udpxdp_ctx){.engine = e,
		.ingress = &e->ingresses[ingress],
		.instance = &e->instances[n],
		.counters = &e->ingresses[ingress].counters[n],
		.time_ns = time_ns};
}

_Static_assert(MAX_SERVICES <= 32, "a bit for each instance");

/*
 * Multicast, unspecified or loopback (RFC 1122 3.2.1.3, RFC 4291 2.7), whatever the host's own
 * addresses are. 255.255.255.255 is among those (see udpxdp_host_kind()).
 */
static inline bool is_special(const struct udpxdp_addr *a)
{
	if (udpxdp_addr_is_ipv4(a)) {
		uint8_t first = a->b[12];

		return !first || first == 127 || (first & 0xf0) == 0xe0;
	}
	return a->b[0] == 0xff || (!a->w[0] && !a->w[1] && !a->w[2] &&
					  !memcmp(a->b + 12, "\0\0\0", 3) && a->b[15] <= 1);
}

/* RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3. */
static inline bool is_loopback(const struct udpxdp_addr *a)
{
	return is_special(a) &&
	       (udpxdp_addr_is_ipv4(a) ? a->b[12] == 127 : a->b[15] == 1 && !a->b[0]);
}

/* What the kernel knows of the peer of this path, on its interface: see neighbour_table_find(). */
static inline enum neighbour_state engine_neighbour(
	const struct engine *e, const struct udpxdp_path *path, uint8_t mac[6])
{
	const struct neighbour_table *table = e->ingresses[path->ingress].neighbours;

	return table ? neighbour_table_find(table, &path->peer.addr, udpxdp_vlan_id(path), mac)
		     : NEIGHBOUR_UNKNOWN;
}

/* Has this peer shown that it hears us? See struct udpxdp_path. */
bool engine_proves(const struct engine *e, const struct udpxdp_path *path);

/* The steady clock at a time of the other one. */
uint64_t engine_steady(const struct engine *e, uint64_t time_ns);

/* Gives a datagram that lies in no frame to its service, which lives here. */
void engine_serve(struct engine *e, unsigned instance, const struct udpxdp_datagram *d);

/* The received bytes of an IP packet become what may be sent. */
void engine_settle(struct udpxdp_ctx *ctx);

#endif
