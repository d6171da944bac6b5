/* SPDX-License-Identifier: MIT */
/* Which links get their frames by another: judged from tables, without a kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "netlink/links.h"

static void devices_above_are_found_with_their_tags(void **state)
{
	struct links_entry entries[] = {
		{.ifindex = 9, .lower = 3, .tag = 5, .above = true},
		{.ifindex = 2, .master = 7, .has_mac = true, .mac = {2, 0, 0, 0, 0, 1}},
		{.ifindex = 3, .lower = 2, .tag = 66, .above = true},
		{.ifindex = 4, .lower = 2, .above = true, .has_mac = true, .mac = {2, [5] = 4}},
		{.ifindex = 5,
			.lower = 2,
			.has_mac = true,
			.mac = {2, [5] = 5}}, /* a veth's peer */
		{.ifindex = 6, .lower = 7, .tag = 0x1008, .above = true},
		{.ifindex = 7, .gathers = true, .has_mac = true, .mac = {2, [5] = 7}},
		{.ifindex = 8, .master = 7, .has_mac = true, .mac = {2, [5] = 8}},
	};
	struct links links = {.entries = entries, .count = 8, .room = 8};
	struct udpxdp_host_links taken = {.mac = {2, 0, 0, 0, 0, 1}};
	const struct vlan_set own = {.choice = VLAN_CHOICE_OWN},
			      none = {.choice = VLAN_CHOICE_NONE};

	links_find_roads(&links, 2);
	assert_int_equal(links_find(&links, 3)->vlan, 66);
	assert_int_equal(links_find(&links, 9)->vlan, 66 << 16 | 5);
	assert_int_equal(links_find(&links, 6)->vlan, 0x1008);
	assert_int_equal(links_find(&links, 4)->road, ROAD_BESIDE);
	assert_int_equal(links_find(&links, 5)->road, ROAD_NONE);
	assert_int_equal(links_find(&links, 7)->road, ROAD_SAME);
	assert_int_equal(links_find(&links, 8)->road, ROAD_NONE);
	assert_null(links_find(&links, 1));
	assert_int_equal(links_taken(&links, &own, &taken), 0);
	assert_int_equal(taken.mac_count, 2);
	assert_int_equal(taken.vlan_count, 3);
	links_free_taken(&taken);
	assert_int_equal(links_taken(&links, &none, &taken), 0);
	assert_int_equal(taken.vlan_count, 0);
	links_free_taken(&taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_above_are_found_with_their_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
