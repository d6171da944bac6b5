/* SPDX-License-Identifier: MIT */
#include "base/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

/*
 * ThreadSanitizer does not see the barriers of Concurrency Kit, which are assembly: it is told
 * what they order. The records themselves are checked like any other memory.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#endif

#ifdef THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#define tsan_acquire(ring) __tsan_acquire(ring)
#define tsan_release(ring) __tsan_release(ring)
#else
#define tsan_acquire(ring) ((void)(ring))
#define tsan_release(ring) ((void)(ring))
#endif

struct queue {
	/* Records circulate: the producer takes from empty and puts on filled, the consumer the
	 * other way round. Each ring has room for all of them, so putting never fails. */
	ck_ring_t filled;
	_Alignas(CK_MD_CACHELINE) ck_ring_t empty;
	ck_ring_buffer_t *filled_slots, *empty_slots;

	_Alignas(CK_MD_CACHELINE) void *reserved; /* the producer's */
	_Alignas(CK_MD_CACHELINE) void *peeked;   /* the consumer's */
	_Alignas(CK_MD_CACHELINE) uint8_t memory[];
};

static void *take(ck_ring_t *ring, const ck_ring_buffer_t *slots)
{
	void *record;

	if (!ck_ring_size(ring))
		return NULL;
	tsan_acquire(ring);
	return ck_ring_dequeue_spsc(ring, slots, &record) ? record : NULL;
}

static void put(ck_ring_t *ring, ck_ring_buffer_t *slots, void *record)
{
	ck_ring_buffer_t *slot = ck_ring_enqueue_reserve_spsc(ring, slots);

	slot->value = record;
	/* The ring's own barrier commands stores only: on a machine with a weak memory model the
	 * consumer's reads of a record could come after it has been given back. */
	ck_pr_fence_release();
	tsan_release(ring);
	ck_ring_enqueue_commit_spsc(ring);
}

static size_t round_up(size_t size)
{
	return (size + CK_MD_CACHELINE - 1) & ~(size_t)(CK_MD_CACHELINE - 1);
}

struct queue *queue_new(size_t capacity, size_t size)
{
	size_t slots = 2, slot_bytes, bytes;
	struct queue *queue = NULL;

	while (slots - 1 < capacity && slots < UINT32_MAX / 4)
		slots *= 2;
	slot_bytes = round_up(slots * sizeof(ck_ring_buffer_t));
	size = round_up(size);
	if (slots - 1 >= capacity && size && !__builtin_mul_overflow(slots - 1, size, &bytes) &&
		!__builtin_add_overflow(bytes, sizeof(*queue) + 2 * slot_bytes, &bytes))
		queue = aligned_alloc(CK_MD_CACHELINE, bytes);
	if (!queue) {
		errno = ENOMEM;
		return NULL;
	}
	memset(queue, 0, bytes); /* so that its pages are there: the data path shall not fault */
	ck_ring_init(&queue->filled, (unsigned int)slots);
	ck_ring_init(&queue->empty, (unsigned int)slots);
	queue->filled_slots = (void *)queue->memory;
	queue->empty_slots = (void *)(queue->memory + slot_bytes);
	for (size_t i = 0; i < slots - 1; i++)
		put(&queue->empty, queue->empty_slots, queue->memory + 2 * slot_bytes + i * size);
	return queue;
}

void queue_free(struct queue *queue)
{
	free(queue);
}

void *queue_reserve(struct queue *queue)
{
	if (!queue->reserved)
		queue->reserved = take(&queue->empty, queue->empty_slots);
	return queue->reserved;
}

size_t queue_room(const struct queue *queue)
{
	return ck_ring_size(&queue->empty) + (queue->reserved != NULL);
}

void queue_push(struct queue *queue)
{
	put(&queue->filled, queue->filled_slots, queue->reserved);
	queue->reserved = NULL;
}

void *queue_peek(struct queue *queue)
{
	if (!queue->peeked)
		queue->peeked = take(&queue->filled, queue->filled_slots);
	return queue->peeked;
}

void queue_pop(struct queue *queue)
{
	put(&queue->empty, queue->empty_slots, queue->peeked);
	queue->peeked = NULL;
}
