/* SPDX-License-Identifier: MIT */
/*
 * 500,000 frames that were whole once: the filter, frame_classify() in user space and the
 * reference must read each of them alike, and the counters must add up to the frame.
 * SEED=NUMBER gives another stream, FRAMES=NUMBER another length.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "harness.h"

static uint64_t seed = 20261123, prng;
static unsigned long frames = 500000;

static uint32_t below(uint32_t n)
{
	return random_next(&prng) % n;
}

struct mutant {
	uint32_t len;
	uint8_t frame[FRAME_MAX];
};

static void put16(struct mutant *m, uint32_t at, uint32_t value)
{
	if (at + 2 > m->len)
		return;
	m->frame[at] = value >> 8;
	m->frame[at + 1] = value;
}

/* Where the network header would be, whatever it is. */
static uint32_t l3(const struct mutant *m)
{
	uint32_t at = 12;

	while (at + 6 <= m->len && ((m->frame[at] == 0x81 && !m->frame[at + 1]) ||
					   (m->frame[at] == 0x88 && m->frame[at + 1] == 0xa8)))
		at += 4;
	return at + 2;
}

static bool is_ipv6(const struct mutant *m)
{
	return l3(m) < m->len && m->frame[l3(m)] >> 4 == 6;
}

static uint32_t l4(const struct mutant *m)
{
	if (is_ipv6(m))
		return l3(m) + 40;
	return l3(m) + (l3(m) < m->len ? (m->frame[l3(m)] & 15) * 4 : 20);
}

static void flip_bits(struct mutant *m)
{
	for (uint32_t n = 1 + below(8); n; n--)
		m->frame[below(m->len)] ^= 1u << below(8);
}

static void flip_a_header_bit(struct mutant *m)
{
	m->frame[below(m->len < 64 ? m->len : 64)] ^= 1u << below(8);
}

static void truncate(struct mutant *m)
{
	m->len = 14 + below(m->len - 13);
}

static void extend(struct mutant *m)
{
	for (uint32_t n = below(64); n && m->len < FRAME_MAX; n--)
		m->frame[m->len++] = below(256);
}

/* Lengths one off, at their ends, or any. */
static void change_a_length(struct mutant *m)
{
	static const uint32_t odd[] = {0, 1, 7, 8, 19, 20, 28, 0x7fff, 0x8000, 0xfff8, 0xffff};
	const uint32_t right = m->len - l3(m);
	const uint32_t at = below(2) ? l4(m) + 4 : is_ipv6(m) ? l3(m) + 4 : l3(m) + 2;
	uint32_t now = at + 2 <= m->len ? m->frame[at] << 8 | m->frame[at + 1] : 0;

	switch (below(4)) {
	case 0:
		now += below(2) ? 1 : -1;
		break;
	case 1:
		now = odd[below(sizeof(odd) / sizeof(odd[0]))];
		break;
	case 2:
		now = right - (below(2) ? 0 : is_ipv6(m) ? 40 : 20);
		break;
	default:
		now = below(65536);
	}
	put16(m, at, now);
}

/* All lengths true again after other changes, so that deeper rules are reached too. */
static void mend_lengths(struct mutant *m)
{
	if (m->len < l4(m) + 8)
		return;
	put16(m, is_ipv6(m) ? l3(m) + 4 : l3(m) + 2, m->len - (is_ipv6(m) ? l3(m) + 40 : l3(m)));
	put16(m, l4(m) + 4, m->len - l4(m));
}

static void insert_a_tag(struct mutant *m)
{
	static const uint16_t tpids[] = {0x8100, 0x8100, 0x88a8, 0x88a8, 0x9100};

	if (m->len + 4 > FRAME_MAX)
		return;
	memmove(m->frame + 16, m->frame + 12, m->len - 12);
	m->len += 4;
	put16(m, 12, tpids[below(5)]);
	put16(m, 14, below(65536));
}

static void remove_a_tag(struct mutant *m)
{
	if (m->len < 18 || l3(m) == 14)
		return;
	memmove(m->frame + 12, m->frame + 16, m->len - 16);
	m->len -= 4;
}

static void change_the_type(struct mutant *m)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x05dc, 0x0008};

	put16(m, below(4) ? l3(m) - 2 : 12, types[below(7)]);
}

static void change_the_protocol(struct mutant *m)
{
	static const uint8_t protocols[] = {
		17, 6, 0, 43, 44, 50, 51, 59, 60, 135, 139, 140, 253, 254};
	const uint32_t at = l3(m) + (is_ipv6(m) ? 6 : 9);

	if (at < m->len)
		m->frame[at] = below(8) ? protocols[below(sizeof(protocols))] : below(256);
}

static void change_the_header_length(struct mutant *m)
{
	const uint32_t at = l3(m);

	if (at < m->len)
		m->frame[at] = below(8) ? (m->frame[at] & 0xf0) | below(16) : below(256);
}

static void change_the_fragment(struct mutant *m)
{
	if (!is_ipv6(m))
		put16(m, l3(m) + 6, below(2) ? 1u << below(16) : below(65536));
}

static void change_an_address(struct mutant *m)
{
	static const uint8_t v4[][4] = {{10, 0, 0, 1}, {10, 0, 0, 255}, {255, 255, 255, 255},
		{10, 0, 0, 3}, {192, 0, 2, 127}, {192, 0, 2, 128}, {203, 0, 113, 9},
		{203, 0, 114, 9}, {0, 0, 0, 0}, {224, 0, 0, 1}};
	static const uint8_t v6[][16] = {
		{0x20, 0x01, 0x0d, 0xb8, [15] = 1},
		{0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, [15] = 7},
		{0x20, 0x01, 0x0d, 0xb8, 0xde, 0xad, [15] = 7},
		{0x20, 0x01, 0x0d, 0xb8, 0xde, 0xad, 0, 1, [15] = 7},
		{[10] = 0xff, 0xff, 10, 0, 0, 1},
		{[10] = 0xff, 0xff, 203, 0, 113, 1},
		{[10] = 0xff, 0xfe, 10, 0, 0, 1},
		{[12] = 10, 0, 0, 1},
		{0xff, 0x02, [15] = 1},
		{0},
	};
	const uint32_t dest = below(2), i = below(10);
	const uint32_t at = l3(m) + (is_ipv6(m) ? 8 + 16 * dest : 12 + 4 * dest);
	const uint32_t size = is_ipv6(m) ? 16 : 4;

	if (at + size <= m->len)
		memcpy(m->frame + at, is_ipv6(m) ? v6[i] : v4[i], size);
}

static void change_the_port(struct mutant *m)
{
	static const uint16_t ports[] = {8080, 8086, 8090, 0, 8081, 0x901f, 65535};

	put16(m, l4(m) + 2, ports[below(7)]);
}

static void (*const mutations[])(struct mutant *) = {
	flip_bits,
	flip_a_header_bit,
	truncate,
	extend,
	change_a_length,
	mend_lengths,
	insert_a_tag,
	remove_a_tag,
	change_the_type,
	change_the_protocol,
	change_the_header_length,
	change_the_fragment,
	change_an_address,
	change_the_port,
};

static void make(struct mutant *m)
{
	const struct fixture *f;

	do
		f = &fixtures[below(fixture_count)];
	while (f->len > 1000 && below(16)); /* fewer of those that take long to copy */
	m->len = f->len;
	memcpy(m->frame, f->frame, f->len);
	for (uint32_t n = 1 + below(3); n; n--)
		mutations[below(sizeof(mutations) / sizeof(mutations[0]))](m);
	if (!below(3))
		mend_lengths(m);
}

static void refuse(
	const struct mutant *m, unsigned long i, const char *why, const char *a, const char *b)
{
	printf("# SEED=%llu, frame %lu, %u bytes: %s: %s, %s\n", (unsigned long long)seed, i,
		m->len, why, a, b);
	hexdump(m->frame, m->len);
	fail();
}

static void compare_with_reference(const struct mutant *m, const uint8_t *frame, unsigned long i)
{
	struct frame_info info = {}, reference;
	const enum frame_verdict a = frame_classify(frame, frame + m->len, m->len, &info);
	const enum frame_verdict b = reference_classify(frame, m->len, &reference);

	if (a != b)
		refuse(m, i, "packet.h and reference", verdict_name(a), verdict_name(b));
	if (a != FRAME_UDP)
		return;
	if (memcmp(&info.source, &reference.source, 16) ||
		memcmp(&info.dest, &reference.dest, 16) || info.l3 != reference.l3 ||
		info.l4 != reference.l4 || info.payload != reference.payload ||
		info.payload_len != reference.payload_len ||
		info.source_port != reference.source_port ||
		info.dest_port != reference.dest_port || info.version != reference.version ||
		info.tags != reference.tags)
		refuse(m, i, "packet.h and reference", "not the same", "fields");
	if ((uint32_t)info.payload + info.payload_len > m->len)
		refuse(m, i, "packet.h", "the payload ends", "behind the frame");
}

static void test_mutated_frames(void **state)
{
	const uint32_t ifindex = private_net();
	struct udpxdp_bpf *filter = probe_load(&world_config);
	struct socket_on *sock = filter ? socket_on_queue(filter, 0) : NULL;
	uint64_t count[FRAME_VERDICT_COUNT] = {}, bytes[FRAME_VERDICT_COUNT] = {};
	const bool queues = probe_takes_arrival();
	struct mutant m;

	(void)state;
	if (!queues)
		printf("# all on queue 0: a run cannot be told another (before Linux 5.14)\n");
	assert_non_null(sock);
	world_apply(filter);
	prng = seed;
	for (unsigned long i = 0; i < frames; i++) {
		const struct arrival arrival = {ifindex, (below(4) == 0) & queues};
		struct frame_info info = {};
		enum frame_verdict verdict;
		uint8_t *frame;

		make(&m);
		frame = exact_copy(m.frame, m.len);
		compare_with_reference(&m, frame, i);
		verdict = world_verdict(frame, m.len, arrival.queue == 0, &info);
		count[verdict]++;
		bytes[verdict] += m.len;
		if (probe_run(filter, &arrival, frame, m.len) != verdict_action(verdict))
			refuse(&m, i, "filter and user space", "another action than for",
				verdict_name(verdict));
		if (probe_verdict(filter, verdict).frames != count[verdict])
			refuse(&m, i, "filter and user space", "not counted as",
				verdict_name(verdict));
		free(frame);
	}
	for (enum frame_verdict v = 0; v < FRAME_VERDICT_COUNT; v++) {
		printf("# %-15s %8llu frames\n", verdict_name(v), (unsigned long long)count[v]);
		assert_int_equal(probe_verdict(filter, v).frames, count[v]);
		assert_int_equal(probe_verdict(filter, v).bytes, bytes[v]);
		/* A stream that does not try a rule proves nothing of it. */
		if (frames >= 100000 && (queues || v != FRAME_NO_SOCKET) && v < FRAME_ANSWERED)
			assert_true(count[v] >= 200);
	}
	socket_close(sock);
	udpxdp_bpf__destroy(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutated_frames),
	};

	need_root();
	if (getenv("SEED"))
		seed = strtoull(getenv("SEED"), NULL, 0);
	if (getenv("FRAMES"))
		frames = strtoul(getenv("FRAMES"), NULL, 0);
	printf("# SEED=%llu FRAMES=%lu\n", (unsigned long long)seed, frames);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
