/* SPDX-License-Identifier: MIT */
/* Requests of consoles go to the workers, those to a peer by way of the neighbours; events of the
 * workers go to the consoles. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/keep_errno.h"
#include "netlink/bridge.h"
#include "server/internal.h"
#include "server/interfaces/interfaces.h"
#include "server/kernel_sockets.h"
#include "xdp/counters.h"

#define EVENTS_AT_ONCE 256

/* A request whose peer is being resolved. */
struct pending_request {
	struct server *server;
	unsigned instance;
	uint64_t ticket;
	uint16_t port;
	uint8_t ingress; /* of the interface that it is looked for on */
	uint32_t len;
	uint8_t text[];
};

static void send_command(struct server *s, unsigned instance, uint64_t ticket,
	const struct udpxdp_path *path, const uint8_t *text, uint32_t len)
{
	if (len > COMMAND_TEXT_MAX)
		control_answer(s->control, ticket, "the text is too long; shorten it");
	else if (!workers_command(s->workers, instance, ticket, path, text, len))
		control_answer(s->control, ticket, "the server is busy; try again");
}

/* The kernel finds the neighbour itself: all that is asked is whether there is a route. */
static void say_by_kernel(struct server *s, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	const uint16_t own = s->config->services[instance].port;
	struct udpxdp_path path;

	if (port == own || !interfaces_path_here(s, &path, peer)) {
		const unsigned ifindex = interfaces_towards(s, peer)->config->ifindex;

		if (!kernel_sockets_path(&path, peer, ifindex)) {
			control_answer(s->control, ticket, strerror(errno));
			return;
		}
		path.ingress = (uint8_t)interfaces_with(s, &path.local.addr)->ingress;
	}
	path.peer.port = port;
	path.local.port = own;
	send_command(s, instance, ticket, &path, text, len);
}

static void on_resolved(void *context, const struct udpxdp_path *path, const char *error)
{
	struct pending_request *p = context;

	char refused[ROUTE_ERROR_SIZE];

	if (path) {
		struct udpxdp_path to = *path;
		const struct server *one = server_interface(p->server, p->ingress);

		if (!bridge_sends(one->config->ifindex, &to, refused)) {
			control_answer(p->server->control, p->ticket, refused);
			free(p);
			return;
		}
		to.ingress = p->ingress;
		to.peer.port = p->port;
		to.local.port = p->server->config->services[p->instance].port;
		send_command(p->server, p->instance, p->ticket, &to, p->text, p->len);
	} else if (p->server->control) {
		control_answer(p->server->control, p->ticket, error);
	}
	free(p);
}

void server_on_request(void *context, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	struct server *s = context;
	const uint16_t own = s->config->services[instance].port; /* does not talk to itself */
	struct pending_request *p;
	struct udpxdp_path path;
	struct server *one;

	if (!s->config->services[instance].service->command) {
		control_answer(s->control, ticket, "that service has no console; use another");
		return;
	}
	if (!peer) {
		send_command(s, instance, ticket, NULL, text, len);
		return;
	}
	if (!s->neighbours) {
		say_by_kernel(s, instance, ticket, peer, port, text, len);
		return;
	}
	if (s->beside.count && port != own && interfaces_path_here(s, &path, peer)) {
		path.peer.port = port;
		path.local.port = own;
		send_command(s, instance, ticket, &path, text, len);
		return;
	}
	p = malloc(sizeof(*p) + len);
	if (!p) {
		control_answer(s->control, ticket, "the server is out of memory; try again");
		return;
	}
	*p = (struct pending_request){
		.server = s, .instance = instance, .ticket = ticket, .port = port, .len = len};
	memcpy(p->text, text, len);
	one = interfaces_towards(s, peer);
	p->ingress = (uint8_t)one->ingress;
	neighbours_resolve(one->neighbours, peer, on_resolved, p);
}

bool server_take_events(struct server *s)
{
	struct worker_event *event;

	for (int i = 0; i < EVENTS_AT_ONCE && (event = workers_event(s->workers)); i++) {
		if (event->kind == EVENT_NEIGHBOUR && s->neighbours)
			interfaces_ask(s, &event->question);
		else if (event->kind == EVENT_ANSWER && s->control)
			control_answer(s->control, event->ticket, event->error);
		else if (event->kind == EVENT_MESSAGE && s->control)
			control_notify(s->control, event->instance, &event->message);
		workers_event_done(s->workers);
	}
	workers_set_watched(s->workers, s->control && control_watchers(s->control) != 0);
	return workers_event(s->workers);
}

/* The doorbell only wakes the loop: server_on_post() comes behind whatever it was woken by. */
int server_on_events(sd_event_source *source, int fd, uint32_t events, void *context)
{
	eventfd_t rings;

	eventfd_read(fd, &rings);
	return 0;
}

/* Consoles come and go between events: look before the loop sleeps. What is left has its turn
 * after signals, the clock and the others. */
int server_on_post(sd_event_source *source, void *context)
{
	struct server *s = context;
	const bool more = server_take_events(s);
	const uint64_t edition = interfaces_neighbours_edition(s);

	if (edition != s->neighbours_told)
		workers_wake_owner(s->workers);
	s->neighbours_told = edition;
	if (more)
		eventfd_write(s->event_fd, 1);
	return 0;
}

/* ---- the counters ---------------------------------------------------------------------- */

static int take_counters(const struct server *s, struct counters *counters)
{
	struct counters_maps maps;

	if (s->filter) {
		filter_counters_maps(s->filter, &maps);
		return counters_read(&maps, counters);
	}
	return counters_take_rows(
		counters, s->counters, s->sockets.count * s->config->service_count);
}

char *server_on_stats(void *context)
{
	struct server *s = context;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (unsigned i = 0; out && i <= s->more_count; i++) {
		const struct server *one = server_interface(s, i);
		struct counters counters;

		if (take_counters(one, &counters)) {
			KEEP_ERRNO;

			fclose(out);
			free(text);
			return NULL;
		}
		snprintf(counters.iface, sizeof(counters.iface), "%s", one->iface);
		counters_write(out, &counters);
		counters_free(&counters);
	}
	if (out)
		fclose(out);
	return text;
}
