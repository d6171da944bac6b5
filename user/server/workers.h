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
#include "output/history.h"
#include "output/printer.h"

enum wait_policy { WAIT_ADAPTIVE, WAIT_BLOCK, WAIT_SPIN };

#define COMMAND_TEXT_MAX 4096 /* bytes of a console's line; longer than any MTU that is served */

/* What a worker tells the event loop. */
struct worker_event {
	enum { EVENT_MESSAGE, EVENT_ANSWER } kind;
	unsigned instance;
	uint64_t ticket;               /* of an answer */
	const char *error;             /* of an answer; static, NULL: carried out */
	struct udpxdp_message message; /* its text points behind this structure */
	uint8_t text[COMMAND_TEXT_MAX];
};

struct workers_config {
	unsigned count;
	struct frame_io *const *ios; /* count of them; closed by the caller */
	const int *doorbells;        /* count eventfds, each known to its frame_io; or NULL */
	const int *cpus;             /* the CPU for each, -1: anywhere; or NULL */
	enum wait_policy wait;
	unsigned coalesce_us; /* WAIT_BLOCK: µs to wait for more behind a batch not full */
	const struct service_config *services;
	unsigned service_count;
	struct service_counters *counters; /* count * service_count rows */
	const char *hostname;              /* copied */
	struct udpxdp_seed seed;           /* as in struct engine_config */
	struct udpxdp_host *net; /* the first; belongs to workers, as those of workers_set_host() */
	struct printer *printer; /* NULL: quiet */
	struct history *histories[MAX_SERVICES]; /* NULL where a service keeps none */
	int event_fd;                            /* eventfd rung when there are events */
	void (*enter)(void); /* called first on every worker's thread, to sandbox it; or NULL */
};

struct workers;

/* Makes engines and rings, starts the threads. Returns NULL with errno, net then still being the
 * caller's. *config is copied. */
struct workers *workers_start(const struct workers_config *config);

/*
 * The host has changed. net belongs to workers from now on, and is there at least until the next
 * call. Never waits: while a worker may still use the snapshot before the current one, the new one
 * waits, to be published by the next call of either; the newest replaces one that waits.
 */
void workers_set_host(struct workers *workers, struct udpxdp_host *net, const char *hostname);
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

/* How many polls a worker has made: a number that stands still says that it is stuck. */
uint64_t workers_polls(const struct workers *workers, unsigned worker);

/* Frames that ended with this verdict in user space, over all workers. After workers_stop(). */
uint64_t workers_verdict(const struct workers *workers, enum frame_verdict verdict);

/* Serves what has been received, ends the threads: the owner of the single services last. */
void workers_stop(struct workers *workers);
void workers_free(struct workers *workers);

#endif
