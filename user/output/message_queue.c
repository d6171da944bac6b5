/* SPDX-License-Identifier: MIT */
#include "output/message_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/queue.h"

#define CELL_SIZE 256

/* The first cell of a message; those behind it are text alone. */
struct head {
	struct udpxdp_message message; /* but its text, which follows */
	unsigned instance;
	uint8_t text[];
};

#define HEAD_TEXT (CELL_SIZE - sizeof(struct head))

struct message_queue {
	struct queue *cells;
	size_t text_max;

	/* The consumer's: the message being put together, and how much of its text is here. The
	 * producer may not have queued the rest yet. */
	_Alignas(64) struct udpxdp_message message;
	unsigned instance;
	bool begun;
	uint32_t have;
	uint8_t text[];
};

struct message_queue *message_queue_new(size_t cells, size_t text_max)
{
	size_t size = (sizeof(struct message_queue) + text_max + 63) & ~(size_t)63;
	struct message_queue *queue = aligned_alloc(64, size);

	if (!queue)
		return NULL;
	memset(queue, 0, size);
	queue->text_max = text_max;
	queue->cells = queue_new(cells, CELL_SIZE);
	if (!queue->cells) {
		free(queue);
		errno = ENOMEM;
		return NULL;
	}
	return queue;
}

void message_queue_free(struct message_queue *queue)
{
	if (queue)
		queue_free(queue->cells);
	free(queue);
}

bool message_queue_put(
	struct message_queue *queue, unsigned instance, const struct udpxdp_message *message)
{
	const uint8_t *text = message->text;
	size_t len = message->len < queue->text_max ? message->len : queue->text_max;
	size_t part = len < HEAD_TEXT ? len : HEAD_TEXT;
	size_t cells = 1 + (len - part + CELL_SIZE - 1) / CELL_SIZE;
	struct head *head;

	if (queue_room(queue->cells) < cells)
		return false;
	head = queue_reserve(queue->cells);
	head->message = *message;
	head->message.len = (uint32_t)len;
	head->instance = instance;
	memcpy(head->text, text, part);
	queue_push(queue->cells);
	while (text += part, len -= part) {
		part = len < CELL_SIZE ? len : CELL_SIZE;
		memcpy(queue_reserve(queue->cells), text, part);
		queue_push(queue->cells);
	}
	return true;
}

const struct udpxdp_message *message_queue_get(struct message_queue *queue, unsigned *instance)
{
	const void *cell;

	while ((cell = queue_peek(queue->cells))) {
		const uint8_t *text = cell;
		uint32_t room = CELL_SIZE, part;

		if (!queue->begun) {
			const struct head *head = cell;

			queue->message = head->message;
			queue->message.text = queue->text;
			queue->instance = head->instance;
			queue->begun = true;
			queue->have = 0;
			text = head->text;
			room = HEAD_TEXT;
		}
		part = queue->message.len - queue->have;
		if (part > room)
			part = room;
		memcpy(queue->text + queue->have, text, part);
		queue->have += part;
		queue_pop(queue->cells);
		if (queue->have == queue->message.len) {
			queue->begun = false;
			*instance = queue->instance;
			return &queue->message;
		}
	}
	return NULL;
}
