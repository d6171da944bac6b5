/* SPDX-License-Identifier: MIT */
/* The members of a chat room, against a list that is searched from end to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "services/chat/members.h"

#define CAPACITY 50
#define PEERS 120

/* A peer as the plain list knows it. */
struct plain {
	bool here;
	uint64_t seen_ns;
	uint16_t mark;
};

static struct members *room_for(uint32_t capacity)
{
	/* An exact block, for the address sanitizer. */
	struct members *members = calloc(1, members_size(capacity));

	members_init(members, capacity, 65536);
	return members;
}

static struct udpxdp_path path_of(unsigned n, uint16_t mark)
{
	return (struct udpxdp_path){
		.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, (uint8_t)(n / 4)),
			.port = (uint16_t)(2000 + n % 4)},
		.local = {.port = mark},
		.proven = true,
	};
}

/* Few buckets, so that chains grow. */
static const struct identity *id_of(unsigned n)
{
	static struct identity identity;

	identity = (struct identity){.id = n % 7, .host = n / 4 % 3};
	return &identity;
}

static struct member *join(
	struct members *members, unsigned n, const struct udpxdp_path *path, uint64_t now)
{
	return members_join(members, id_of(n), path, true, now);
}

static struct member *find(const struct members *members, unsigned n)
{
	struct udpxdp_path path = path_of(n, 0);

	return members_find(members, id_of(n), &path);
}

static void compare(const struct members *members, const struct plain plain[PEERS])
{
	bool met[CAPACITY + 1] = {false};
	uint64_t last = 0;
	uint32_t here = 0, ring = 0;

	for (unsigned n = 0; n < PEERS; n++) {
		const struct member *member = find(members, n);

		assert_int_equal(member != NULL, plain[n].here);
		if (!member)
			continue;
		here++;
		assert_int_equal(member->seen_ns, plain[n].seen_ns);
		assert_int_equal(member->path.local.port, plain[n].mark);
		assert_ptr_equal(members_at(members, member->place), member);
	}
	assert_int_equal(members->count, here);
	for (uint32_t i = 0; i < members->capacity; i++) {
		assert_false(met[members->order[i]]);
		met[members->order[i]] = true;
	}
	for (uint32_t i = members->slots[0].newer; i; i = members->slots[i].newer, ring++) {
		assert_true(members->slots[i].seen_ns >= last);
		last = members->slots[i].seen_ns;
	}
	assert_int_equal(ring, here);
}

static void behaves_like_a_plain_list(void **state)
{
	struct members *members = room_for(CAPACITY);
	struct plain plain[PEERS] = {{0}};
	uint32_t random = 7, here = 0;
	uint64_t now = 1;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned n, what;
		struct udpxdp_path path;
		struct member *member;

		random = random * 1664525 + 1013904223;
		n = (random >> 8) % PEERS;
		what = random >> 28;
		now += what;
		path = path_of(n, (uint16_t)step);
		member = find(members, n);
		if (what == 0) {
			members_expire(members, now, 900);
			for (unsigned i = 0; i < PEERS; i++)
				if (plain[i].here && now - plain[i].seen_ns >= 900) {
					plain[i].here = false;
					here--;
				}
		} else if (what < 4 && member) {
			members_leave(members, member);
			plain[n].here = false;
			here--;
		} else if (member) {
			member->path = path;
			members_touch(members, member, now);
			plain[n] = (struct plain){true, now, (uint16_t)step};
		} else if (here < CAPACITY) {
			assert_non_null(join(members, n, &path, now));
			plain[n] = (struct plain){true, now, (uint16_t)step};
			here++;
		} else {
			assert_null(join(members, n, &path, now));
		}
		compare(members, plain);
	}
	free(members);
}

static void lists_in_order_of_joining(void **state)
{
	struct members *members = room_for(PEERS);

	for (unsigned n = 0; n < PEERS; n++) {
		struct udpxdp_path path = path_of(n, 0);

		join(members, n, &path, n);
	}
	for (unsigned n = 0; n < PEERS; n += 2) {
		members_touch(members, find(members, n), PEERS + n);
	}
	for (unsigned n = 0; n < PEERS; n++)
		assert_ptr_equal(members_at(members, n), find(members, n));
	free(members);
}

static void a_name_is_found_whole_and_while_its_member_is_here(void **state)
{
	struct members *members = room_for(2);
	struct udpxdp_path path = path_of(1, 0);
	struct member *member = join(members, 1, &path, 0);

	assert_int_equal(member->name_len, strlen("10.0.0.0:2001"));
	assert_ptr_equal(members_named(members, (const uint8_t *)"10.0.0.0:2001", 13), member);
	assert_null(members_named(members, (const uint8_t *)"10.0.0.0:200", 12));
	memcpy(member->name, "bob", 3);
	member->name_len = 3;
	assert_ptr_equal(members_named(members, (const uint8_t *)"bob", 3), member);
	assert_null(members_named(members, (const uint8_t *)"bo", 2));
	assert_null(members_named(members, (const uint8_t *)"bobb", 4));
	members_leave(members, member);
	assert_null(members_named(members, (const uint8_t *)"bob", 3));
	free(members);
}

static void holds_one_or_65536(void **state)
{
	struct members *one = room_for(1), *most = room_for(65536);
	struct udpxdp_path path = path_of(0, 0), other = path_of(1, 0);
	struct member *member = join(one, 0, &path, 5);

	assert_null(join(one, 1, &other, 5));
	members_expire(one, 4, 1); /* before it was seen */
	assert_int_equal(one->count, 1);
	members_leave(one, member);
	assert_non_null(join(one, 1, &other, 5));

	for (uint32_t n = 0; n < 65536; n++) {
		path.peer.port = (uint16_t)n;
		assert_non_null(members_join(most,
			&(struct identity){.id = n * 0x9e3779b97f4a7c15u, .host = 7}, &path, true,
			n));
	}
	path.peer.port = 0;
	path.peer.addr.b[15] = 9;
	assert_null(join(most, 1, &path, 65536));
	members_expire(most, 65535 + 10, 10);
	assert_int_equal(most->count, 0);
	free(one);
	free(most);
}

static void a_clock_set_back_rewinds_who_was_seen_later(void **state)
{
	struct members *members = room_for(3);

	for (unsigned n = 0; n < 3; n++) {
		struct udpxdp_path path = path_of(n, 0);

		join(members, n, &path, 1000 + n);
	}
	members_rewind(members, 1001);
	assert_int_equal(find(members, 0)->seen_ns, 1000);
	assert_int_equal(find(members, 2)->seen_ns, 1001);
	members_expire(members, 1010, 10);
	assert_int_equal(members->count, 2);
	members_expire(members, 1011, 10);
	assert_int_equal(members->count, 0);
	free(members);
}

static struct udpxdp_path speaker(uint8_t host, uint16_t port, uint8_t mac, bool proven)
{
	return (struct udpxdp_path){
		.peer = {.addr = udpxdp_addr_ipv4(192, 0, 2, host), .port = port, .mac = {2, mac}},
		.proven = proven,
	};
}

static uint64_t now = 1;

static struct member *enter(struct members *members, struct udpxdp_path path, bool on_link)
{
	const struct identity identity = {.id = path.peer.port, .host = path.peer.addr.b[15]};

	return members_join(members, &identity, &path, on_link, now);
}

static void places_of_an_address_are_few_unless_it_is_a_neighbour(void **state)
{
	struct members *members = room_for(1000);

	members->places = 16;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(!!enter(members, speaker(1, 1000 + i, 1, false), false), i < 4);
		assert_int_equal(!!enter(members, speaker(2, 1000 + i, 2, true), false), i < 16);
		assert_non_null(enter(members, speaker(3, 1000 + i, 3, true), true));
		/* One MAC that makes up an address for each. */
		assert_int_equal(!!enter(members, speaker(100 + i, 1000, 4, false), true), i < 16);
	}
	free(members);
}

static void in_a_full_room_the_oldest_unproven_makes_place(void **state)
{
	struct members *members = room_for(64);
	struct member *proven = enter(members, speaker(1, 1, 1, true), true);

	for (unsigned i = 0; i < 63; i++)
		assert_non_null(enter(members, speaker(100 + i, 2000, i, false), false));
	for (unsigned i = 0; i < 63; i++) {
		struct udpxdp_path path = speaker(100 + i, 2000, i, false);
		const struct identity identity = {.id = 2000, .host = 100 + i};

		assert_non_null(members_find(members, &identity, &path));
		assert_non_null(enter(members, speaker(2 + i, 1, 1, true), true));
		assert_null(members_find(members, &identity, &path));
		assert_int_equal(members->count, 64);
	}
	assert_null(enter(members, speaker(200, 1, 1, true), true));
	assert_null(enter(members, speaker(201, 1, 1, false), false));
	assert_ptr_equal(members_at(members, proven->place), proven);
	free(members);
}

static void in_a_full_room_who_has_too_many_places_gives_one(void **state)
{
	struct members *members = room_for(64);

	members->places = 16;
	for (unsigned i = 0; i < 64; i++)
		assert_non_null(enter(members, speaker(1, 1000 + i, 1, true), true));
	assert_null(enter(members, speaker(1, 2000, 1, true), true));
	now += 59 * UDPXDP_NSEC_PER_SEC;
	assert_null(enter(members, speaker(2, 2000, 1, true), true));
	now += UDPXDP_NSEC_PER_SEC;
	assert_null(enter(members, speaker(2, 2000, 1, false), false));
	for (unsigned i = 0; i < 48; i++)
		assert_non_null(enter(members, speaker(2 + i, 1000, 1, true), true));
	assert_null(enter(members, speaker(99, 1000, 1, true), true));
	free(members);
}

/* One host with any number of addresses holds no room; nor do all that a router stands for. */
static void in_a_full_room_who_has_too_many_addresses_gives_a_place(void **state)
{
	struct members *members = room_for(64);
	struct member *first;

	members->places = 16;
	first = enter(members, speaker(100, 1, 100, true), true);
	for (unsigned i = 0; i < 63; i++)
		assert_non_null(enter(members, speaker(1 + i, 1000, 1, true), i % 2));
	now += 59 * UDPXDP_NSEC_PER_SEC;
	assert_null(enter(members, speaker(200, 1, 2, true), true));
	now += UDPXDP_NSEC_PER_SEC;
	assert_null(enter(members, speaker(200, 1, 2, false), false));
	for (unsigned i = 0; i < 47; i++)
		assert_non_null(enter(members, speaker(101 + i, 1, 101 + i, true), true));
	assert_null(enter(members, speaker(200, 1, 2, true), true)); /* 16 are its share */
	assert_ptr_equal(members_at(members, first->place), first);
	assert_int_equal(first->path.peer.addr.b[15], 100);
	free(members);
}

static void a_link_local_address_is_one_of_its_link(void **state)
{
	struct members *members = room_for(2);
	const struct identity here = {.id = 1, .host = 1, .link = 2},
			      there = {.id = 1, .host = 1, .link = 3};
	const struct udpxdp_path path = speaker(1, 5000, 1, true);
	struct member *one = members_join(members, &here, &path, true, now);

	assert_null(members_find(members, &there, &path));
	assert_ptr_not_equal(members_join(members, &there, &path, true, now), one);
	assert_ptr_equal(members_find(members, &here, &path), one);
	free(members);
}

/* Whoever leaves: those with the line under way stand in front, and nobody is lost. */
static void who_leaves_meanwhile_moves_nobody_past_the_line(void **state)
{
	struct members *members = room_for(10);
	bool served[11] = {};

	for (unsigned i = 0; i < 10; i++)
		enter(members, speaker(1 + i, 1, 1, true), true);
	members->served = 5;
	for (unsigned i = 0; i < 5; i++)
		served[members_number(members, members_at(members, i))] = true;
	members_leave(members, members_at(members, 1));
	members_leave(members, members_at(members, 7));
	assert_int_equal(members->served, 4);
	assert_int_equal(members->count, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(served[members_number(members, members_at(members, i))], i < 4);
		assert_int_equal(members_at(members, i)->place, i);
	}
	free(members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_a_plain_list),
		cmocka_unit_test(lists_in_order_of_joining),
		cmocka_unit_test(a_name_is_found_whole_and_while_its_member_is_here),
		cmocka_unit_test(holds_one_or_65536),
		cmocka_unit_test(places_of_an_address_are_few_unless_it_is_a_neighbour),
		cmocka_unit_test(in_a_full_room_the_oldest_unproven_makes_place),
		cmocka_unit_test(in_a_full_room_who_has_too_many_places_gives_one),
		cmocka_unit_test(in_a_full_room_who_has_too_many_addresses_gives_a_place),
		cmocka_unit_test(a_link_local_address_is_one_of_its_link),
		cmocka_unit_test(who_leaves_meanwhile_moves_nobody_past_the_line),
		cmocka_unit_test(a_clock_set_back_rewinds_who_was_seen_later),
	};

	return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
