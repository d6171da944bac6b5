/* SPDX-License-Identifier: MIT */
#include "output/record_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/queue.h"

struct record_queue {
	struct queue *cells;
	size_t cell_size, head_size, text_max;

	/* The consumer's: the record being put together, and how much of its text is here. The
	 * producer may not have queued the rest yet. */
	_Alignas(64) bool begun;
	uint32_t len, have;
	uint8_t *head; /* behind the text */
	uint8_t text[];
};

struct record_queue *record_queue_new(
	size_t cells, size_t cell_size, size_t head_size, size_t text_max)
{
	size_t size = (sizeof(struct record_queue) + text_max + head_size + 63) & ~(size_t)63;
	struct record_queue *queue = aligned_alloc(64, size);

	if (!queue)
		return NULL;
	memset(queue, 0, size);
	queue->cell_size = cell_size;
	queue->head_size = head_size;
	queue->text_max = text_max;
	queue->head = queue->text + text_max;
	queue->cells = queue_new(cells, cell_size);
	if (!queue->cells) {
		free(queue);
		errno = ENOMEM;
		return NULL;
	}
	return queue;
}

void record_queue_free(struct record_queue *queue)
{
	if (queue)
		queue_free(queue->cells);
	free(queue);
}

bool record_queue_put(
	struct record_queue *queue, const void *head, const uint8_t *text, size_t text_len)
{
	const size_t cell_size = queue->cell_size;
	const size_t begins =
		queue->head_size + sizeof(uint32_t); /* of the text, in a first cell */
	uint32_t len = (uint32_t)(text_len < queue->text_max ? text_len : queue->text_max);
	size_t part = len < cell_size - begins ? len : cell_size - begins;
	size_t left = len - part;
	uint8_t *cell;

	if (queue_room(queue->cells) < 1 + (left + cell_size - 1) / cell_size)
		return false;
	cell = queue_reserve(queue->cells);
	memcpy(cell, head, queue->head_size);
	memcpy(cell + queue->head_size, &len, sizeof(len));
	if (part)
		memcpy(cell + begins, text, part);
	queue_push(queue->cells);
	while (left) {
		text += part;
		part = left < cell_size ? left : cell_size;
		memcpy(queue_reserve(queue->cells), text, part);
		queue_push(queue->cells);
		left -= part;
	}
	return true;
}

/* Takes what a cell holds. */
static void take(struct record_queue *queue, const uint8_t *cell)
{
	size_t room = queue->cell_size, part;

	if (!queue->begun) {
		memcpy(queue->head, cell, queue->head_size);
		memcpy(&queue->len, cell + queue->head_size, sizeof(queue->len));
		queue->have = 0;
		queue->begun = true;
		cell += queue->head_size + sizeof(queue->len);
		room -= queue->head_size + sizeof(queue->len);
	}
	part = queue->len - queue->have;
	if (part > room)
		part = room;
	memcpy(queue->text + queue->have, cell, part);
	queue->have += (uint32_t)part;
}

bool record_queue_get(struct record_queue *queue, void *head, const uint8_t **text, uint32_t *len)
{
	const void *cell;

	while ((cell = queue_peek(queue->cells))) {
		take(queue, cell);
		queue_pop(queue->cells);
		if (queue->have < queue->len)
			continue;
		queue->begun = false;
		memcpy(head, queue->head, queue->head_size);
		*text = queue->text;
		*len = queue->len;
		return true;
	}
	return false;
}
