/* SPDX-License-Identifier: MIT */
/* The Internet checksum against sums worked out in another way, and the headers built with it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/headers.h"
#include "base/checksum.h"
#include "udpxdp/packet.h"
#include "udpxdp/service.h"

/* RFC 1071 read literally: one 16-bit word at a time, the carry added at once. */
static uint16_t by_the_book(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

/* Ours, in memory order, against the book's, in network order. */
static bool congruent(uint32_t ours, uint32_t book)
{
	return PACKET_BE16(ours) % 0xffff == book % 0xffff;
}

static void agrees_with_the_example_of_rfc1071(void **state)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(PACKET_BE16(checksum_sum(example, sizeof(example))), 0xddf2);
}

static void agrees_with_a_known_ipv4_header(void **state)
{
	/* A header whose checksum, 0xb861, is printed in many a textbook. */
	static const uint8_t header[] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0,
		0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7};

	assert_int_equal((uint16_t)~PACKET_BE16(checksum_sum(header, sizeof(header))), 0xb861);
}

static void agrees_by_the_book_at_every_length_and_offset(void **state)
{
	uint8_t bytes[300];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (x = x * 1103515245 + 12345) >> 16;
	for (size_t offset = 0; offset < 9; offset++)
		for (size_t len = 0; len + offset <= sizeof(bytes); len++)
			assert_true(congruent(checksum_sum(bytes + offset, len),
				by_the_book(bytes + offset, len)));
}

static void no_carry_is_lost(void **state)
{
	uint8_t ones[1500], edge[65] = {};

	memset(ones, 0xff, sizeof(ones));
	for (size_t len = 0; len <= sizeof(ones); len++)
		assert_true(congruent(checksum_sum(ones, len), by_the_book(ones, len)));
	assert_int_equal(checksum_sum(ones, 1500), 0xffff); /* minus zero, not zero */
	assert_int_equal(checksum_sum(edge, sizeof(edge)), 0);
	memset(edge, 0xff, 16);
	edge[17] = 1; /* 2^128 - 1 + something */
	assert_true(congruent(checksum_sum(edge, 65), by_the_book(edge, 65)));
}

static void joins_at_odd_offsets(void **state)
{
	uint8_t bytes[200];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 37 + 11;
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		uint32_t a = checksum_sum(bytes, cut);
		uint32_t b = checksum_sum(bytes + cut, sizeof(bytes) - cut);

		assert_true(congruent(checksum_fold(a + checksum_behind(cut, b)),
			by_the_book(bytes, sizeof(bytes))));
	}
}

static void prefix_is_cut_and_summed(void **state)
{
	uint8_t text[100];
	struct udpxdp_prefix prefix;

	memset(text, 'x', sizeof(text));
	udpxdp_prefix_set(&prefix, text, 31);
	assert_int_equal(prefix.len, 31);
	assert_true(congruent(prefix.sum, by_the_book(text, 31)));
	assert_memory_equal(prefix.text + sizeof(prefix.text) - 31, text, 31);
	udpxdp_prefix_set(&prefix, text, 100);
	assert_int_equal(prefix.len, sizeof(prefix.text));
}

/* ---- headers ---- */

static void build(uint8_t *frame, const struct udpxdp_path *path, const void *payload, uint32_t len)
{
	headers_write(frame, path, len, checksum_sum(payload, len));
	memcpy(frame + headers_len(path), payload, len);
}

/* The pseudo-header checksum of RFC 768 and RFC 8200, by the book. */
static bool udp_checksum_right(const uint8_t *frame, const struct frame_info *info)
{
	uint8_t pseudo[2048];
	size_t n = 0, addr_len = info->version == 4 ? 4 : 16;
	uint16_t udp_len = UDP_HEADER_LEN + info->payload_len;

	memcpy(pseudo + n, info->source.b + 16 - addr_len, addr_len), n += addr_len;
	memcpy(pseudo + n, info->dest.b + 16 - addr_len, addr_len), n += addr_len;
	pseudo[n++] = 0, pseudo[n++] = 17;
	pseudo[n++] = udp_len >> 8, pseudo[n++] = udp_len & 0xff;
	memcpy(pseudo + n, frame + info->l4, udp_len), n += udp_len;
	return by_the_book(pseudo, n) == 0xffff;
}

static struct udpxdp_path example_path(bool ipv4)
{
	struct udpxdp_path path = {
		.local = {.port = 8080, .mac = {2, 0, 0, 0, 0, 1}},
		.peer = {.port = 40000, .mac = {2, 0, 0, 0, 0, 2}},
	};

	if (ipv4) {
		path.local.addr = udpxdp_addr_ipv4(10, 0, 0, 1);
		path.peer.addr = udpxdp_addr_ipv4(10, 0, 0, 2);
	} else {
		path.local.addr = (struct udpxdp_addr){.b = {0xfd, [15] = 1}};
		path.peer.addr = (struct udpxdp_addr){.b = {0xfd, [15] = 2}};
	}
	return path;
}

static void what_is_built_is_classified_as_it_was_meant(void **state)
{
	_Alignas(2) uint8_t frame[1600];
	uint8_t payload[1400];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7;
	for (int tags = 0; tags <= UDPXDP_VLAN_TAGS_MAX; tags++) {
		for (int ipv4 = 0; ipv4 < 2; ipv4++) {
			for (uint32_t len = 0; len < sizeof(payload); len += 13) {
				struct udpxdp_path path = example_path(ipv4);
				struct frame_info info = {};
				uint32_t total;

				path.tag_count = tags;
				path.tags[0] = (struct udpxdp_vlan_tag){0x88a8, 0x6064};
				path.tags[1] = (struct udpxdp_vlan_tag){0x8100, 7};
				build(frame, &path, payload, len);
				total = headers_len(&path) + len;
				assert_int_equal(frame_classify(frame, frame + total, total, &info),
					FRAME_UDP);
				assert_int_equal(info.tags, tags);
				assert_int_equal(info.payload_len, len);
				assert_int_equal(info.payload, headers_len(&path));
				assert_int_equal(info.source_port, 8080);
				assert_int_equal(info.dest_port, 40000);
				assert_true(udpxdp_addr_equal(&info.source, &path.local.addr));
				assert_true(udpxdp_addr_equal(&info.dest, &path.peer.addr));
				assert_true(udp_checksum_right(frame, &info));
				assert_memory_equal(frame, path.peer.mac, 6);
				assert_memory_equal(frame + 6, path.local.mac, 6);
				if (!ipv4)
					continue;
				assert_int_equal(by_the_book(frame + info.l3, 20), 0xffff);
				assert_int_equal(frame[info.l3 + 6], 0x40); /* DF */
				assert_int_equal(frame[info.l3 + 8], 64);   /* TTL */
			}
		}
	}
}

static void zero_checksum_is_sent_as_ones(void **state)
{
	_Alignas(2) uint8_t frame[64];
	struct udpxdp_path path = example_path(true);

	/* Two bytes of payload can bring the sum to anything, so to 0xffff too. */
	for (uint32_t v = 0; v <= 0xffff; v++) {
		uint8_t payload[2] = {v >> 8, v};
		uint16_t checksum;

		build(frame, &path, payload, 2);
		checksum = frame[40] << 8 | frame[41];
		assert_int_not_equal(checksum, 0);
	}
}

static void ttl_is_taken_from_the_path(void **state)
{
	_Alignas(2) uint8_t frame[64];
	struct udpxdp_path path = example_path(true);

	path.ttl = 1;
	build(frame, &path, "", 0);
	assert_int_equal(frame[22], 1);
	assert_int_equal(by_the_book(frame + 14, 20), 0xffff);
}

/* RFC 1071 of the pseudo-header alone, not complemented: completing it is adding the rest. */
static void partial_checksum_can_be_completed(void **state)
{
	_Alignas(2) uint8_t frame[128];

	for (int ipv4 = 0; ipv4 < 2; ipv4++) {
		struct udpxdp_path path = example_path(ipv4);
		struct frame_info info = {};
		const uint32_t total = headers_len(&path) + 5;
		uint16_t complete;

		headers_write_partial(frame, &path, 0xb8, 5);
		memcpy(frame + headers_len(&path), "hello", 5);
		assert_int_equal(frame_classify(frame, frame + total, total, &info), FRAME_UDP);
		complete = ~checksum_fold(checksum_sum(frame + info.l4, total - info.l4));
		memcpy(frame + info.l4 + 6, &complete, 2);
		assert_true(udp_checksum_right(frame, &info));
		if (ipv4) {
			assert_int_equal(frame[info.l3 + 1], 0xb8);
			assert_int_equal(by_the_book(frame + info.l3, 20), 0xffff);
		} else {
			assert_int_equal(frame[info.l3], 0x6b);
			assert_int_equal(frame[info.l3 + 1], 0x80);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_example_of_rfc1071),
		cmocka_unit_test(agrees_with_a_known_ipv4_header),
		cmocka_unit_test(agrees_by_the_book_at_every_length_and_offset),
		cmocka_unit_test(no_carry_is_lost),
		cmocka_unit_test(joins_at_odd_offsets),
		cmocka_unit_test(prefix_is_cut_and_summed),
		cmocka_unit_test(what_is_built_is_classified_as_it_was_meant),
		cmocka_unit_test(zero_checksum_is_sent_as_ones),
		cmocka_unit_test(ttl_is_taken_from_the_path),
		cmocka_unit_test(partial_checksum_can_be_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
