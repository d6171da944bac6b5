/* SPDX-License-Identifier: MIT */
/* One engine on several ways in: two interfaces, and the kernel's sockets beside them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/headers.h"
#include "engine/engine.h"
#include "services/service_spec.h"
#include "unit/memory_io.h"

#define NOW (1795399200 * UDPXDP_NSEC_PER_SEC)

enum { FIRST, SECOND, KERNEL, WAYS };
enum { PROBE, ECHO, BROADCAST, SERVICES };

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 9}, other_mac[6] = {2, 0, 0, 0, 0, 8};
static const uint8_t macs[WAYS][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

/* ---- a service that says what it is told, and keeps the way to one peer ---- */

static struct {
	unsigned received, proven;
	struct udpxdp_path path; /* of what came last; it is refreshed by a tick */
	bool keeps, refreshed;
	size_t reply_len; /* 0: none */
} told;

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	static const uint8_t text[9000];

	told.received++;
	told.proven += d->path.proven;
	told.path = d->path;
	if (told.keeps)
		told.refreshed = udpxdp_refresh(ctx, &told.path);
	if (told.reply_len) {
		struct udpxdp_path path = d->path;

		path.proven = true;
		udpxdp_send(ctx, &path, text, told.reply_len);
	}
}

static void tick(void *state, struct udpxdp_ctx *ctx, uint64_t time_ns)
{
	if (told.keeps && told.received)
		told.refreshed = udpxdp_refresh(ctx, &told.path);
}

static const struct udpxdp_service probe = {
	.name = "probe", .single = true, .receive = receive, .tick = tick};

/* ---- the bench ---- */

struct bench {
	struct frame_io_ops kernel_ops;
	struct memory_io io[WAYS];
	struct service_config services[SERVICES];
	struct service_counters counters[WAYS][SERVICES];
	struct udpxdp_host *nets[WAYS];
	struct neighbour_table *tables[WAYS];
	struct engine *engine;
	unsigned asked;
	struct engine_question question; /* the last */
};

static int receive_from_kernel(struct frame_io *io, struct frame *frames, int max)
{
	int n = memory_receive(io, frames, max);

	for (int i = 0; i < n; i++)
		frames[i].from_kernel = true;
	return n;
}

static bool on_ask(void *context, const struct engine_question *question)
{
	struct bench *b = context;

	b->asked++;
	b->question = *question;
	return true;
}

static struct udpxdp_addr v4(unsigned net, unsigned host)
{
	return udpxdp_addr_ipv4(10, 0, (uint8_t)net, (uint8_t)host);
}

static void know(struct bench *b, unsigned way, struct udpxdp_addr addr, const uint8_t mac[6])
{
	neighbour_table_set(b->tables[way], &addr, 0, NEIGHBOUR_FOUND, mac);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char error[200];

	*state = b;
	memset(&told, 0, sizeof(told));
	b->services[PROBE] = (struct service_config){.service = &probe, .port = 7000};
	assert_int_equal(service_parse(&b->services[ECHO], "echo,stamp=off", error, 200), 0);
	assert_int_equal(service_parse(&b->services[BROADCAST], "broadcast", error, 200), 0);
	for (unsigned i = 0; i < WAYS; i++) {
		const struct udpxdp_host_addr addrs[] = {
			{.addr = v4(i + 1, 1), .prefix_len = 24, .on_iface = true},
			{.addr = v4(1, 1), .prefix_len = 24, .on_iface = i != SECOND},
			{.addr = v4(2, 1), .prefix_len = 24, .on_iface = i != FIRST},
		};

		memory_open(&b->io[i]);
		b->nets[i] = udpxdp_host_new(macs[i], i == KERNEL ? 65575 : 1500, addrs, 3);
		b->nets[i]->ingress = (uint8_t)i;
		b->nets[i]->ifindex = i == KERNEL ? 0 : 70 + i;
		b->tables[i] = i == KERNEL ? NULL : neighbour_table_new();
	}
	b->kernel_ops = memory_ops;
	b->kernel_ops.receive = receive_from_kernel;
	b->io[KERNEL].io.ops = &b->kernel_ops;
	b->engine = engine_new(&(struct engine_config){
		.io = &b->io[FIRST].io,
		.services = b->services,
		.service_count = SERVICES,
		.counters = b->counters[FIRST],
		.hostname = "bench",
		.ingress = "eth0",
		.neighbours = b->tables[FIRST],
		.ask = {.context = b, .ask = on_ask},
	});
	assert_non_null(b->engine);
	engine_add_ingress(b->engine, &(struct engine_ingress){.io = &b->io[SECOND].io,
					      .name = "eth1",
					      .counters = b->counters[SECOND],
					      .neighbours = b->tables[SECOND]});
	engine_add_ingress(b->engine, &(struct engine_ingress){.io = &b->io[KERNEL].io,
					      .name = "sockets",
					      .counters = b->counters[KERNEL],
					      .worker = COUNTERS_SOCKETS,
					      .patience = 3,
					      .is_kernel = true,
					      .services = 1u << PROBE | 1u << ECHO});
	for (unsigned i = 0; i < WAYS; i++)
		engine_set_ingress_net(b->engine, i, b->nets[i]);
	engine_set_clock(b->engine, NOW, NOW);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	engine_free(b->engine);
	for (unsigned i = 0; i < WAYS; i++) {
		free(b->nets[i]);
		free(b->tables[i]);
	}
	free(b);
	return 0;
}

/* Puts "hello" in by a way, from an address and a MAC, to port `port` of the way's own address. */
static void put(
	struct bench *b, unsigned way, struct udpxdp_addr from, const uint8_t mac[6], uint16_t port)
{
	struct udpxdp_path path = {
		.local = {.addr = from, .port = 40000},
		.peer = {.addr = v4(way == SECOND ? 2 : 1, 1), .port = port},
	};
	uint8_t frame[128];

	memcpy(path.local.mac, mac, 6);
	memcpy(path.peer.mac, macs[way], 6);
	b->io[way].in_count = b->io[way].in_next = 0;
	headers_write(frame, &path, 5, checksum_sum("hello", 5));
	memcpy(frame + headers_len(&path), "hello", 5);
	memory_put(&b->io[way], frame, headers_len(&path) + 5, NOW);
}

static int say(
	struct bench *b, unsigned way, struct udpxdp_addr from, const uint8_t mac[6], uint16_t port)
{
	put(b, way, from, mac, port);
	engine_look_everywhere(b->engine);
	return engine_poll(b->engine);
}

static void assert_out(struct bench *b, unsigned first, unsigned second, unsigned kernel)
{
	assert_int_equal(b->io[FIRST].out_count, first);
	assert_int_equal(b->io[SECOND].out_count, second);
	assert_int_equal(b->io[KERNEL].out_count, kernel);
}

/* ---- in and out ---- */

static void what_comes_by_a_way_is_answered_and_counted_there(void **state)
{
	struct bench *b = *state;

	assert_int_equal(say(b, FIRST, v4(1, 2), peer_mac, 8080), 1);
	assert_out(b, 1, 0, 0);
	assert_int_equal(say(b, SECOND, v4(2, 2), peer_mac, 8080), 1);
	assert_out(b, 1, 1, 0);
	assert_int_equal(say(b, KERNEL, v4(1, 2), peer_mac, 8080), 1);
	assert_out(b, 1, 1, 1);
	for (unsigned i = 0; i < WAYS; i++) {
		const struct service_counters *c = &b->counters[i][ECHO];

		assert_int_equal(c->rx, 1);
		assert_int_equal(c->tx, 1);
		assert_string_equal(c->service, "echo");
		assert_int_equal(c->worker, i == KERNEL ? COUNTERS_SOCKETS : 0);
		assert_memory_equal(b->io[i].out[0].data + 6, macs[i], 6);
		assert_true(b->io[i].flushes >= 1);
	}
}

static void one_turn_takes_a_batch_from_each(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < WAYS; i++)
		put(b, i, v4(i == SECOND ? 2 : 1, 2), peer_mac, 8080);
	assert_int_equal(engine_poll(b->engine), WAYS);
	assert_out(b, 1, 1, 1);
}

/* The kernel's sockets cost a system call: they are looked at now and then. */
static void a_patient_way_is_looked_at_in_its_turn(void **state)
{
	struct bench *b = *state;
	unsigned turns = 0;

	engine_poll(b->engine); /* nothing there: three turns without it from now on */
	put(b, KERNEL, v4(1, 2), peer_mac, 8080);
	while (!b->io[KERNEL].out_count && turns++ < 10)
		engine_poll(b->engine);
	assert_int_equal(turns, 4);
	/* As long as something comes it is looked at each time. */
	put(b, KERNEL, v4(1, 2), peer_mac, 8080);
	assert_int_equal(engine_poll(b->engine), 1);
	engine_poll(b->engine);
	assert_int_equal(say(b, KERNEL, v4(1, 2), peer_mac, 8080), 1);
	assert_out(b, 0, 0, 3);
}

static void a_frame_belongs_to_the_interface_that_it_came_by(void **state)
{
	struct bench *b = *state;
	struct udpxdp_path path = {
		.local = {.addr = v4(1, 2), .port = 40000, .mac = {2, [5] = 9}},
		.peer = {.addr = v4(1, 1), .port = 8080},
	};
	uint8_t frame[128];

	/* To the MAC of the other interface: the kernel would not take it. */
	memcpy(path.peer.mac, macs[FIRST], 6);
	headers_write(frame, &path, 0, 0);
	memory_put(&b->io[SECOND], frame, headers_len(&path), NOW);
	engine_poll(b->engine);
	assert_out(b, 0, 0, 0);
	/* To the address of the other interface, by this one's MAC: it is ours all the same. */
	b->io[SECOND].in_count = b->io[SECOND].in_next = 0;
	memcpy(path.peer.mac, macs[SECOND], 6);
	headers_write(frame, &path, 0, 0);
	memory_put(&b->io[SECOND], frame, headers_len(&path), NOW);
	engine_poll(b->engine);
	assert_out(b, 0, 1, 0);
}

static void what_does_not_fit_leaves_by_the_kernel(void **state)
{
	struct bench *b = *state;
	uint8_t mac[6];

	told.reply_len = 3000;
	know(b, SECOND, v4(2, 2), peer_mac);
	say(b, SECOND, v4(2, 2), peer_mac, 7000);
	assert_out(b, 0, 0, 1);
	frame_mac_of_ifindex(mac, 71); /* by the interface that the peer is on */
	assert_memory_equal(b->io[KERNEL].out[0].data, mac, 6);
	told.reply_len = 1472;
	say(b, SECOND, v4(2, 2), peer_mac, 7000);
	assert_out(b, 0, 1, 1);
	assert_int_equal(b->counters[SECOND][PROBE].drops[UDPXDP_DROP_reply_too_big], 0);
}

static void an_announcement_goes_out_on_each_interface(void **state)
{
	struct bench *b = *state;
	const struct udpxdp_command command = {
		.time_ns = NOW, .text = (const uint8_t *)"all", .len = 3};

	assert_null(engine_command(b->engine, BROADCAST, &command));
	assert_out(b, 1, 1, 0);
	assert_memory_equal(b->io[FIRST].out[0].data + 26, "\x0a\x00\x01\x01", 4);
	assert_memory_equal(b->io[SECOND].out[0].data + 26, "\x0a\x00\x02\x01", 4);
	b->io[FIRST].tx_room = 0; /* one that cannot does not keep the other from it */
	assert_null(engine_command(b->engine, BROADCAST, &command));
	assert_out(b, 1, 2, 0);
	b->io[SECOND].tx_room = 0;
	assert_non_null(engine_command(b->engine, BROADCAST, &command));
}

/* ---- who is proven ---- */

static void a_neighbour_is_one_of_its_interface(void **state)
{
	struct bench *b = *state;
	const struct udpxdp_addr peer = v4(2, 2);

	know(b, FIRST, peer, peer_mac);
	know(b, SECOND, peer, other_mac);
	say(b, SECOND, peer, peer_mac, 7000);
	assert_int_equal(told.received, 1);
	assert_int_equal(told.proven, 0); /* the MAC that the first knows is none here */
	assert_int_equal(b->asked, 1);
	assert_int_equal(b->question.ingress, SECOND);
	assert_false(b->question.follow);
	say(b, SECOND, peer, other_mac, 7000);
	assert_int_equal(told.proven, 1);
	/* Who is on the link of the second is not proven on the first by the second's word. */
	say(b, FIRST, peer, other_mac, 7000);
	assert_int_equal(told.proven, 1);
	assert_int_equal(told.received, 3);
	/* Nor by what it has had the first's own table say, as anybody can by ARP. */
	say(b, FIRST, peer, peer_mac, 7000);
	assert_int_equal(told.proven, 1);
	/* Of no interface's subnet: a route may lead to it. */
	know(b, FIRST, v4(9, 9), peer_mac);
	say(b, FIRST, v4(9, 9), peer_mac, 7000);
	assert_int_equal(told.proven, 2);
}

static void who_is_unknown_waits_for_the_word_of_its_interface(void **state)
{
	struct bench *b = *state;
	const struct udpxdp_addr peer = v4(2, 2);

	say(b, SECOND, peer, peer_mac, 7000);
	assert_int_equal(told.received, 0);
	assert_int_equal(b->asked, 1);
	assert_int_equal(b->question.ingress, SECOND);
	assert_true(udpxdp_addr_equal(&b->question.addr, &peer));
	know(b, FIRST, peer, peer_mac);
	assert_int_equal(engine_poll(b->engine), 0);
	know(b, SECOND, peer, peer_mac);
	assert_int_equal(engine_poll(b->engine), 1);
	assert_int_equal(told.received, 1);
	assert_int_equal(told.proven, 1);
	assert_int_equal(told.path.ingress, SECOND);
}

/* A socket shows no MAC: what the kernel had to put together proves nothing but our own. */
static void the_kernels_sockets_prove_this_host_alone(void **state)
{
	struct bench *b = *state;

	know(b, FIRST, v4(1, 2), peer_mac);
	say(b, KERNEL, v4(1, 2), peer_mac, 7000);
	assert_int_equal(told.received, 1); /* at once: there is nobody to ask */
	assert_int_equal(told.proven, 0);
	assert_int_equal(b->asked, 0);
	say(b, KERNEL, udpxdp_addr_ipv4(127, 0, 0, 1), peer_mac, 7000);
	say(b, KERNEL, v4(2, 1), peer_mac, 7000);
	assert_int_equal(told.received, 3);
	assert_int_equal(told.proven, 2);
}

/* ---- the way to a peer ---- */

static void ticks(struct bench *b, unsigned *second, unsigned count)
{
	for (unsigned i = 0; i < count; i++, ++*second) {
		const uint64_t now = NOW + *second * UDPXDP_NSEC_PER_SEC;

		engine_set_clock(b->engine, now, now);
		engine_tick(b->engine, now);
	}
}

static void a_peer_beyond_the_link_is_followed(void **state)
{
	static const uint8_t second_router[6] = {2, 0, 0, 0, 0, 7};
	struct bench *b = *state;
	const struct udpxdp_addr far = udpxdp_addr_ipv4(192, 0, 2, 1);
	unsigned second = 1;

	told.keeps = true;
	say(b, SECOND, far, peer_mac, 7000);
	assert_int_equal(told.received, 1);
	assert_int_equal(b->asked, 0); /* whoever speaks is not worth a question */
	ticks(b, &second, 1);
	assert_int_equal(b->asked, 1);
	assert_int_equal(b->question.ingress, SECOND);
	assert_true(b->question.follow);
	assert_memory_equal(told.path.peer.mac, peer_mac, 6);
	neighbour_table_set(b->tables[SECOND], &far, 0, NEIGHBOUR_BEYOND, other_mac);
	ticks(b, &second, 1);
	assert_memory_equal(told.path.peer.mac, other_mac, 6);
	/* That proves nobody: all that is far has the router's MAC. */
	say(b, SECOND, far, other_mac, 7000);
	assert_int_equal(told.proven, 0);
	assert_int_equal(b->asked, 1);
	/* Once in half a minute it is looked at again. */
	ticks(b, &second, 64);
	assert_int_equal(b->asked, 3);
	/* By another router: it is answered by the way that the kernel knows, which may be old. */
	say(b, SECOND, far, second_router, 7000);
	assert_memory_equal(told.path.peer.mac, other_mac, 6);
	assert_int_equal(b->asked, 4);
	assert_true(b->question.follow);
	/* Nothing is known any more: the way stays. */
	neighbour_table_set(b->tables[SECOND], &far, 0, NEIGHBOUR_UNKNOWN, NULL);
	ticks(b, &second, 1);
	assert_memory_equal(told.path.peer.mac, other_mac, 6);
	assert_int_equal(b->asked, 5);
}

static void questions_about_peers_are_few(void **state)
{
	struct bench *b = *state;

	told.keeps = true;
	say(b, SECOND, udpxdp_addr_ipv4(192, 0, 2, 1), peer_mac, 7000);
	for (unsigned i = 0; i < 1000; i++) /* all in one second */
		engine_tick(b->engine, NOW);
	assert_int_equal(b->asked, 64);
	/* A neighbour is asked for all the same. */
	say(b, SECOND, v4(2, 2), peer_mac, 7000);
	assert_int_equal(b->asked, 65);
	assert_false(b->question.follow);
}

static void nobody_is_asked_about_the_kernels_peers(void **state)
{
	struct bench *b = *state;
	unsigned second = 1;

	told.keeps = true;
	say(b, KERNEL, udpxdp_addr_ipv4(192, 0, 2, 1), peer_mac, 7000);
	ticks(b, &second, 40);
	assert_int_equal(b->asked, 0);
	assert_memory_equal(told.path.peer.mac, peer_mac, 6);
}

static void our_own_changes_are_those_of_the_interface(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x22};
	const struct udpxdp_host_addr addr = {.addr = v4(2, 7), .prefix_len = 24, .on_iface = true};
	struct bench *b = *state;
	unsigned second = 1;

	told.keeps = true;
	know(b, SECOND, v4(2, 2), peer_mac);
	say(b, SECOND, v4(2, 2), peer_mac, 7000);
	free(b->nets[SECOND]);
	b->nets[SECOND] = udpxdp_host_new(mac, 1500, &addr, 1);
	engine_set_ingress_net(b->engine, SECOND, b->nets[SECOND]);
	ticks(b, &second, 1);
	assert_true(told.refreshed);
	assert_memory_equal(told.path.local.mac, mac, 6);
	assert_true(udpxdp_addr_equal(&told.path.local.addr, &addr.addr));
	/* The last address leaves that interface; the others keep theirs. */
	free(b->nets[SECOND]);
	b->nets[SECOND] = udpxdp_host_new(mac, 1500, NULL, 0);
	engine_set_ingress_net(b->engine, SECOND, b->nets[SECOND]);
	ticks(b, &second, 1);
	assert_false(told.refreshed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_comes_by_a_way_is_answered_and_counted_there),
		TEST(one_turn_takes_a_batch_from_each),
		TEST(a_patient_way_is_looked_at_in_its_turn),
		TEST(a_frame_belongs_to_the_interface_that_it_came_by),
		TEST(what_does_not_fit_leaves_by_the_kernel),
		TEST(an_announcement_goes_out_on_each_interface),
		TEST(a_neighbour_is_one_of_its_interface),
		TEST(who_is_unknown_waits_for_the_word_of_its_interface),
		TEST(the_kernels_sockets_prove_this_host_alone),
		TEST(a_peer_beyond_the_link_is_followed),
		TEST(questions_about_peers_are_few),
		TEST(nobody_is_asked_about_the_kernels_peers),
		TEST(our_own_changes_are_those_of_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
