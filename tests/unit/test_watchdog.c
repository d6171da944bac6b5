/* SPDX-License-Identifier: MIT */
/* When the watchdog may be fed: only when every worker has turned since the last time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include "server/watchdog.h"
#include "unit/stderr_capture.h"

#include <cmocka.h>

static void feeds_while_all_turn(void **state)
{
	struct watchdog w = {};

	for (uint64_t second = 1; second < 100; second++)
		assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){second, 7 * second}, 2), 2);
}

static void starves_when_one_is_stuck(void **state)
{
	struct watchdog w = {};

	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){5, 5, 5}, 3), 3);
	for (uint64_t second = 6; second < 100; second++)
		assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){second, 5, second}, 3), 1);
	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){100, 6, 100}, 3), 3);
	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){100, 7, 100}, 3), 0);
}

/* Slow workers that turn in different seconds are well, if late. */
static void turns_count_from_the_last_feeding(void **state)
{
	struct watchdog w = {};

	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){1, 1}, 2), 2);
	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){2, 1}, 2), 1);
	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){2, 2}, 2), 2);
	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){2, 2}, 2), 0);
}

static void never_turned_is_stuck(void **state)
{
	struct watchdog w = {};

	assert_int_equal(watchdog_first_stuck(&w, (uint64_t[]){1, 0}, 2), 1);
}

static void knows_whether_there_is_one(void **state)
{
	struct watchdog w = {.enabled = true};

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	watchdog_start(&w);
	assert_false(w.enabled);
	setenv("WATCHDOG_USEC", "30000000", 1);
	watchdog_start(&w);
	assert_true(w.enabled);
	assert_string_equal(stderr_capture(), "");
	setenv("WATCHDOG_PID", "1", 1); /* another's */
	watchdog_start(&w);
	assert_false(w.enabled);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "500000", 1);
	watchdog_start(&w);
	assert_true(w.enabled);
	assert_int_equal(said_count("WatchdogSec of 500 ms is too short"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feeds_while_all_turn),
		cmocka_unit_test(starves_when_one_is_stuck),
		cmocka_unit_test(turns_count_from_the_last_feeding),
		cmocka_unit_test(never_turned_is_stuck),
		cmocka_unit_test_setup_teardown(knows_whether_there_is_one, said_begin, said_end),
	};

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
