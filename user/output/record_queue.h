/* SPDX-License-Identifier: MIT */
/*
 * Records by value from one thread to one other: a head of fixed size and a text. A record takes
 * as many cells of the queue as it needs, so that short ones do not cost the memory of the longest.
 * The producer never waits.
 */
#ifndef UDPXDP_RECORD_QUEUE_H
#define UDPXDP_RECORD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_queue;

/* A queue of `cells` cells (rounded up to a power of two, less one) of `cell_size` bytes each, a
 * multiple of 64; the first of a record holds the head and the beginning of its text. Text beyond
 * text_max bytes is cut off. Returns NULL with errno ENOMEM. */
struct record_queue *record_queue_new(
	size_t cells, size_t cell_size, size_t head_size, size_t text_max);
void record_queue_free(struct record_queue *queue);

/* Producer: copies a record. false, and nothing of it is queued: there is no room now. */
bool record_queue_put(
	struct record_queue *queue, const void *head, const uint8_t *text, size_t len);

/* Consumer: copies the oldest record's head; false: there is none. Its text stays valid until the
 * next call. */
bool record_queue_get(struct record_queue *queue, void *head, const uint8_t **text, uint32_t *len);

#endif
