/* SPDX-License-Identifier: MIT */
/* Chat: members, relay, commands, limits, the console. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_node.h"

static const struct udpxdp_endpoint ann = {
	.addr = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 2}}, .port = 4001, .mac = {2, 0, 0, 0, 1, 2}};
static const struct udpxdp_endpoint bob = {
	.addr = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 3}}, .port = 4002, .mac = {2, 0, 0, 0, 1, 3}};
static const struct udpxdp_endpoint eve = {
	.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = 9}}, .port = 4003, .mac = {2, 0, 0, 0, 6, 9}};

static struct node chat_with(const char *spec)
{
	struct node node;

	node_start(&node, spec, fake_net(NULL, 1500));
	return node;
}

/* A room in which these have spoken, all of it forgotten by the outlet. */
static struct node room_of(const char *spec, unsigned count, ...)
{
	struct node node = chat_with(spec);
	va_list peers;

	va_start(peers, count);
	while (count--)
		node_hear(&node, va_arg(peers, struct udpxdp_endpoint), "");
	va_end(peers);
	assert_int_equal(node.out.sent_count, 0);
	return node;
}

static void expect_quiet(struct node *node)
{
	assert_int_equal(node->out.sent_count, 0);
	assert_int_equal(fake_drops(&node->out), 0);
	fake_ctx_forget(&node->out);
}

/* What the speaker says reaches the listener alone, as this. */
static void expect_heard(struct node *node, struct udpxdp_endpoint speaker, const char *text,
	struct udpxdp_endpoint listener, const char *as)
{
	node_hear(node, speaker, text);
	assert_int_equal(node->out.sent_count, 1);
	expect_sent(node, 0, listener, as);
	assert_int_equal(fake_drops(&node->out), 0);
	fake_ctx_forget(&node->out);
}

/* What the speaker says is answered to it alone, beginning with this. */
static void expect_told(
	struct node *node, struct udpxdp_endpoint speaker, const char *text, const char *start)
{
	node_hear(node, speaker, text);
	expect_answer(node, speaker, start);
}

static void relays_to_the_others(void **state)
{
	struct node node = chat_with("chat");

	node_hear(&node, ann, "anybody?");
	assert_int_equal(node.out.sent_count, 0); /* she is alone */
	node_hear(&node, bob, "me");
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, ann, "10.0.0.3:4002: me");
	node_hear(&node, eve, "and me\n");
	assert_int_equal(node.out.sent_count, 3);
	expect_sent(&node, 1, ann, "[2001:db8::9]:4003: and me\n");
	expect_sent(&node, 2, bob, "[2001:db8::9]:4003: and me\n");
	node_hear(&node, ann, "hello all");
	expect_sent(&node, 3, bob, "10.0.0.2:4001: hello all");
	expect_sent(&node, 4, eve, "10.0.0.2:4001: hello all");
	assert_int_equal(node.out.sent_count, 5);

	assert_int_equal(node.out.printed.count, 4);
	assert_int_equal(node.out.recorded.count, 4);
	assert_int_equal(node.out.notified.count, 4);
	expect_message(&node.out.recorded, 2, UDPXDP_RECEIVED, eve, "and me\n");
	expect_message(&node.out.notified, 1, UDPXDP_RECEIVED, bob, "me");
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, ann, "anybody?");
	assert_int_equal(node.out.printed.list[0].time_ns, T0);
	assert_int_equal(fake_drops(&node.out), 0);
	node_stop(&node);
}

static void members_hear_by_the_path_they_spoke_by(void **state)
{
	struct node node = room_of("chat", 1, ann);
	struct udpxdp_datagram d = node_datagram(&node, bob, "x", 1);

	d.path.tag_count = 2;
	d.path.tags[0] = (struct udpxdp_vlan_tag){.tpid = 0x88a8, .tci = 7};
	d.path.tags[1] = (struct udpxdp_vlan_tag){.tpid = 0x8100, .tci = 0xe064};
	d.path.local.addr = udpxdp_addr_ipv4(10, 0, 0, 77);
	d.path.local.mac[5] = 77;
	node_receive(&node, &d);
	assert_int_equal(node.out.sent[0].path.tag_count, 0);
	fake_ctx_forget(&node.out);

	node_hear(&node, ann, "hello");
	assert_memory_equal(&node.out.sent[0].path, &d.path, sizeof(d.path));
	fake_ctx_forget(&node.out);

	/* It moves: the kernel knows it by another MAC, and another address of ours. */
	d.path.peer.mac[5] = 99;
	d.path.local.addr = udpxdp_addr_ipv4(10, 0, 0, 1);
	node_receive(&node, &d);
	fake_ctx_forget(&node.out);
	node_hear(&node, ann, "hello");
	assert_memory_equal(&node.out.sent[0].path, &d.path, sizeof(d.path));
	assert_int_equal(node.out.sent_count, 1);
	node_stop(&node);
}

static void a_port_is_a_member(void **state)
{
	struct udpxdp_endpoint other_port = ann;
	struct node node = room_of("chat", 1, ann);

	other_port.port++;
	expect_heard(&node, other_port, "same host", ann, "10.0.0.2:4002: same host");
	expect_heard(&node, ann, "yes", other_port, "10.0.0.2:4001: yes");
	node_stop(&node);
}

static void empty_datagram_joins(void **state)
{
	struct node node = chat_with("chat");

	node_hear(&node, ann, "");
	node_hear(&node, bob, "");
	assert_int_equal(
		node.out.printed.count + node.out.recorded.count + node.out.notified.count, 0);
	expect_quiet(&node);
	expect_heard(&node, bob, "hi", ann, "10.0.0.3:4002: hi");
	node_stop(&node);
}

static void what_prints_is_relayed_as_it_was_sent(void **state)
{
	static const char *const texts[] = {
		"\u3010notice\u3011 \u4f60\u597d",
		"say \"hi\" \\n",
		" e\u0301 \U0001f469\u200d\U0001f680\n",
		"dos\r\n",
		"\n",
	};
	struct node node = room_of("chat", 2, ann, bob);
	char as[128];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(as, sizeof(as), "10.0.0.2:4001: %s", texts[i]);
		expect_heard(&node, ann, texts[i], bob, as);
	}
	node_stop(&node);
}

/* Nobody speaks as two, or steers a terminal: what does not print is written out. */
static void a_message_is_one_line_of_printing_text(void **state)
{
	static const struct {
		const char *text, *as;
	} lines[] = {
		{"hi\nNICK: I resign\n* the room closes",
			"hi\\nNICK: I resign\\n* the room closes"},
		{"one\r\ntwo\rthree\n", "one\\r\\ntwo\\rthree\n"},
		{"\n\n", "\\n\n"},
		{"\x1b[2J\x1b]0;x\x07\x7f\t", "\\x1b[2J\\x1b]0;x\\x07\\x7f\\t"},
		{"\xc2\x85\xc2\x9b"
		 "31m",
			"\\u{0085}\\u{009b}31m"},
		{"a\u2028b\u2029c", "a\\u{2028}b\\u{2029}c"},
		{"\u202egnp\u2066x\u200f\u200b\ufeff",
			"\\u{202e}gnp\\u{2066}x\\u{200f}\\u{200b}\\u{feff}"},
	};
	struct node node = room_of("chat", 2, ann, bob);
	char as[128];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(as, sizeof(as), "10.0.0.2:4001: %s", lines[i].as);
		expect_heard(&node, ann, lines[i].text, bob, as);
	}
	node_hear_bytes(&node, ann, "a\0b", 3);
	expect_sent(&node, 0, bob, "10.0.0.2:4001: a\\x00b");
	node_stop(&node);
}

static void a_nick_is_of_one_member_until_it_is_free(void **state)
{
	struct node node = room_of("chat", 2, ann, bob);

	expect_told(&node, ann, "/nick ann\n", "* you are now ann\n");
	expect_heard(&node, ann, "hi", bob, "ann: hi");
	expect_told(&node, bob, "/nick ann", "* the name ann is taken");
	expect_heard(&node, bob, "hm", ann, "10.0.0.3:4002: hm");
	expect_told(&node, bob, "/nick  \u5f20\u4e09 \r\n", "* you are now \u5f20\u4e09\n");
	expect_heard(&node, bob, "hi", ann, "\u5f20\u4e09: hi");
	expect_told(&node, ann, "/nick ann", "* you are now ann");
	expect_told(&node, ann, "/nick 12345678901234567890123456789012",
		"* you are now 12345678901234567890123456789012");
	expect_told(&node, bob, "/nick ann", "* you are now ann"); /* free again */
	expect_told(&node, bob, "/quit", "* bye");
	expect_told(&node, ann, "/nick ann", "* you are now ann");
	node_stop(&node);
}

static void a_nick_is_one_printing_word_and_no_address(void **state)
{
	static const char *const names[] = {
		"/nick",
		"/nick ",
		"/nick \n",
		"/nick two words",
		"/nick a\tb",
		"/nick \x1b[31mred",
		"/nick 123456789012345678901234567890123",
		"/nick a\u00a0b",
		"/nick a\u202eb",
		"/nick a\u200bb",
		"/nick 10.0.0.3:4002",
		"/nick [2001:db8::9]:4003",
		"/nick a:",
		"/nick /quit",
		"/nick *",
		"/nick *x",
		"/nick \u2028",
		"/nick \xee\x80\x80",
	};
	struct node node = room_of("chat", 2, ann, bob);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect_told(&node, ann, names[i], "* a name has 1 to 32 bytes");
		expect_heard(&node, ann, "hi", bob, "10.0.0.2:4001: hi");
	}
	node_hear_bytes(&node, ann, "/nick a\0b", 9);
	expect_answer(&node, ann, "* a name has 1 to 32 bytes");
	node_stop(&node);
}

static void who_lists_everybody_by_name(void **state)
{
	struct node node = room_of("chat", 2, ann, eve);

	expect_told(&node, ann, "/nick ann", "* you");
	expect_told(&node, eve, "/who", "* 2 here: ann, [2001:db8::9]:4003");
	node_hear(&node, bob, "/who\n");
	expect_sent(&node, 0, bob, "* 3 here: ann, [2001:db8::9]:4003, 10.0.0.3:4002\n");
	node_stop(&node);
}

static void who_is_bounded(void **state)
{
	for (unsigned count = 1; count <= 40; count++) {
		struct node node = chat_with("chat");
		char expected[2048], name[40], tail[32];
		size_t len = (size_t)sprintf(expected, "* %u here:", count), shown = 0;
		const struct sent *sent;

		for (unsigned i = 0; i < count; i++) {
			struct udpxdp_endpoint peer = on_link(9, (uint16_t)(5000 + i));

			sprintf(name, "/nick %032u", i);
			node_hear(&node, peer, name);
			len += (size_t)sprintf(expected + len, "%s %032u", i ? "," : "", i);
		}
		fake_ctx_forget(&node.out);
		node_hear(&node, on_link(9, 5000), "/who\n");
		sent = &node.out.sent[0];
		assert_true(sent->len <= 256);
		if (len < 224) {
			assert_int_equal(sent->len, len + 1);
			assert_memory_equal(sent->payload, expected, len);
		} else if (sent->len != len + 1) {
			for (size_t i = 0; i < sent->len; i++)
				shown += sent->payload[i] == ',';
			sprintf(tail, " … and %zu more\n", count - (shown + 1));
			assert_true(sent->len > 184);
			assert_memory_equal(
				sent->payload + sent->len - strlen(tail), tail, strlen(tail));
			assert_memory_equal(sent->payload, expected, sent->len - strlen(tail));
		}
		node_stop(&node);
	}
}

static void other_commands_and_what_is_none_are_answered(void **state)
{
	struct node node = room_of("chat", 2, ann, bob);

	expect_told(&node, ann, "/help\n", "* /nick NAME");
	expect_told(
		&node, ann, "/foo", "* no such command: there are /nick, /who, /quit and /help");
	expect_told(&node, ann, "/", "* no such command");
	expect_told(&node, ann, "/whoami", "* no such command");
	expect_told(&node, ann, "/WHO", "* no such command");
	node_hear(&node, ann, "/quit\n");
	assert_int_equal(node.out.printed.count, 1);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	expect_answer(&node, ann, "* bye\n");
	node_hear(&node, bob, "gone?");
	expect_quiet(&node);
	expect_heard(&node, ann, "back", bob, "10.0.0.2:4001: back");
	node_stop(&node);
}

static void answers_end_as_the_question(void **state)
{
	struct node node = room_of("chat", 1, ann);

	node_hear(&node, ann, "/quit");
	node_hear(&node, ann, "/quit\n");
	node_hear(&node, ann, "/quit\r\n");
	expect_sent(&node, 0, ann, "* bye");
	expect_sent(&node, 1, ann, "* bye\n");
	expect_sent(&node, 2, ann, "* bye\n");
	node_stop(&node);
}

static void idle_members_leave(void **state)
{
	struct node node = room_of("chat,idle=10", 2, ann, bob);

	node.now = T0 + 10 * SEC - 1;
	expect_heard(&node, bob, "still here?", ann, "10.0.0.3:4002: still here?");
	node.now = T0 + 10 * SEC;
	node_hear(&node, bob, "gone");
	expect_quiet(&node);
	expect_told(&node, bob, "/who", "* 1 here: 10.0.0.3:4002");
	node.now = T0 + 15 * SEC;
	node_hear(&node, ann, "");
	node.now = T0 + 20 * SEC;
	node.config->service->tick(node.state, &node.out, node.now); /* bob's time is up */
	node_hear(&node, ann, "hello?");
	expect_quiet(&node);
	node_stop(&node);
}

static void a_clock_set_back_expels_nobody(void **state)
{
	struct node node = room_of("chat,idle=10", 2, ann, bob);

	node.now = T0 - 3600 * SEC;
	expect_heard(&node, bob, "an hour ago", ann, "10.0.0.3:4002: an hour ago");
	node.now += 9 * SEC;
	expect_heard(&node, bob, "now", ann, "10.0.0.3:4002: now");
	node.now += 1 * SEC;
	node_hear(&node, bob, "she is idle");
	expect_quiet(&node);
	node_stop(&node);
}

static void a_full_room_admits_when_somebody_leaves(void **state)
{
	struct node node = room_of("chat,members=2,idle=10", 2, ann, bob);

	node_hear(&node, eve, "let me in\n");
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_full], 1);
	assert_int_equal(fake_drops(&node.out), 1);
	assert_int_equal(node.out.recorded.count + node.out.printed.count, 0);
	expect_answer(&node, eve, "* not sent: the room is full, with 2 members\n");
	expect_heard(&node, ann, "no", bob, "10.0.0.2:4001: no");
	expect_told(&node, bob, "/quit", "* bye");
	expect_heard(&node, eve, "now?", ann, "[2001:db8::9]:4003: now?");
	node_stop(&node);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
	static const char *const texts[] = {
		"\xff",
		"caf\xe9",
		"\xc0\xaf",
		"\xed\xa0\x80",
		"/nick \xff",
		"\xe2\x82",
	};
	struct node node = room_of("chat", 1, ann);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++, node.now += SEC) {
		node_hear(&node, i & 1 ? ann : bob, texts[i]);
		assert_int_equal(node.out.drops[UDPXDP_DROP_invalid_text], 1);
		assert_int_equal(fake_drops(&node.out), 1);
		assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
		expect_answer(&node, i & 1 ? ann : bob, "* not sent: the text is not valid UTF-8");
	}
	node_hear(&node, ann, "bob is no member by that");
	expect_quiet(&node);
	node_stop(&node);
}

static void refusals_are_told_a_few_times(void **state)
{
	struct node node = room_of("chat", 1, ann);

	for (int i = 0; i < 100; i++)
		node_hear(&node, ann, "\xff");
	assert_int_equal(node.out.drops[UDPXDP_DROP_invalid_text], 100);
	assert_int_equal(node.out.sent_count, 8);
	node_hear(&node, bob, "\xff");
	assert_int_equal(node.out.sent_count, 9);
	node.now += SEC;
	node_hear(&node, ann, "\xff");
	assert_int_equal(node.out.sent_count, 10);
	node_stop(&node);
}

static void what_does_not_fit_the_mtu_is_refused(void **state)
{
	static uint8_t text[UDPXDP_PAYLOAD_MAX];
	struct node node = room_of("chat", 2, ann, bob);
	size_t most = 1500 - 28 - strlen("10.0.0.2:4001: ");

	memset(text, 'a', sizeof(text));
	node_hear_bytes(&node, ann, text, most);
	assert_int_equal(node.out.sent[0].len, 1472);
	fake_ctx_forget(&node.out);

	node_hear_bytes(&node, ann, text, most + 1);
	assert_int_equal(node.out.drops[UDPXDP_DROP_reply_too_big], 1);
	assert_int_equal(fake_drops(&node.out), 1);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	expect_answer(&node, ann, "* message too long: 1458 bytes, at most 1457");
	node_hear_bytes(&node, ann, text, sizeof(text));
	expect_answer(&node, ann, "* message too long: 65507 bytes, at most 1457");

	node_hear(&node, eve, ""); /* her IPv6 header is longer */
	node_hear_bytes(&node, ann, text, most - 20);
	assert_int_equal(node.out.sent_count, 2);
	fake_ctx_forget(&node.out);
	node_hear_bytes(&node, ann, text, most - 19);
	expect_answer(&node, ann, "* message too long: 1438 bytes, at most 1437");
	node_stop(&node);
}

static void the_longest_datagram_is_relayed(void **state)
{
	static uint8_t text[65527]; /* the most that IPv6 carries is more than IPv4's */
	struct node node;

	memset(text, 'a', sizeof(text));
	node_start(&node, "chat", fake_net(NULL, 70000));
	node_hear_bytes(&node, ann, text, sizeof(text)); /* alone: nobody for whom it is too long */
	assert_int_equal(node.out.recorded.list[0].len, sizeof(text));
	fake_ctx_forget(&node.out);
	node_hear(&node, bob, "");
	node_hear_bytes(&node, ann, text, UDPXDP_PAYLOAD_MAX);
	assert_int_equal(node.out.sent[0].len, UDPXDP_PAYLOAD_MAX + 15);
	node_stop(&node);
}

static void each_relay_without_a_frame_is_counted(void **state)
{
	struct node node = room_of("chat", 3, ann, bob, eve);

	node.out.no_frame = true;
	node_hear(&node, ann, "lost");
	assert_int_equal(node.out.drops[UDPXDP_DROP_no_tx_frame], 2); /* each loss is counted */
	assert_int_equal(node.out.recorded.count, 1);
	node_stop(&node);
}

/* Everybody hears everybody else, each speaker's messages in order. */
static void two_hundred_members_hear_each_other_in_order(void **state)
{
	enum { MEMBERS = 200, MESSAGES = 50 };
	static unsigned next[MEMBERS][MEMBERS];
	struct node node = chat_with("chat");
	char text[64];

	for (unsigned m = 0; m < MEMBERS; m++)
		node_hear(&node, on_link(2 + m % 100, (uint16_t)(5000 + m)), "");
	for (unsigned n = 0; n < MEMBERS * MESSAGES; n++) {
		unsigned speaker = (n * 73) % MEMBERS;

		sprintf(text, "%u %u", speaker, n / MEMBERS);
		node_hear(&node, on_link(2 + speaker % 100, (uint16_t)(5000 + speaker)), text);
		assert_int_equal(node.out.sent_count, MEMBERS - 1);
		for (unsigned i = 0; i < node.out.sent_count; i++) {
			const struct sent *sent = &node.out.sent[i];
			unsigned listener = sent->path.peer.port - 5000u;
			char expected[96];

			sprintf(expected, "10.0.0.%u:%u: %u %u", 2 + speaker % 100, 5000 + speaker,
				speaker, next[listener][speaker]++);
			assert_int_not_equal(listener, speaker);
			assert_int_equal(sent->len, strlen(expected));
			assert_memory_equal(sent->payload, expected, sent->len);
		}
		fake_ctx_forget(&node.out);
	}
	for (unsigned a = 0; a < MEMBERS; a++)
		for (unsigned b = 0; b < MEMBERS; b++)
			assert_int_equal(next[a][b], a == b ? 0 : MESSAGES);
	node_stop(&node);
}

static void a_console_speaks_to_one_peer_who_is_then_welcome(void **state)
{
	struct node node = room_of("chat:9000", 1, ann);

	assert_null(node_command(&node, bob, "hello, bob"));
	assert_int_equal(node.out.sent_count, 1);
	expect_sent(&node, 0, bob, "hello, bob");
	assert_int_equal(node.out.sent[0].path.local.port, 9000);
	expect_message(&node.out.printed, 0, UDPXDP_SENT, bob, "hello, bob");
	expect_message(&node.out.recorded, 0, UDPXDP_SENT, bob, "hello, bob");
	assert_int_equal(node.out.notified.count, 0);
	fake_ctx_forget(&node.out);
	node_hear(&node, ann, "bob is no member by that");
	expect_quiet(&node);
	expect_heard(&node, bob, "hello", ann, "10.0.0.3:4002: hello");
	node_stop(&node);
}

static void a_console_hears_why_its_line_cannot_go(void **state)
{
	static char text[1474];
	struct node node = chat_with("chat");

	memset(text, 'a', sizeof(text) - 1);
	assert_string_equal(node_command(&node, bob, text),
		"the text does not fit the interface's MTU; shorten it");
	expect_refused(&node, UDPXDP_DROP_reply_too_big);
	assert_string_equal(node_command(&node, bob, "\xff"),
		"the text is not valid UTF-8; use a UTF-8 terminal");
	node.out.no_frame = true;
	assert_string_equal(node_command(&node, bob, "a"), "no transmit frame is free; try again");
	assert_int_equal(node.out.printed.count + node.out.recorded.count, 0);
	expect_refused(&node, UDPXDP_DROP_no_tx_frame);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relays_to_the_others),
		cmocka_unit_test(members_hear_by_the_path_they_spoke_by),
		cmocka_unit_test(a_port_is_a_member),
		cmocka_unit_test(empty_datagram_joins),
		cmocka_unit_test(what_prints_is_relayed_as_it_was_sent),
		cmocka_unit_test(a_message_is_one_line_of_printing_text),
		cmocka_unit_test(a_nick_is_of_one_member_until_it_is_free),
		cmocka_unit_test(a_nick_is_one_printing_word_and_no_address),
		cmocka_unit_test(who_lists_everybody_by_name),
		cmocka_unit_test(who_is_bounded),
		cmocka_unit_test(other_commands_and_what_is_none_are_answered),
		cmocka_unit_test(answers_end_as_the_question),
		cmocka_unit_test(idle_members_leave),
		cmocka_unit_test(a_clock_set_back_expels_nobody),
		cmocka_unit_test(a_full_room_admits_when_somebody_leaves),
		cmocka_unit_test(text_that_is_not_utf8_is_refused),
		cmocka_unit_test(refusals_are_told_a_few_times),
		cmocka_unit_test(what_does_not_fit_the_mtu_is_refused),
		cmocka_unit_test(the_longest_datagram_is_relayed),
		cmocka_unit_test(each_relay_without_a_frame_is_counted),
		cmocka_unit_test(two_hundred_members_hear_each_other_in_order),
		cmocka_unit_test(a_console_speaks_to_one_peer_who_is_then_welcome),
		cmocka_unit_test(a_console_hears_why_its_line_cannot_go),
	};

	return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
