/* SPDX-License-Identifier: MIT */
#include "output/message_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "output/record_queue.h"

#define CELL_SIZE 256

struct head {
	struct udpxdp_message message; /* but its text, which follows */
	unsigned instance;
};

struct message_queue {
	struct record_queue *records;
	struct head head; /* of the message got last */
};

struct message_queue *message_queue_new(size_t cells, size_t text_max)
{
	struct message_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->records = record_queue_new(cells, CELL_SIZE, sizeof(struct head), text_max);
	if (!queue->records) {
		free(queue);
		errno = ENOMEM;
		return NULL;
	}
	return queue;
}

void message_queue_free(struct message_queue *queue)
{
	if (queue)
		record_queue_free(queue->records);
	free(queue);
}

bool message_queue_put(
	struct message_queue *queue, unsigned instance, const struct udpxdp_message *message)
{
	const struct head head = {.message = *message, .instance = instance};

	return record_queue_put(queue->records, &head, message->text, message->len);
}

const struct udpxdp_message *message_queue_get(struct message_queue *queue, unsigned *instance)
{
	struct udpxdp_message *message = &queue->head.message;

	if (!record_queue_get(queue->records, &queue->head, &message->text, &message->len))
		return NULL;
	*instance = queue->head.instance;
	return message;
}
