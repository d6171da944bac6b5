/* SPDX-License-Identifier: MIT */
/* Frames that a kernel socket received: what the engine takes the kernel's word for, and what not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/headers.h"
#include "base/checksum.h"
#include "engine/engine.h"
#include "services/service_spec.h"
#include "unit/memory_io.h"

#define IPV4(d) udpxdp_addr_ipv4(10, 0, 0, d)

struct bench {
	struct frame_io_ops ops;
	struct memory_io io;
	struct service_config services[2];
	struct service_counters counters[2];
	struct udpxdp_host *net;
	struct engine *engine;
};

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	int n = memory_receive(io, frames, max);

	for (int i = 0; i < n; i++)
		frames[i].from_kernel = true;
	return n;
}

static int setup(void **state)
{
	const struct udpxdp_host_addr addrs[] = {
		{.addr = IPV4(1), .broadcast = IPV4(255), .prefix_len = 24, .on_iface = true},
		{.addr = {.b = {0xfd, [15] = 1}}, .prefix_len = 64, .on_iface = true},
		{.addr = udpxdp_addr_ipv4(127, 0, 0, 1), .prefix_len = 8, .on_iface = true},
	};
	struct bench *b = calloc(1, sizeof(*b));
	const uint8_t mac[6] = {};
	char error[200];

	*state = b;
	memory_open(&b->io);
	b->ops = memory_ops;
	b->ops.receive = receive;
	b->io.io.ops = &b->ops;
	assert_int_equal(service_parse(&b->services[0], "echo,stamp=off", error, 200), 0);
	assert_int_equal(service_parse(&b->services[1], "broadcast", error, 200), 0);
	b->net = udpxdp_host_new(mac, 65535 + 40, addrs, 3);
	b->engine = engine_new(&(struct engine_config){
		.io = &b->io.io,
		.services = b->services,
		.service_count = 2,
		.counters = b->counters,
		.hostname = "bench",
	});
	assert_non_null(b->engine);
	engine_set_net(b->engine, b->net);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	engine_free(b->engine);
	free(b->net);
	free(b);
	return 0;
}

/* Puts in "hello" from one address to another, as sockets.c would. */
static void put(struct bench *b, struct udpxdp_addr from, uint16_t from_port, struct udpxdp_addr to,
	uint16_t port, bool broadcast)
{
	uint8_t frame[128];
	struct udpxdp_path path = {
		.local = {.addr = from, .port = from_port, .mac = {2, 0, 0, 0, 0, 1}},
		.peer = {.addr = to, .port = port},
	};

	if (broadcast)
		memset(path.peer.mac, 0xff, 6);
	headers_write_partial(frame, &path, 0, 5);
	memcpy(frame + headers_len(&path), "hello", 5);
	memory_put(&b->io, frame, headers_len(&path) + 5, 0);
	assert_int_equal(engine_poll(b->engine), 1);
}

static void assert_answered(struct bench *b, unsigned instance)
{
	assert_int_equal(b->counters[instance].rx, 1);
	assert_int_equal(b->counters[instance].tx, 1);
	assert_int_equal(b->io.out_count, 1);
}

static void assert_source_refused(struct bench *b, unsigned instance)
{
	assert_int_equal(b->counters[instance].rx, 1);
	assert_int_equal(b->counters[instance].drops[UDPXDP_DROP_source_address], 1);
	assert_int_equal(b->counters[instance].tx, 0);
	assert_int_equal(b->io.out_count, 0);
}

static void loopback_is_answered(void **state)
{
	put(*state, udpxdp_addr_ipv4(127, 0, 0, 1), 40000, udpxdp_addr_ipv4(127, 3, 2, 1), 8080,
		false);
	assert_answered(*state, 0);
}

static void loopback_ipv6_is_answered(void **state)
{
	const struct udpxdp_addr loopback = {.b = {[15] = 1}};

	put(*state, loopback, 40000, loopback, 8080, false);
	assert_answered(*state, 0);
}

static void our_own_address_is_answered(void **state)
{
	put(*state, IPV4(1), 40000, IPV4(1), 8080, false);
	assert_answered(*state, 0);
}

/* The kernel knows the addresses as they are; our snapshot may be a moment behind. */
static void a_new_address_is_answered(void **state)
{
	put(*state, IPV4(2), 40000, udpxdp_addr_ipv4(192, 0, 2, 7), 8080, false);
	assert_answered(*state, 0);
}

static void ourselves_are_not_answered(void **state)
{
	put(*state, udpxdp_addr_ipv4(127, 0, 0, 1), 8086, udpxdp_addr_ipv4(127, 0, 0, 1), 8080,
		false);
	assert_source_refused(*state, 0);
}

/* The kernel brings our own announcements back to us. */
static void our_own_announcement_is_not_answered(void **state)
{
	put(*state, IPV4(1), 8086, udpxdp_addr_ipv4(255, 255, 255, 255), 8086, true);
	assert_source_refused(*state, 1);
}

/* Another host's service on the same port is no loop of ours. */
static void a_neighbours_announcement_is_answered(void **state)
{
	struct bench *b = *state;

	put(b, IPV4(2), 8086, IPV4(255), 8086, true);
	assert_answered(b, 1);
	assert_memory_equal(b->io.out[0].data + 26, "\x0a\x00\x00\x01", 4); /* from ours */
}

/* The kernel takes it when it is sent to everybody; an answer would go to ourselves. */
static void a_source_without_address_is_not_answered(void **state)
{
	put(*state, udpxdp_addr_ipv4(0, 0, 0, 0), 68, udpxdp_addr_ipv4(255, 255, 255, 255), 8086,
		true);
	assert_source_refused(*state, 1);
}

static void unspecified_ipv6_is_not_answered(void **state)
{
	put(*state, (struct udpxdp_addr){}, 40000, (struct udpxdp_addr){.b = {[15] = 1}}, 8080,
		false);
	assert_source_refused(*state, 0);
}

static void groups_of_others_are_not_ours(void **state)
{
	struct bench *b = *state;

	put(b, IPV4(2), 40000, udpxdp_addr_ipv4(224, 0, 0, 1), 8086, true);
	put(b, (struct udpxdp_addr){.b = {0xfd, [15] = 2}}, 40000,
		(struct udpxdp_addr){.b = {0xff, 2, [15] = 1}}, 8080, false);
	assert_int_equal(engine_verdict(b->engine, FRAME_NOT_OURS), 2);
	assert_int_equal(b->counters[0].rx + b->counters[1].rx, 0);
}

static void broadcast_is_not_for_every_service(void **state)
{
	struct bench *b = *state;

	put(b, IPV4(2), 40000, IPV4(255), 8080, true);
	assert_int_equal(engine_verdict(b->engine, FRAME_NOT_OURS), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(loopback_is_answered),
		TEST(loopback_ipv6_is_answered),
		TEST(our_own_address_is_answered),
		TEST(a_new_address_is_answered),
		TEST(ourselves_are_not_answered),
		TEST(our_own_announcement_is_not_answered),
		TEST(a_neighbours_announcement_is_answered),
		TEST(a_source_without_address_is_not_answered),
		TEST(unspecified_ipv6_is_not_answered),
		TEST(groups_of_others_are_not_ours),
		TEST(broadcast_is_not_for_every_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
