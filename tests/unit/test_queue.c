/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/queue.h"

struct item {
	uint64_t number;
	uint32_t words[7]; /* each derived from number: a torn record shows */
};

static void item_fill(struct item *item, uint64_t number)
{
	item->number = number;
	for (size_t i = 0; i < 7; i++)
		item->words[i] = (uint32_t)(number * 2654435761u + i);
}

static bool item_whole(const struct item *item, uint64_t number)
{
	struct item want;

	item_fill(&want, number);
	return item->number == number && !memcmp(item->words, want.words, sizeof(want.words));
}

static bool put(struct queue *queue, uint64_t number)
{
	struct item *item = queue_reserve(queue);

	if (!item)
		return false;
	item_fill(item, number);
	queue_push(queue);
	return true;
}

static uint64_t many;

static void *produce(void *arg)
{
	for (uint64_t i = 0; i < many; i++)
		while (!put(arg, i))
			sched_yield();
	return NULL;
}

/* A tiny queue makes both ends meet its edges all the time, each time with a switch of threads
 * where CPUs are few; a larger one lets them run apart. */
static void pass(size_t capacity, uint64_t items)
{
	struct queue *queue = queue_new(capacity, sizeof(struct item));
	uint64_t bad = 0, next = 0;
	pthread_t thread;

	many = items;
	assert_non_null(queue);
	assert_int_equal(pthread_create(&thread, NULL, produce, queue), 0);
	while (next < many) {
		const struct item *item = queue_peek(queue);

		if (!item) {
			sched_yield();
			continue;
		}
		bad += !item_whole(item, next++);
		queue_pop(queue);
	}
	pthread_join(thread, NULL);
	assert_int_equal(bad, 0);
	assert_null(queue_peek(queue));
	assert_int_equal(queue_room(queue), capacity);
	queue_free(queue);
}

static void two_threads_pass_all_in_order_through_3(void **state)
{
	pass(3, 50000);
}

static void two_threads_pass_all_in_order_through_many(void **state)
{
	pass(1023, 1000000);
}

static void full_and_empty_are_told_apart(void **state)
{
	struct queue *queue = queue_new(7, sizeof(struct item));

	assert_non_null(queue);
	for (uint64_t round = 0; round < 100; round++) {
		assert_null(queue_peek(queue));
		assert_int_equal(queue_room(queue), 7);
		for (uint64_t i = 0; i < 7; i++)
			assert_true(put(queue, round * 10 + i));
		assert_false(put(queue, 0));
		assert_int_equal(queue_room(queue), 0);

		/* one out, one in, and full again */
		assert_true(item_whole(queue_peek(queue), round * 10));
		assert_null(queue_reserve(queue)); /* peeked is not yet given back */
		queue_pop(queue);
		assert_true(put(queue, round * 10 + 7));
		assert_false(put(queue, 0));

		for (uint64_t i = 1; i < 8; i++) {
			assert_true(item_whole(queue_peek(queue), round * 10 + i));
			queue_pop(queue);
		}
	}
	queue_free(queue);
}

static void what_is_reserved_is_there_when_it_is_pushed(void **state)
{
	struct queue *queue = queue_new(3, 1);
	void *record = queue_reserve(queue);

	assert_non_null(record);
	assert_ptr_equal(queue_reserve(queue), record);
	assert_int_equal(queue_room(queue), 3); /* it is still to be filled */
	assert_null(queue_peek(queue));
	queue_push(queue);
	assert_ptr_equal(queue_peek(queue), record);
	assert_ptr_equal(queue_peek(queue), record);
	assert_int_equal(queue_room(queue), 2);
	queue_pop(queue);
	assert_null(queue_peek(queue));
	queue_free(queue);
}

static void capacity_is_rounded_up_and_records_aligned(void **state)
{
	static const struct {
		size_t asked, got;
	} rows[] = {{1, 1}, {2, 3}, {3, 3}, {4, 7}, {1000, 1023}, {1023, 1023}, {1024, 2047}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct queue *queue = queue_new(rows[i].asked, 100);

		assert_non_null(queue);
		assert_int_equal(queue_room(queue), rows[i].got);
		for (size_t n = 0; n < rows[i].got; n++) {
			uint8_t *record = queue_reserve(queue);

			assert_non_null(record);
			assert_int_equal((uintptr_t)record % 64, 0);
			memset(record, 0xa5, 100);
			queue_push(queue);
		}
		assert_null(queue_reserve(queue));
		queue_free(queue);
	}
}

static void impossible_sizes_are_refused(void **state)
{
	static const struct {
		size_t capacity, size;
	} rows[] = {{SIZE_MAX, 1}, {1ull << 40, 8}, {1023, SIZE_MAX / 8}, {1023, SIZE_MAX}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errno = 0;
		assert_null(queue_new(rows[i].capacity, rows[i].size));
		assert_int_equal(errno, ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_empty_are_told_apart),
		cmocka_unit_test(what_is_reserved_is_there_when_it_is_pushed),
		cmocka_unit_test(capacity_is_rounded_up_and_records_aligned),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(two_threads_pass_all_in_order_through_3),
		cmocka_unit_test(two_threads_pass_all_in_order_through_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
