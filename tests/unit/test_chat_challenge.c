/* SPDX-License-Identifier: MIT */
/* Chat: who speaks from off the subnet first echoes a token. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_node.h"

#define CHALLENGE "* to join, send: "
#define TOKEN_LEN 8

static struct node room(const char *spec)
{
	struct node node;

	node_start(&node, spec, fake_net(NULL, 1500));
	node_hear(&node, on_link(2, 4001), "");
	return node;
}

/* The token that the room asked for last; everything is forgotten then. */
static void take_token(struct node *node, struct udpxdp_endpoint peer, char token[TOKEN_LEN + 2])
{
	assert_int_equal(node->out.sent_count, 1);
	assert_int_equal(node->out.drops[UDPXDP_DROP_unconfirmed], 1);
	assert_int_equal(fake_drops(&node->out), 1);
	assert_true(node->out.sent[0].len >= strlen(CHALLENGE) + TOKEN_LEN);
	memcpy(token, node->out.sent[0].payload + strlen(CHALLENGE), TOKEN_LEN);
	token[TOKEN_LEN] = '\0';
	expect_answer(node, peer, CHALLENGE);
}

static void heard_by(struct node *node, struct udpxdp_endpoint speaker, const char *text,
	struct udpxdp_endpoint listener, const char *as)
{
	node_hear(node, speaker, text);
	assert_int_equal(node->out.sent_count, 1);
	expect_sent(node, 0, listener, as);
	fake_ctx_forget(&node->out);
}

static void echoes_the_token(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), far = off_link(5, 4000);
	struct node node = room("chat");
	char token[TOKEN_LEN + 2], text[64];

	node_hear(&node, far, "hello\n");
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, far, "hello\n");
	/* A forger could say that for as long as it likes. */
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	assert_int_equal(node.out.sent[0].payload[node.out.sent[0].len - 1], '\n');
	take_token(&node, far, token);

	node_hear(&node, ann, "it is no member");
	assert_int_equal(node.out.sent_count, 0);
	fake_ctx_forget(&node.out);

	strcat(token, "\n");
	node_hear(&node, far, token);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	assert_int_equal(fake_drops(&node.out), 0);
	expect_answer(&node, far, "* welcome: 2 here\n");
	heard_by(&node, far, "hello", ann, "192.0.2.5:4000: hello");
	heard_by(&node, ann, "hello", far, "10.0.0.2:4001: hello");
	snprintf(text, sizeof(text), "192.0.2.5:4000: %s", token);
	heard_by(&node, far, token, ann, text); /* now it is just a text */
	node_stop(&node);
}

static void a_token_is_for_one(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000), other = off_link(5, 4001);
	struct node node = room("chat");
	char token[TOKEN_LEN + 2], another[TOKEN_LEN + 2];

	node_hear(&node, far, "");
	take_token(&node, far, token);
	node_hear(&node, other, token);
	take_token(&node, other, another);
	assert_string_not_equal(token, another);
	node_hear(&node, far, "wrongwrd");
	take_token(&node, far, another);
	assert_string_equal(token, another);
	node_stop(&node);
}

static void a_token_grows_old(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat");
	char token[TOKEN_LEN + 2], next[TOKEN_LEN + 2];

	node_hear(&node, far, "");
	take_token(&node, far, token);
	node.now += 128 * SEC;
	node_hear(&node, far, token);
	take_token(&node, far, next);
	node.now += 60 * SEC;
	node_hear(&node, far, next);
	expect_answer(&node, far, "* welcome");
	node_stop(&node);
}

static void commands_are_challenged_too(void **state)
{
	static const char *const commands[] = {"/who", "/nick far", "/quit", "/help"};
	struct node node = room("chat");
	char token[TOKEN_LEN + 2];

	for (int i = 0; i < 4; i++) {
		node_hear(&node, off_link(5, 4000), commands[i]);
		assert_int_equal(node.out.recorded.count, 0);
		take_token(&node, off_link(5, 4000), token);
	}
	node_stop(&node);
}

static void who_has_left_is_challenged_again(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat,idle=10");
	char token[TOKEN_LEN + 2];

	node_hear(&node, far, "");
	take_token(&node, far, token);
	node_hear(&node, far, token);
	expect_answer(&node, far, "* welcome");
	node.now += 10 * SEC;
	node_hear(&node, far, "hello");
	take_token(&node, far, token);
	node_stop(&node);
}

static void a_full_room_is_said_after_the_challenge(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat,members=1");
	char token[TOKEN_LEN + 2];

	node_hear(&node, far, "");
	take_token(&node, far, token);
	node_hear(&node, far, token);
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_full], 1);
	expect_answer(&node, far, "* not sent: the room is full");
	node_stop(&node);
}

static void who_was_spoken_to_is_welcome(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), far = off_link(5, 4000);
	struct node node = room("chat,idle=10");
	char token[TOKEN_LEN + 2];

	assert_null(node_command(&node, far, "are you there?"));
	fake_ctx_forget(&node.out);
	node.now += 9 * SEC;
	node_hear(&node, ann, "");
	heard_by(&node, far, "yes", ann, "192.0.2.5:4000: yes");
	node_hear(&node, off_link(5, 4001), "another port");
	take_token(&node, off_link(5, 4001), token);
	node.now += 10 * SEC;
	node_hear(&node, far, "still");
	take_token(&node, far, token);
	node_stop(&node);
}

static void nobody_is_challenged_when_off_or_replaying(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node off = room("chat,challenge=off"), replay = room("chat");

	heard_by(&off, far, "hi", on_link(2, 4001), "192.0.2.5:4000: hi");
	replay.out.net->any_unicast = true;
	heard_by(&replay, far, "hi", on_link(2, 4001), "192.0.2.5:4000: hi");
	node_stop(&off);
	node_stop(&replay);
}

static void tokens_depend_on_the_seed(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	char token[3][TOKEN_LEN + 2];

	for (uint64_t i = 0; i < 3; i++) {
		struct node node = room("chat");

		node_restart(&node, (struct udpxdp_seed){{i, 0}});
		node_hear(&node, far, "");
		take_token(&node, far, token[i]);
		node_stop(&node);
	}
	assert_string_not_equal(token[0], token[1]);
	assert_string_not_equal(token[1], token[2]);
}

/* A flood of forged sources is answered with no more bytes than it brought, but for a constant. */
static void forged_sources_fill_no_room_and_get_few_answers(void **state)
{
	struct node node = room("chat,members=2");

	for (unsigned i = 0; i < 5000; i++)
		node_hear(&node, off_link((uint8_t)(i % 200), (uint16_t)(1024 + i)), "x");
	assert_int_equal(node.out.drops[UDPXDP_DROP_unconfirmed], 5000);
	for (size_t i = 0; i < node.out.sent_count; i++)
		assert_int_equal(node.out.sent[i].len, strlen(CHALLENGE) + TOKEN_LEN);
	fake_ctx_forget(&node.out);
	node.now += SEC;
	for (unsigned i = 0; i < 20000; i++) /* from all ports of one victim */
		node_hear(&node, off_link(5, (uint16_t)(1024 + i)), "x");
	assert_int_equal(node.out.sent_count, 8);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(3, 4000), "the room is not full of them");
	assert_int_equal(node.out.sent_count, 1);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echoes_the_token),
		cmocka_unit_test(a_token_is_for_one),
		cmocka_unit_test(a_token_grows_old),
		cmocka_unit_test(commands_are_challenged_too),
		cmocka_unit_test(who_has_left_is_challenged_again),
		cmocka_unit_test(a_full_room_is_said_after_the_challenge),
		cmocka_unit_test(who_was_spoken_to_is_welcome),
		cmocka_unit_test(nobody_is_challenged_when_off_or_replaying),
		cmocka_unit_test(tokens_depend_on_the_seed),
		cmocka_unit_test(forged_sources_fill_no_room_and_get_few_answers),
	};

	return cmocka_run_group_tests_name("chat_challenge", tests, NULL, NULL);
}
