/* SPDX-License-Identifier: MIT */
/* The challenge of a chat room: its hash, its tokens, whom it allows, and how often it refuses
 * aloud.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "services/chat/challenge.h"
#include "services/chat/siphash.h"

#define SEC UDPXDP_NSEC_PER_SEC

static struct udpxdp_path peer(uint8_t host, uint16_t port)
{
	return (struct udpxdp_path){
		.peer = {.addr = udpxdp_addr_ipv4(192, 0, 2, host), .port = port}};
}

static struct challenge *gate_with(uint64_t a, uint64_t b)
{
	struct challenge *challenge = calloc(1, sizeof(*challenge));

	challenge->seed = (struct udpxdp_seed){{a, b}};
	return challenge;
}

/* The designers' vectors: key 00 01 .. 0f, message 00 01 .. */
static void siphash_agrees_with_its_vectors(void **state)
{
	const struct udpxdp_seed key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	const uint64_t words[3] = {0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110};

	assert_true(siphash(&key, words, 0) == 0x726fdb47dd0e0e31);
	assert_true(siphash(&key, words, 1) == 0x93f5f5799a932462);
	assert_true(siphash(&key, words, 2) == 0x3f2acc7f57c29bdb);
	assert_true(siphash(&key, words, 3) == 0xb8ad50c6f649af94);
}

static void an_identity_is_address_and_port_under_a_key(void **state)
{
	struct challenge *a = gate_with(1, 2), *b = gate_with(1, 3);
	struct udpxdp_path one = peer(1, 1000), two = peer(1, 1001), three = peer(2, 1000);
	struct udpxdp_path other_mac = one, other_vlan = one, priority = one;

	other_mac.peer.mac[0] = 2;
	other_vlan.tag_count = priority.tag_count = 1;
	other_vlan.tags[0].tci = 0xe007;
	priority.tags[0].tci = 0xe000;
	assert_true(challenge_identity(a, &one, 0).id == challenge_identity(a, &other_mac, 0).id);
	assert_true(challenge_identity(a, &one, 0).id == challenge_identity(a, &priority, 0).id);
	assert_true(challenge_identity(a, &one, 0).id != challenge_identity(a, &other_vlan, 0).id);
	assert_true(
		challenge_identity(a, &one, 0).host == challenge_identity(a, &other_vlan, 0).host);
	assert_true(challenge_identity(a, &one, 0).host == challenge_identity(a, &two, 0).host);
	assert_true(challenge_identity(a, &one, 0).host != challenge_identity(a, &three, 0).host);
	assert_true(challenge_identity(a, &one, 0).id != challenge_identity(a, &two, 0).id);
	assert_true(challenge_identity(a, &one, 0).id != challenge_identity(a, &three, 0).id);
	assert_true(challenge_identity(a, &one, 0).id != challenge_identity(b, &one, 0).id);
	/* The link matters where the address says nothing without it. */
	assert_true(challenge_identity(a, &one, 2).id == challenge_identity(a, &one, 3).id);
	one.peer.addr = (struct udpxdp_addr){.b = {0xfe, 0x80, [15] = 1}};
	assert_true(challenge_identity(a, &one, 2).id != challenge_identity(a, &one, 3).id);
	assert_int_equal(challenge_identity(a, &one, 2).link, 2);
	free(a);
	free(b);
}

static bool knows(
	const struct challenge *challenge, struct udpxdp_path p, uint64_t second, const char *token)
{
	return challenge_accepts(
		challenge, &p, false, second * SEC, (const uint8_t *)token, CHALLENGE_TOKEN_LEN);
}

static void a_token_is_for_one_peer_and_two_periods(void **state)
{
	const uint64_t start = 64 * 1000;
	struct challenge *a = gate_with(1, 2), *b = gate_with(2, 1);
	struct udpxdp_path one = peer(1, 1000);
	char token[CHALLENGE_TOKEN_LEN], again[CHALLENGE_TOKEN_LEN];

	challenge_token(a, &one, false, start * SEC, token);
	for (int i = 0; i < CHALLENGE_TOKEN_LEN; i++)
		assert_non_null(memchr("abcdefghijkmnpqrstuvwxyz23456789", token[i], 32));
	challenge_token(a, &one, false, (start + 63) * SEC, again);
	assert_memory_equal(token, again, CHALLENGE_TOKEN_LEN);
	challenge_token(a, &one, false, (start + 64) * SEC, again);
	assert_memory_not_equal(token, again, CHALLENGE_TOKEN_LEN);

	assert_true(knows(a, one, start, token));
	assert_true(knows(a, one, start + 63, token));
	assert_true(knows(a, one, start + 127, token));
	assert_false(knows(a, one, start + 128, token));
	assert_false(knows(a, one, start - 1, token));
	assert_false(knows(a, peer(1, 1001), start, token));
	assert_false(knows(a, peer(2, 1000), start, token));
	assert_false(knows(b, one, start, token));
	assert_false(challenge_accepts(
		a, &one, false, start * SEC, (const uint8_t *)token, CHALLENGE_TOKEN_LEN - 1));
	assert_false(challenge_accepts(a, &one, false, start * SEC, (const uint8_t *)"", 0));
	token[CHALLENGE_TOKEN_LEN - 1] ^= 1;
	assert_false(knows(a, one, start, token));
	free(a);
	free(b);
}

static void a_token_of_a_road_is_of_its_mac(void **state)
{
	struct challenge *a = gate_with(1, 2);
	struct udpxdp_path one = peer(1, 1000), other = one;
	char token[CHALLENGE_TOKEN_LEN], another[CHALLENGE_TOKEN_LEN];

	other.peer.mac[5] = 1;
	challenge_token(a, &one, true, SEC, token);
	challenge_token(a, &one, false, SEC, another);
	assert_memory_not_equal(token, another, sizeof(token));
	challenge_token(a, &other, true, SEC, another);
	assert_memory_not_equal(token, another, sizeof(token));
	assert_true(challenge_accepts(a, &one, true, SEC, (const uint8_t *)token, 8));
	assert_false(challenge_accepts(a, &other, true, SEC, (const uint8_t *)token, 8));
	assert_false(challenge_accepts(a, &one, false, SEC, (const uint8_t *)token, 8));
	free(a);
}

static void the_first_period_has_no_predecessor(void **state)
{
	struct challenge *challenge = gate_with(0, 0);
	struct udpxdp_path one = peer(1, 1000);
	char token[CHALLENGE_TOKEN_LEN];

	challenge_token(challenge, &one, false, 0, token);
	assert_true(knows(challenge, one, 0, token));
	free(challenge);
}

static void who_was_allowed_is_until_it_ends(void **state)
{
	struct challenge *challenge = gate_with(1, 2);

	assert_false(challenge_allowed(challenge, 7, 0));
	for (uint64_t i = 1; i <= CHALLENGE_ALLOWED; i++)
		challenge_allow(challenge, i, i * SEC);
	for (uint64_t i = 1; i <= CHALLENGE_ALLOWED; i++) {
		assert_true(challenge_allowed(challenge, i, i * SEC - 1));
		assert_false(challenge_allowed(challenge, i, i * SEC));
	}
	challenge_allow(challenge, 1, 1000 * SEC); /* again: no second place is taken */
	assert_true(challenge_allowed(challenge, 1, 999 * SEC));
	assert_true(challenge_allowed(challenge, 2, 1 * SEC));
	challenge_allow(challenge, 1000, 1000 * SEC); /* in place of the one that ends first */
	assert_true(challenge_allowed(challenge, 1000, 999 * SEC));
	assert_true(challenge_allowed(challenge, 1, 999 * SEC));
	assert_false(challenge_allowed(challenge, 2, 0));
	assert_true(challenge_allowed(challenge, 3, 0));
	free(challenge);
}

static void refusals_are_few(void **state)
{
	struct challenge *challenge = gate_with(1, 2);

	for (uint64_t second = 5; second < 8; second++) {
		unsigned told = 0;

		for (unsigned i = 0; i < 1000; i++)
			told += challenge_may_answer(challenge, 42, second * SEC + i);
		assert_int_equal(told, CHALLENGE_ANSWERS);
		assert_true(challenge_may_answer(challenge, 43, second * SEC + 1000));
	}
	free(challenge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_agrees_with_its_vectors),
		cmocka_unit_test(an_identity_is_address_and_port_under_a_key),
		cmocka_unit_test(a_token_is_for_one_peer_and_two_periods),
		cmocka_unit_test(a_token_of_a_road_is_of_its_mac),
		cmocka_unit_test(the_first_period_has_no_predecessor),
		cmocka_unit_test(who_was_allowed_is_until_it_ends),
		cmocka_unit_test(refusals_are_few),
	};

	return cmocka_run_group_tests_name("challenge", tests, NULL, NULL);
}
