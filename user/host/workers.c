/* SPDX-License-Identifier: MIT */
#include "host/workers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host/queue.h"
#include "host/thread.h"

#define OWNER 0 /* the worker on which the single services live */

#define SPIN_NS 100000u         /* adaptive: how long a worker spins after the last frame */
#define TICK_NS NSEC_PER_SEC    /* between ticks of the services */
#define TICK_MS 1000
#define HANDOVER_RECORDS 1024
#define COMMAND_RECORDS 64
#define NOTICE_RECORDS 1024
#define DRAIN_TURNS 256         /* the most turns a stopping worker makes */

/* A datagram on its way to the worker that owns its service. */
struct handed {
	unsigned instance;
	struct datagram datagram;
	uint8_t payload[COMMAND_TEXT_MAX];
};

/* A console's line on its way to the owner. */
struct order {
	unsigned instance;
	uint64_t ticket;
	struct command command;
	uint8_t text[COMMAND_TEXT_MAX];
};

struct worker {
	_Alignas(64) struct workers *all;
	unsigned number;
	struct frame_io *io;
	struct engine *engine;
	struct queue *handover; /* to the owner; NULL on the owner itself */
	const struct local_net *net;
	bool told; /* the owner has something new in a ring since the last bell */
	uint64_t history_lost[MAX_SERVICES]; /* to the disk, counted so far */
	pthread_t thread;
	bool started;
	_Alignas(64) atomic_bool stop;
	atomic_bool asleep;
	_Atomic(const struct local_net *) seen; /* what the engine uses */
	atomic_uint_fast64_t turns;
};

struct workers {
	struct workers_config config;
	_Atomic(const struct local_net *) net;
	atomic_bool watched;
	struct queue *orders, *notices;
	struct local_net *current, *retired[16];
	unsigned retired_count;
	struct worker worker[];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static void ring(int doorbell)
{
	uint64_t one = 1;

	/* Full means that it has been rung 2^64 - 2 times: it will be heard. */
	if (doorbell >= 0 && write(doorbell, &one, sizeof(one)) < 0)
		return;
}

/* Wakes a worker that sleeps, or is about to: see sleep_until_rung(). */
static void wake(struct worker *w)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (w->all->config.doorbells && atomic_load_explicit(&w->asleep, memory_order_relaxed))
		ring(w->all->config.doorbells[w->number]);
}

/* ---- sinks: called by the engine on the worker's thread ------------------------------- */

static bool sink_print(void *context, unsigned instance, const struct message *m)
{
	struct worker *w = context;

	return printer_put(w->all->config.printer, w->number, instance, m);
}

static bool sink_record(void *context, unsigned instance, const struct message *m)
{
	struct worker *w = context;
	struct history *history = w->all->config.histories[instance];

	return !history || w->number != OWNER || history_put(history, m);
}

static bool sink_notify(void *context, unsigned instance, const struct message *m)
{
	struct worker *w = context;
	struct workers *all = w->all;
	struct notice *n;

	if (w->number != OWNER || !atomic_load_explicit(&all->watched, memory_order_relaxed))
		return true;
	n = queue_reserve(all->notices);
	if (!n)
		return false;
	n->kind = NOTICE_MESSAGE;
	n->instance = instance;
	n->message = *m;
	n->message.text = n->text;
	if (n->message.len > sizeof(n->text))
		n->message.len = sizeof(n->text);
	memcpy(n->text, m->text, n->message.len);
	queue_push(all->notices);
	ring(all->config.notice_bell);
	return true;
}

static bool sink_hand_over(void *context, unsigned instance, const struct datagram *d)
{
	struct worker *w = context;
	struct handed *h = queue_reserve(w->handover);

	if (!h || d->len > sizeof(h->payload))
		return false;
	h->instance = instance;
	h->datagram = *d;
	h->datagram.payload = h->payload;
	memcpy(h->payload, d->payload, d->len);
	queue_push(w->handover);
	w->told = true;
	return true;
}

/* ---- the thread ----------------------------------------------------------------------- */

/* A hazard pointer: workers_set_net() frees only what no worker has said that it uses. */
static void take_net(struct worker *w)
{
	const struct local_net *net = atomic_load_explicit(&w->all->net, memory_order_acquire);

	if (net == w->net)
		return;
	do {
		w->net = net;
		atomic_store(&w->seen, net);
		net = atomic_load(&w->all->net);
	} while (net != w->net);
	engine_set_net(w->engine, net);
}

/* Serves what the other workers handed over: a batch from each. */
static int take_handed(struct worker *w)
{
	struct workers *all = w->all;
	int taken = 0;

	for (unsigned i = 0; i < all->config.count; i++) {
		struct handed *h;

		if (!all->worker[i].handover)
			continue;
		for (int n = 0; n < FRAME_BATCH && (h = queue_peek(all->worker[i].handover)); n++) {
			engine_deliver(w->engine, h->instance, &h->datagram);
			queue_pop(all->worker[i].handover);
			taken++;
		}
	}
	return taken;
}

static void answer(struct workers *all, uint64_t ticket, const char *error)
{
	struct notice *n = queue_reserve(all->notices);

	if (!n)
		return; /* the loop is 1,024 notices behind; the console gives up by itself */
	n->kind = NOTICE_ANSWER;
	n->ticket = ticket;
	n->error = error;
	queue_push(all->notices);
	ring(all->config.notice_bell);
}

static int take_orders(struct worker *w)
{
	struct order *o;
	int taken = 0;

	while ((o = queue_peek(w->all->orders)) && taken < FRAME_BATCH) {
		o->command.time_ns = clock_ns(CLOCK_REALTIME);
		answer(w->all, o->ticket, engine_command(w->engine, o->instance, &o->command));
		queue_pop(w->all->orders);
		taken++;
	}
	return taken;
}

/* One round over everything that can bring work. Returns how much there was. */
static int turn(struct worker *w)
{
	int work;

	take_net(w);
	work = engine_turn(w->engine);
	if (work < 0)
		work = 0;
	if (w->number == OWNER) {
		int more = take_handed(w) + take_orders(w);

		if (more)
			engine_flush(w->engine);
		work += more;
	} else if (w->told) {
		w->told = false;
		wake(&w->all->worker[OWNER]);
	}
	atomic_store_explicit(&w->turns,
			atomic_load_explicit(&w->turns, memory_order_relaxed) + 1,
			memory_order_relaxed);
	return work;
}

/*
 * Says that it sleeps, then looks once more: whoever fills a ring later sees `asleep` and rings
 * the doorbell, which ends wait().
 */
static void sleep_until_rung(struct worker *w)
{
	atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!turn(w) && !atomic_load(&w->stop))
		w->io->ops->wait(w->io, TICK_MS);
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
}

/* What the disk cost becomes a counter here, where the row's one writer is. */
static void count_history_lost(struct worker *w)
{
	const struct workers_config *c = &w->all->config;

	for (unsigned i = 0; w->number == OWNER && i < c->service_count; i++) {
		uint64_t lost = c->histories[i] ? history_lost(c->histories[i]) : 0;

		c->counters[i].history_lost += lost - w->history_lost[i];
		w->history_lost[i] = lost;
	}
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void *run(void *context)
{
	struct worker *w = context;
	enum wait_policy policy = w->all->config.wait;
	uint64_t idle_since = 0, next_tick = 0, now;
	unsigned busy = 0;

	if (w->all->config.enter)
		w->all->config.enter();
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		bool idle = !turn(w);

		/* Under load the clock is read once in 64 turns. */
		if (!idle) {
			idle_since = 0;
			if (++busy % 64)
				continue;
		}
		now = clock_ns(CLOCK_MONOTONIC);
		if (now >= next_tick) {
			engine_tick(w->engine, clock_ns(CLOCK_REALTIME));
			engine_flush(w->engine);
			count_history_lost(w);
			next_tick = now + TICK_NS;
		}
		if (!idle || policy == WAIT_SPIN) {
			relax();
			continue;
		}
		if (!idle_since)
			idle_since = now;
		if (policy == WAIT_BLOCK || now - idle_since >= SPIN_NS)
			sleep_until_rung(w);
		else
			relax();
	}
	for (int i = 0; i < DRAIN_TURNS && turn(w); i++)
		;
	return NULL;
}

/* ---- start and stop ------------------------------------------------------------------- */

static int make_worker(struct workers *all, unsigned number)
{
	const struct workers_config *c = &all->config;
	struct worker *w = &all->worker[number];
	struct engine_config config = {
			.io = c->ios[number],
			.services = c->services,
			.service_count = c->service_count,
			.worker = number,
			.owner = number == OWNER,
			.counters = c->counters + (size_t)number * c->service_count,
			.hostname = c->hostname,
			.sinks = {.context = w,
					.print = c->printer ? sink_print : NULL,
					.record = sink_record,
					.notify = sink_notify,
					.hand_over = sink_hand_over},
	};

	w->all = all;
	w->number = number;
	w->io = c->ios[number];
	w->engine = engine_new(&config);
	if (!w->engine)
		return -1;
	if (number == OWNER)
		return 0;
	w->handover = queue_new(HANDOVER_RECORDS, sizeof(struct handed));
	return w->handover ? 0 : -1;
}

static int start_thread(struct worker *w)
{
	const int *cpus = w->all->config.cpus;
	char name[16];

	snprintf(name, sizeof(name), "worker/%u", w->number);
	errno = thread_start(&w->thread, name, run, w);
	if (errno)
		return -1;
	w->started = true;
	if (cpus && cpus[w->number] >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpus[w->number], &set);
		pthread_setaffinity_np(w->thread, sizeof(set), &set);
	}
	return 0;
}

struct workers *workers_start(const struct workers_config *config)
{
	struct workers *all;
	size_t size = sizeof(*all) + config->count * sizeof(struct worker);
	int saved;

	size = (size + 63) & ~(size_t)63;
	all = aligned_alloc(64, size);
	if (!all)
		return NULL;
	memset(all, 0, size);
	all->config = *config;
	all->current = config->net;
	atomic_store(&all->net, config->net);
	all->orders = queue_new(COMMAND_RECORDS, sizeof(struct order));
	all->notices = queue_new(NOTICE_RECORDS, sizeof(struct notice));
	if (!all->orders || !all->notices)
		goto fail;
	for (unsigned i = 0; i < config->count; i++)
		if (make_worker(all, i) < 0)
			goto fail;
	for (unsigned i = 0; i < config->count; i++)
		if (start_thread(&all->worker[i]) < 0)
			goto fail;
	return all;
fail:
	saved = errno;
	workers_stop(all);
	workers_free(all);
	errno = saved;
	return NULL;
}

static void stop_worker(struct worker *w)
{
	if (!w->started)
		return;
	atomic_store(&w->stop, true);
	if (w->all->config.doorbells)
		ring(w->all->config.doorbells[w->number]);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void workers_stop(struct workers *all)
{
	for (unsigned i = all->config.count; i-- > 0;)
		stop_worker(&all->worker[i]);
}

void workers_free(struct workers *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->config.count; i++) {
		engine_free(all->worker[i].engine);
		queue_free(all->worker[i].handover);
	}
	for (unsigned i = 0; i < all->retired_count; i++)
		free(all->retired[i]);
	free(all->current);
	queue_free(all->orders);
	queue_free(all->notices);
	free(all);
}

/* ---- the event loop's side ------------------------------------------------------------ */

static bool still_used(const struct workers *all, const struct local_net *net)
{
	for (unsigned i = 0; i < all->config.count; i++)
		if (atomic_load(&all->worker[i].seen) == net)
			return true;
	return false;
}

void workers_set_net(struct workers *all, struct local_net *net)
{
	const unsigned room = sizeof(all->retired) / sizeof(all->retired[0]);

	for (;;) {
		unsigned kept = 0;

		for (unsigned i = 0; i < all->retired_count; i++) {
			if (still_used(all, all->retired[i]))
				all->retired[kept++] = all->retired[i];
			else
				free(all->retired[i]);
		}
		all->retired_count = kept;
		if (kept < room)
			break;
		/* Every worker looks once a turn, and sleeps a second at most. */
		for (unsigned i = 0; i < all->config.count; i++)
			wake(&all->worker[i]);
		poll(NULL, 0, 1);
	}
	if (all->current)
		all->retired[all->retired_count++] = all->current;
	all->current = net;
	atomic_store(&all->net, net);
}

void workers_set_watched(struct workers *all, bool watched)
{
	atomic_store_explicit(&all->watched, watched, memory_order_relaxed);
}

bool workers_command(struct workers *all, unsigned instance, uint64_t ticket,
		const struct path *path, const uint8_t *text, uint32_t len)
{
	struct order *o = queue_reserve(all->orders);

	if (!o || len > sizeof(o->text))
		return false;
	memcpy(o->text, text, len);
	o->instance = instance;
	o->ticket = ticket;
	o->command = (struct command){.len = len, .text = o->text};
	if (path)
		o->command.path = *path;
	queue_push(all->orders);
	wake(&all->worker[OWNER]);
	return true;
}

struct notice *workers_notice(struct workers *all)
{
	return queue_peek(all->notices);
}

void workers_notice_done(struct workers *all)
{
	queue_pop(all->notices);
}

uint64_t workers_turns(const struct workers *all, unsigned worker)
{
	return atomic_load_explicit(&all->worker[worker].turns, memory_order_relaxed);
}

uint64_t workers_verdict(const struct workers *all, enum frame_verdict verdict)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < all->config.count; i++)
		sum += engine_verdict(all->worker[i].engine, verdict);
	return sum;
}
