/* SPDX-License-Identifier: MIT */
/*
 * The line: receive -> parse -> dispatch by port -> service -> build -> send. Pure: it has no
 * clock, does no I/O of its own and allocates nothing after engine_new(). One engine is used by
 * one thread.
 */
#ifndef UDPXDP_ENGINE_H
#define UDPXDP_ENGINE_H

#include "udpxdp/frame_io.h"
#include "udpxdp/service_config.h"

/*
 * Takes a message of the service with this index in the engine's config. Must not wait. Returns
 * false when the message had to be let go.
 */
typedef bool engine_sink(void *context, unsigned instance, const struct udpxdp_message *message);

/* Where messages go; NULL: nobody listens. */
struct engine_sinks {
	void *context;
	engine_sink *print, *record, *notify;
};

/* The way to the worker on which the single services live. */
struct engine_handover {
	void *context;

	/* Copies what it needs of a datagram to that worker's ring; there, engine_deliver() takes
	 * it. Must not wait. Returns false when the ring is full. */
	bool (*push)(void *context, unsigned instance, const struct udpxdp_datagram *d);
};

struct engine_config {
	struct frame_io *io;
	const struct service_config *services; /* outlives the engine */
	unsigned service_count;
	unsigned worker;                        /* this engine's number */
	const struct engine_handover *handover; /* outlives the engine; NULL: single services live
						 * here */
	struct service_counters *counters;      /* a row for each service; plain stores; zeroed */
	const char *hostname;
	const struct udpxdp_seed *seed; /* random: each service gets a share of its own; NULL: no
					 * secrets, the same output each time */
	struct engine_sinks sinks;
};

struct engine;

/* Makes an engine and starts its services. Returns NULL with errno ENOMEM. net is given with
 * engine_set_net() before the first turn. */
struct engine *engine_new(const struct engine_config *config);

/* Frees it. The frame_io is the caller's to close. */
void engine_free(struct engine *engine);

/* The host as it is from now on; the snapshot must outlive its use. */
void engine_set_net(struct engine *engine, const struct udpxdp_host *net);

/* The name of this host from now on; it must outlive its use. */
void engine_set_hostname(struct engine *engine, const char *hostname);

/*
 * One turn: takes a batch of frames, answers it, flushes. Returns the number of frames taken,
 * 0 when there were none, -1 when there will be no more (errno as frame_io's receive).
 * Every frame ends as one verdict or one counter.
 */
int engine_poll(struct engine *engine);

/* A datagram that another worker handed over to the single service `instance`, which lives here. */
void engine_deliver(struct engine *engine, unsigned instance, const struct udpxdp_datagram *d);

/* A line from a console, for the service `instance` that lives here. Returns NULL or why not. */
const char *engine_command(
	struct engine *engine, unsigned instance, const struct udpxdp_command *command);

/* The time for the services that want it: call about once a second. */
void engine_tick(struct engine *engine, uint64_t time_ns);

/* Hands what the three calls above queued to the driver. */
void engine_flush(struct engine *engine);

/* How many frames ended with this verdict in user space; FRAME_UDP: as a datagram for a service. */
uint64_t engine_verdict(const struct engine *engine, enum frame_verdict verdict);

#endif
