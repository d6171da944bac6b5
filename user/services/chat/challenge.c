/* SPDX-License-Identifier: MIT */
#include "services/chat/challenge.h"

#include <endian.h>

#include "services/chat/siphash.h"

#define TOKEN_SECONDS 64 /* a token is good for one to two times that */

/* topic 0 makes an identity, others make tokens. */
static uint64_t hash_endpoint(
	const struct challenge *challenge, const struct udpxdp_endpoint *peer, uint64_t topic)
{
	uint64_t words[3];

	memcpy(words, peer->addr.b, sizeof(peer->addr.b));
	words[0] = le64toh(words[0]);
	words[1] = le64toh(words[1]);
	words[2] = topic << 16 | peer->port;
	return siphash(&challenge->seed, words, 3);
}

uint64_t challenge_id(const struct challenge *challenge, const struct udpxdp_endpoint *peer)
{
	return hash_endpoint(challenge, peer, 0);
}

static uint64_t period(uint64_t time_ns)
{
	return 1 + time_ns / (TOKEN_SECONDS * NSEC_PER_SEC);
}

static void token_of(const struct challenge *challenge, const struct udpxdp_endpoint *peer,
	uint64_t topic, char token[CHALLENGE_TOKEN_LEN])
{
	static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint64_t hash = hash_endpoint(challenge, peer, topic);

	for (int i = 0; i < CHALLENGE_TOKEN_LEN; i++, hash >>= 5)
		token[i] = letters[hash & 31];
}

void challenge_token(const struct challenge *challenge, const struct udpxdp_endpoint *peer,
	uint64_t time_ns, char token[CHALLENGE_TOKEN_LEN])
{
	token_of(challenge, peer, period(time_ns), token);
}

bool challenge_accepts(const struct challenge *challenge, const struct udpxdp_endpoint *peer,
	uint64_t time_ns, const uint8_t *text, size_t len)
{
	char token[CHALLENGE_TOKEN_LEN];

	if (len != CHALLENGE_TOKEN_LEN)
		return false;
	token_of(challenge, peer, period(time_ns), token);
	if (!memcmp(text, token, len))
		return true;
	token_of(challenge, peer, period(time_ns) - 1, token);
	return period(time_ns) > 1 && !memcmp(text, token, len);
}

void challenge_allow(struct challenge *challenge, uint64_t id, uint64_t until_ns)
{
	struct challenge_pass *oldest = challenge->allowed;

	for (struct challenge_pass *i = challenge->allowed;
		i < challenge->allowed + CHALLENGE_ALLOWED; i++) {
		if (i->id == id) {
			oldest = i;
			break;
		}
		if (i->until_ns < oldest->until_ns)
			oldest = i;
	}
	*oldest = (struct challenge_pass){.id = id, .until_ns = until_ns};
}

bool challenge_allowed(const struct challenge *challenge, uint64_t id, uint64_t time_ns)
{
	for (unsigned i = 0; i < CHALLENGE_ALLOWED; i++)
		if (challenge->allowed[i].id == id)
			return time_ns < challenge->allowed[i].until_ns;
	return false;
}

bool challenge_may_answer(struct challenge *challenge, uint64_t id, uint64_t time_ns)
{
	struct challenge_answered *answered = &challenge->answered[id % CHALLENGE_SOURCES];
	uint64_t second = time_ns / NSEC_PER_SEC;

	if (answered->id != id || answered->second != second)
		*answered = (struct challenge_answered){.id = id, .second = second};
	if (answered->count == CHALLENGE_ANSWERS)
		return false;
	answered->count++;
	return true;
}
