/* SPDX-License-Identifier: MIT */
#include "server/workers.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "server/worker.h"

static int start_thread(struct worker *w)
{
	const int *cpus = w->all->config.cpus;
	char name[16];

	snprintf(name, sizeof(name), "worker/%u", w->number);
	errno = thread_start(&w->thread, name, worker_run, w);
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
	all->commands = queue_new(COMMANDS_MAX, sizeof(struct worker_command));
	all->events = queue_new(EVENTS_MAX, sizeof(struct worker_event));
	if (!all->commands || !all->events)
		goto fail;
	for (unsigned i = 0; i < config->count; i++)
		if (worker_init(all, i) < 0)
			goto fail;
	for (unsigned i = 0; i < config->count; i++)
		if (start_thread(&all->worker[i]) < 0)
			goto fail;
	return all;
fail:
	saved = errno;
	workers_stop(all);
	all->current = NULL; /* still the caller's */
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
		doorbell_ring(w->all->config.doorbells[w->number]);
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
	queue_free(all->commands);
	queue_free(all->events);
	free(all);
}

/* ---- the event loop's side ------------------------------------------------------------ */

static bool still_used(const struct workers *all, const struct udpxdp_host *net)
{
	for (unsigned i = 0; i < all->config.count; i++)
		if (atomic_load(&all->worker[i].seen) == net)
			return true;
	return false;
}

void workers_set_net(struct workers *all, struct udpxdp_host *net)
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
			worker_wake(&all->worker[i]);
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
	const struct udpxdp_path *path, const uint8_t *text, uint32_t len)
{
	struct worker_command *o = queue_reserve(all->commands);

	if (!o || len > sizeof(o->text))
		return false;
	memcpy(o->text, text, len);
	o->instance = instance;
	o->ticket = ticket;
	o->command = (struct udpxdp_command){.len = len, .text = o->text};
	if (path)
		o->command.path = *path;
	queue_push(all->commands);
	worker_wake(&all->worker[OWNER]);
	return true;
}

struct worker_event *workers_event(struct workers *all)
{
	return queue_peek(all->events);
}

void workers_event_done(struct workers *all)
{
	queue_pop(all->events);
}

uint64_t workers_polls(const struct workers *all, unsigned worker)
{
	return atomic_load_explicit(&all->worker[worker].polls, memory_order_relaxed);
}

uint64_t workers_verdict(const struct workers *all, enum frame_verdict verdict)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < all->config.count; i++)
		sum += engine_verdict(all->worker[i].engine, verdict);
	return sum;
}
