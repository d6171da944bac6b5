/* SPDX-License-Identifier: MIT */
/* The line: what it answers, and that every frame ends as one verdict or one counter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "base/headers.h"
#include "base/checksum.h"
#include "engine/engine.h"
#include "services/service_spec.h"
#include "udpxdp/packet.h"
#include "unit/memory_io.h"
#include "unit/single_reply.h"

#define NOW (1795485600ull * UDPXDP_NSEC_PER_SEC) /* 2026-11-24 02:00:00 UTC */
#define STAMP "【Tue Nov 24 02:00:00 2026】 "

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};

struct bench {
	struct memory_io io;
	struct service_config services[2];
	struct service_counters counters[2];
	struct udpxdp_host *net;
	struct engine_handover to_owner;
	struct engine *engine;
	unsigned printed, handed;
	bool room;
};

static bool on_print(void *context, unsigned instance, const struct udpxdp_message *m)
{
	struct bench *b = context;

	b->printed++;
	return b->room;
}

static bool on_hand_over(void *context, unsigned instance, const struct udpxdp_datagram *d)
{
	struct bench *b = context;

	b->handed++;
	return b->room;
}

static void open_bench(struct bench *b, const char *spec, bool owner)
{
	const struct udpxdp_host_addr addrs[] = {
		{.addr = udpxdp_addr_ipv4(10, 0, 0, 1),
			.broadcast = udpxdp_addr_ipv4(10, 0, 0, 255),
			.prefix_len = 24,
			.on_iface = true},
		{.addr = {.b = {0xfd, [15] = 1}}, .prefix_len = 64, .on_iface = true},
	};
	char error[200] = "";

	memset(b, 0, sizeof(*b));
	b->room = true;
	memory_open(&b->io);
	assert_int_equal(service_parse(&b->services[0], spec, error, sizeof(error)), 0);
	assert_int_equal(service_parse(&b->services[1], "broadcast", error, sizeof(error)), 0);
	b->net = udpxdp_host_new(our_mac, 1500, addrs, 2);
	b->to_owner = (struct engine_handover){.context = b, .push = on_hand_over};
	b->engine = engine_new(&(struct engine_config){
		.io = &b->io.io,
		.services = b->services,
		.service_count = 2,
		.handover = owner ? NULL : &b->to_owner,
		.counters = b->counters,
		.hostname = "bench",
		.sinks = {.context = b, .print = on_print},
	});
	assert_non_null(b->engine);
	engine_set_net(b->engine, b->net);
}

static void close_bench(struct bench *b)
{
	engine_free(b->engine);
	free(b->net);
}

static struct udpxdp_path request_path(bool ipv4)
{
	struct udpxdp_path path = {.local = {.port = 40000}, .peer = {.port = 8080}};

	memcpy(path.local.mac, peer_mac, 6);
	memcpy(path.peer.mac, our_mac, 6);
	path.local.addr =
		ipv4 ? udpxdp_addr_ipv4(10, 0, 0, 2) : (struct udpxdp_addr){.b = {0xfd, [15] = 2}};
	path.peer.addr =
		ipv4 ? udpxdp_addr_ipv4(10, 0, 0, 1) : (struct udpxdp_addr){.b = {0xfd, [15] = 1}};
	return path;
}

/* Puts a request in; returns where it stands, to be spoilt. */
static uint8_t *put(
	struct bench *b, const struct udpxdp_path *path, const void *payload, uint32_t len)
{
	uint8_t frame[2048];

	headers_write(frame, path, len, checksum_sum(payload, len));
	memcpy(frame + headers_len(path), payload, len);
	memory_put(&b->io, frame, headers_len(path) + len, NOW);
	return b->io.in[b->io.in_count - 1].bytes + FRAME_HEADROOM;
}

static uint64_t drops(const struct service_counters *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < UDPXDP_DROP_COUNT; i++)
		sum += c->drops[i];
	return sum;
}

/* One turn over one frame that must be refused for this reason and no other. */
#define ASSERT_REFUSED(b, reason)                                                  \
	do {                                                                       \
		assert_int_equal(engine_poll((b)->engine), 1);                     \
		assert_int_equal((b)->counters[0].drops[UDPXDP_DROP_##reason], 1); \
		assert_int_equal(drops(&(b)->counters[0]), 1);                     \
		assert_int_equal((b)->counters[0].rx, 1);                          \
		assert_int_equal((b)->counters[0].tx, 0);                          \
		assert_int_equal((b)->io.out_count, 0);                            \
		assert_int_equal((b)->io.given_back, 1);                           \
		close_bench(b);                                                    \
	} while (0)

static void assert_answer(struct bench *b, const struct udpxdp_path *request, const char *payload)
{
	const struct memory_frame *out = &b->io.out[0];
	struct frame_info info = {};

	assert_int_equal(engine_poll(b->engine), 1);
	assert_int_equal(b->io.out_count, 1);
	assert_int_equal(
		frame_classify(out->data, out->data + out->len, out->len, &info), FRAME_UDP);
	assert_int_equal(info.source_port, request->peer.port);
	assert_int_equal(info.dest_port, request->local.port);
	assert_true(udpxdp_addr_equal(&info.source, &request->peer.addr));
	assert_true(udpxdp_addr_equal(&info.dest, &request->local.addr));
	assert_memory_equal(out->data, peer_mac, 6);
	assert_memory_equal(out->data + 6, our_mac, 6);
	assert_int_equal(info.payload_len, strlen(payload));
	assert_memory_equal(out->data + info.payload, payload, info.payload_len);
	assert_int_equal(b->counters[0].tx, 1);
	assert_int_equal(b->counters[0].tx_bytes, strlen(payload));
	assert_int_equal(drops(&b->counters[0]), 0);
	assert_int_equal(b->io.given_back, 0);
	assert_int_equal(b->io.flushes, 1);
}

static void answers_ipv4_and_ipv6(void **state)
{
	for (int ipv4 = 0; ipv4 < 2; ipv4++) {
		struct udpxdp_path path = request_path(ipv4);
		struct bench b;

		open_bench(&b, "echo", true);
		put(&b, &path, "hello", 5);
		assert_answer(&b, &path, STAMP "hello");
		assert_int_equal(b.counters[0].rx_bytes, 5);
		assert_int_equal(b.printed, 1);
		close_bench(&b);
	}
}

static void answers_with_the_same_tags(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	path.tag_count = 2;
	path.tags[0] = (struct udpxdp_vlan_tag){0x88a8, 0xe064};
	path.tags[1] = (struct udpxdp_vlan_tag){0x8100, 0x0007};
	open_bench(&b, "echo,stamp=off", true);
	put(&b, &path, "tagged", 6);
	assert_answer(&b, &path, "tagged");
	assert_memory_equal(b.io.out[0].data + 12, "\x88\xa8\xe0\x64\x81\x00\x00\x07\x08\x00", 10);
	close_bench(&b);
}

static void answers_nothing_with_a_stamp(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	open_bench(&b, "echo", true);
	put(&b, &path, "", 0);
	assert_answer(&b, &path, STAMP);
	close_bench(&b);
}

static void accepts_a_partial_or_absent_checksum(void **state)
{
	struct udpxdp_path path = request_path(true);
	const uint8_t pseudo_header[] = {10, 0, 0, 2, 10, 0, 0, 1, 0, 17, 0, 8 + 5};
	uint16_t pseudo = checksum_sum(pseudo_header, sizeof(pseudo_header));
	struct bench b;
	uint8_t *frame;

	open_bench(&b, "echo,stamp=off", true);
	frame = put(&b, &path, "hello", 5);
	memcpy(frame + 40, &pseudo, 2);
	assert_answer(&b, &path, "hello");
	close_bench(&b);

	open_bench(&b, "echo,stamp=off", true);
	frame = put(&b, &path, "hello", 5);
	frame[40] = frame[41] = 0;
	assert_answer(&b, &path, "hello");
	close_bench(&b);
}

static void refuses_bad_checksums(void **state)
{
	struct udpxdp_path path = request_path(true), path6 = request_path(false);
	struct bench b;

	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[24] ^= 1;
	ASSERT_REFUSED(&b, bad_ip_checksum);

	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[42] ^= 1;
	ASSERT_REFUSED(&b, bad_udp_checksum);

	open_bench(&b, "echo", true); /* IPv6 must have one */
	memset(put(&b, &path6, "hello", 5) + 60, 0, 2);
	ASSERT_REFUSED(&b, bad_udp_checksum);
}

static void refuses_bad_sources(void **state)
{
	static const uint8_t bad[][4] = {{224, 0, 0, 1}, {239, 1, 2, 3}, {255, 255, 255, 255},
		{0, 0, 0, 0}, {127, 0, 0, 1}, {10, 0, 0, 1}, {10, 0, 0, 255}};
	static const struct udpxdp_addr bad6[] = {
		{.b = {0xff, 2, [15] = 1}}, {}, {.b = {[15] = 1}}, {.b = {0xfd, [15] = 1}}};
	struct udpxdp_path path;
	struct bench b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		path = request_path(true);
		memcpy(path.local.addr.b + 12, bad[i], 4);
		open_bench(&b, "echo", true);
		put(&b, &path, "hello", 5);
		ASSERT_REFUSED(&b, source_address);
	}
	for (size_t i = 0; i < sizeof(bad6) / sizeof(bad6[0]); i++) {
		path = request_path(false);
		path.local.addr = bad6[i];
		open_bench(&b, "echo", true);
		put(&b, &path, "hello", 5);
		ASSERT_REFUSED(&b, source_address);
	}
	path = request_path(true);
	path.local.mac[0] |= 1;
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5);
	ASSERT_REFUSED(&b, source_address);

	path = request_path(true);
	path.local.port = 0;
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5);
	ASSERT_REFUSED(&b, source_port_zero);
}

static void refuses_loops(void **state)
{
	static const uint16_t ports[] = {1, 7, 1023, 8080, 8086};
	struct udpxdp_path path = request_path(true);
	struct bench b;

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		path.local.port = ports[i];
		open_bench(&b, "echo", true);
		put(&b, &path, "hello", 5);
		ASSERT_REFUSED(&b, loop);

		open_bench(&b, "echo,loops=allow,stamp=off", true);
		put(&b, &path, "hello", 5);
		assert_answer(&b, &path, "hello");
		close_bench(&b);
	}
	path = request_path(true);
	open_bench(&b, "echo", true);
	put(&b, &path, STAMP "x", strlen(STAMP "x"));
	ASSERT_REFUSED(&b, loop);
}

static void refuses_what_does_not_fit(void **state)
{
	static const char big[1500];
	struct udpxdp_path path = request_path(true);
	struct bench b;

	open_bench(&b, "echo", true);
	put(&b, &path, big, 1500 - 28 - 30);
	ASSERT_REFUSED(&b, reply_too_big);

	open_bench(&b, "echo", true);
	put(&b, &path, big, 1500 - 28 - 31);
	engine_poll(b.engine);
	assert_int_equal(b.counters[0].tx, 1);
	assert_int_equal(b.io.out[0].len, 1514);
	close_bench(&b);

	open_bench(&b, "echo", true);
	b.io.tx_room = 0;
	put(&b, &path, "hello", 5);
	ASSERT_REFUSED(&b, no_tx_frame);
}

static void assert_verdict(struct bench *b, enum frame_verdict verdict)
{
	assert_int_equal(engine_poll(b->engine), 1);
	for (enum frame_verdict v = 0; v <= FRAME_UDP; v++)
		assert_int_equal(engine_verdict(b->engine, v), v == verdict);
	assert_int_equal(b->counters[0].rx + b->counters[1].rx, 0);
	assert_int_equal(b->io.given_back, 1);
	assert_int_equal(b->io.out_count, 0);
	close_bench(b);
}

static void passes_what_is_not_ours(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	path.peer.addr = udpxdp_addr_ipv4(10, 0, 0, 9);
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5);
	assert_verdict(&b, FRAME_NOT_OURS);

	path = request_path(true);
	path.peer.port = 53;
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5);
	assert_verdict(&b, FRAME_NOT_SERVED);

	path = request_path(true); /* echo has no business with broadcasts */
	path.peer.addr = udpxdp_addr_ipv4(255, 255, 255, 255);
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5);
	assert_verdict(&b, FRAME_NOT_OURS);

	path = request_path(true);
	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[12] = 0x08, b.io.in[0].bytes[FRAME_HEADROOM + 13] = 0x06;
	assert_verdict(&b, FRAME_NOT_IP);

	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[23] = 6;
	assert_verdict(&b, FRAME_NOT_UDP);

	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[20] = 0x20;
	assert_verdict(&b, FRAME_FRAGMENT);

	open_bench(&b, "echo", true);
	put(&b, &path, "hello", 5)[39]++;
	assert_verdict(&b, FRAME_MALFORMED);
}

/* An answer must not leave from a group address, whatever the request was sent to. */
/* One turn over a frame that is the kernel's. */
static void assert_not_ours(struct bench *b)
{
	assert_int_equal(engine_poll(b->engine), 1);
	assert_int_equal(engine_verdict(b->engine, FRAME_NOT_OURS), 1);
	assert_int_equal(b->counters[0].rx + b->counters[1].rx, 0);
	assert_int_equal(b->io.out_count, 0);
	assert_int_equal(b->io.given_back, 1);
	close_bench(b);
}

static void takes_frames_to_our_macs_alone(void **state)
{
	static const uint8_t others[][6] = {{2, 0, 0, 0, 0, 2}, {0, 0, 0, 0, 0, 0},
		{2, 0, 0, 0, 1, 1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 1},
		{3, 0, 0, 0, 0, 1}};
	struct bench b;

	for (unsigned i = 0; i < 2 * sizeof(others) / sizeof(others[0]); i++) {
		struct udpxdp_path path = request_path(i % 2);

		memcpy(path.peer.mac, others[i / 2], 6);
		open_bench(&b, "echo,stamp=off", true);
		put(&b, &path, "hello", 5);
		assert_not_ours(&b);
	}
}

/* What a capture is from, nobody says: there a group's MAC address stands for ours. */
static void answers_from_our_own_mac(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	memset(path.peer.mac, 0xff, 6);
	open_bench(&b, "echo,stamp=off", true);
	b.net->any_group = true;
	put(&b, &path, "hello", 5);
	assert_answer(&b, &path, "hello");
	close_bench(&b);
}

static void broadcasts_come_to_our_mac_or_to_a_groups(void **state)
{
	static const uint8_t macs[][6] = {
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	struct bench b;

	for (unsigned i = 0; i < 3; i++) {
		struct udpxdp_path path = request_path(true);

		path.peer.addr.b[15] = 255;
		path.peer.port = 8086;
		memcpy(path.peer.mac, macs[i], 6);
		open_bench(&b, "echo", true);
		put(&b, &path, "hello", 5);
		if (i == 2) {
			assert_not_ours(&b);
			continue;
		}
		assert_int_equal(engine_poll(b.engine), 1);
		assert_int_equal(b.counters[1].rx, 1);
		assert_int_equal(b.io.out_count, 1);
		assert_memory_equal(b.io.out[0].data + 6, our_mac, 6);
		close_bench(&b);
	}
}

/* By a further MAC address and in a VLAN of ours, an address counting where it is configured. */
static void takes_frames_as_the_links_say(void **state)
{
	static const struct udpxdp_host_vlan vlans[] = {{7, 7}, {0x10090007, UDPXDP_VLAN_ALL}};
	const uint64_t macs[] = {packet_mac((const uint8_t[]){2, 0, 0, 0, 0, 9})};
	const struct udpxdp_host_links links = {.mac = {2, 0, 0, 0, 0, 1},
		.macs = macs,
		.mac_count = 1,
		.vlans = vlans,
		.vlan_count = 2};
	const struct udpxdp_host_addr addrs[] = {
		{.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .prefix_len = 24, .on_iface = true},
		{.addr = udpxdp_addr_ipv4(10, 7, 0, 1),
			.prefix_len = 24,
			.on_iface = true,
			.vlan = 7},
		{.addr = udpxdp_addr_ipv4(10, 8, 0, 1), .prefix_len = 24, .vlan = UDPXDP_VLAN_ALL},
	};
	static const struct {
		uint8_t net, mac, tags;
		uint16_t tpid[2], tci[2];
		bool ours;
	} rows[] = {
		{0, 1, 0, {}, {}, true},
		{0, 9, 0, {}, {}, true},
		{0, 1, 1, {0x8100}, {0xe000}, true},
		{0, 1, 1, {0x8100}, {7}, false},
		{7, 1, 1, {0x8100}, {0xe007}, true},
		{7, 9, 2, {0x88a8, 0x8100}, {0, 7}, true},
		{7, 1, 0, {}, {}, false},
		{7, 1, 1, {0x88a8}, {7}, false},
		{7, 1, 1, {0x8100}, {8}, false},
		{8, 1, 0, {}, {}, true},
		{8, 1, 1, {0x8100}, {7}, true},
		{8, 1, 1, {0x8100}, {8}, false},
		{0, 1, 2, {0x88a8, 0x8100}, {9, 7}, true},
		{0, 1, 2, {0x8100, 0x8100}, {9, 7}, false},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct udpxdp_path path = request_path(true);
		struct bench b;

		path.peer.addr.b[13] = rows[i].net;
		path.peer.mac[5] = rows[i].mac;
		path.tag_count = rows[i].tags;
		for (unsigned t = 0; t < rows[i].tags; t++)
			path.tags[t] = (struct udpxdp_vlan_tag){
				.tpid = rows[i].tpid[t], .tci = rows[i].tci[t]};
		open_bench(&b, "echo,stamp=off", true);
		free(b.net);
		b.net = udpxdp_host_new_on(&links, 1500, addrs, 3);
		engine_set_net(b.engine, b.net);
		put(&b, &path, "hello", 5);
		if (!rows[i].ours) {
			assert_not_ours(&b);
			continue;
		}
		assert_int_equal(engine_poll(b.engine), 1);
		assert_int_equal(b.io.out_count, 1);
		assert_memory_equal(b.io.out[0].data + 6, path.peer.mac, 6);
		close_bench(&b);
	}
}

/* RFC 6864: what routers may fragment is told apart, each from all others. */
static void long_answers_may_be_fragmented(void **state)
{
	static const uint8_t text[1400] = {1};
	uint16_t last = 0;
	struct bench b;

	open_bench(&b, "echo,stamp=off", true);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned len = i == 3 ? 548 : 549 + i;
		struct udpxdp_path path = request_path(true);
		const uint8_t *ip;

		b.io.in_count = b.io.in_next = b.io.out_count = 0;
		put(&b, &path, text, len);
		assert_int_equal(engine_poll(b.engine), 1);
		assert_int_equal(b.io.out_count, 1);
		ip = b.io.out[0].data + 14;
		assert_int_equal(checksum_sum(ip, 20), 0xffff);
		if (len == 548) {
			assert_memory_equal(ip + 4, "\0\0\x40\0", 4);
		} else {
			assert_memory_equal(ip + 6, "\0\0", 2);
			assert_int_not_equal(ip[4] << 8 | ip[5], last);
			last = ip[4] << 8 | ip[5];
		}
	}
	close_bench(&b);
}

/* As the kernel has it: what lies behind the datagram is no part of it. */
static void trims_to_the_udp_length(void **state)
{
	for (unsigned ipv4 = 0; ipv4 < 2; ipv4++) {
		struct udpxdp_path path = request_path(ipv4);
		uint8_t frame[200], *ip = frame + 14;
		const uint32_t len = headers_len(&path) + 5;
		struct bench b;
		uint16_t sum;

		headers_write(frame, &path, 5, checksum_sum("hello", 5));
		memcpy(frame + len - 5, "hello and options", 17);
		ip[ipv4 ? 3 : 5] += 12;
		if (ipv4) {
			ip[10] = ip[11] = 0;
			sum = ~checksum_sum(ip, 20);
			memcpy(ip + 10, &sum, 2);
		}
		open_bench(&b, "echo,stamp=off", true);
		memory_put(&b.io, frame, len + 12, NOW);
		assert_answer(&b, &path, "hello");
		close_bench(&b);
	}
}

static void drops_ip_options_from_the_answer(void **state)
{
	struct udpxdp_path path = request_path(true);
	uint8_t plain[64], frame[68];
	struct bench b;
	uint16_t sum;

	headers_write(plain, &path, 5, checksum_sum("hello", 5));
	memcpy(frame, plain, 34);
	memcpy(frame + 34, "\x01\x01\x01\x00", 4); /* NOP NOP NOP EOL */
	memcpy(frame + 38, plain + 34, 8);
	memcpy(frame + 46, "hello", 5);
	frame[14] = 0x46;
	frame[17] += 4;
	frame[24] = frame[25] = 0;
	sum = ~checksum_sum(frame + 14, 24);
	memcpy(frame + 24, &sum, 2);
	open_bench(&b, "echo,stamp=off", true);
	memory_put(&b.io, frame, 51, NOW);
	assert_answer(&b, &path, "hello");
	assert_int_equal(b.io.out[0].data[14], 0x45);
	close_bench(&b);
}

static void hands_single_services_over(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	path.peer.port = 8086;
	open_bench(&b, "echo", false);
	put(&b, &path, "reply", 5);
	engine_poll(b.engine);
	assert_int_equal(b.handed, 1);
	assert_int_equal(b.counters[1].rx, 1);
	assert_int_equal(drops(&b.counters[1]), 0);

	b.room = false;
	put(&b, &path, "reply", 5);
	engine_poll(b.engine);
	assert_int_equal(b.counters[1].drops[UDPXDP_DROP_handover_full], 1);
	assert_int_equal(drops(&b.counters[1]), 1);
	assert_int_equal(b.io.given_back, 2);
	close_bench(&b);
}

/* ---- a single service that answers, on two queues ---- */

/* The engine of the worker that owns the service, and that of another, which hands over to it. */
struct pair {
	struct memory_io io[2];
	struct service_config service;
	struct service_counters counters[2];
	struct udpxdp_host *net;
	struct engine_handover to_owner;
	struct engine *engine[2];
};

/* Handed over is a copy of exactly what is lent, of which nothing else is there to be had. */
static bool deliver_copy(void *context, unsigned instance, const struct udpxdp_datagram *d)
{
	struct pair *p = context;
	struct udpxdp_datagram copy = *d;
	uint8_t *payload = malloc(d->len ? d->len : 1);

	memcpy(payload, d->payload, d->len);
	copy.payload = payload;
	engine_deliver(p->engine[0], instance, &copy);
	free(payload);
	return true;
}

static void open_pair(struct pair *p)
{
	const struct udpxdp_host_addr addrs[] = {
		{.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .prefix_len = 24, .on_iface = true},
		{.addr = {.b = {0xfd, [15] = 1}}, .prefix_len = 64, .on_iface = true},
	};

	memset(p, 0, sizeof(*p));
	p->service = (struct service_config){
		.service = &single_reply_service, .port = SINGLE_REPLY_PORT};
	p->net = udpxdp_host_new(our_mac, 1500, addrs, 2);
	p->to_owner = (struct engine_handover){.context = p, .push = deliver_copy};
	for (unsigned w = 0; w < 2; w++) {
		memory_open(&p->io[w]);
		p->engine[w] = engine_new(&(struct engine_config){
			.io = &p->io[w].io,
			.services = &p->service,
			.service_count = 1,
			.worker = w,
			.handover = w == 0 ? NULL : &p->to_owner,
			.counters = &p->counters[w],
		});
		assert_non_null(p->engine[w]);
		engine_set_net(p->engine[w], p->net);
	}
}

static void close_pair(struct pair *p)
{
	for (unsigned w = 0; w < 2; w++)
		engine_free(p->engine[w]);
	free(p->net);
}

/* A request on queue w, and what the service answers, which leaves by the owner's queue: out. */
static bool ask(struct pair *p, unsigned w, const struct udpxdp_path *path, uint32_t len,
	struct memory_frame *out)
{
	uint8_t frame[2048];

	headers_write(frame, path, len, 0);
	for (uint32_t i = 0; i < len; i++)
		frame[headers_len(path) + i] = (uint8_t)(i * 7 + len);
	headers_write(frame, path, len, checksum_sum(frame + headers_len(path), len));
	p->io[w].in_next = p->io[w].in_count = p->io[0].out_count = 0;
	memory_put(&p->io[w], frame, headers_len(path) + len, NOW);
	assert_int_equal(engine_poll(p->engine[w]), 1);
	engine_flush(p->engine[0]);
	assert_int_equal(p->io[1].out_count, 0);
	*out = p->io[0].out[0];
	return p->io[0].out_count == 1;
}

static struct udpxdp_path single_path(bool ipv4, uint8_t tags)
{
	struct udpxdp_path path = request_path(ipv4);

	path.peer.port = SINGLE_REPLY_PORT;
	path.tag_count = tags;
	path.tags[0] = (struct udpxdp_vlan_tag){0x88a8, 100};
	path.tags[1] = (struct udpxdp_vlan_tag){0x8100, 7};
	return path;
}

/* In the frame or without it, the same request has the same answer, but for the count in it. */
static void single_services_answer_on_every_queue(void **state)
{
	static const uint32_t lens[] = {0, 1, 2, 63, 64, 65, 1000, 1001};
	struct pair *p = malloc(sizeof(*p));

	for (unsigned kind = 0; kind < 6; kind++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct udpxdp_path path = single_path(kind % 2, kind / 2);
			struct memory_frame in_place, copied;
			struct frame_info info = {};

			open_pair(p);
			assert_true(ask(p, 0, &path, lens[i], &in_place));
			close_pair(p);
			open_pair(p);
			assert_true(ask(p, 1, &path, lens[i], &copied));
			assert_int_equal(p->io[1].given_back, 1);
			assert_int_equal(p->counters[1].rx, 1);
			assert_int_equal(p->counters[0].tx, 1);
			assert_int_equal(p->counters[0].tx_bytes, lens[i] + 2);
			assert_int_equal(in_place.len, copied.len);
			assert_memory_equal(in_place.bytes, copied.bytes, copied.len);
			assert_int_equal(frame_classify(copied.bytes, copied.bytes + copied.len,
						 copied.len, &info),
				FRAME_UDP);
			assert_int_equal(info.payload_len, lens[i] + 2);
			assert_memory_equal(copied.bytes + info.payload, "1 ", 2);

			/* One state for both queues. */
			assert_true(ask(p, 0, &path, lens[i], &in_place));
			assert_memory_equal(in_place.bytes + info.payload, "2 ", 2);
			close_pair(p);
		}
	}
	free(p);
}

static void an_answer_without_a_frame_is_refused_once(void **state)
{
	struct udpxdp_path path = single_path(true, 0);
	struct pair *p = malloc(sizeof(*p));
	struct memory_frame out;

	open_pair(p);
	assert_false(ask(p, 1, &path, 1500 - 28 - 1, &out));
	assert_int_equal(p->counters[0].drops[UDPXDP_DROP_reply_too_big], 1);
	assert_int_equal(drops(&p->counters[0]), 1);
	assert_true(ask(p, 1, &path, 1500 - 28 - 2, &out));
	assert_int_equal(out.len, 1514);

	p->io[0].tx_room = 0;
	assert_false(ask(p, 1, &path, 5, &out));
	assert_int_equal(p->counters[0].drops[UDPXDP_DROP_no_tx_frame], 1);
	assert_int_equal(drops(&p->counters[0]), 2);
	assert_int_equal(p->counters[0].tx, 1);
	assert_int_equal(drops(&p->counters[1]), 0);
	close_pair(p);
	free(p);
}

static void a_full_printer_costs_the_line_alone(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	open_bench(&b, "echo", true);
	b.room = false;
	put(&b, &path, "hello", 5);
	engine_poll(b.engine);
	assert_int_equal(b.counters[0].tx, 1);
	assert_int_equal(b.counters[0].drops[UDPXDP_DROP_print_lost], 1);
	close_bench(&b);
}

static bool on_notify(void *context, unsigned instance, const struct udpxdp_message *m)
{
	return false;
}

/* A message that was not handed on costs a count for each way that it did not take. */
static void messages_not_handed_on_are_counted(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	path.peer.port = 8086;
	open_bench(&b, "echo", true);
	engine_free(b.engine);
	b.engine = engine_new(&(struct engine_config){
		.io = &b.io.io,
		.services = b.services,
		.service_count = 2,
		.counters = b.counters,
		.hostname = "bench",
		.sinks = {.context = &b, .print = on_print, .notify = on_notify},
	});
	engine_set_net(b.engine, b.net);
	put(&b, &path, "reply", 5);
	engine_poll(b.engine);
	assert_int_equal(b.printed, 1);
	assert_int_equal(b.counters[1].drops[UDPXDP_DROP_console_lost], 1);
	assert_int_equal(drops(&b.counters[1]), 1);
	close_bench(&b);
}

static void the_stamp_follows_the_datagrams_time(void **state)
{
	struct udpxdp_path path = request_path(true);
	struct bench b;

	open_bench(&b, "echo", true);
	put(&b, &path, "a", 1);
	put(&b, &path, "b", 1);
	b.io.in[0].time_ns = NOW + UDPXDP_NSEC_PER_SEC - 1;
	b.io.in[1].time_ns = NOW + UDPXDP_NSEC_PER_SEC;
	assert_int_equal(engine_poll(b.engine), 2);
	assert_memory_equal(b.io.out[0].data + 42, "【Tue Nov 24 02:00:00 2026】 a", 32);
	assert_memory_equal(b.io.out[1].data + 42, "【Tue Nov 24 02:00:01 2026】 b", 32);
	close_bench(&b);
}

static void local_net_knows_its_addresses(void **state)
{
	struct udpxdp_host_addr many[1000] = {};
	struct udpxdp_host *net;
	struct udpxdp_addr a;

	for (unsigned i = 0; i < 1000; i++) {
		many[i].addr = udpxdp_addr_ipv4(10, 1, i >> 8, i);
		many[i].prefix_len = 20;
		many[i].on_iface = i == 7;
	}
	net = udpxdp_host_new(our_mac, 1500, many, 1000);
	for (unsigned i = 0; i < 2000; i++) {
		a = udpxdp_addr_ipv4(10, 1, i >> 8, i);
		assert_int_equal(udpxdp_host_kind(net, &a), i < 1000 ? UDPXDP_LOCAL_UNICAST : 0);
	}
	assert_true(udpxdp_addr_equal(&net->ipv4, &many[7].addr));
	a = udpxdp_addr_ipv4(10, 1, 15, 255);
	assert_true(udpxdp_host_on_link(net, &a));
	a = udpxdp_addr_ipv4(10, 1, 16, 0);
	assert_false(udpxdp_host_on_link(net, &a));
	a = (struct udpxdp_addr){.b = {10, 1}};
	assert_false(udpxdp_host_on_link(net, &a));
	a = udpxdp_addr_ipv4(255, 255, 255, 255);
	assert_int_equal(udpxdp_host_kind(net, &a), UDPXDP_LOCAL_BROADCAST);
	free(net);

	net = udpxdp_host_new(our_mac, 1500, NULL, 0);
	a = udpxdp_addr_ipv4(10, 1, 0, 0);
	assert_int_equal(udpxdp_host_kind(net, &a), 0);
	assert_false(udpxdp_host_on_link(net, &a));
	free(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_ipv4_and_ipv6),
		cmocka_unit_test(answers_with_the_same_tags),
		cmocka_unit_test(answers_nothing_with_a_stamp),
		cmocka_unit_test(accepts_a_partial_or_absent_checksum),
		cmocka_unit_test(refuses_bad_checksums),
		cmocka_unit_test(refuses_bad_sources),
		cmocka_unit_test(refuses_loops),
		cmocka_unit_test(refuses_what_does_not_fit),
		cmocka_unit_test(passes_what_is_not_ours),
		cmocka_unit_test(takes_frames_to_our_macs_alone),
		cmocka_unit_test(answers_from_our_own_mac),
		cmocka_unit_test(broadcasts_come_to_our_mac_or_to_a_groups),
		cmocka_unit_test(takes_frames_as_the_links_say),
		cmocka_unit_test(long_answers_may_be_fragmented),
		cmocka_unit_test(trims_to_the_udp_length),
		cmocka_unit_test(drops_ip_options_from_the_answer),
		cmocka_unit_test(hands_single_services_over),
		cmocka_unit_test(single_services_answer_on_every_queue),
		cmocka_unit_test(an_answer_without_a_frame_is_refused_once),
		cmocka_unit_test(a_full_printer_costs_the_line_alone),
		cmocka_unit_test(messages_not_handed_on_are_counted),
		cmocka_unit_test(the_stamp_follows_the_datagrams_time),
		cmocka_unit_test(local_net_knows_its_addresses),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
