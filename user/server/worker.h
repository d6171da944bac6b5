/* SPDX-License-Identifier: MIT */
/* What workers.c (start, stop, the event loop's side) and worker.c (a worker's thread) share. */
#ifndef UDPXDP_WORKER_H
#define UDPXDP_WORKER_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "server/workers.h"

#define OWNER_WORKER 0   /* on which the single services live */
#define COMMANDS_MAX 127 /* under way at a time; as many events are kept free for their answers */
#define EVENTS_MAX 1023

/* A datagram on its way to the worker that owns its service. */
struct handover {
	unsigned instance;
	struct udpxdp_datagram datagram;
	uint8_t payload[COMMAND_TEXT_MAX];
};

/* A console's line on its way to the owner. */
struct worker_command {
	unsigned instance;
	uint64_t ticket;
	struct udpxdp_command command;
	uint8_t text[COMMAND_TEXT_MAX];
};

/* The host as the engines see it, published as one. */
struct host_snapshot {
	struct udpxdp_host *nets[INGRESSES_MAX]; /* the first NULL: this place is free */
	char hostname[HOST_NAME_MAX + 1];
};

struct worker {
	_Alignas(64) struct workers *all;
	unsigned number;
	struct frame_io *ios[INGRESSES_MAX]; /* the first io_count, without gaps */
	unsigned io_count;
	unsigned kernel; /* which of them is the kernel's sockets beside XDP; 0: none is */
	struct engine *engine;
	struct queue *handover; /* to the owner; NULL on the owner itself */
	struct engine_handover to_owner;
	const struct host_snapshot *host;
	bool wake_owner; /* the owner has something new in a ring since the last bell */
	uint64_t history_lost[MAX_SERVICES]; /* to the disk, counted so far */
	uint64_t spin_ns;               /* how long it spins on an idle socket before it sleeps */
	uint64_t idle_since, next_tick; /* CLOCK_MONOTONIC; 0: not idle */
	unsigned pauses;
	uint64_t polls_at_publish; /* the event loop's: polls when the current host was published */
	pthread_t thread;
	bool started;
	_Alignas(64) atomic_bool stop;
	atomic_bool asleep;
	atomic_uint_fast64_t polls; /* begun so far; as one begins it uses no snapshot */
};

struct workers {
	struct workers_config config; /* its doorbells are those below */
	int doorbells[MAX_QUEUES];
	_Atomic(const struct host_snapshot *) host;
	atomic_bool watched;
	struct queue *commands, *events;
	struct host_snapshot snapshots[3], *current, *retired, *next;
	struct worker worker[];
};

/* Rings an eventfd. */
void worker_ring_doorbell(int doorbell);

/* Wakes a worker that sleeps, or is about to, so that it looks into its rings. */
void worker_wake(struct worker *worker);

/* Makes the engine and the ring of all->worker[number]. Returns 0, or -1 with errno. */
int worker_init(struct workers *all, unsigned number);

/* The thread: serves until worker->stop. */
void *worker_run(void *worker);

#endif
