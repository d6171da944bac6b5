/* SPDX-License-Identifier: MIT */
/*
 * The data path's threads: one worker, one frame_io and one engine for each RX queue, nothing
 * shared on the way. Single services live on worker 0; the others hand it their datagrams
 * through bounded single-producer rings. What goes between the workers and the event loop goes
 * through such rings too.
 */
#ifndef UDPXDP_WORKERS_H
#define UDPXDP_WORKERS_H

#include "engine/engine.h"
#include "output/bridge/bridge.h"
#include "output/history.h"
#include "output/printer.h"

enum wait_policy { WAIT_ADAPTIVE, WAIT_BLOCK, WAIT_SPIN };

#define COMMAND_TEXT_MAX 4096 /* bytes of a console's line; longer than any MTU that is served */

/* What a worker tells the event loop. */
struct worker_event {
	enum { EVENT_MESSAGE, EVENT_ANSWER, EVENT_NEIGHBOUR } kind;
	unsigned instance;
	uint64_t ticket;                 /* of an answer */
	const char *error;               /* of an answer; static, NULL: carried out */
	struct udpxdp_message message;   /* its text points behind this structure */
	struct engine_question question; /* of a neighbour */
	uint8_t text[COMMAND_TEXT_MAX];
};

/* A way in beside the first one of each worker: another interface, or the kernel's sockets. */
struct workers_ingress {
	struct frame_io *const *ios; /* one for each worker, NULL where it has none there */
	const char *name;            /* as in struct engine_ingress */
	/* A row for each service and worker; the kernel's sockets: of worker 0 alone. */
	struct service_counters *counters;
	bool is_kernel;                           /* they are the kernel's sockets */
	const struct neighbour_table *neighbours; /* as in struct workers_config */
	uint32_t services;                        /* ... of these services, a bit for each */
};

struct workers_config {
	unsigned count;
	/* count of them; closed by the caller. NULL: another way in has one for that worker. */
	struct frame_io *const *ios;
	const int *doorbells; /* count eventfds, each known to its frame_io; copied; or NULL */
	const struct workers_ingress *more; /* more_count of them, at most INGRESSES_MAX - 1 */
	unsigned more_count;
	const int *cpus; /* the CPU for each, -1: anywhere; or NULL */
	enum wait_policy wait;
	unsigned coalesce_us; /* WAIT_BLOCK: µs to wait for more behind a batch not full */
	const struct service_config *services;
	unsigned service_count;
	struct service_counters *counters; /* count * service_count rows */
	const char *hostname;              /* copied */
	const char *ingress;               /* as in struct engine_config */
	bool clock_synchronized;           /* the same */
	struct udpxdp_seed seed;           /* as in struct engine_config */
	/* The first: as each way in sees the host; they belong to workers, as those of
	 * workers_set_host(). */
	struct udpxdp_host *const *nets;
	/* Of the first way in, as in struct engine_config; who is not in it is asked for by
	 * EVENT_NEIGHBOUR. NULL: nobody is asked for on any. */
	const struct neighbour_table *neighbours;
	struct printer *printer;                 /* NULL: quiet */
	struct history *histories[MAX_SERVICES]; /* NULL where a service keeps none */
	struct bridge *bridges[MAX_SERVICES];    /* NULL where a room is this host's alone */
	int event_fd;                            /* eventfd rung when there are events */
	void (*enter)(void); /* called first on every worker's thread, to sandbox it; or NULL */
};

struct workers;

/* Makes engines and rings, starts the threads. Returns NULL with errno, nets then still being the
 * caller's. *config is copied. */
struct workers *workers_start(const struct workers_config *config);

/*
 * The host has changed. nets, one for each way in, belong to workers from now on, and are there at
 * least until the next call. Never waits: while a worker may still use the snapshot before the
 * current one, the new one waits, to be published by the next call of either; the newest replaces
 * one that waits.
 */
void workers_set_host(
	struct workers *workers, struct udpxdp_host *const *nets, const char *hostname);
void workers_publish_host(struct workers *workers);

/* Tells the workers whether any console wants the services' messages. */
void workers_set_watched(struct workers *workers, bool watched);

/*
 * Sends a console's line to service `instance`. The answer comes as an event with this ticket.
 * Returns false when the ring is full or the text is too long.
 */
bool workers_command(struct workers *workers, unsigned instance, uint64_t ticket,
	const struct udpxdp_path *path, const uint8_t *text, uint32_t len);

/* The oldest event, or NULL; workers_event_done() gives it back. */
struct worker_event *workers_event(struct workers *workers);
void workers_event_done(struct workers *workers);

/* A table of neighbours has changed, and somebody may wait for that. */
void workers_wake_owner(struct workers *workers);

/* How many polls a worker has made: a number that stands still says that it is stuck. */
uint64_t workers_polls(const struct workers *workers, unsigned worker);

/* Frames that ended with this verdict in user space, over all workers. After workers_stop(). */
uint64_t workers_verdict(const struct workers *workers, enum frame_verdict verdict);

/* Serves what has been received, ends the threads: the owner of the single services last. */
void workers_stop(struct workers *workers);
void workers_free(struct workers *workers);

#endif
