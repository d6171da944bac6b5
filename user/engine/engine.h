/* SPDX-License-Identifier: MIT */
/*
 * The line: receive -> parse -> dispatch by port -> service -> build -> send. Pure: it has no
 * clock, does no I/O of its own and allocates nothing after engine_new(). One engine is used by
 * one thread.
 */
#ifndef UDPXDP_ENGINE_H
#define UDPXDP_ENGINE_H

#include "base/neighbour_table.h"
#include "udpxdp/abi.h"
#include "udpxdp/frame_io.h"
#include "udpxdp/service_config.h"

#define INGRESSES_MAX 17 /* ways in: of each interface, and the kernel's sockets */

/* A way in beside the first one; see engine_add_ingress(). */
struct engine_ingress {
	struct frame_io *io; /* NULL: this engine has none there */
	const char *name;    /* for people; outlives the engine; NULL: it has none */
	/* As in struct engine_config; NULL: nothing is received there. */
	struct service_counters *counters;
	unsigned worker; /* what its rows say */
	/* Between looks at it, as long as nothing comes: so many turns and frames of others. */
	unsigned patience;
	/* It is the kernel's sockets: what does not fit the way of a peer leaves by them. */
	bool is_kernel;
	uint32_t services;                        /* ... of these, a bit for each */
	const struct neighbour_table *neighbours; /* as in struct engine_config */
};

/*
 * Takes a message of the service with this index in the engine's config. Must not wait. Returns
 * false when the message had to be let go.
 */
typedef bool engine_sink(void *context, unsigned instance, const struct udpxdp_message *message);

/* Takes what a service tells the other hosts of its room. The same holds. */
typedef bool engine_room_sink(
	void *context, unsigned instance, const struct udpxdp_room_event *event);

/* Where messages go; NULL: nobody listens. */
struct engine_sinks {
	void *context;
	engine_sink *print, *record, *notify;
	engine_room_sink *publish;
};

/* The way to the worker on which the single services live. */
struct engine_handover {
	void *context;

	/* Copies what it needs of a datagram to that worker's ring; there, engine_deliver() takes
	 * it. Must not wait. Returns false when the ring is full. */
	bool (*push)(void *context, unsigned instance, const struct udpxdp_datagram *d);
};

/* What is to be found out about an address. */
struct engine_question {
	unsigned ingress; /* on whose interface */
	uint32_t vlan;    /* 0: none */
	struct udpxdp_addr addr;
	bool follow; /* a peer that is spoken to, on the link or beyond: what is known of the way to
		      * it is to be kept up to date; else it is on the link */
};

/* Who finds out what the tables of neighbours do not know. */
struct engine_ask {
	void *context;

	/* Has somebody else look, and write what is found into the interface's table. Must not
	 * wait. Returns false when that cannot be asked now. */
	bool (*ask)(void *context, const struct engine_question *question);
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
	const char *ingress; /* what the way in is called: the interface, for one; outlives it */
	bool clock_synchronized;        /* to UTC */
	const struct udpxdp_seed *seed; /* random: each service gets a share of its own; NULL: no
					 * secrets, the same output each time */
	struct engine_sinks sinks;
	/* By which MAC the kernel reaches whom on this way; outlives the engine. NULL: who says
	 * that it is on the link is believed, but not what came by the kernel's sockets beside
	 * others. */
	const struct neighbour_table *neighbours;
	struct engine_ask ask; /* NULL in it: nobody */
};

struct engine;

/* Makes an engine and starts its services. Returns NULL with errno ENOMEM. net is given with
 * engine_set_net() before the first turn. */
struct engine *engine_new(const struct engine_config *config);

/*
 * Gives it another way in: number 1 for the first call, and so on; that of the config is 0. A path
 * says by its number which one a peer is reached by. Before the first turn.
 */
void engine_add_ingress(struct engine *engine, const struct engine_ingress *ingress);

/* Frees it. The frame_io is the caller's to close. */
void engine_free(struct engine *engine);

/* The host as it is from now on, as seen from every way in, or from one; the snapshot must outlive
 * its use. */
void engine_set_net(struct engine *engine, const struct udpxdp_host *net);
void engine_set_ingress_net(struct engine *engine, unsigned ingress, const struct udpxdp_host *net);

/* The name of this host from now on; it must outlive its use. */
void engine_set_hostname(struct engine *engine, const char *hostname);

/* The time now, by both clocks: call it at the start and about once a second. Without it, as in a
 * replay, the time of the packets is both. */
void engine_set_clock(struct engine *engine, uint64_t time_ns, uint64_t steady_ns);

/*
 * One turn: takes a batch of frames from each way in, answers it, goes on with what services left
 * for later, flushes. Returns the number of frames taken, or of things gone on with where there
 * were none; 0 when there was nothing, -1 when there will be no more by the first way (errno as
 * frame_io's receive).
 * Every frame ends as one verdict or one counter.
 */
int engine_poll(struct engine *engine);

/* The next turn looks at every way in, however patient. */
void engine_look_everywhere(struct engine *engine);

/* A datagram that another worker handed over to the single service `instance`, which lives here. */
void engine_deliver(struct engine *engine, unsigned instance, const struct udpxdp_datagram *d);

/* A line from a console, for the service `instance` that lives here. Returns NULL or why not. */
const char *engine_command(
	struct engine *engine, unsigned instance, const struct udpxdp_command *command);

/* From the other hosts of its room, for the service `instance` that lives here; time_ns is now, and
 * not when it was said there. */
void engine_room(struct engine *engine, unsigned instance, const struct udpxdp_room_event *event,
	uint64_t time_ns);

/* Does that service wait to go on with what it has? It should get no more from there now. */
bool engine_is_busy(const struct engine *engine, unsigned instance);

/* The time for the services that want it: call about once a second. */
void engine_tick(struct engine *engine, uint64_t time_ns);

/* Hands what the four calls above queued to the driver. */
void engine_flush(struct engine *engine);

/* How many frames ended with this verdict in user space; FRAME_UDP: as a datagram for a service. */
uint64_t engine_verdict(const struct engine *engine, enum frame_verdict verdict);

#endif
