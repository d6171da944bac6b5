/* SPDX-License-Identifier: MIT */
/* Messages by value from one thread to one other, as a queue of records (record_queue.h). */
#ifndef UDPXDP_MESSAGE_QUEUE_H
#define UDPXDP_MESSAGE_QUEUE_H

#include "udpxdp/service.h"

struct message_queue;

/* A queue of `cells` cells of 256 bytes (rounded up to a power of two, less one); the first of a
 * message holds about 180 bytes of its text, each further one 256. Text beyond text_max bytes is
 * cut off. Returns NULL with errno ENOMEM. */
struct message_queue *message_queue_new(size_t cells, size_t text_max);
void message_queue_free(struct message_queue *queue);

/* Producer: copies a message. false, and nothing of it is queued: there is no room now. */
bool message_queue_put(
	struct message_queue *queue, unsigned instance, const struct udpxdp_message *message);

/* Consumer: the oldest message, or NULL. It stays valid until the next call. */
const struct udpxdp_message *message_queue_get(struct message_queue *queue, unsigned *instance);

#endif
