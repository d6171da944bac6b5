/* SPDX-License-Identifier: MIT */
/* What of the AF_XDP back end is arithmetic; the rest is tried end to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/afxdp.h"

/* What xp_assign_dev() demands of a chunk in zero copy (Linux 6.12). */
static bool kernel_takes(uint32_t chunk, uint32_t mtu)
{
	return mtu + 26 <= chunk - 256;
}

static void a_chunk_holds_what_zero_copy_counts(void **state)
{
	for (uint32_t mtu = 68; mtu <= 4096 - 256 - 26; mtu++)
		assert_true(kernel_takes(afxdp_chunk_size(mtu), mtu));
	assert_int_equal(afxdp_chunk_size(1500), 2048);
	assert_int_equal(afxdp_chunk_size(1766), 2048);
	assert_int_equal(afxdp_chunk_size(1767), 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk_holds_what_zero_copy_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
