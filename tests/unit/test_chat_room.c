/* SPDX-License-Identifier: MIT */
/* The chat room's other hosts: what is told to them, what is made of what comes from them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_node.h"

static struct node room_of(unsigned members)
{
	struct node node;

	node_start(&node, "chat", fake_net(NULL, 1500));
	for (unsigned i = 0; i < members; i++)
		node_hear(&node, on_link((uint8_t)(2 + i), 4000), "");
	fake_ctx_forget(&node.out);
	return node;
}

static void come(struct node *node, const struct udpxdp_room_event *event)
{
	node->config->service->room(node->state, &node->out, event);
}

static void come_of(struct node *node, enum udpxdp_room_kind kind, const char *name,
	const char *host, const char *text)
{
	const struct udpxdp_room_event event = node_room_event(kind, name, host, text);

	come(node, &event);
}

static void host_comes(struct node *node, const char *host, uint32_t count, const char *names)
{
	struct udpxdp_room_event event = node_room_event(UDPXDP_ROOM_HOST, "", host, names);

	event.count = count;
	come(node, &event);
}

static void expect_published(const struct node *node, size_t n, enum udpxdp_room_kind kind,
	const char *name, const char *text)
{
	const struct udpxdp_room_event *event = &node->out.published[n];

	assert_true(n < node->out.published_count);
	assert_int_equal(event->kind, kind);
	assert_int_equal(event->name_len, strlen(name));
	assert_memory_equal(event->name, name, event->name_len);
	assert_int_equal(event->len, strlen(text));
	assert_memory_equal(event->text, text, event->len);
}

/* ---- out --------------------------------------------------------------------------------- */

static void what_members_do_is_told(void **state)
{
	struct node node = room_of(0);
	const struct udpxdp_endpoint ann = on_link(2, 4000);

	node_hear(&node, ann, "hello");
	node_hear(&node, ann, "/nick ann");
	node_hear(&node, ann, "/who");
	node_hear(&node, ann, "again");
	node_hear(&node, ann, "/quit");
	expect_published(&node, 0, UDPXDP_ROOM_JOIN, "10.0.0.2:4000", "");
	expect_published(&node, 1, UDPXDP_ROOM_SAY, "10.0.0.2:4000", "hello");
	expect_published(&node, 2, UDPXDP_ROOM_NICK, "10.0.0.2:4000", "ann");
	expect_published(&node, 3, UDPXDP_ROOM_SAY, "ann", "again");
	expect_published(&node, 4, UDPXDP_ROOM_LEAVE, "ann", "");
	assert_int_equal(node.out.published_count, 5);
	assert_memory_equal(&node.out.published[1].addr, &ann.addr, sizeof(ann.addr));
	assert_int_equal(node.out.published[1].port, ann.port);
	assert_int_equal(node.out.published[1].time_ns, T0);
	node_stop(&node);
}

static void who_is_silent_too_long_has_left(void **state)
{
	struct node node = room_of(2);

	node.out.steady_ns = T0 + 301 * SEC;
	node.config->service->tick(node.state, &node.out, node.out.steady_ns);
	expect_published(&node, 0, UDPXDP_ROOM_LEAVE, "10.0.0.2:4000", "");
	expect_published(&node, 1, UDPXDP_ROOM_LEAVE, "10.0.0.3:4000", "");
	node_stop(&node);
}

static void what_another_room_relayed_is_not_told(void **state)
{
	struct node node = room_of(1);

	node_hear(&node, on_link(9, 8090), "");
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(9, 8090), "zoe: hi");
	assert_int_equal(node.out.sent_count, 1);
	assert_int_equal(node.out.published_count, 0);
	node_stop(&node);
}

static void a_full_queue_costs_lines_and_who_is_here_is_told_anew(void **state)
{
	struct node node = room_of(1);

	node.out.room_full = true;
	node_hear(&node, on_link(2, 4000), "lost");
	node_hear(&node, on_link(3, 4000), "");
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_lost], 2);
	node_hear(&node, on_link(4, 4000), ""); /* known to be untold */
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_lost], 2);
	node.config->service->tick(node.state, &node.out, T0 + SEC);
	node.out.room_full = false;
	assert_int_equal(node.out.published_count, 0);
	node.config->service->tick(node.state, &node.out, T0 + 2 * SEC);
	expect_published(&node, 0, UDPXDP_ROOM_RESET, "", "");
	expect_published(&node, 1, UDPXDP_ROOM_JOIN, "10.0.0.2:4000", "");
	expect_published(&node, 2, UDPXDP_ROOM_JOIN, "10.0.0.3:4000", "");
	expect_published(&node, 3, UDPXDP_ROOM_JOIN, "10.0.0.4:4000", "");
	node.config->service->tick(node.state, &node.out, T0 + 3 * SEC);
	assert_int_equal(node.out.published_count, 4);
	node_stop(&node);
}

/* ---- in ---------------------------------------------------------------------------------- */

static void what_is_said_there_is_shown_once_and_recorded_with_its_place(void **state)
{
	struct node node = room_of(2);
	const struct udpxdp_endpoint there = {
		.addr = udpxdp_addr_ipv4(10, 9, 9, 9), .port = 99, .mac = {}};

	come_of(&node, UDPXDP_ROOM_SAY, "bob", "hostb", "hello\n");
	assert_int_equal(node.out.sent_count, 2);
	expect_sent(&node, 0, on_link(2, 4000), "bob@hostb: hello\n");
	expect_sent(&node, 1, on_link(3, 4000), "bob@hostb: hello\n");
	expect_message(&node.out.recorded, 0, UDPXDP_RECEIVED, there, "hello\n");
	expect_message(&node.out.notified, 0, UDPXDP_RECEIVED, there, "hello\n");
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, there, "hello\n");
	assert_int_equal(node.out.recorded.list[0].place.epoch, 7);
	assert_int_equal(node.out.recorded.list[0].place.sequence, 8);
	assert_int_equal(node.out.recorded.list[0].place.part, 9);
	assert_int_equal(node.out.published_count, 0); /* it does not go back */
	node_stop(&node);
}

static void what_comes_late_is_recorded_now_and_shown_when_it_is_said(void **state)
{
	struct node node = room_of(1);
	struct udpxdp_room_event event = node_room_event(UDPXDP_ROOM_SAY, "bob", "hostb", "late");

	event.show = false;
	come(&node, &event);
	assert_int_equal(node.out.sent_count + node.out.notified.count + node.out.printed.count, 0);
	assert_int_equal(node.out.recorded.count, 1);
	event.show = true;
	event.record = false;
	come(&node, &event);
	expect_sent(&node, 0, on_link(2, 4000), "bob@hostb: late");
	assert_int_equal(node.out.recorded.count, 1);
	node_stop(&node);
}

static void what_comes_is_one_printing_line(void **state)
{
	struct node node = room_of(1);
	struct udpxdp_room_event event =
		node_room_event(UDPXDP_ROOM_SAY, "eve", "e", "a\x1b[2J\nb\xe2\x80\xae\r\n");
	static uint8_t longest[UDPXDP_ROOM_TEXT_MAX];

	come(&node, &event);
	expect_sent(&node, 0, on_link(2, 4000), "eve@e: a\\x1b[2J\\nb\\u{202e}\r\n");
	fake_ctx_forget(&node.out);

	/* What is longer than any path takes is cut, and no character in two. */
	for (size_t i = 0; i + 1 < sizeof(longest); i += 2)
		memcpy(longest + i, "\u00e4", 2);
	event.text = longest;
	event.len = sizeof(longest);
	come(&node, &event);
	assert_int_equal(node.out.sent_count, 1);
	assert_in_range(node.out.sent[0].len, 1450, 1452);
	assert_true(udpxdp_text_is_utf8(node.out.sent[0].payload, node.out.sent[0].len));
	memset(longest, '\x1', sizeof(longest)); /* all of it escaped */
	come(&node, &event);
	assert_int_equal(node.out.sent_count, 2);
	node_stop(&node);
}

static void what_could_loop_is_not_passed_on(void **state)
{
	static const char *const texts[] = {
		"* 2 here: x", "a: b: c: hi", "【Mon Nov 23 02:00:00 2026】hello"};
	struct node node = room_of(1);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		come_of(&node, UDPXDP_ROOM_SAY, "bob", "hostb", texts[i]);
		assert_int_equal(node.out.recorded.count, 0);
		expect_refused(&node, UDPXDP_DROP_loop);
	}
	/* Nor does another room, which would pass it on, hear anything. */
	node_hear(&node, on_link(9, 8090), "");
	fake_ctx_forget(&node.out);
	come_of(&node, UDPXDP_ROOM_SAY, "bob", "hostb", "hi");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, on_link(2, 4000), "bob@hostb: hi");
	node_stop(&node);
}

static void who_shows_members_of_other_hosts(void **state)
{
	struct node node = room_of(1);

	host_comes(&node, "hostb", 2, "alice bob");
	host_comes(&node, "hostc", 1, "10.0.0.9:1");
	assert_int_equal(node.out.sent_count, 0);
	node_hear(&node, on_link(2, 4000), "/who");
	expect_answer(&node, on_link(2, 4000),
		"* 4 here: 10.0.0.2:4000, alice@hostb, bob@hostb, 10.0.0.9:1@hostc");
	host_comes(&node, "hostb", 2000, "alice bob");
	node_hear(&node, on_link(2, 4000), "/who");
	expect_answer(&node, on_link(2, 4000),
		"* 2002 here: 10.0.0.2:4000, alice@hostb, bob@hostb, 10.0.0.9:1@hostc … and 1998 "
		"more");
	node_stop(&node);
}

static void a_host_is_away_once_and_back_once(void **state)
{
	struct node node = room_of(1);

	come_of(&node, UDPXDP_ROOM_AWAY, "", "hostb", ""); /* never seen */
	host_comes(&node, "hostb", 1, "bob");
	assert_int_equal(node.out.sent_count, 0);
	come_of(&node, UDPXDP_ROOM_AWAY, "", "hostb", "");
	come_of(&node, UDPXDP_ROOM_AWAY, "", "hostb", "");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, on_link(2, 4000), "* hostb is away\n");
	assert_int_equal(node.out.notified.count, 1);
	assert_int_equal(node.out.recorded.count, 0);
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(2, 4000), "/who");
	expect_answer(&node, on_link(2, 4000), "* 1 here: 10.0.0.2:4000");
	host_comes(&node, "hostb", 1, "bob");
	host_comes(&node, "hostb", 1, "bob");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, on_link(2, 4000), "* hostb is back\n");
	node_stop(&node);
}

static void more_hosts_than_there_is_room_for_are_counted(void **state)
{
	struct node node = room_of(1);
	char host[16];

	for (unsigned i = 0; i < 200; i++) {
		sprintf(host, "h%u", i);
		host_comes(&node, host, 1, "x");
	}
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_lost], 200 - 128);
	come_of(&node, UDPXDP_ROOM_AWAY, "", "h5", "");
	fake_ctx_forget(&node.out);
	host_comes(&node, "h199", 1, "x");
	assert_int_equal(fake_drops(&node.out), 0);
	node_stop(&node);
}

static void a_name_that_clashes_is_given_up_and_nobody_removed(void **state)
{
	struct node node = room_of(2);

	node_hear(&node, on_link(2, 4000), "/nick bob");
	fake_ctx_forget(&node.out);
	come_of(&node, UDPXDP_ROOM_CLASH, "bob", "hostb", "");
	assert_int_equal(node.out.sent_count, 2);
	expect_sent(&node, 0, on_link(2, 4000),
		"* bob is now bob~node: bob@hostb has the older claim\n");
	expect_sent(&node, 1, on_link(3, 4000),
		"* bob is now bob~node: bob@hostb has the older claim\n");
	expect_published(&node, 0, UDPXDP_ROOM_NICK, "bob", "bob~node");
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(2, 4000), "hi");
	expect_sent(&node, 0, on_link(3, 4000), "bob~node: hi");
	fake_ctx_forget(&node.out);

	/* That is somebody's, too: there is always the address. */
	come_of(&node, UDPXDP_ROOM_CLASH, "bob~node", "hostb", "");
	expect_published(&node, 0, UDPXDP_ROOM_NICK, "bob~node", "10.0.0.2:4000");
	fake_ctx_forget(&node.out);
	come_of(&node, UDPXDP_ROOM_CLASH, "10.0.0.2:4000", "hostb", "");
	come_of(&node, UDPXDP_ROOM_CLASH, "nobody", "hostb", "");
	assert_int_equal(node.out.sent_count + node.out.published_count, 0);
	node_stop(&node);
}

static void a_gap_is_one_line(void **state)
{
	struct node node = room_of(1);

	come_of(&node, UDPXDP_ROOM_GAP, "", "", "because");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, on_link(2, 4000),
		"* messages of other hosts may be missing here: because\n");
	assert_int_equal(node.out.recorded.count, 1);
	assert_int_equal(node.out.notified.count, 1);
	fake_ctx_forget(&node.out);
	come_of(&node, UDPXDP_ROOM_PLACE, "", "", "");
	assert_int_equal(node.out.recorded.count, 1);
	assert_int_equal(node.out.recorded.list[0].len, 0);
	assert_int_equal(node.out.recorded.list[0].place.sequence, 8);
	assert_int_equal(node.out.sent_count, 0);
	node_stop(&node);
}

static void a_host_that_floods_costs_the_others_nothing(void **state)
{
	struct node node = room_of(1);

	host_comes(&node, "hostb", 1, "bob");
	host_comes(&node, "hostc", 1, "eve");
	for (unsigned i = 0; i < 30000; i++)
		come_of(&node, UDPXDP_ROOM_SAY, "eve", "hostc", "flood"), node_resume(&node);
	assert_in_range(node.out.drops[UDPXDP_DROP_over_budget], 9990, 10000);
	fake_ctx_forget(&node.out);
	come_of(&node, UDPXDP_ROOM_SAY, "bob", "hostb", "hi");
	come_of(&node, UDPXDP_ROOM_SAY, "max", "nowhere", "hi");
	node_resume(&node);
	assert_int_equal(node.out.drops[UDPXDP_DROP_over_budget], 0);
	assert_int_equal(node.out.sent_count, 2);
	node_stop(&node);
}

static void a_host_that_comes_and_goes_is_told_of_a_few_times(void **state)
{
	struct node node = room_of(1);

	for (unsigned i = 0; i < 1000; i++) {
		host_comes(&node, "hostc", 1, "eve");
		come_of(&node, UDPXDP_ROOM_AWAY, "", "hostc", "");
	}
	assert_in_range(node.out.sent_count, 20, 21);
	node_stop(&node);
}

static void nobody_here_takes_a_name_of_there(void **state)
{
	struct node node = room_of(1);

	node_hear(&node, on_link(2, 4000), "/nick bob@hostb");
	expect_answer(&node, on_link(2, 4000), "* you are now bob@hostb");
	host_comes(&node, "hostc", 1, "eve");
	node_hear(&node, on_link(2, 4000), "/nick eve@hostc");
	expect_answer(&node, on_link(2, 4000), "* the name eve@hostc is taken");
	node_hear(&node, on_link(2, 4000), "/nick any@hostc");
	expect_answer(&node, on_link(2, 4000), "* the name any@hostc is taken");
	node_hear(&node, on_link(2, 4000), "/nick eve@home");
	expect_answer(&node, on_link(2, 4000), "* you are now eve@home");
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_members_do_is_told),
		cmocka_unit_test(who_is_silent_too_long_has_left),
		cmocka_unit_test(what_another_room_relayed_is_not_told),
		cmocka_unit_test(a_full_queue_costs_lines_and_who_is_here_is_told_anew),
		cmocka_unit_test(what_is_said_there_is_shown_once_and_recorded_with_its_place),
		cmocka_unit_test(what_comes_late_is_recorded_now_and_shown_when_it_is_said),
		cmocka_unit_test(what_comes_is_one_printing_line),
		cmocka_unit_test(what_could_loop_is_not_passed_on),
		cmocka_unit_test(who_shows_members_of_other_hosts),
		cmocka_unit_test(a_host_is_away_once_and_back_once),
		cmocka_unit_test(more_hosts_than_there_is_room_for_are_counted),
		cmocka_unit_test(a_name_that_clashes_is_given_up_and_nobody_removed),
		cmocka_unit_test(a_gap_is_one_line),
		cmocka_unit_test(a_host_that_floods_costs_the_others_nothing),
		cmocka_unit_test(a_host_that_comes_and_goes_is_told_of_a_few_times),
		cmocka_unit_test(nobody_here_takes_a_name_of_there),
	};

	return cmocka_run_group_tests_name("chat_room", tests, NULL, NULL);
}
