/* SPDX-License-Identifier: MIT */
/* The server's end of the control socket, by which consoles speak with it: control_protocol.h. Run
 * by the server's event loop, never by a data-path thread. */
#ifndef UDPXDP_CONTROL_H
#define UDPXDP_CONTROL_H

#include <systemd/sd-event.h>

#include "server/control_protocol.h"
#include "udpxdp/service_config.h"

struct control;

struct control_config {
	sd_event *loop;
	const char *path;
	const struct service_config *services;
	unsigned service_count;
	void *context;

	/*
	 * Carries out a request for service `instance`: peer is NULL for an announcement. The
	 * answer comes by control_answer() with the same ticket, at once or later.
	 */
	void (*request)(void *context, unsigned instance, uint64_t ticket,
		const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len);

	/* The counters as text, for free(); NULL with errno. */
	char *(*stats)(void *context);
};

/*
 * Makes the socket (mode 0660; its directory with 0755 when it is missing). A stale socket is
 * replaced. Returns NULL with errno: EADDRINUSE when a live server answers there. *config is
 * copied.
 */
struct control *control_open(const struct control_config *config);

/* What control_open() would fail with, as far as is seen without making anything: 0 or an errno. */
int control_check(const char *path);

/* The outcome of a request; error is NULL when it was carried out. A ticket whose console has
 * gone is ignored. */
void control_answer(struct control *control, uint64_t ticket, const char *error);

/* Sends it to every console that watches this service. One whose socket is full is cut off. */
void control_notify(
	struct control *control, unsigned instance, const struct udpxdp_message *message);

/* How many consoles watch anything. */
unsigned control_watchers(const struct control *control);

/* Closes everything and removes the socket. */
void control_close(struct control *control);

#endif
