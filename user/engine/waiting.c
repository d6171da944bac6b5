/* SPDX-License-Identifier: MIT */
#include "engine/waiting.h"

#include <stdlib.h>

#include "engine/internal.h"

struct waiting *waiting_new(void)
{
	struct waiting *w = calloc(1, sizeof(*w));

	for (unsigned i = 0; w && i < WAITING_MAX; i++)
		w->order[i] = (uint16_t)i;
	return w;
}

static bool same_neighbour(const struct udpxdp_path *a, const struct udpxdp_path *b)
{
	return a->ingress == b->ingress && udpxdp_addr_equal(&a->peer.addr, &b->peer.addr) &&
	       udpxdp_vlan_id(a) == udpxdp_vlan_id(b);
}

static unsigned count_waiting(const struct waiting *w, const struct udpxdp_path *path)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->count; i++)
		count += same_neighbour(&w->slots[w->order[i]].datagram.path, path);
	return count;
}

static void serve_slot(struct engine *e, struct waiting_slot *slot)
{
	slot->datagram.path.proven = engine_proves(e, &slot->datagram.path);
	engine_serve(e, slot->instance, &slot->datagram);
}

/* The one that has waited longest waits no more: a neighbour that is there has answered by then. */
static void make_room(struct engine *e)
{
	struct waiting *w = e->waiting;
	const uint16_t first = w->order[0];

	serve_slot(e, &w->slots[first]);
	memmove(w->order, w->order + 1, --w->count * sizeof(*w->order));
	w->order[w->count] = first;
}

static void begin_second(struct waiting *w, uint64_t now)
{
	if (w->second == now / UDPXDP_NSEC_PER_SEC)
		return;
	w->second = now / UDPXDP_NSEC_PER_SEC;
	w->asked = w->followed = 0;
}

static bool put_question(struct engine *e, const struct udpxdp_path *path, bool follow)
{
	const struct engine_question question = {.ingress = path->ingress,
		.vlan = udpxdp_vlan_id(path),
		.addr = path->peer.addr,
		.follow = follow};

	return e->ask.ask(e->ask.context, &question);
}

/* Has somebody look at this neighbour, unless too many have been asked for in this second. */
static void ask(struct engine *e, const struct udpxdp_path *path, uint64_t now)
{
	struct waiting *w = e->waiting;

	begin_second(w, now);
	if (w->asked < WAITING_ASKS)
		w->asked += put_question(e, path, false);
}

void waiting_follow(struct engine *e, const struct udpxdp_path *path, bool at_once)
{
	struct waiting *w = e->waiting;

	if (!w || !e->ingresses[path->ingress].neighbours ||
		udpxdp_vlan_id(path) > NEIGHBOUR_VLAN_MAX)
		return;
	begin_second(w, engine_steady(e, e->time_ns));
	if (!at_once && (udpxdp_host_hash(&path->peer.addr) + w->second) % WAITING_LOOK_EACH)
		return;
	if (w->followed < WAITING_FOLLOWS)
		w->followed += put_question(e, path, true);
}

bool waiting_take(struct engine *e, unsigned instance, const struct udpxdp_datagram *d)
{
	const struct udpxdp_path *path = &d->path;
	uint64_t now = engine_steady(e, d->time_ns);
	struct waiting *w = e->waiting;
	struct waiting_slot *slot;
	enum neighbour_state state;
	unsigned waiting;
	uint8_t mac[6];

	if (!w || !e->ingresses[path->ingress].neighbours ||
		!udpxdp_host_on_link(e->ingresses[path->ingress].net, &path->peer.addr))
		return false;
	state = engine_neighbour(e, path, mac);
	if (state != NEIGHBOUR_UNKNOWN) {
		if (state == NEIGHBOUR_FOUND) /* by another MAC: has it changed? */
			ask(e, path, now);
		return false;
	}
	waiting = count_waiting(w, path);
	if (waiting == WAITING_EACH || d->len > WAITING_PAYLOAD)
		return false;
	if (!waiting)
		ask(e, path, now);
	if (w->count == WAITING_MAX)
		make_room(e);
	slot = &w->slots[w->order[w->count++]];
	slot->instance = instance;
	slot->until_ns = now + WAITING_PATIENCE;
	slot->datagram = *d;
	slot->datagram.payload = slot->payload;
	memcpy(slot->payload, d->payload, d->len);
	w->edition = 0; /* the answer may have come in between */
	return true;
}

static bool may_go(const struct engine *e, const struct waiting_slot *slot, uint64_t now)
{
	const struct udpxdp_path *path = &slot->datagram.path;
	uint8_t mac[6];

	return now >= slot->until_ns || engine_neighbour(e, path, mac) != NEIGHBOUR_UNKNOWN;
}

/* Another number after each change of any table. */
static uint64_t edition_of_all(const struct engine *e)
{
	uint64_t edition = 1;

	for (unsigned i = 0; i < e->ingress_count; i++)
		if (e->ingresses[i].neighbours)
			edition += neighbour_table_edition(e->ingresses[i].neighbours);
	return edition;
}

unsigned waiting_poll(struct engine *e)
{
	struct waiting *w = e->waiting;
	uint16_t go[WAITING_MAX];
	uint64_t edition, now;
	unsigned count = 0, kept = 0;

	if (!w || !w->count)
		return 0;
	edition = edition_of_all(e);
	now = engine_steady(e, e->time_ns);
	if (edition == w->edition && now < w->slots[w->order[0]].until_ns)
		return 0;
	w->edition = edition;
	for (unsigned i = 0; i < w->count; i++) {
		if (may_go(e, &w->slots[w->order[i]], now))
			go[count++] = w->order[i];
		else
			w->order[kept++] = w->order[i];
	}
	for (unsigned i = 0; i < count; i++)
		serve_slot(e, &w->slots[go[i]]);
	memcpy(w->order + kept, go, count * sizeof(*go));
	w->count = kept;
	return count;
}
