/* SPDX-License-Identifier: MIT */
#include "server/worker.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"

#define SPIN_NS 100000u      /* adaptive: how long a worker spins after the last frame */
#define TICK_NS NSEC_PER_SEC /* between ticks of the services */
#define TICK_MS 1000
#define HANDOVER_RECORDS 1023 /* a power of two, less one: see queue_new() */
#define DRAIN_TURNS 256       /* the most polls a stopping worker makes */

void doorbell_ring(int doorbell)
{
	uint64_t one = 1;

	/* Full means that it has been rung 2^64 - 2 times: it will be heard. */
	if (doorbell >= 0 && write(doorbell, &one, sizeof(one)) < 0)
		return;
}

/* Wakes a worker that sleeps, or is about to: see sleep_until_rung(). */
void worker_wake(struct worker *w)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (w->all->config.doorbells && atomic_load_explicit(&w->asleep, memory_order_relaxed))
		doorbell_ring(w->all->config.doorbells[w->number]);
}

/* ---- sinks: called by the engine on the worker's thread ------------------------------- */

static bool sink_print(void *context, unsigned instance, const struct udpxdp_message *m)
{
	struct worker *w = context;

	return printer_put(w->all->config.printer, w->number, instance, m);
}

static bool sink_record(void *context, unsigned instance, const struct udpxdp_message *m)
{
	struct worker *w = context;
	struct history *history = w->all->config.histories[instance];

	return !history || w->number != OWNER || history_put(history, m);
}

static bool sink_notify(void *context, unsigned instance, const struct udpxdp_message *m)
{
	struct worker *w = context;
	struct workers *all = w->all;
	struct worker_event *n;

	if (w->number != OWNER || !atomic_load_explicit(&all->watched, memory_order_relaxed))
		return true;
	if (queue_room(all->events) <= COMMANDS_MAX)
		return false;
	n = queue_reserve(all->events);
	n->kind = EVENT_MESSAGE;
	n->instance = instance;
	n->message = *m;
	n->message.text = n->text;
	if (n->message.len > sizeof(n->text))
		n->message.len = sizeof(n->text);
	memcpy(n->text, m->text, n->message.len);
	queue_push(all->events);
	doorbell_ring(all->config.event_fd);
	return true;
}

static bool hand_over(void *context, unsigned instance, const struct udpxdp_datagram *d)
{
	struct worker *w = context;
	struct handover *h = queue_reserve(w->handover);

	if (!h || d->len > sizeof(h->payload))
		return false;
	h->instance = instance;
	h->datagram = *d;
	h->datagram.payload = h->payload;
	memcpy(h->payload, d->payload, d->len);
	queue_push(w->handover);
	w->wake_owner = true;
	return true;
}

/* ---- the thread ----------------------------------------------------------------------- */

/* A hazard pointer: workers_set_net() frees only what no worker has said that it uses. */
static void take_net(struct worker *w)
{
	const struct udpxdp_host *net = atomic_load_explicit(&w->all->net, memory_order_acquire);

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
		struct handover *h;

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
	struct worker_event *n = queue_reserve(all->events);

	if (!n)
		return; /* cannot be, as long as the loop takes events between its commands */
	n->kind = EVENT_ANSWER;
	n->ticket = ticket;
	n->error = error;
	queue_push(all->events);
	doorbell_ring(all->config.event_fd);
}

static int take_orders(struct worker *w)
{
	struct worker_command *o;
	int taken = 0;

	while ((o = queue_peek(w->all->commands)) && taken < FRAME_BATCH) {
		o->command.time_ns = clock_realtime_ns();
		answer(w->all, o->ticket, engine_command(w->engine, o->instance, &o->command));
		queue_pop(w->all->commands);
		taken++;
	}
	return taken;
}

/* One round over everything that can bring work. Returns how much there was. */
static int turn(struct worker *w)
{
	int work;

	take_net(w);
	work = engine_poll(w->engine);
	if (work < 0)
		work = 0;
	if (w->number == OWNER) {
		int more = take_handed(w) + take_orders(w);

		if (more)
			engine_flush(w->engine);
		work += more;
	} else if (w->wake_owner) {
		w->wake_owner = false;
		worker_wake(&w->all->worker[OWNER]);
	}
	atomic_store_explicit(&w->polls, atomic_load_explicit(&w->polls, memory_order_relaxed) + 1,
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

		c->counters[i].drops[UDPXDP_DROP_history_lost] += lost - w->history_lost[i];
		w->history_lost[i] = lost;
	}
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

void *worker_run(void *context)
{
	struct worker *w = context;
	enum wait_policy policy = w->all->config.wait;
	const struct timespec coalesce = {.tv_nsec = w->all->config.coalesce_us * 1000l};
	uint64_t idle_since = 0, next_tick = 0, now;
	unsigned polls = 0;

	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* of the sleep below; 50 µs otherwise */
	if (w->all->config.enter)
		w->all->config.enter();
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		int work = turn(w);

		if (work) {
			idle_since = 0;
			if (coalesce.tv_nsec && work < FRAME_BATCH)
				nanosleep(&coalesce, NULL);
		} else if (policy != WAIT_BLOCK) {
			relax();
		}
		/* Reading the clock takes as long as a turn without frames. */
		if (++polls % 64 && (work || policy != WAIT_BLOCK))
			continue;
		now = clock_ns();
		if (now >= next_tick) {
			engine_tick(w->engine, clock_realtime_ns());
			engine_flush(w->engine);
			count_history_lost(w);
			next_tick = now + TICK_NS;
		}
		if (work || policy == WAIT_SPIN)
			continue;
		if (!idle_since)
			idle_since = now;
		if (policy == WAIT_BLOCK || now - idle_since >= SPIN_NS)
			sleep_until_rung(w);
	}
	for (int i = 0; i < DRAIN_TURNS && turn(w); i++)
		;
	return NULL;
}

int worker_init(struct workers *all, unsigned number)
{
	const struct workers_config *c = &all->config;
	struct worker *w = &all->worker[number];
	struct engine_config config = {
		.io = c->ios[number],
		.services = c->services,
		.service_count = c->service_count,
		.worker = number,
		.handover = number == OWNER ? NULL : &w->to_owner,
		.counters = c->counters + (size_t)number * c->service_count,
		.hostname = c->hostname,
		.seed = &c->seed,
		.sinks = {.context = w,
			.print = c->printer ? sink_print : NULL,
			.record = sink_record,
			.notify = sink_notify},
	};

	w->to_owner = (struct engine_handover){.context = w, .push = hand_over};
	w->all = all;
	w->number = number;
	w->io = c->ios[number];
	w->engine = engine_new(&config);
	if (!w->engine)
		return -1;
	if (number == OWNER)
		return 0;
	w->handover = queue_new(HANDOVER_RECORDS, sizeof(struct handover));
	return w->handover ? 0 : -1;
}
