/* SPDX-License-Identifier: MIT */
/* The engine and those whose address may be forged: what they are sent, who is proven, who waits
 * for the kernel's word; and the clock that does not jump. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/headers.h"
#include "engine/accounts.h"
#include "engine/engine.h"
#include "unit/memory_io.h"

#define NOW (1795399200 * UDPXDP_NSEC_PER_SEC)

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};

/* ---- a service that does as it is told ---- */

static struct {
	unsigned sends, replies;
	size_t len;
	unsigned received, proven, resumed, again;
	uint64_t steady;
	uint8_t last;
} told;

static size_t state_size(const void *o)
{
	return 0;
}

static void start(void *state, const struct udpxdp_start *start)
{
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	static const uint8_t text[1472];
	struct udpxdp_prefix prefix;

	told.received++;
	told.proven += d->path.proven;
	told.steady = udpxdp_steady(ctx);
	told.last = d->len ? d->payload[0] : 0;
	for (unsigned i = 0; i < told.sends; i++)
		udpxdp_send(ctx, &d->path, text, told.len);
	udpxdp_prefix_set(&prefix, text, 64);
	if (told.replies)
		udpxdp_reply(ctx, d, &prefix);
	if (told.again)
		udpxdp_resume_later(ctx);
}

static void resume(void *state, struct udpxdp_ctx *ctx)
{
	told.resumed++;
	if (--told.again)
		udpxdp_resume_later(ctx);
}

static const struct udpxdp_service single = {
	.name = "single",
	.single = true,
	.state_size = state_size,
	.start = start,
	.receive = receive,
	.resume = resume,
};

static const struct udpxdp_service spread = {
	.name = "spread",
	.state_size = state_size,
	.start = start,
	.receive = receive,
};

/* ---- the bench ---- */

struct bench {
	struct memory_io io;
	struct service_config services[2];
	struct service_counters counters[2];
	struct udpxdp_host *net;
	struct neighbour_table *table;
	struct engine *engine;
	unsigned asked;
	struct engine_question question; /* the last */
	bool deaf;
};

static bool on_ask(void *context, const struct engine_question *question)
{
	struct bench *b = context;

	b->asked++;
	b->question = *question;
	return !b->deaf;
}

static void open_bench(struct bench *b, bool table)
{
	const struct udpxdp_host_addr addr = {
		.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .prefix_len = 24, .on_iface = true};

	memset(b, 0, sizeof(*b));
	memset(&told, 0, sizeof(told));
	memory_open(&b->io);
	b->services[0] = (struct service_config){.service = &single, .port = 7000};
	b->services[1] = (struct service_config){.service = &spread, .port = 7001};
	b->net = udpxdp_host_new(our_mac, 1500, &addr, 1);
	b->table = table ? neighbour_table_new() : NULL;
	b->engine = engine_new(&(struct engine_config){
		.io = &b->io.io,
		.services = b->services,
		.service_count = 2,
		.counters = b->counters,
		.hostname = "bench",
		.neighbours = b->table,
		.ask = {.context = b, .ask = table ? on_ask : NULL},
	});
	assert_non_null(b->engine);
	engine_set_net(b->engine, b->net);
}

static void close_bench(struct bench *b)
{
	engine_free(b->engine);
	free(b->net);
	free(b->table);
}

static struct udpxdp_path from(struct udpxdp_addr addr, uint16_t port, uint16_t to)
{
	struct udpxdp_path path = {
		.local = {.addr = addr, .port = port},
		.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .port = to},
	};

	memcpy(path.local.mac, peer_mac, 6);
	memcpy(path.peer.mac, our_mac, 6);
	return path;
}

static void put_at(struct bench *b, struct udpxdp_path path, const char *text, uint64_t time_ns)
{
	uint8_t frame[2048];
	uint32_t len = (uint32_t)strlen(text);

	headers_write(frame, &path, len, checksum_sum(text, len));
	memcpy(frame + headers_len(&path), text, len);
	memory_put(&b->io, frame, headers_len(&path) + len, time_ns);
}

static void say(struct bench *b, struct udpxdp_path path, const char *text)
{
	b->io.in_count = b->io.in_next = 0;
	put_at(b, path, text, NOW);
	engine_poll(b->engine);
}

/* ---- three times ---- */

static void an_account_is_of_an_address(void **state)
{
	struct accounts *a = calloc(1, sizeof(*a));
	const struct udpxdp_addr one = udpxdp_addr_ipv4(192, 0, 2, 1);
	const struct udpxdp_addr two = udpxdp_addr_ipv4(192, 0, 2, 2);

	assert_false(accounts_spend(a, &one, 1));
	accounts_earn(a, &one, 10);
	assert_false(accounts_spend(a, &one, 31));
	assert_true(accounts_spend(a, &one, 30));
	assert_false(accounts_spend(a, &one, 1));
	assert_false(accounts_spend(a, &two, 1));
	for (int i = 0; i < 3; i++)
		accounts_earn(a, &two, UINT32_MAX / 4);
	assert_true(accounts_spend(a, &two, UINT32_MAX));
	assert_false(accounts_spend(a, &two, 1));
	free(a);
}

/* However many come and go: what is sent is never more, all together and for each. */
static void accounts_that_are_forgotten_give_nothing_away(void **state)
{
	enum { ADDRESSES = 100000 };
	struct accounts *a = calloc(1, sizeof(*a));
	static uint64_t earned[ADDRESSES], spent[ADDRESSES];
	uint32_t random = 7;

	for (unsigned i = 0; i < 1000000; i++) {
		struct udpxdp_addr addr = udpxdp_addr_ipv4(10, 0, 0, 0);
		uint32_t n, bytes;

		random = random * 1664525 + 1013904223;
		n = (random >> 8) % ADDRESSES;
		memcpy(addr.b + 12, &n, 4);
		bytes = 28 + (random >> 3) % 100;
		accounts_earn(a, &addr, bytes);
		earned[n] += bytes;
		bytes = 28 + (random >> 5) % 1000;
		if (accounts_spend(a, &addr, bytes))
			spent[n] += bytes;
		assert_true(spent[n] <= 3 * earned[n]);
	}
	free(a);
}

static void an_unproven_address_gets_three_times_what_it_sent(void **state)
{
	for (uint16_t port = 7000; port <= 7001; port++) {
		struct bench b;
		struct service_counters *c = &b.counters[port - 7000];

		open_bench(&b, false);
		told.sends = 5;
		told.len = 1;
		/* 28 + 2 bytes came, 28 + 1 go: three times. */
		say(&b, from(udpxdp_addr_ipv4(192, 0, 2, 1), 1000, port), "hi");
		assert_int_equal(b.io.out_count, 3);
		assert_int_equal(c->tx, 3);
		assert_int_equal(c->drops[UDPXDP_DROP_amplification], 2);
		/* From another port it is the same address: 3 bytes were left. */
		told.sends = 1;
		told.len = 3 + 90 - 28;
		say(&b, from(udpxdp_addr_ipv4(192, 0, 2, 1), 1001, port), "hi");
		assert_int_equal(b.io.out_count, 4);
		told.len = 91 - 28;
		say(&b, from(udpxdp_addr_ipv4(192, 0, 2, 1), 1002, port), "hi");
		assert_int_equal(b.io.out_count, 4);
		assert_int_equal(c->drops[UDPXDP_DROP_amplification], 3);
		/* A neighbour is not counted. */
		told.sends = 5;
		told.len = 1472;
		say(&b, from(udpxdp_addr_ipv4(10, 0, 0, 2), 1000, port), "");
		assert_int_equal(b.io.out_count, 9);
		close_bench(&b);
	}
}

/* A reply in place spends what came with the request, and nothing twice. */
static void a_reply_is_part_of_it(void **state)
{
	struct bench b;
	struct udpxdp_path path = from(udpxdp_addr_ipv4(192, 0, 2, 1), 1000, 7001);

	open_bench(&b, false);
	told.replies = 1;
	say(&b, path, "hello, you"); /* 38 bytes come, 102 go of 114 */
	assert_int_equal(b.io.out_count, 1);
	told.replies = 0;
	told.sends = 1;
	told.len = 100;
	say(&b, path, "hello, you"); /* 128 of 114 */
	assert_int_equal(b.io.out_count, 1);
	told.sends = 0;
	told.replies = 1;
	say(&b, path, ""); /* 92 of 84, but nothing was sent for the last */
	assert_int_equal(b.io.out_count, 2);
	told.sends = 4;
	told.len = 0;
	say(&b, path, ""); /* sends first: then for the reply nothing is left but what was */
	assert_true(28 * (b.io.out_count - 2) <= 114 + 84 - 92 + 84);
	close_bench(&b);
}

/* ---- who is proven ---- */

static void a_neighbour_is_proven_by_the_kernels_mac(void **state)
{
	const struct udpxdp_addr addr = udpxdp_addr_ipv4(10, 0, 0, 2);
	struct udpxdp_path path = from(addr, 1000, 7000);
	struct bench b;

	open_bench(&b, true);
	neighbour_table_set(b.table, &addr, 0, NEIGHBOUR_FOUND, peer_mac);
	say(&b, path, "a");
	assert_int_equal(told.proven, 1);
	path.local.mac[5] = 9;
	say(&b, path, "a");
	assert_int_equal(told.received, 2);
	assert_int_equal(told.proven, 1);
	assert_int_equal(b.asked, 1); /* has it changed? */
	neighbour_table_set(b.table, &addr, 0, NEIGHBOUR_FOUND, path.local.mac);
	say(&b, path, "a");
	assert_int_equal(told.proven, 2);
	path.tag_count = 1;
	path.tags[0] = (struct udpxdp_vlan_tag){.tpid = 0x8100, .tci = 5};
	neighbour_table_set(b.table, &addr, 4, NEIGHBOUR_FOUND, path.local.mac);
	neighbour_table_set(b.table, &addr, 5, NEIGHBOUR_NONE, NULL);
	say(&b, path, "a");
	assert_int_equal(told.proven, 2);
	path.tags[0].tci = 0xe004;
	say(&b, path, "a");
	assert_int_equal(told.proven, 3);
	path.tag_count = 2; /* no device of the kernel's is asked behind two tags */
	path.tags[1] = path.tags[0];
	say(&b, path, "a");
	assert_int_equal(told.proven, 3);
	path.tag_count = 1;
	path.tags[0].tci = 0xa000;
	say(&b, path, "a");
	assert_int_equal(told.proven, 4);
	say(&b, from(udpxdp_addr_ipv4(192, 0, 2, 1), 1000, 7000), "a");
	assert_int_equal(told.proven, 4);
	assert_int_equal(told.received, 8);
	close_bench(&b);
}

static void who_is_unknown_waits_for_the_kernels_word(void **state)
{
	const struct udpxdp_addr addr = udpxdp_addr_ipv4(10, 0, 0, 2);
	const struct udpxdp_addr other = udpxdp_addr_ipv4(10, 0, 0, 3);
	struct bench b;

	open_bench(&b, true);
	say(&b, from(addr, 1000, 7000), "a");
	say(&b, from(addr, 1000, 7000), "b");
	say(&b, from(other, 1000, 7000), "c");
	assert_int_equal(told.received, 0);
	assert_int_equal(b.asked, 2);
	assert_int_equal(engine_poll(b.engine), 0);
	neighbour_table_set(b.table, &addr, 0, NEIGHBOUR_FOUND, peer_mac);
	assert_int_equal(engine_poll(b.engine), 2);
	assert_int_equal(told.proven, 2);
	assert_int_equal(told.last, 'b');
	neighbour_table_set(b.table, &other, 0, NEIGHBOUR_NONE, NULL);
	assert_int_equal(engine_poll(b.engine), 1);
	assert_int_equal(told.received, 3);
	assert_int_equal(told.proven, 2);
	say(&b, from(other, 1000, 7000), "d"); /* the kernel has said */
	assert_int_equal(told.received, 4);
	close_bench(&b);
}

static void nobody_waits_for_ever(void **state)
{
	const struct udpxdp_addr other = udpxdp_addr_ipv4(10, 0, 0, 3);
	struct bench b;

	open_bench(&b, true);
	say(&b, from(udpxdp_addr_ipv4(10, 0, 0, 2), 1000, 7000), "a");
	put_at(&b, from(udpxdp_addr_ipv4(192, 0, 2, 2), 1000, 7000), "b",
		NOW + 2 * UDPXDP_NSEC_PER_SEC);
	engine_poll(b.engine);
	assert_int_equal(told.received, 2);
	assert_int_equal(told.last, 'a');
	b.deaf = true; /* it may be heard of all the same */
	say(&b, from(udpxdp_addr_ipv4(10, 0, 0, 3), 1000, 7000), "c");
	assert_int_equal(told.received, 2);
	neighbour_table_set(b.table, &other, 0, NEIGHBOUR_FOUND, peer_mac);
	engine_poll(b.engine);
	assert_int_equal(told.proven, 1);
	close_bench(&b);
}

/* A flood of made-up neighbours: each is answered for in the end, and asked for a few hundred
 * times. */
static void the_waiting_room_is_bounded(void **state)
{
	const struct udpxdp_addr addr = udpxdp_addr_ipv4(10, 0, 0, 2);
	struct bench b;

	open_bench(&b, true);
	for (unsigned i = 0; i < 5000; i++)
		say(&b, from(udpxdp_addr_ipv4(10, 0, 0, (uint8_t)(3 + i % 250)), i + 1, 7000), "x");
	assert_int_equal(told.received, 5000 - 256);
	assert_true(b.asked <= 256);
	say(&b, from(addr, 1, 7000), "a neighbour finds room");
	neighbour_table_set(b.table, &addr, 0, NEIGHBOUR_FOUND, peer_mac);
	engine_poll(b.engine);
	assert_int_equal(told.proven, 1);
	put_at(&b, from(udpxdp_addr_ipv4(192, 0, 2, 2), 1, 7000), "",
		NOW + 3 * UDPXDP_NSEC_PER_SEC);
	engine_poll(b.engine);
	assert_int_equal(told.received, 5002);
	assert_int_equal(told.proven, 1);
	close_bench(&b);
}

static void a_table_forgets_but_never_errs(void **state)
{
	struct neighbour_table *table = neighbour_table_new();
	unsigned found = 0;
	uint8_t mac[6];

	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t n = 0; n < 20000; n++) {
			struct udpxdp_addr addr = udpxdp_addr_ipv4(10, 0, 0, 0);
			uint8_t own[6] = {2};

			memcpy(addr.b + 12, &n, 4);
			memcpy(own + 2, &n, 4);
			if (!pass) {
				neighbour_table_set(table, &addr, 0, NEIGHBOUR_FOUND, own);
				continue;
			}
			if (neighbour_table_find(table, &addr, 0, mac) != NEIGHBOUR_FOUND)
				continue;
			assert_memory_equal(mac, own, 6);
			found++;
			neighbour_table_set(table, &addr, 0, NEIGHBOUR_UNKNOWN, NULL);
			assert_int_equal(
				neighbour_table_find(table, &addr, 0, mac), NEIGHBOUR_UNKNOWN);
		}
	assert_in_range(found, 7000, 8192);
	free(table);
}

/* ---- later, and when ---- */

static void what_is_left_for_later_is_gone_on_with(void **state)
{
	struct bench b;

	open_bench(&b, false);
	told.again = 3;
	say(&b, from(udpxdp_addr_ipv4(10, 0, 0, 2), 1, 7000), "a");
	assert_int_equal(told.resumed, 1);
	assert_int_equal(engine_poll(b.engine), 1);
	assert_int_equal(engine_poll(b.engine), 1);
	assert_int_equal(engine_poll(b.engine), 0);
	assert_int_equal(told.resumed, 3);
	close_bench(&b);
}

static void the_steady_clock_does_not_jump(void **state)
{
	const struct udpxdp_path path = from(udpxdp_addr_ipv4(10, 0, 0, 2), 1, 7000);
	struct bench b;

	open_bench(&b, false);
	say(&b, path, "a");
	assert_true(told.steady == NOW); /* a replay's is the packets' */
	engine_set_clock(b.engine, NOW, 1000 * UDPXDP_NSEC_PER_SEC);
	put_at(&b, path, "a", NOW + UDPXDP_NSEC_PER_SEC / 2);
	engine_poll(b.engine);
	assert_true(told.steady == 1000 * UDPXDP_NSEC_PER_SEC + UDPXDP_NSEC_PER_SEC / 2);
	put_at(&b, path, "a", NOW + 600 * UDPXDP_NSEC_PER_SEC);
	engine_poll(b.engine);
	assert_true(told.steady <= 1002 * UDPXDP_NSEC_PER_SEC);
	put_at(&b, path, "a", NOW - 600 * UDPXDP_NSEC_PER_SEC);
	engine_poll(b.engine);
	assert_true(told.steady == 1000 * UDPXDP_NSEC_PER_SEC);
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_is_of_an_address),
		cmocka_unit_test(accounts_that_are_forgotten_give_nothing_away),
		cmocka_unit_test(an_unproven_address_gets_three_times_what_it_sent),
		cmocka_unit_test(a_reply_is_part_of_it),
		cmocka_unit_test(a_neighbour_is_proven_by_the_kernels_mac),
		cmocka_unit_test(who_is_unknown_waits_for_the_kernels_word),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(the_waiting_room_is_bounded),
		cmocka_unit_test(a_table_forgets_but_never_errs),
		cmocka_unit_test(what_is_left_for_later_is_gone_on_with),
		cmocka_unit_test(the_steady_clock_does_not_jump),
	};

	return cmocka_run_group_tests_name("engine_strangers", tests, NULL, NULL);
}
