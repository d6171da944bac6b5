/* SPDX-License-Identifier: MIT */
#include "server/worker.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"

#define TICK_NS UDPXDP_NSEC_PER_SEC /* between ticks of the services */
#define TICK_MS 1000
#define HANDOVER_RECORDS 1023 /* a power of two, less one: see queue_new() */
#define DRAIN_POLLS 256       /* the most polls a stopping worker makes */
#define CLOCK_POLLS 64        /* reading the clock takes as long as a poll without frames */
#define KERNEL_PATIENCE 256   /* asking the kernel's sockets takes longer; and asleep it is woken */

/* How long a worker spins after the last frame. */
static const uint64_t spin_ns[] = {
	[WAIT_ADAPTIVE] = 100000, [WAIT_BLOCK] = 0, [WAIT_SPIN] = UINT64_MAX};

void worker_ring_doorbell(int doorbell)
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
		worker_ring_doorbell(w->all->config.doorbells[w->number]);
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

	return !history || w->number != OWNER_WORKER || history_put(history, m);
}

static bool sink_notify(void *context, unsigned instance, const struct udpxdp_message *m)
{
	struct worker *w = context;
	struct workers *all = w->all;
	struct worker_event *event;

	if (w->number != OWNER_WORKER || !atomic_load_explicit(&all->watched, memory_order_relaxed))
		return true;
	if (queue_room(all->events) <= COMMANDS_MAX)
		return false;
	event = queue_reserve(all->events);
	event->kind = EVENT_MESSAGE;
	event->instance = instance;
	event->message = *m;
	event->message.text = event->text;
	if (event->message.len > sizeof(event->text))
		event->message.len = sizeof(event->text);
	memcpy(event->text, m->text, event->message.len);
	queue_push(all->events);
	worker_ring_doorbell(all->config.event_fd);
	return true;
}

static bool sink_publish(void *context, unsigned instance, const struct udpxdp_room_event *event)
{
	struct worker *w = context;
	struct bridge *bridge = w->all->config.bridges[instance];

	return !bridge || w->number != OWNER_WORKER || bridge_put(bridge, event);
}

static bool ask_for_neighbour(void *context, const struct engine_question *question)
{
	struct worker *w = context;
	struct workers *all = w->all;
	struct worker_event *event;

	if (queue_room(all->events) <= COMMANDS_MAX)
		return false;
	event = queue_reserve(all->events);
	event->kind = EVENT_NEIGHBOUR;
	event->question = *question;
	queue_push(all->events);
	worker_ring_doorbell(all->config.event_fd);
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

static void take_host(struct worker *w)
{
	const struct host_snapshot *host = atomic_load(&w->all->host);

	if (host == w->host)
		return;
	w->host = host;
	for (unsigned i = 0; i <= w->all->config.more_count; i++)
		engine_set_ingress_net(w->engine, i, host->nets[i]);
	engine_set_hostname(w->engine, host->hostname);
}

/* Serves what the other workers handed over: a batch from each. */
static int take_handovers(struct worker *w)
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

static void post_answer(struct workers *all, uint64_t ticket, const char *error)
{
	struct worker_event *event = queue_reserve(all->events);

	if (!event)
		return; /* cannot be, as long as the loop takes events between its commands */
	event->kind = EVENT_ANSWER;
	event->ticket = ticket;
	event->error = error;
	queue_push(all->events);
	worker_ring_doorbell(all->config.event_fd);
}

static int take_commands(struct worker *w)
{
	struct worker_command *c;
	int taken = 0;

	while ((c = queue_peek(w->all->commands)) && taken < FRAME_BATCH) {
		c->command.time_ns = clock_realtime_ns();
		post_answer(w->all, c->ticket, engine_command(w->engine, c->instance, &c->command));
		queue_pop(w->all->commands);
		taken++;
	}
	return taken;
}

/* What other hosts of the rooms say: a batch, or less when many are to hear it. */
static int take_rooms(struct worker *w)
{
	const struct workers_config *c = &w->all->config;
	struct udpxdp_room_event event;
	int taken = 0;

	for (unsigned i = 0; i < c->service_count; i++) {
		const __u64 *sent = &c->counters[i].tx, before = *sent;

		if (!c->bridges[i] || engine_is_busy(w->engine, i))
			continue;
		for (int n = 0; n < FRAME_BATCH && *sent - before < FRAME_BATCH &&
				bridge_take(c->bridges[i], &event);
			n++, taken++)
			engine_room(w->engine, i, &event, clock_realtime_ns());
	}
	return taken;
}

/* One round over everything that can bring work. Returns how much there was. */
static int worker_poll(struct worker *w)
{
	int work;

	/* Here it uses no snapshot of the host: see workers_publish_host(). */
	atomic_store(&w->polls, atomic_load_explicit(&w->polls, memory_order_relaxed) + 1);
	take_host(w);
	work = engine_poll(w->engine);
	if (work < 0)
		work = 0;
	if (w->number == OWNER_WORKER) {
		int more = take_handovers(w) + take_commands(w) + take_rooms(w);

		if (more)
			engine_flush(w->engine);
		work += more;
	} else if (w->wake_owner) {
		w->wake_owner = false;
		worker_wake(&w->all->worker[OWNER_WORKER]);
	}
	return work;
}

/* One sleep for all ways in. It says whether the kernel's sockets are worth a look, which costs a
 * system call. */
static void wait_for_any(struct worker *w)
{
	struct pollfd fds[INGRESSES_MAX + 1];
	int timeout_ms = TICK_MS;
	bool broken = false;
	uint64_t rings;

	for (unsigned i = 0; i < w->io_count; i++)
		fds[i] = (struct pollfd){
			.fd = w->ios[i]->ops->descriptor(w->ios[i], &timeout_ms), .events = POLLIN};
	fds[w->io_count] =
		(struct pollfd){.fd = w->all->config.doorbells[w->number], .events = POLLIN};
	poll(fds, w->io_count + 1, timeout_ms);
	if (timeout_ms < TICK_MS || fds[w->kernel].revents)
		engine_look_everywhere(w->engine);
	if (fds[w->io_count].revents && read(fds[w->io_count].fd, &rings, sizeof(rings)) < 0)
		return;
	/* It is gone: the event loop watches it; do not spin meanwhile. */
	for (unsigned i = 0; i < w->io_count; i++)
		if (fds[i].revents & (POLLERR | POLLHUP | POLLNVAL)) {
			fds[i].fd = -1;
			broken = true;
		}
	if (broken)
		poll(fds, w->io_count + 1, FRAME_BROKEN_MS);
}

/*
 * Says that it sleeps, then looks once more: whoever fills a ring later sees `asleep` and rings
 * the doorbell, which ends wait().
 */
static void sleep_until_rung(struct worker *w)
{
	atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!worker_poll(w) && !atomic_load(&w->stop)) {
		if (w->io_count > 1)
			wait_for_any(w);
		else
			w->ios[0]->ops->wait(w->ios[0], TICK_MS);
	}
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
}

/* What the disk cost becomes a counter here, where the row's one writer is. */
static void count_history_lost(struct worker *w)
{
	const struct workers_config *c = &w->all->config;

	for (unsigned i = 0; w->number == OWNER_WORKER && i < c->service_count; i++) {
		uint64_t lost = c->histories[i] ? history_lost(c->histories[i]) : 0;

		c->counters[i].drops[UDPXDP_DROP_history_lost] += lost - w->history_lost[i];
		w->history_lost[i] = lost;
	}
}

static void count_rooms(struct worker *w)
{
	const struct workers_config *c = &w->all->config;

	for (unsigned i = 0; w->number == OWNER_WORKER && i < c->service_count; i++)
		if (c->bridges[i])
			bridge_counters(c->bridges[i], (uint64_t *)c->counters[i].room);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Once a second, and before it sleeps if that is due. */
static void tick(struct worker *w, uint64_t now)
{
	if (now < w->next_tick)
		return;
	engine_set_clock(w->engine, clock_realtime_ns(), now);
	engine_tick(w->engine, clock_realtime_ns());
	engine_flush(w->engine);
	count_history_lost(w);
	count_rooms(w);
	w->next_tick = now + TICK_NS;
}

/*
 * Between two polls: how to wait, by how much work the last one found. Behind a batch that is not
 * full it may nap for more to come; without work it spins for spin_ns, then sleeps.
 */
static void worker_pause(struct worker *w, int work)
{
	const struct timespec coalesce = {.tv_nsec = w->all->config.coalesce_us * 1000l};
	const bool may_sleep_now = !work && !w->spin_ns;
	uint64_t now;

	if (work)
		w->idle_since = 0;
	if (work && work < FRAME_BATCH && coalesce.tv_nsec)
		nanosleep(&coalesce, NULL);
	if (!work && w->spin_ns)
		relax();
	if (++w->pauses % CLOCK_POLLS && !may_sleep_now)
		return;
	now = clock_ns();
	tick(w, now);
	if (work)
		return;
	if (!w->idle_since)
		w->idle_since = now;
	if (now - w->idle_since >= w->spin_ns)
		sleep_until_rung(w);
}

void *worker_run(void *context)
{
	struct worker *w = context;

	engine_set_clock(w->engine, clock_realtime_ns(), clock_ns());
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); /* of a nap; 50 µs otherwise */
	if (w->all->config.enter)
		w->all->config.enter();
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed))
		worker_pause(w, worker_poll(w));
	for (int i = 0; i < DRAIN_POLLS && worker_poll(w); i++)
		;
	return NULL;
}

static void add_ingress(struct worker *w, const struct workers_ingress *more)
{
	const bool sender = more->is_kernel && w->number != OWNER_WORKER;
	struct engine_ingress ingress = {
		.io = more->ios[w->number],
		.name = more->name,
		.counters = more->counters + (size_t)w->number * w->all->config.service_count,
		.worker = more->is_kernel ? COUNTERS_SOCKETS : w->number,
		.patience = more->is_kernel ? KERNEL_PATIENCE : 0,
		.is_kernel = more->is_kernel,
		.services = more->services,
		.neighbours = more->neighbours,
	};

	if (!ingress.io || sender)
		ingress.counters = NULL;
	engine_add_ingress(w->engine, &ingress);
	if (ingress.io && more->is_kernel)
		w->kernel = w->io_count;
	if (ingress.io)
		w->ios[w->io_count++] = ingress.io;
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
		.handover = number == OWNER_WORKER ? NULL : &w->to_owner,
		.counters = c->counters + (size_t)number * c->service_count,
		.hostname = c->hostname,
		.ingress = c->ingress,
		.clock_synchronized = c->clock_synchronized,
		.seed = &c->seed,
		.sinks = {.context = w,
			.print = c->printer ? sink_print : NULL,
			.record = sink_record,
			.notify = sink_notify,
			.publish = sink_publish},
		.neighbours = c->neighbours,
		.ask = {.context = w, .ask = c->neighbours ? ask_for_neighbour : NULL},
	};

	w->to_owner = (struct engine_handover){.context = w, .push = hand_over};
	w->all = all;
	w->number = number;
	if (c->ios[number])
		w->ios[w->io_count++] = c->ios[number];
	w->spin_ns = spin_ns[c->wait];
	w->engine = engine_new(&config);
	if (!w->engine)
		return -1;
	for (unsigned i = 0; i < c->more_count; i++)
		add_ingress(w, &c->more[i]);
	if (number == OWNER_WORKER)
		return 0;
	w->handover = queue_new(HANDOVER_RECORDS, sizeof(struct handover));
	return w->handover ? 0 : -1;
}
