/* SPDX-License-Identifier: MIT */
/* Chat: who speaks from off the subnet first repeats a word. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "unit/fake_node.h"

#define CHALLENGE "* to join, send: "
#define WORD_LEN 8

static struct node room(const char *spec)
{
	struct node node;

	node_start(&node, spec, fake_net(NULL, 1500));
	node_hear(&node, on_link(2, 4001), "");
	return node;
}

/* The word that the room asked for last; everything is forgotten then. */
static void take_word(struct node *node, struct udpxdp_endpoint peer, char word[WORD_LEN + 2])
{
	assert_int_equal(node->out.sent_count, 1);
	assert_int_equal(node->out.drops[UDPXDP_DROP_unconfirmed], 1);
	assert_int_equal(fake_drops(&node->out), 1);
	assert_true(node->out.sent[0].len >= strlen(CHALLENGE) + WORD_LEN);
	memcpy(word, node->out.sent[0].payload + strlen(CHALLENGE), WORD_LEN);
	word[WORD_LEN] = '\0';
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

static void repeats_the_word(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), far = off_link(5, 4000);
	struct node node = room("chat");
	char word[WORD_LEN + 2], text[64];

	node_hear(&node, far, "hello\n");
	expect_message(&node.out.printed, 0, UDPXDP_RECEIVED, far, "hello\n");
	expect_message(&node.out.recorded, 0, UDPXDP_RECEIVED, far, "hello\n");
	expect_message(&node.out.notified, 0, UDPXDP_RECEIVED, far, "hello\n");
	assert_int_equal(node.out.sent[0].payload[node.out.sent[0].len - 1], '\n');
	take_word(&node, far, word);

	node_hear(&node, ann, "it is no member");
	assert_int_equal(node.out.sent_count, 0);
	fake_ctx_forget(&node.out);

	strcat(word, "\n");
	node_hear(&node, far, word);
	assert_int_equal(node.out.recorded.count + node.out.notified.count, 0);
	assert_int_equal(fake_drops(&node.out), 0);
	expect_answer(&node, far, "* welcome: 2 here\n");
	heard_by(&node, far, "hello", ann, "192.0.2.5:4000: hello");
	heard_by(&node, ann, "hello", far, "10.0.0.2:4001: hello");
	snprintf(text, sizeof(text), "192.0.2.5:4000: %s", word);
	heard_by(&node, far, word, ann, text); /* now it is just a text */
	node_stop(&node);
}

static void a_word_is_for_one(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000), other = off_link(5, 4001);
	struct node node = room("chat");
	char word[WORD_LEN + 2], another[WORD_LEN + 2];

	node_hear(&node, far, "");
	take_word(&node, far, word);
	node_hear(&node, other, word);
	take_word(&node, other, another);
	assert_string_not_equal(word, another);
	node_hear(&node, far, "wrongwrd");
	take_word(&node, far, another);
	assert_string_equal(word, another);
	node_stop(&node);
}

static void a_word_grows_old(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat");
	char word[WORD_LEN + 2], next[WORD_LEN + 2];

	node_hear(&node, far, "");
	take_word(&node, far, word);
	node.now += 128 * SEC;
	node_hear(&node, far, word);
	take_word(&node, far, next);
	node.now += 60 * SEC;
	node_hear(&node, far, next);
	expect_answer(&node, far, "* welcome");
	node_stop(&node);
}

static void commands_are_challenged_too(void **state)
{
	static const char *const commands[] = {"/who", "/nick far", "/quit", "/help"};
	struct node node = room("chat");
	char word[WORD_LEN + 2];

	for (int i = 0; i < 4; i++) {
		node_hear(&node, off_link(5, 4000), commands[i]);
		assert_int_equal(node.out.recorded.count, 0);
		take_word(&node, off_link(5, 4000), word);
	}
	node_stop(&node);
}

static void who_has_left_is_challenged_again(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat,idle=10");
	char word[WORD_LEN + 2];

	node_hear(&node, far, "");
	take_word(&node, far, word);
	node_hear(&node, far, word);
	expect_answer(&node, far, "* welcome");
	node.now += 10 * SEC;
	node_hear(&node, far, "hello");
	take_word(&node, far, word);
	node_stop(&node);
}

static void a_full_room_is_said_after_the_challenge(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	struct node node = room("chat,members=1");
	char word[WORD_LEN + 2];

	node_hear(&node, far, "");
	take_word(&node, far, word);
	node_hear(&node, far, word);
	assert_int_equal(node.out.drops[UDPXDP_DROP_room_full], 1);
	expect_answer(&node, far, "* not sent: the room is full");
	node_stop(&node);
}

static void who_was_spoken_to_is_welcome(void **state)
{
	const struct udpxdp_endpoint ann = on_link(2, 4001), far = off_link(5, 4000);
	struct node node = room("chat,idle=10");
	char word[WORD_LEN + 2];

	assert_null(node_command(&node, far, "are you there?"));
	fake_ctx_forget(&node.out);
	node.now += 9 * SEC;
	node_hear(&node, ann, "");
	heard_by(&node, far, "yes", ann, "192.0.2.5:4000: yes");
	node_hear(&node, off_link(5, 4001), "another port");
	take_word(&node, off_link(5, 4001), word);
	node.now += 10 * SEC;
	node_hear(&node, far, "still");
	take_word(&node, far, word);
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

static void words_depend_on_the_seed(void **state)
{
	const struct udpxdp_endpoint far = off_link(5, 4000);
	char word[3][WORD_LEN + 2];

	for (uint64_t i = 0; i < 3; i++) {
		const struct udpxdp_seed seed = {{i, 0}};
		struct node node = room("chat");

		/* As a server does it: the seed comes between parsing and starting. */
		services_seed(node.config, 1, &seed);
		node.config->service->start(node.state, node.config->options, node.config->port);
		node_hear(&node, far, "");
		take_word(&node, far, word[i]);
		node_stop(&node);
	}
	assert_string_not_equal(word[0], word[1]);
	assert_string_not_equal(word[1], word[2]);
}

/* A flood of forged sources is answered with no more bytes than it brought, but for a constant. */
static void forged_sources_fill_no_room_and_get_few_answers(void **state)
{
	struct node node = room("chat,members=2");

	for (unsigned i = 0; i < 5000; i++)
		node_hear(&node, off_link((uint8_t)(i % 200), (uint16_t)(1024 + i)), "x");
	assert_int_equal(node.out.drops[UDPXDP_DROP_unconfirmed], 5000);
	for (size_t i = 0; i < node.out.sent_count; i++)
		assert_int_equal(node.out.sent[i].len, strlen(CHALLENGE) + WORD_LEN);
	fake_ctx_forget(&node.out);
	for (unsigned i = 0; i < 100; i++)
		node_hear(&node, off_link(5, 4000), "x");
	assert_int_equal(node.out.sent_count, 8);
	fake_ctx_forget(&node.out);
	node_hear(&node, on_link(3, 4000), "the room is not full of them");
	assert_int_equal(node.out.sent_count, 1);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeats_the_word),
		cmocka_unit_test(a_word_is_for_one),
		cmocka_unit_test(a_word_grows_old),
		cmocka_unit_test(commands_are_challenged_too),
		cmocka_unit_test(who_has_left_is_challenged_again),
		cmocka_unit_test(a_full_room_is_said_after_the_challenge),
		cmocka_unit_test(who_was_spoken_to_is_welcome),
		cmocka_unit_test(nobody_is_challenged_when_off_or_replaying),
		cmocka_unit_test(words_depend_on_the_seed),
		cmocka_unit_test(forged_sources_fill_no_room_and_get_few_answers),
	};

	return cmocka_run_group_tests_name("chat_challenge", tests, NULL, NULL);
}
