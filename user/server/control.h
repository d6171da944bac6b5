/* SPDX-License-Identifier: MIT */
/*
 * The control socket: how the consoles speak with a running server. SOCK_SEQPACKET, so that a
 * message is a packet; run by the server's event loop, never by a data-path thread.
 *
 * A packet is a line of words, and for some a newline and a text behind it:
 *   console -> server   watch SERVICE[:PORT]          from now on, tell me its messages
 *                       announce\nTEXT                 (broadcast) send TEXT to everybody
 *                       say ADDR PORT\nTEXT            (chat) send TEXT to this peer
 *   server -> console   ok [SERVICE:PORT]              the request was carried out
 *                       error WHY                      it was not
 *                       event recv|sent unicast|broadcast ADDR PORT TIME_NS\nTEXT
 * announce and say go to the service that was watched last, so watch comes first. Requests are
 * answered in order.
 */
#ifndef UDPXDP_CONTROL_H
#define UDPXDP_CONTROL_H

#include <systemd/sd-event.h>

#include "udpxdp/service_config.h"

#define CONTROL_DIR "/run/udpxdp"
#define CONTROL_PACKET_MAX (UDPXDP_PAYLOAD_MAX + 256) /* bytes of the longest packet */

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
};

/*
 * Makes the socket (mode 0660; its directory with 0755 when it is missing). A stale socket is
 * replaced. Returns NULL with errno: EADDRINUSE when a live server answers there. *config is
 * copied.
 */
struct control *control_open(const struct control_config *config);

/* The outcome of a request; error is NULL when it was carried out. A ticket whose console has
 * gone is ignored. */
void control_answer(struct control *control, uint64_t ticket, const char *error);

/* Tells every console that watches this service. A console whose socket is full is cut off. */
void control_notify(
	struct control *control, unsigned instance, const struct udpxdp_message *message);

/* How many consoles watch anything. */
unsigned control_watchers(const struct control *control);

/* Closes everything and removes the socket. */
void control_close(struct control *control);

#endif
