/* SPDX-License-Identifier: MIT */
/* The stamps made ahead: which second each slot says and from when on, over days and set clocks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "udpxdp/service.h"
#include "xdp/stamps.h"

#define SECOND UDPXDP_NSEC_PER_SEC

static struct stamps stamps;
static struct filter_stamps published;

static int set_up(void **state)
{
	setenv("TZ", "UTC0", 1);
	memset(&stamps, 0, sizeof(stamps));
	memset(&published, 0, sizeof(published));
	return 0;
}

/* What the filter would put in front at this time, as choose_stamp() finds it; NULL: nothing. */
static const struct filter_stamp *at(uint64_t monotonic_ns)
{
	for (int i = 0; i < 2; i++)
		if (published.slots[i].from_ns &&
			monotonic_ns - published.slots[i].from_ns < SECOND)
			return &published.slots[i];
	return NULL;
}

/* At this time the filter says this second, and its sum is right. */
static void says(uint64_t monotonic_ns, uint64_t second)
{
	const struct filter_stamp *stamp = at(monotonic_ns);
	uint8_t text[UDPXDP_STAMP_MAX];
	size_t len = udpxdp_stamp_format(text, second * SECOND);

	assert_non_null(stamp);
	assert_int_equal(len + 1, STAMP_LEN);
	assert_memory_equal(stamp->text, text, len);
	assert_int_equal(stamp->text[len], ' ');
	assert_int_equal(stamp->sum, checksum_sum(stamp->text, STAMP_LEN));
}

static void publish(uint64_t monotonic_ns, uint64_t realtime_ns)
{
	stamps_publish(&stamps, &published, monotonic_ns, realtime_ns);
}

static void stamps_change_with_the_second(void **state)
{
	const uint64_t up = 1000 * SECOND + 123456789, now = 1795402800 * SECOND + 250000000;
	const uint64_t next = up + 750000000;

	publish(up, now);
	says(up, 1795402800);
	says(up - 250000000, 1795402800);
	says(next - 1, 1795402800);
	says(next, 1795402801);
	says(next + SECOND - 1, 1795402801);
	assert_null(at(next + SECOND)); /* nobody has published since */
	assert_null(at(up - 250000001));
}

/* Every quarter of a second, as the server does, with readings of the clocks that differ a little.
 */
static void a_day_has_each_second_once(void **state)
{
	uint64_t up = 5 * SECOND, now = 1774746000 * SECOND - 3600 * SECOND + 7;

	for (uint64_t i = 0; i < 4 * 86400; i++, up += SECOND / 4, now += SECOND / 4) {
		const uint64_t error = i * 7919 % 50000, edition = published.edition;

		publish(up + error, now);
		assert_true(published.edition - edition <= (i ? 1 : 2));
		says(up + 60000, (now + 60000) / SECOND);
		says(up + SECOND / 4 + 60000, (now + SECOND / 4 + 60000) / SECOND);
	}
}

static void a_clock_that_is_set_is_followed(void **state)
{
	const uint64_t up = 1000 * SECOND, now = 1795402800 * SECOND + 500000000;

	publish(up, now);
	says(up, 1795402800);
	publish(up + 1000000, now - 3600 * SECOND);
	says(up + 1000000, 1795402800 - 3600);
	says(up + SECOND, 1795402800 - 3600 + 1);
	publish(up + 2000000, now - 3600 * SECOND + 300000000); /* by a fraction of a second */
	says(up + 2000000, 1795402800 - 3600);
	says(up + 2000000 + 200000000, 1795402800 - 3600 + 1);
	publish(up + 3000000, now + 86400 * SECOND);
	says(up + 3000000, 1795402800 + 86400);
}

/* What is right is left alone: no frame goes to user space for nothing. */
static void the_same_time_is_not_published_again(void **state)
{
	struct filter_stamps before;

	publish(1000 * SECOND, 1795402800 * SECOND);
	before = published;
	publish(1000 * SECOND + 1000000, 1795402800 * SECOND + 1000000 + 99000);
	assert_memory_equal(&published, &before, sizeof(before));
}

/* The last years that nanoseconds in 64 bits know. */
static void a_far_future_is_published(void **state)
{
	publish(1000 * SECOND, 16725225600 * SECOND);
	says(1000 * SECOND, 16725225600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stamps_change_with_the_second, set_up),
		cmocka_unit_test_setup(a_day_has_each_second_once, set_up),
		cmocka_unit_test_setup(a_clock_that_is_set_is_followed, set_up),
		cmocka_unit_test_setup(the_same_time_is_not_published_again, set_up),
		cmocka_unit_test_setup(a_far_future_is_published, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
