/* SPDX-License-Identifier: MIT */
/* What the engine starts a service with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine.h"

static struct udpxdp_start started[4];
static unsigned start_count;

static size_t state_size(const void *options)
{
	return 0;
}

static void start(void *state, const struct udpxdp_start *with)
{
	assert_true(start_count < 4);
	started[start_count++] = *with;
}

static const struct udpxdp_service service = {
	.name = "fake", .state_size = state_size, .start = start};
static const struct service_config configs[] = {
	{.service = &service, .port = 7}, {.service = &service, .port = 9}};

static void start_engine(const struct udpxdp_seed *seed)
{
	static struct service_counters counters[2];
	struct engine_config config = {
		.services = configs, .service_count = 2, .counters = counters, .seed = seed};
	struct engine *engine = engine_new(&config);

	assert_non_null(engine);
	engine_free(engine);
}

static void a_service_starts_with_its_options_and_port(void **state)
{
	start_count = 0;
	start_engine(NULL);
	assert_int_equal(start_count, 2);
	assert_int_equal(started[0].port, 7);
	assert_int_equal(started[1].port, 9);
	assert_ptr_equal(started[0].options, configs[0].options);
	assert_ptr_equal(started[1].options, configs[1].options);
}

/* Each service has its own share of the process's seed, the same on every worker. */
static void each_service_has_a_seed_of_its_own(void **state)
{
	const struct udpxdp_seed seed = {{1, 2}};

	start_count = 0;
	start_engine(&seed);
	start_engine(&seed);
	assert_memory_not_equal(&started[0].seed, &started[1].seed, sizeof(seed));
	assert_memory_equal(&started[0].seed, &started[2].seed, sizeof(seed));
	assert_memory_equal(&started[1].seed, &started[3].seed, sizeof(seed));
}

static void without_a_seed_it_is_zero(void **state)
{
	const struct udpxdp_seed none = {};

	start_count = 0;
	start_engine(NULL);
	assert_memory_equal(&started[0].seed, &none, sizeof(none));
	assert_memory_equal(&started[1].seed, &none, sizeof(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_starts_with_its_options_and_port),
		cmocka_unit_test(each_service_has_a_seed_of_its_own),
		cmocka_unit_test(without_a_seed_it_is_zero),
	};

	return cmocka_run_group_tests_name("engine_start", tests, NULL, NULL);
}
