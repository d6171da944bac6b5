/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of fixed-size records from one thread to one other, without locks: two rings
 * of Concurrency Kit, one with filled records, one with free ones. The producer never waits.
 */
#ifndef UDPXDP_QUEUE_H
#define UDPXDP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

/* A queue of `capacity` records (rounded up to a power of two, less one) of `size` bytes each,
 * aligned to cache lines. Allocates everything it will ever need. Returns NULL with errno ENOMEM.
 */
struct queue *queue_new(size_t capacity, size_t size);
void queue_free(struct queue *queue);

/* Producer: a free record to fill, or NULL when the queue is full. queue_push() it, or keep it:
 * the next call returns the same one. */
void *queue_reserve(struct queue *queue);

/* Producer: how many records it can fill and push now; the consumer can only make it more. */
size_t queue_room(const struct queue *queue);

/* Producer: makes the reserved record visible to the consumer. */
void queue_push(struct queue *queue);

/* Consumer: the oldest record, or NULL. It stays valid until queue_pop(). */
void *queue_peek(struct queue *queue);

/* Consumer: gives the peeked record back to the producer. */
void queue_pop(struct queue *queue);

#endif
