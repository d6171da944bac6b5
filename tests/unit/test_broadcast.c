/* SPDX-License-Identifier: MIT */
/* Broadcast: announcements out, announcements in and their answers, replies in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "unit/fake_node.h"

#define STAMP "\u3010Mon Nov 23 02:00:00 2026\u3011"

static void announced(struct node *node, struct udpxdp_endpoint peer, const char *text)
{
	struct udpxdp_datagram d = node_datagram(node, peer, text, strlen(text));

	d.broadcast = true;
	node_receive(node, &d);
}

static struct udpxdp_host *ipv6_only(void)
{
	const struct udpxdp_host_addr addr = {
		.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = 1}}, .prefix_len = 64, .on_iface = true};

	return udpxdp_host_new(fake_mac, 1500, &addr, 1);
}

static void an_announcement_goes_to_everybody_with_ttl_1(void **state)
{
	static const uint8_t everybody_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct udpxdp_endpoint everybody = {
		.addr = udpxdp_addr_ipv4(255, 255, 255, 255), .port = 8086};
	struct udpxdp_addr own = udpxdp_addr_ipv4(10, 0, 0, 1);
	struct node node;

	memcpy(everybody.mac, everybody_mac, 6);
	node_start(&node, "broadcast", fake_net(NULL, 1500));
	assert_null(node_command(&node, (struct udpxdp_endpoint){0}, "hello, everybody"));
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, everybody, STAMP "hello, everybody");
	assert_int_equal(node.out.sent[0].path.ttl, 1);
	assert_int_equal(node.out.sent[0].path.tag_count, 0);
	assert_memory_equal(&node.out.sent[0].path.local.addr, &own, sizeof(own));

	assert_int_equal(node.out.printed.count, 1);
	expect_message(&node.out.printed, 0, UDPXDP_SENT, everybody, STAMP "hello, everybody");
	assert_true(node.out.printed.list[0].broadcast);
	assert_int_equal(node.out.notified.count, 0);
	assert_int_equal(node.out.recorded.count, 0);
	assert_int_equal(fake_drops(&node.out), 0);
	node_stop(&node);
}

static void announces_from_and_to_its_own_port(void **state)
{
	struct node node;

	node_start(&node, "broadcast:9999", fake_net(NULL, 1500));
	assert_null(node_command(&node, (struct udpxdp_endpoint){0}, ""));
	assert_int_equal(node.out.sent[0].path.local.port, 9999);
	assert_int_equal(node.out.sent[0].path.peer.port, 9999);
	assert_int_equal(node.out.sent[0].len, strlen(STAMP));
	node_stop(&node);
}

static void stamp_follows_the_second(void **state)
{
	struct node node;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	node_command(&node, (struct udpxdp_endpoint){0}, "a");
	node.now += SEC - 1;
	node_command(&node, (struct udpxdp_endpoint){0}, "b");
	node.now += 1;
	node_command(&node, (struct udpxdp_endpoint){0}, "c");
	assert_memory_equal(node.out.sent[1].payload, STAMP "b", strlen(STAMP "b"));
	assert_memory_equal(node.out.sent[2].payload, "\u3010Mon Nov 23 02:00:01 2026\u3011c",
		strlen(STAMP "c"));
	node_stop(&node);
}

static void answers_an_announcement(void **state)
{
	const struct udpxdp_endpoint peer = on_link(7, 8086);
	struct node node;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	announced(&node, peer, "anybody?\x1b[2J");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, peer, STAMP "node");
	assert_int_equal(node.out.sent[0].path.ttl, 0);
	assert_int_equal(node.out.printed.count, 1);
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, peer, "anybody?\x1b[2J");
	assert_true(node.out.printed.list[0].broadcast);
	expect_message(&node.out.notified, 0, UDPXDP_RECEIVED, peer, "anybody?\x1b[2J");
	assert_int_equal(node.out.recorded.count, 0);
	fake_ctx_forget(&node.out);

	announced(&node, on_link(8, 4711), "");
	expect_answer(&node, on_link(8, 4711), STAMP "node");
	node_stop(&node);
}

static void answer_keeps_the_tags(void **state)
{
	struct node node;
	struct udpxdp_datagram d;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	d = node_datagram(&node, on_link(7, 8086), "x", 1);
	d.broadcast = true;
	d.path.tag_count = 1;
	d.path.tags[0] = (struct udpxdp_vlan_tag){.tpid = 0x8100, .tci = 100};
	node_receive(&node, &d);
	assert_memory_equal(&node.out.sent[0].path, &d.path, sizeof(d.path));
	node_stop(&node);
}

static void answer_off_hears_and_keeps_silent(void **state)
{
	struct node node;

	node_start(&node, "broadcast,answer=off", fake_net(NULL, 1500));
	announced(&node, on_link(7, 8086), "anybody?");
	assert_int_equal(node.out.sent_count, 0);
	assert_int_equal(fake_drops(&node.out), 0);
	assert_int_equal(node.out.printed.count, 1);
	assert_int_equal(node.out.notified.count, 1);
	node_stop(&node);
}

static void nobody_off_the_subnet_is_answered(void **state)
{
	struct node node;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	announced(&node, off_link(7, 8086), "anybody?");
	assert_int_equal(node.out.printed.count, 1);
	assert_int_equal(node.out.notified.count, 1);
	expect_refused(&node, UDPXDP_DROP_off_subnet);
	node_stop(&node);
}

static void a_reply_is_not_answered(void **state)
{
	struct node node;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	node_hear(&node, on_link(7, 8086), STAMP "other");
	node_hear(&node, off_link(7, 8086), "no stamp");
	node_hear(&node, on_link(7, 8080), "");
	assert_int_equal(node.out.sent_count, 0);
	assert_int_equal(fake_drops(&node.out), 0);
	assert_int_equal(node.out.printed.count, 3);
	assert_int_equal(node.out.notified.count, 3);
	assert_false(node.out.notified.list[0].broadcast);
	expect_message(&node.out.notified, 0, UDPXDP_RECEIVED, on_link(7, 8086), STAMP "other");
	node_stop(&node);
}

static void without_an_ipv4_address_it_neither_announces_nor_answers(void **state)
{
	struct node node;

	node_start(&node, "broadcast", ipv6_only());
	assert_string_equal(node_command(&node, (struct udpxdp_endpoint){0}, "hello"),
		"the interface has no IPv4 address to announce from; add one with ip address");
	expect_refused(&node, UDPXDP_DROP_no_address);
	announced(&node, on_link(7, 8086), "anybody?");
	expect_refused(&node, UDPXDP_DROP_no_address);
	node_stop(&node);
}

static void what_does_not_fit_the_mtu_is_refused(void **state)
{
	static char text[UDPXDP_PAYLOAD_MAX + 1];
	size_t most = 1500 - 28 - strlen(STAMP);
	struct node node;

	memset(text, 'a', sizeof(text) - 1);
	node_start(&node, "broadcast", fake_net(NULL, 1500));
	text[most] = '\0';
	assert_null(node_command(&node, (struct udpxdp_endpoint){0}, text));
	assert_int_equal(node.out.sent[0].len, 1472);
	fake_ctx_forget(&node.out);
	text[most] = 'a';
	text[most + 1] = '\0';
	assert_non_null(node_command(&node, (struct udpxdp_endpoint){0}, text));
	expect_refused(&node, UDPXDP_DROP_reply_too_big);
	text[most + 1] = 'a';
	assert_non_null(node_command(&node, (struct udpxdp_endpoint){0}, text));
	assert_int_equal(node.out.printed.count, 0);
	expect_refused(&node, UDPXDP_DROP_reply_too_big);

	announced(&node, on_link(7, 8086), text);
	assert_int_equal(node.out.printed.list[0].len, UDPXDP_PAYLOAD_MAX);
	expect_answer(&node, on_link(7, 8086), STAMP "node");
	node_stop(&node);
}

static void without_a_frame_it_is_refused_and_counted(void **state)
{
	struct node node;

	node_start(&node, "broadcast", fake_net(NULL, 1500));
	node.out.no_frame = true;
	assert_non_null(node_command(&node, (struct udpxdp_endpoint){0}, "hello"));
	expect_refused(&node, UDPXDP_DROP_no_tx_frame);
	node_stop(&node);
}

/* Three nodes on one segment: an announcement makes one answer a node, and then it is quiet. */
static void three_nodes_answer_once_and_are_quiet(void **state)
{
	enum { NODES = 3 };
	struct node nodes[NODES];
	struct udpxdp_endpoint at[NODES];
	unsigned answers = 0;

	for (uint8_t i = 0; i < NODES; i++) {
		at[i] = on_link(i + 1, 8086);
		node_start(&nodes[i], "broadcast", fake_net(&at[i].addr, 1500));
	}
	node_command(&nodes[0], (struct udpxdp_endpoint){0}, "who is there?");
	fake_ctx_forget(&nodes[0].out);
	for (int i = 1; i < NODES; i++)
		announced(&nodes[i], at[0], STAMP "who is there?");
	for (int i = 1; i < NODES; i++) {
		const struct sent *sent = &nodes[i].out.sent[0];

		assert_int_equal(nodes[i].out.sent_count, 1);
		assert_memory_equal(&sent->path.peer.addr, &at[0].addr, sizeof(struct udpxdp_addr));
		node_hear_bytes(&nodes[0], at[i], sent->payload, sent->len);
		answers++;
	}
	assert_int_equal(answers, NODES - 1);
	assert_int_equal(nodes[0].out.sent_count, 0);
	assert_int_equal(nodes[0].out.notified.count, NODES - 1);
	for (int i = 0; i < NODES; i++)
		node_stop(&nodes[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_announcement_goes_to_everybody_with_ttl_1),
		cmocka_unit_test(announces_from_and_to_its_own_port),
		cmocka_unit_test(stamp_follows_the_second),
		cmocka_unit_test(answers_an_announcement),
		cmocka_unit_test(answer_keeps_the_tags),
		cmocka_unit_test(answer_off_hears_and_keeps_silent),
		cmocka_unit_test(nobody_off_the_subnet_is_answered),
		cmocka_unit_test(a_reply_is_not_answered),
		cmocka_unit_test(without_an_ipv4_address_it_neither_announces_nor_answers),
		cmocka_unit_test(what_does_not_fit_the_mtu_is_refused),
		cmocka_unit_test(without_a_frame_it_is_refused_and_counted),
		cmocka_unit_test(three_nodes_answer_once_and_are_quiet),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("broadcast", tests, NULL, NULL);
}
