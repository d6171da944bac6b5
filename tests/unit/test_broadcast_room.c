/* SPDX-License-Identifier: MIT */
/* Announcements over several hosts: what is told to them, what is made of what comes from them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "unit/fake_node.h"

#define STAMP "\u3010Mon Nov 23 02:00:00 2026\u3011"
#define OWN "0000000000000000" /* the token of a node without secrets */

static struct node node_of(const char *spec)
{
	struct node node;

	node_start(&node, spec, fake_net(NULL, 1500));
	return node;
}

static void come(struct node *node, const char *name, const char *host, const char *text)
{
	const struct udpxdp_room_event event = node_room_event(UDPXDP_ROOM_SAY, name, host, text);

	node->out.steady_ns = node->now;
	node->config->service->room(node->state, &node->out, &event);
}

static void announced(struct node *node, struct udpxdp_endpoint peer, const char *text)
{
	struct udpxdp_datagram d = node_datagram(node, peer, text, strlen(text));

	d.broadcast = true;
	node_receive(node, &d);
}

static void expect_told(const struct node *node, size_t n, const char *name, const char *text)
{
	const struct udpxdp_room_event *event = &node->out.published[n];

	assert_true(n < node->out.published_count);
	assert_int_equal(event->kind, UDPXDP_ROOM_SAY);
	assert_int_equal(event->name_len, strlen(name));
	assert_memory_equal(event->name, name, event->name_len);
	assert_int_equal(event->len, strlen(text));
	assert_memory_equal(event->text, text, event->len);
}

static void a_console_announces_everywhere(void **state)
{
	struct node node = node_of("broadcast");

	assert_null(node_command(&node, (struct udpxdp_endpoint){0}, "lunch"));
	assert_int_equal(node.out.sent_count, 1);
	assert_int_equal(node.out.published_count, 1);
	expect_told(&node, 0, "?" OWN, "lunch");
	assert_int_equal(node.out.published[0].time_ns, T0);
	node_stop(&node);
}

static void several_interfaces_tell_it_once(void **state)
{
	struct node node = node_of("broadcast");

	node.out.net->ingress = 1;
	assert_null(node_command(&node, (struct udpxdp_endpoint){0}, "lunch"));
	assert_int_equal(node.out.sent_count, 1);
	assert_int_equal(node.out.published_count, 0);
	node_stop(&node);
}

static void an_announcement_on_the_segment_goes_to_no_other_host(void **state)
{
	struct node node = node_of("broadcast");

	announced(&node, on_link(7, 8086), STAMP "lunch");
	assert_int_equal(node.out.published_count, 0);
	node_stop(&node);
}

static void what_another_console_says_is_announced_here(void **state)
{
	static const struct udpxdp_endpoint everybody = {
		.addr = {.b = {[10] = 0xff, 0xff, 255, 255, 255, 255}},
		.port = 8086,
		.mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct node node = node_of("broadcast");

	come(&node, "?abc", "hostb", "lunch");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, everybody, STAMP "lunch");
	assert_int_equal(node.out.sent[0].path.ttl, 1);
	assert_int_equal(node.out.printed.count, 1);
	assert_int_equal(node.out.published_count, 0);
	node_stop(&node);
}

static void but_not_where_it_was_heard_already(void **state)
{
	struct node node = node_of("broadcast,answer=off");

	announced(&node, on_link(7, 8086), "\u3010Mon Nov 23 01:59:59 2026\u3011lunch");
	come(&node, "?abc", "hostb", "lunch");
	assert_int_equal(node.out.sent_count, 0);
	come(&node, "?abc", "hostb", "dinner");
	assert_int_equal(node.out.sent_count, 1);
	node.now += 6 * SEC;
	come(&node, "?abc", "hostb", "lunch");
	assert_int_equal(node.out.sent_count, 2);
	node_stop(&node);
}

static void replies_go_to_who_has_asked(void **state)
{
	struct node node = node_of("broadcast");

	node_hear(&node, on_link(7, 8086), STAMP "too early");
	assert_int_equal(node.out.published_count, 0);
	come(&node, "?abc", "hostb", "lunch");
	node_hear(&node, on_link(7, 8086), STAMP "printer");
	expect_told(&node, 0, "abc", STAMP "printer");
	come(&node, "?def", "hostc", "dinner");
	node_hear(&node, on_link(8, 8086), STAMP "phone");
	assert_int_equal(node.out.published_count, 3);
	expect_told(&node, 1, "abc", STAMP "phone");
	expect_told(&node, 2, "def", STAMP "phone");
	node.now += 11 * SEC;
	node_hear(&node, on_link(8, 8086), STAMP "too late");
	assert_int_equal(node.out.published_count, 3);
	node_stop(&node);
}

static void many_who_ask_cost_the_longest_waiting_one(void **state)
{
	struct node node = node_of("broadcast");
	char name[8];

	for (unsigned i = 0; i < 9; i++, node.now += SEC / 10) {
		snprintf(name, sizeof(name), "?%u", i);
		come(&node, name, "hostb", "lunch");
	}
	node_hear(&node, on_link(7, 8086), STAMP "printer");
	assert_int_equal(node.out.published_count, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_memory_not_equal(node.out.published[i].name, "0", 1);
	node_stop(&node);
}

static void a_reply_there_is_shown_with_the_host(void **state)
{
	const struct udpxdp_endpoint peer = {.addr = udpxdp_addr_ipv4(10, 9, 9, 9), .port = 99};
	struct node node = node_of("broadcast");

	come(&node, OWN, "hostb", STAMP "printer");
	assert_int_equal(node.out.sent_count, 0);
	assert_int_equal(node.out.notified.count, 1);
	expect_message(&node.out.notified, 0, UDPXDP_RECEIVED, peer, "hostb: " STAMP "printer");
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, peer, "hostb: " STAMP "printer");
	come(&node, "abc", "hostb", STAMP "for somebody else");
	come(&node, "?", "hostb", "by nobody");
	assert_int_equal(node.out.notified.count, 1);
	assert_int_equal(node.out.sent_count, 0);
	node_stop(&node);
}

static void a_host_that_floods_gets_its_budget(void **state)
{
	struct node node = node_of("broadcast");

	for (unsigned i = 0; i < 1000; i++)
		come(&node, "?abc", "hostb", "lunch");
	assert_in_range(node.out.sent_count, 100, 101);
	assert_int_equal(
		node.out.drops[UDPXDP_DROP_over_budget], 1000 - (unsigned)node.out.sent_count);
	fake_ctx_forget(&node.out);
	for (unsigned i = 0; i < 20000; i++)
		come(&node, OWN, "hostb", "reply");
	assert_in_range(node.out.notified.count, 10000, 10001);
	node_stop(&node);
}

static void one_announcement_has_so_many_replies(void **state)
{
	struct node node = node_of("broadcast");

	come(&node, "?abc", "hostb", "lunch");
	for (unsigned i = 0; i < 2000; i++)
		node_hear(&node, on_link(7, 8086), "me");
	assert_int_equal(node.out.published_count, 1024);
	node_stop(&node);
}

static void what_was_missed_is_not_announced(void **state)
{
	struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_SAY,
		.record = true,
		.time_ns = T0,
		.name = "?abc",
		.name_len = 4,
		.len = 3,
		.text = (const uint8_t *)"old"};
	struct node node = node_of("broadcast");

	node.config->service->room(node.state, &node.out, &event);
	event.kind = UDPXDP_ROOM_HOST;
	event.show = true;
	node.config->service->room(node.state, &node.out, &event);
	assert_int_equal(node.out.sent_count, 0);
	assert_int_equal(node.out.notified.count, 0);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_console_announces_everywhere),
		cmocka_unit_test(several_interfaces_tell_it_once),
		cmocka_unit_test(an_announcement_on_the_segment_goes_to_no_other_host),
		cmocka_unit_test(what_another_console_says_is_announced_here),
		cmocka_unit_test(but_not_where_it_was_heard_already),
		cmocka_unit_test(replies_go_to_who_has_asked),
		cmocka_unit_test(many_who_ask_cost_the_longest_waiting_one),
		cmocka_unit_test(a_reply_there_is_shown_with_the_host),
		cmocka_unit_test(a_host_that_floods_gets_its_budget),
		cmocka_unit_test(one_announcement_has_so_many_replies),
		cmocka_unit_test(what_was_missed_is_not_announced),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("broadcast_room", tests, NULL, NULL);
}
