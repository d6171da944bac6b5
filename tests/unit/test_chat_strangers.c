/* SPDX-License-Identifier: MIT */
/* Chat: what members may cost, by which road they are reached, and what a forger can do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_node.h"

#define FREELY ",rate=0,bytes=0,room-rate=0,room-bytes=0"

static struct node room(const char *spec)
{
	struct node node;

	node_start(&node, spec, fake_net(NULL, 1500));
	node_hear(&node, on_link(2, 4001), "");
	node_hear(&node, on_link(3, 4002), "");
	return node;
}

/* How many of so many messages, said at once, the other member hears. */
static unsigned heard(
	struct node *node, struct udpxdp_endpoint speaker, unsigned count, const char *text)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < count; i++) {
		node_hear(node, speaker, text);
		for (size_t n = 0; n < node->out.sent_count; n++)
			sent += node->out.sent[n].path.peer.port == 4002;
		fake_ctx_forget(&node->out);
	}
	return sent;
}

static void a_member_has_a_budget_of_messages(void **state)
{
	struct node node = room("chat");

	assert_int_equal(heard(&node, on_link(2, 4001), 500, "quick"), 500);
	assert_int_equal(heard(&node, on_link(2, 4001), 10000, "quick"), 500);
	node_hear(&node, on_link(2, 4001), "more");
	assert_int_equal(node.out.drops[UDPXDP_DROP_over_budget], 1);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	fake_ctx_forget(&node.out);
	assert_int_equal(heard(&node, on_link(4, 4003), 10, "another"), 10);
	for (int second = 0; second < 20; second++) {
		node.now += SEC;
		assert_int_equal(heard(&node, on_link(2, 4001), 1000, "slowly"), 100);
	}
	/* Commands cost the same: each is answered. */
	for (unsigned i = 0; i < 100; i++)
		node_hear(&node, on_link(2, 4001), "/who");
	assert_int_equal(node.out.drops[UDPXDP_DROP_over_budget], 100);
	assert_true(node.out.sent_count <= 8);
	node_stop(&node);
}

static void a_member_has_a_budget_of_bytes(void **state)
{
	struct node node = room("chat,bytes=1000");
	char text[1001];

	memset(text, 'a', 1000);
	text[1000] = '\0';
	assert_int_equal(heard(&node, on_link(2, 4001), 100, text), 10);
	node.now += SEC;
	assert_int_equal(heard(&node, on_link(2, 4001), 100, text), 1);
	node_stop(&node);
}

static void a_room_has_budgets(void **state)
{
	struct node node = room("chat,room-rate=10"), bytes = room("chat,room-bytes=100");

	assert_int_equal(heard(&node, on_link(2, 4001), 60, "a"), 60);
	assert_int_equal(heard(&node, on_link(4, 4001), 60, "a"), 40);
	assert_int_equal(heard(&bytes, on_link(2, 4001), 60, "0123456789"), 60);
	assert_int_equal(heard(&bytes, on_link(4, 4001), 60, "0123456789"), 40);
	node_stop(&node);
	node_stop(&bytes);
}

static void a_history_has_a_budget(void **state)
{
	struct node node = room("chat,history-bytes=10" FREELY);

	for (unsigned i = 0; i < 50; i++)
		node_hear(&node, on_link(2, 4001), "0123456789");
	assert_int_equal(node.out.recorded.count, 10);
	assert_int_equal(node.out.drops[UDPXDP_DROP_history_lost], 40);
	assert_int_equal(node.out.sent_count, 50);
	node_stop(&node);
}

/* Two members that answer whatever they hear: the budgets are the end of it. */
static void members_that_answer_by_themselves_are_slowed_down(void **state)
{
	struct node node = room("chat");
	unsigned said = 1;

	node_hear(&node, on_link(2, 4001), "hello");
	for (unsigned i = 0; i < 100000 && node.out.sent_count; i++, said++) {
		struct udpxdp_endpoint hearer = node.out.sent[0].path.peer;

		fake_ctx_forget(&node.out);
		node_hear(&node, hearer, "hello");
		if (node.out.drops[UDPXDP_DROP_over_budget])
			break;
	}
	assert_true(said <= 2001);
	node_stop(&node);
}

/* A slice at a time, each line whole and in order, though members come and go meanwhile. */
static void a_large_room_is_served_in_slices(void **state)
{
	enum { MEMBERS = 1000 };
	static unsigned lines[MEMBERS];
	struct node node = room("chat,members=2000" FREELY);
	struct udpxdp_datagram d;
	size_t slices = 0, most = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		node_hear(&node, on_link(4, (uint16_t)(10000 + i)), "");
	fake_ctx_forget(&node.out);
	for (int line = 0; line < 3; line++) {
		char text[8];

		sprintf(text, "line %d", line);
		d = node_datagram(&node, on_link(2, 4001), text, strlen(text));
		node.config->service->receive(node.state, &node.out, &d);
	}
	assert_true(node.out.sent_count <= 128);
	while (node.out.resume) {
		size_t before = node.out.sent_count;

		node.out.resume = false;
		node.config->service->resume(node.state, &node.out);
		if (node.out.sent_count - before > most)
			most = node.out.sent_count - before;
		if (++slices == 2) {
			node_hear(&node, on_link(2, 4001), ""); /* nothing changes by that */
			d = node_datagram(&node, on_link(4, 10000), "/quit", 5);
			node.config->service->receive(node.state, &node.out, &d);
			d = node_datagram(&node, on_link(9, 4009), "", 0);
			node.config->service->receive(node.state, &node.out, &d);
		}
	}
	assert_true(most <= 128);
	for (size_t i = 0; i < node.out.sent_count; i++) {
		const struct sent *sent = &node.out.sent[i];
		unsigned n = sent->path.peer.port - 10000u;

		assert_int_not_equal(sent->path.peer.port, 4009);
		if (n >= MEMBERS || sent->payload[0] == '*')
			continue;
		assert_int_equal(sent->payload[sent->len - 1], '0' + lines[n]);
		lines[n]++;
	}
	for (unsigned n = 1; n < MEMBERS; n++)
		assert_int_equal(lines[n], 3);
	node_stop(&node);
}

static void a_line_that_finds_no_place_is_refused(void **state)
{
	struct node node = room("chat,members=2000" FREELY);
	static char text[1001];
	unsigned said = 0;

	memset(text, 'a', 1000);
	for (unsigned i = 0; i < 1000; i++)
		node_hear(&node, on_link(4, (uint16_t)(10000 + i)), "");
	fake_ctx_forget(&node.out);
	while (!node.out.drops[UDPXDP_DROP_over_budget]) {
		struct udpxdp_datagram d = node_datagram(&node, on_link(2, 4001), text, 1000);

		node.config->service->receive(node.state, &node.out, &d);
		assert_true(++said < 1000);
	}
	assert_int_equal(node.out.recorded.count, said - 1);
	fake_ctx_forget(&node.out);
	node_resume(&node);
	assert_true(node.out.sent_count > (said - 2) * 1001);
	node_stop(&node);
}

/* ---- roads ---- */

static struct udpxdp_datagram by_other_mac(
	struct node *node, struct udpxdp_endpoint peer, const char *text)
{
	peer.mac[0] = 6;

	struct udpxdp_datagram d = node_datagram(node, peer, text, strlen(text));

	d.path.proven = false; /* it is not the MAC that the kernel knows */
	return d;
}

static void a_forger_moves_no_member_and_speaks_for_none(void **state)
{
	static const char *const texts[] = {"hello", "/quit", "/nick eve", "/who", ""};
	const struct udpxdp_endpoint ann = on_link(2, 4001), bob = on_link(3, 4002);
	struct node node = room("chat");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++, node.now += SEC) {
		struct udpxdp_datagram d = by_other_mac(&node, ann, texts[i]);

		node_receive(&node, &d);
		assert_int_equal(node.out.drops[UDPXDP_DROP_other_road], 1);
		assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
		expect_answer(&node, ann, "* to join, send: ");
		node_hear(&node, bob, "still there?");
		assert_int_equal(node.out.sent_count, 1);
		expect_sent(&node, 0, ann, "10.0.0.3:4002: still there?");
		fake_ctx_forget(&node.out);
	}
	node_stop(&node);
}

/* Where the kernel knows whose address it is, the token goes there, and not to the forger. */
static void a_token_goes_where_the_kernel_knows_the_address(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001);
	struct node node = room("chat");
	struct udpxdp_datagram d = by_other_mac(&node, ann, "/quit");
	char token[64];

	node.out.moved = &ann.addr;
	memcpy(node.out.moved_mac, ann.mac, 6);
	node_receive(&node, &d);
	assert_memory_equal(node.out.sent[0].path.peer.mac, ann.mac, 6);

	/* Who hears it there may speak by either, as a bond does. */
	snprintf(token, sizeof(token), "%.8s", node.out.sent[0].payload + 17);
	fake_ctx_forget(&node.out);
	d = by_other_mac(&node, ann, token);
	node_receive(&node, &d);
	expect_answer(&node, ann, "* welcome: 2 here");
	for (int i = 0; i < 3; i++) {
		d = by_other_mac(&node, ann, "by the other slave");
		node_receive(&node, &d);
		assert_int_equal(fake_drops(&node.out), 0);
		assert_int_equal(node.out.sent_count, 1);
		fake_ctx_forget(&node.out);
		node_hear(&node, on_link(3, 4002), "by which?");
		assert_memory_equal(node.out.sent[0].path.peer.mac, ann.mac, 6);
		fake_ctx_forget(&node.out);
	}
	node_stop(&node);
}

/* A long message that the kernel had to put together shows no MAC: it is heard, but neither obeyed
 * nor followed. */
static void a_fragmented_message_is_heard_and_no_more(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), bob = on_link(3, 4002);
	struct node node = room("chat");
	struct udpxdp_datagram d = by_other_mac(&node, ann, "a long message");

	d.path.ingress = 1;
	node_receive(&node, &d);
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, bob, "10.0.0.2:4001: a long message");
	assert_int_equal(fake_drops(&node.out), 0);
	fake_ctx_forget(&node.out);
	node_hear(&node, bob, "heard");
	assert_memory_equal(node.out.sent[0].path.peer.mac, ann.mac, 6);
	assert_int_equal(node.out.sent[0].path.ingress, 0);
	fake_ctx_forget(&node.out);
	d = by_other_mac(&node, ann, "/quit");
	d.path.ingress = 1;
	node_receive(&node, &d);
	assert_int_equal(node.out.drops[UDPXDP_DROP_other_road], 1);
	fake_ctx_forget(&node.out);
	node_hear(&node, bob, "still there?");
	assert_int_equal(node.out.sent_count, 1);
	fake_ctx_forget(&node.out);
	d = by_other_mac(&node, on_link(4, 4004), "and a stranger");
	d.path.ingress = 1;
	node_receive(&node, &d);
	assert_int_equal(node.out.drops[UDPXDP_DROP_unconfirmed], 1);
	node_stop(&node);
}

static void a_tag_makes_another_member(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), bob = on_link(3, 4002);
	struct node node = room("chat");
	struct udpxdp_datagram d = node_datagram(&node, ann, "/quit", 5);

	d.path.tag_count = 1;
	d.path.tags[0] = (struct udpxdp_vlan_tag){.tpid = 0x8100, .tci = 66};
	d.path.proven = false;
	node_receive(&node, &d);
	assert_int_equal(node.out.drops[UDPXDP_DROP_unconfirmed], 1);
	fake_ctx_forget(&node.out);
	node_hear(&node, bob, "still there?");
	assert_int_equal(node.out.sent_count, 1);
	assert_int_equal(node.out.sent[0].path.tag_count, 0);
	fake_ctx_forget(&node.out);
	d.path.tags[0].tci = 0xe000; /* a priority, and no VLAN */
	d.path.proven = true;
	node_receive(&node, &d);
	expect_answer(&node, ann, "* bye");
	node_stop(&node);
}

static void a_token_takes_another_road(void **state)
{
	struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat");
	char token[64];
	struct udpxdp_datagram d;

	node_hear(&node, far, "hello");
	snprintf(token, sizeof(token), "%.8s", node.out.sent[0].payload + 17);
	fake_ctx_forget(&node.out);
	node_hear(&node, far, token);
	expect_answer(&node, far, "* welcome: 3 here");
	d = by_other_mac(&node, far, token); /* the token of joining is not one of roads */
	node_receive(&node, &d);
	snprintf(token, sizeof(token), "%.8s", node.out.sent[0].payload + 17);
	assert_memory_equal(node.out.sent[0].path.peer.mac, d.path.peer.mac, 6);
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(2, 4001), "by which?");
	assert_memory_equal(node.out.sent[1].path.peer.mac, far.mac, 6);
	fake_ctx_forget(&node.out);
	d = by_other_mac(&node, far, token);
	node_receive(&node, &d);
	assert_int_equal(node.out.sent_count, 1);
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(2, 4001), "by which?");
	assert_memory_equal(node.out.sent[1].path.peer.mac, d.path.peer.mac, 6);
	fake_ctx_forget(&node.out);
	/* Both routers are good now. */
	node_hear(&node, far, "hello by the first");
	assert_int_equal(node.out.sent_count, 2);
	assert_int_equal(fake_drops(&node.out), 0);
	node_stop(&node);
}

static void a_member_is_followed_and_our_own_address_too(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), bob = on_link(3, 4002);
	struct node node = room("chat");
	const struct udpxdp_addr new = udpxdp_addr_ipv4(10, 0, 0, 9);
	const struct udpxdp_addr far = udpxdp_addr_ipv4(10, 9, 9, 9);
	struct udpxdp_host *before = node.out.net;

	node.out.moved = &ann.addr;
	memcpy(node.out.moved_mac, "\2\0\0\0\7\7", 6);
	node.config->service->tick(node.state, &node.out, node.now);
	node_hear(&node, bob, "hello");
	assert_memory_equal(node.out.sent[0].path.peer.mac, "\2\0\0\0\7\7", 6);
	fake_ctx_forget(&node.out);

	node.out.net = fake_net(&new, 1500);
	node.config->service->tick(node.state, &node.out, node.now);
	node_hear(&node, bob, "hello");
	assert_memory_equal(&node.out.sent[0].path.local.addr, &new, sizeof(new));
	fake_ctx_forget(&node.out);
	free(node.out.net);

	node.out.net = fake_net(&far, 1500);
	node.config->service->tick(node.state, &node.out, node.now);
	assert_int_equal(node.out.sent_count, 0);
	free(node.out.net);
	node.out.net = before;
	node_hear(&node, bob, "all are gone");
	assert_int_equal(node.out.sent_count, 0);
	node_stop(&node);
}

/* The other clock jumps; members do not care. */
static void a_clock_that_jumps_expels_nobody(void **state)
{
	struct node node = room("chat,idle=10");
	struct udpxdp_datagram d = node_datagram(&node, on_link(2, 4001), "ten minutes on", 14);

	d.time_ns += 600 * SEC;
	node_receive(&node, &d);
	assert_int_equal(node.out.sent_count, 1);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_member_has_a_budget_of_messages),
		cmocka_unit_test(a_member_has_a_budget_of_bytes),
		cmocka_unit_test(a_room_has_budgets),
		cmocka_unit_test(a_history_has_a_budget),
		cmocka_unit_test(members_that_answer_by_themselves_are_slowed_down),
		cmocka_unit_test(a_large_room_is_served_in_slices),
		cmocka_unit_test(a_line_that_finds_no_place_is_refused),
		cmocka_unit_test(a_forger_moves_no_member_and_speaks_for_none),
		cmocka_unit_test(a_token_goes_where_the_kernel_knows_the_address),
		cmocka_unit_test(a_fragmented_message_is_heard_and_no_more),
		cmocka_unit_test(a_tag_makes_another_member),
		cmocka_unit_test(a_token_takes_another_road),
		cmocka_unit_test(a_member_is_followed_and_our_own_address_too),
		cmocka_unit_test(a_clock_that_jumps_expels_nobody),
	};

	return cmocka_run_group_tests_name("chat_strangers", tests, NULL, NULL);
}
