/* SPDX-License-Identifier: MIT */
/* What consoles ask for goes to the workers, by way of the neighbours where a peer is new; what
 * the workers tell goes to the consoles. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "server/internal.h"
#include "server/kernel_sockets.h"

#define NOTICES_AT_ONCE 256

/* What this server asked of the neighbours, until they answer. */
struct errand {
	struct server *server;
	unsigned instance;
	uint64_t ticket;
	uint16_t port;
	uint32_t len;
	uint8_t text[];
};

static void send_order(struct server *s, unsigned instance, uint64_t ticket,
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
	struct udpxdp_path path;

	if (!kernel_sockets_path(&path, peer, s->config->ifindex)) {
		control_answer(s->control, ticket, strerror(errno));
		return;
	}
	path.peer.port = port;
	path.local.port = s->config->services[instance].port;
	send_order(s, instance, ticket, &path, text, len);
}

static void on_resolved(void *context, const struct udpxdp_path *path, const char *error)
{
	struct errand *e = context;

	if (path) {
		struct udpxdp_path to = *path;

		to.peer.port = e->port;
		to.local.port = e->server->config->services[e->instance].port;
		send_order(e->server, e->instance, e->ticket, &to, e->text, e->len);
	} else if (e->server->control) {
		control_answer(e->server->control, e->ticket, error);
	}
	free(e);
}

void server_on_request(void *context, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	struct server *s = context;
	struct errand *e;

	if (!s->config->services[instance].service->command) {
		control_answer(s->control, ticket, "this service has no console; name another");
		return;
	}
	if (!peer) {
		send_order(s, instance, ticket, NULL, text, len);
		return;
	}
	if (!s->neighbours) {
		say_by_kernel(s, instance, ticket, peer, port, text, len);
		return;
	}
	e = malloc(sizeof(*e) + len);
	if (!e) {
		control_answer(s->control, ticket, strerror(ENOMEM));
		return;
	}
	*e = (struct errand){
		.server = s, .instance = instance, .ticket = ticket, .port = port, .len = len};
	memcpy(e->text, text, len);
	neighbours_resolve(s->neighbours, peer, on_resolved, e);
}

bool server_take_events(struct server *s)
{
	struct worker_event *n;

	if (!s->control)
		return false; /* nobody watches, nobody has asked */
	for (int i = 0; i < NOTICES_AT_ONCE && (n = workers_event(s->workers)); i++) {
		if (n->kind == EVENT_ANSWER)
			control_answer(s->control, n->ticket, n->error);
		else
			control_notify(s->control, n->instance, &n->message);
		workers_event_done(s->workers);
	}
	workers_set_watched(s->workers, control_watchers(s->control) != 0);
	return workers_event(s->workers);
}

/* The bell only wakes the loop: server_on_post() comes behind whatever it was woken by. */
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

	if (server_take_events(s))
		eventfd_write(s->event_fd, 1);
	return 0;
}
