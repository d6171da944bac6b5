/* SPDX-License-Identifier: MIT */
/* An engine is made, and goes: what allocates. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "engine/internal.h"

static void name_drops(struct service_counters *row, const struct udpxdp_service *service)
{
	for (unsigned n = 0; n < UDPXDP_OWN_DROPS && service->drops && service->drops[n].name;
		n++) {
		const struct udpxdp_reason *reason = &service->drops[n];
		struct service_own_drop *own = &row->own[n];

		strncpy(own->name, reason->name, sizeof(own->name) - 1);
		escape_text(own->text, sizeof(own->text) - 1, (const uint8_t *)reason->text,
			strlen(reason->text));
	}
}

static int start_instance(
	struct service_instance *i, const struct engine_config *config, unsigned n)
{
	const struct service_config *spec = &config->services[n];
	struct udpxdp_start start = {.options = spec->options,
		.port = spec->port,
		.clock_synchronized = config->clock_synchronized};
	size_t size;

	if (config->seed) {
		start.seed = *config->seed;
		start.seed.key[0] ^= spec->port; /* rooms do not know each other's tokens */
	}

	i->service = spec->service;
	i->number = n;
	i->port = spec->port;
	i->elsewhere = spec->service->single && config->handover;
	if (i->elsewhere)
		return 0;
	size = spec->service->state_size ? spec->service->state_size(spec->options) : 0;
	size = (size + 63) & ~(size_t)63;
	i->state = aligned_alloc(64, size ? size : 64);
	if (!i->state)
		return -1;
	memset(i->state, 0, size);
	if (spec->service->start)
		spec->service->start(i->state, &start);
	return 0;
}

static void name_rows(const struct engine *e, struct service_counters *rows, unsigned worker)
{
	for (unsigned n = 0; n < e->instance_count; n++) {
		const struct service_instance *i = &e->instances[n];

		memcpy(rows[n].service, i->service->name, strlen(i->service->name) + 1);
		rows[n].port = i->port;
		rows[n].worker = worker;
		name_drops(&rows[n], i->service);
	}
}

void engine_add_ingress(struct engine *e, const struct engine_ingress *ingress)
{
	struct ingress *added = &e->ingresses[e->ingress_count++];

	*added = (struct ingress){
		.io = ingress->io,
		.name = ingress->name,
		.counters = ingress->counters,
		.patience = ingress->patience,
		.services = ingress->services,
		.neighbours = ingress->neighbours,
	};
	if (ingress->is_kernel)
		e->kernel = added;
	else
		e->interface_count++;
	if (ingress->counters)
		name_rows(e, ingress->counters, ingress->worker);
}

struct engine *engine_new(const struct engine_config *config)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->sinks = config->sinks;
	e->handover = config->handover;
	e->hostname = config->hostname;
	e->ipv4_id = config->worker * (65536 / MAX_QUEUES); /* workers begin apart */
	e->ask = config->ask;
	if (e->ask.ask && !e->handover && !(e->waiting = waiting_new())) {
		engine_free(e);
		errno = ENOMEM;
		return NULL;
	}
	for (unsigned n = 0; n < config->service_count; n++) {
		e->instance_count++;
		if (start_instance(&e->instances[n], config, n) < 0) {
			engine_free(e);
			errno = ENOMEM;
			return NULL;
		}
		e->dispatch[config->services[n].port] = &e->instances[n];
	}
	engine_add_ingress(e, &(struct engine_ingress){.io = config->io,
				      .name = config->ingress,
				      .counters = config->counters,
				      .worker = config->worker,
				      .neighbours = config->neighbours});
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	for (unsigned n = 0; n < e->instance_count; n++)
		free(e->instances[n].state);
	free(e->waiting);
	free(e);
}
