/* SPDX-License-Identifier: MIT */
#include "server/workers.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/keep_errno.h"
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

static void fill_snapshot(const struct workers *all, struct host_snapshot *snapshot,
	struct udpxdp_host *const *nets, const char *hostname)
{
	memcpy(snapshot->nets, nets, (1 + all->config.more_count) * sizeof(*nets));
	snprintf(snapshot->hostname, sizeof(snapshot->hostname), "%s", hostname);
}

static void free_snapshot(struct host_snapshot *snapshot)
{
	for (unsigned i = 0; i < INGRESSES_MAX; i++) {
		free(snapshot->nets[i]);
		snapshot->nets[i] = NULL;
	}
}

struct workers *workers_start(const struct workers_config *config)
{
	struct workers *all;
	size_t size = sizeof(*all) + config->count * sizeof(struct worker);

	size = (size + 63) & ~(size_t)63;
	all = aligned_alloc(64, size);
	if (!all)
		return NULL;
	memset(all, 0, size);
	all->config = *config;
	if (config->doorbells)
		all->config.doorbells =
			memcpy(all->doorbells, config->doorbells, config->count * sizeof(int));
	all->current = &all->snapshots[0];
	all->retired = &all->snapshots[1];
	all->next = &all->snapshots[2];
	fill_snapshot(all, all->current, config->nets, config->hostname);
	atomic_store(&all->host, all->current);
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
fail:;
	KEEP_ERRNO;
	workers_stop(all);
	memset(all->current->nets, 0, sizeof(all->current->nets)); /* still the caller's */
	workers_free(all);
	return NULL;
}

static void stop_worker(struct worker *w)
{
	if (!w->started)
		return;
	atomic_store(&w->stop, true);
	if (w->all->config.doorbells)
		worker_ring_doorbell(w->all->config.doorbells[w->number]);
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
	for (unsigned i = 0; i < 3; i++)
		free_snapshot(&all->snapshots[i]);
	queue_free(all->commands);
	queue_free(all->events);
	free(all);
}

/* ---- the event loop's side ------------------------------------------------------------ */

/* Has every worker begun a poll since the current snapshot was published? Then none uses the one
 * before. */
static bool all_have_polled(struct workers *all)
{
	for (unsigned i = 0; i < all->config.count; i++)
		if (atomic_load(&all->worker[i].polls) == all->worker[i].polls_at_publish)
			return false;
	return true;
}

/*
 * Quiescent-state reclamation: a worker that counts the beginning of a poll has done with the
 * snapshot it had, and takes the current one. Storing that one before the counts are read, here,
 * and counting before it is read, there, are in one order (seq_cst).
 */
void workers_publish_host(struct workers *all)
{
	struct host_snapshot *free_place = all->retired;

	if (!all->next->nets[0] || !all_have_polled(all))
		return;
	free_snapshot(free_place);
	all->retired = all->current;
	all->current = all->next;
	all->next = free_place;
	atomic_store(&all->host, all->current);
	for (unsigned i = 0; i < all->config.count; i++) {
		all->worker[i].polls_at_publish = atomic_load(&all->worker[i].polls);
		worker_wake(&all->worker[i]);
	}
}

void workers_set_host(struct workers *all, struct udpxdp_host *const *nets, const char *hostname)
{
	workers_publish_host(all);
	free_snapshot(all->next);
	fill_snapshot(all, all->next, nets, hostname);
	workers_publish_host(all);
}

void workers_set_watched(struct workers *all, bool watched)
{
	atomic_store_explicit(&all->watched, watched, memory_order_relaxed);
}

bool workers_command(struct workers *all, unsigned instance, uint64_t ticket,
	const struct udpxdp_path *path, const uint8_t *text, uint32_t len)
{
	struct worker_command *c = queue_reserve(all->commands);

	if (!c || len > sizeof(c->text))
		return false;
	memcpy(c->text, text, len);
	c->instance = instance;
	c->ticket = ticket;
	c->command = (struct udpxdp_command){.len = len, .text = c->text};
	if (path)
		c->command.path = *path;
	queue_push(all->commands);
	worker_wake(&all->worker[OWNER_WORKER]);
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

void workers_wake_owner(struct workers *all)
{
	worker_wake(&all->worker[OWNER_WORKER]);
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
