/* SPDX-License-Identifier: MIT */
/* What comes to a service in no frame: a console's line, what other hosts of its room say. */
#include "engine/internal.h"

/* What is for everybody goes to everybody on each interface: the service is called once for each.
 */
static unsigned ways_of(const struct engine *e, const struct udpxdp_service *service)
{
	return service->wants_broadcast ? e->interface_count : 1;
}

const char *engine_command(struct engine *e, unsigned n, const struct udpxdp_command *command)
{
	const struct service_instance *instance = &e->instances[n];
	const char *error = NULL;
	unsigned done = 0;

	e->time_ns = command->time_ns;
	for (unsigned i = 0; i < ways_of(e, instance->service); i++) {
		struct udpxdp_ctx ctx = ctx_of(e, n, i, command->time_ns);
		const char *why = instance->service->command(instance->state, &ctx, command);

		done += !why;
		error = error ? error : why;
	}
	return done ? NULL : error;
}

void engine_room(
	struct engine *e, unsigned n, const struct udpxdp_room_event *event, uint64_t time_ns)
{
	const struct service_instance *instance = &e->instances[n];

	e->time_ns = time_ns;
	for (unsigned i = 0; i < ways_of(e, instance->service); i++) {
		struct udpxdp_ctx ctx = ctx_of(e, n, i, time_ns);

		instance->service->room(instance->state, &ctx, event);
	}
}
