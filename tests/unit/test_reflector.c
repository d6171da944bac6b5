/* SPDX-License-Identifier: MIT */
/*
 * Stamp: what replays cannot show, the sessions of a stateful reflector over time; and what bench
 * --stamp makes of numbers and times that no path here brings.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cmd/bench/stamp.h"
#include "unit/fake_node.h"

#define SESSIONS_FULL (UDPXDP_DROP_OWN + 1)

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The number of the only answer. */
static uint32_t answered(struct node *node)
{
	uint32_t number;

	assert_int_equal(node->out.sent_count, 1);
	number = get32(node->out.sent[0].payload);
	fake_ctx_forget(&node->out);
	return number;
}

static void ask(struct node *node, uint16_t port)
{
	static const uint8_t request[44] = {0, 0, 0, 99};

	node_hear_bytes(node, on_link(2, port), request, sizeof(request));
}

static void a_session_that_is_silent_makes_room(void **state)
{
	struct node node;

	node_start(&node, "stamp,stateful=on,sessions=8", fake_net(NULL, 1500));
	for (uint16_t port = 5000; port < 5008; port++) {
		ask(&node, port);
		assert_int_equal(answered(&node), 0);
		node.now += SEC;
	}
	ask(&node, 6000);
	expect_refused(&node, SESSIONS_FULL);
	node.now += 50 * SEC; /* 58 since the first was heard */
	ask(&node, 6000);
	expect_refused(&node, SESSIONS_FULL);
	ask(&node, 5000);
	assert_int_equal(answered(&node), 1);
	node.now += 3 * SEC + 1; /* over 60 since the second */
	ask(&node, 6000);
	assert_int_equal(answered(&node), 0);
	ask(&node, 5000);
	assert_int_equal(answered(&node), 2);
	ask(&node, 5001);
	expect_refused(&node, SESSIONS_FULL);
	node_stop(&node);
}

static void a_clock_set_back_ends_no_session(void **state)
{
	struct node node;

	node_start(&node, "stamp,stateful=on,sessions=8", fake_net(NULL, 1500));
	for (uint16_t port = 5000; port < 5008; port++) {
		ask(&node, port);
		answered(&node);
	}
	node.now -= 3600 * SEC;
	ask(&node, 6000);
	expect_refused(&node, SESSIONS_FULL);
	ask(&node, 5003);
	assert_int_equal(answered(&node), 1);
	node_stop(&node);
}

static void what_is_not_sent_has_no_number(void **state)
{
	static const uint8_t longer[1473];
	struct node node;

	node_start(&node, "stamp,stateful=on", fake_net(NULL, 1500));
	ask(&node, 5000);
	assert_int_equal(answered(&node), 0);
	node.out.no_frame = true;
	ask(&node, 5000);
	expect_refused(&node, UDPXDP_DROP_no_tx_frame);
	node.out.no_frame = false;
	node_hear_bytes(&node, on_link(2, 5000), longer, sizeof(longer));
	expect_refused(&node, UDPXDP_DROP_reply_too_big);
	ask(&node, 5000);
	assert_int_equal(answered(&node), 1);
	node_stop(&node);
}

static void both_times_are_the_datagrams(void **state)
{
	static const uint8_t request[44];
	struct udpxdp_datagram d;
	struct node node;
	const uint8_t *answer;

	node_start(&node, "stamp", fake_net(NULL, 1500));
	d = node_datagram(&node, on_link(2, 5000), request, sizeof(request));
	d.ttl = 77;
	d.tos = 0xb9;
	d.time_ns = 999999999; /* before 1970 is over a second old */
	d.taken_ns = (4294967296 - 2208988800) * SEC + 500000000; /* era 1 of NTP, in 2036 */
	node_receive(&node, &d);
	answer = node.out.sent[0].payload;
	assert_int_equal(get32(answer + 16), 2208988800);
	assert_int_equal(get32(answer + 20), 0xfffffffb); /* (2^32 * 999999999) / 10^9 */
	assert_int_equal(get32(answer + 4), 0);
	assert_int_equal(get32(answer + 8), 0x80000000);
	assert_int_equal(answer[40], 77);
	assert_int_equal(node.out.sent[0].path.ttl, 255);
	assert_int_equal(node.out.sent[0].path.tos, 0xb8);
	node_stop(&node);
}

/* How many datagrams it answers before it refuses one for this reason, up to 1000; what is sent
 * next is the answer, or the request again. */
static unsigned until_refused(struct node *node, enum udpxdp_drop reason, bool reflect)
{
	uint8_t next[100] = "OPTIONS sip:nobody SIP/2.0, which is longer than a test packet";
	unsigned answers = 0;

	for (; answers < 1000; answers++) {
		node_hear_bytes(node, on_link(2, 5060), next, 62);
		if (!node->out.sent_count)
			break;
		if (reflect)
			memcpy(next, node->out.sent[0].payload, 62);
		fake_ctx_forget(&node->out);
		node->now += 40000;
	}
	if (answers < 1000)
		expect_refused(node, reason);
	return answers;
}

static void loops_end(void **state)
{
	struct node node;

	node_start(&node, "stamp", fake_net(NULL, 1500));
	assert_int_equal(until_refused(&node, UDPXDP_DROP_repeated, false), 255);
	assert_int_equal(until_refused(&node, UDPXDP_DROP_loop, true), 1);
	node_hear(&node, on_link(2, 5060), "【Mon Nov 23 02:00:00 2026】 an echo's");
	expect_refused(&node, UDPXDP_DROP_loop);
	node_stop(&node);
	node_start(&node, "stamp,loops=allow", fake_net(NULL, 1500));
	assert_int_equal(until_refused(&node, UDPXDP_DROP_repeated, false), 1000);
	assert_int_equal(until_refused(&node, UDPXDP_DROP_loop, true), 1000);
	node_stop(&node);
}

/* ---- its sender ------------------------------------------------------------------------ */

#define AT (1795399200 * SEC)

static struct stamp_session session;
static uint64_t now;

static void send_packet(uint8_t packet[44])
{
	stamp_compose(&session, now, true, packet);
	stamp_sent(&session, now);
}

static void put32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* What a reflector answers, with this number, when its clock says seconds later than ours. */
static void answer(const uint8_t request[44], uint32_t number, int seconds, uint16_t error)
{
	uint8_t a[44] = {};

	memcpy(a + 4, request + 4, 12);
	memcpy(a + 24, request, 14);
	memcpy(a + 16, request + 4, 8);
	put32(a, number);
	put32(a + 4, get32(request + 4) + (uint32_t)seconds);
	put32(a + 16, get32(request + 4) + (uint32_t)seconds);
	a[12] = error >> 8;
	a[13] = (uint8_t)error;
	stamp_answer(&session, a, sizeof(a), now);
}

static void open_session(void)
{
	now = AT + 123456789;
	assert_int_equal(stamp_open(&session, 44, 1, 0x12345678), 0);
}

static void a_reflector_may_have_counted_before(void **state)
{
	uint8_t packets[4][44];

	open_session();
	for (int i = 0; i < 4; i++)
		send_packet(packets[i]);
	answer(packets[0], 1000, 0, 0x8001);
	answer(packets[2], 1002, 0, 0x8001); /* the answer 1001 was lost */
	answer(packets[3], 1003, 0, 0x8001);
	assert_true(session.stateful && session.synchronized);
	assert_int_equal(stamp_losses(&session).back, 1);
	assert_int_equal(stamp_losses(&session).there, 0);
	stamp_close(&session);
}

static void what_is_behind_the_last_answer_is_on_either_way(void **state)
{
	uint8_t packets[6][44];

	open_session();
	for (int i = 0; i < 6; i++)
		send_packet(packets[i]);
	answer(packets[0], 0, 0, 1);
	answer(packets[3], 1, 0, 1);
	assert_int_equal(stamp_losses(&session).there, 2);
	assert_int_equal(stamp_losses(&session).back, 0);
	assert_int_equal(stamp_losses(&session).either, 2);
	assert_true(stamp_waits(&session, now));
	assert_false(stamp_waits(&session, now + 1));
	stamp_close(&session);
}

static void answers_of_others_are_wrong(void **state)
{
	uint8_t packet[44], other[44];

	open_session();
	send_packet(packet);
	memcpy(other, packet, sizeof(other));
	other[15] ^= 1; /* the session's identifier */
	answer(other, 0, 0, 1);
	memcpy(other, packet, sizeof(other));
	other[11] ^= 1; /* the time */
	answer(other, 0, 0, 1);
	memcpy(other, packet, sizeof(other));
	other[3]++; /* a packet that was not sent */
	answer(other, 0, 0, 1);
	stamp_answer(&session, packet, 43, now);
	assert_int_equal(session.wrong, 4);
	assert_int_equal(session.received, 0);
	answer(packet, 0, 0, 1);
	assert_int_equal(session.received, 1);
	stamp_close(&session);
}

static void clocks_that_differ_make_negative_delays(void **state)
{
	uint8_t packet[44];

	open_session();
	for (int i = 0; i < 10; i++) {
		send_packet(packet);
		now += 1000;
		answer(packet, (uint32_t)i, -7, 1);
	}
	assert_int_equal(session.there.negative.count, 10);
	assert_int_equal(session.back.negative.count, 0);
	assert_in_range(-stamp_min(&session.there), 7 * SEC - 10, 7 * SEC + 10);
	assert_in_range(-stamp_percentile(&session.there, 50), 69 * SEC / 10, 71 * SEC / 10);
	assert_in_range(stamp_max(&session.back), 7 * SEC + 990, 7 * SEC + 1010);
	assert_in_range(session.round_trip.max, 999, 1001);
	assert_false(session.synchronized);
	stamp_close(&session);
}

static void percentiles_go_from_the_lowest_up(void **state)
{
	struct stamp_delays delays = {};

	for (uint64_t ns = 1; ns <= 50; ns++) {
		histogram_add(&delays.negative, ns);
		histogram_add(&delays.positive, ns);
	}
	assert_int_equal(stamp_min(&delays), -50);
	assert_int_equal(stamp_percentile(&delays, 1), -50);
	assert_int_equal(stamp_percentile(&delays, 50), -1);
	assert_int_equal(stamp_percentile(&delays, 51), 1);
	assert_int_equal(stamp_percentile(&delays, 99), 49);
	assert_int_equal(stamp_max(&delays), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_that_is_silent_makes_room),
		cmocka_unit_test(a_clock_set_back_ends_no_session),
		cmocka_unit_test(what_is_not_sent_has_no_number),
		cmocka_unit_test(both_times_are_the_datagrams),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(a_reflector_may_have_counted_before),
		cmocka_unit_test(what_is_behind_the_last_answer_is_on_either_way),
		cmocka_unit_test(answers_of_others_are_wrong),
		cmocka_unit_test(clocks_that_differ_make_negative_delays),
		cmocka_unit_test(percentiles_go_from_the_lowest_up),
	};

	return cmocka_run_group_tests_name("reflector", tests, NULL, NULL);
}
