/* SPDX-License-Identifier: MIT */
#include "services/chat/challenge.h"

#include <endian.h>

#include "services/chat/siphash.h"

#define WORD_SECONDS 64 /* a word is good for one to two times that */

/* topic 0 makes an identity, others make words. */
static uint64_t hash_endpoint(const struct gate *gate, const struct endpoint *peer, uint64_t topic)
{
	uint64_t words[3];

	memcpy(words, peer->addr.b, sizeof(peer->addr.b));
	words[0] = le64toh(words[0]);
	words[1] = le64toh(words[1]);
	words[2] = topic << 16 | peer->port;
	return siphash(&gate->seed, words, 3);
}

uint64_t gate_id(const struct gate *gate, const struct endpoint *peer)
{
	return hash_endpoint(gate, peer, 0);
}

static uint64_t period(uint64_t time_ns)
{
	return 1 + time_ns / (WORD_SECONDS * NSEC_PER_SEC);
}

static void word_of(const struct gate *gate, const struct endpoint *peer, uint64_t topic,
		char word[GATE_WORD_LEN])
{
	static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint64_t hash = hash_endpoint(gate, peer, topic);

	for (int i = 0; i < GATE_WORD_LEN; i++, hash >>= 5)
		word[i] = letters[hash & 31];
}

void gate_word(const struct gate *gate, const struct endpoint *peer, uint64_t time_ns,
		char word[GATE_WORD_LEN])
{
	word_of(gate, peer, period(time_ns), word);
}

bool gate_knows_word(const struct gate *gate, const struct endpoint *peer, uint64_t time_ns,
		const uint8_t *text, size_t len)
{
	char word[GATE_WORD_LEN];

	if (len != GATE_WORD_LEN)
		return false;
	word_of(gate, peer, period(time_ns), word);
	if (!memcmp(text, word, len))
		return true;
	word_of(gate, peer, period(time_ns) - 1, word);
	return period(time_ns) > 1 && !memcmp(text, word, len);
}

void gate_invite(struct gate *gate, uint64_t id, uint64_t until_ns)
{
	struct invitation *oldest = gate->invited;

	for (struct invitation *i = gate->invited; i < gate->invited + GATE_INVITED; i++) {
		if (i->id == id) {
			oldest = i;
			break;
		}
		if (i->until_ns < oldest->until_ns)
			oldest = i;
	}
	*oldest = (struct invitation){.id = id, .until_ns = until_ns};
}

bool gate_invited(const struct gate *gate, uint64_t id, uint64_t time_ns)
{
	for (unsigned i = 0; i < GATE_INVITED; i++)
		if (gate->invited[i].id == id)
			return time_ns < gate->invited[i].until_ns;
	return false;
}

bool gate_may_tell(struct gate *gate, uint64_t id, uint64_t time_ns)
{
	struct told *told = &gate->told[id % GATE_SOURCES];
	uint64_t second = time_ns / NSEC_PER_SEC;

	if (told->id != id || told->second != second)
		*told = (struct told){.id = id, .second = second};
	if (told->count == GATE_REFUSALS)
		return false;
	told->count++;
	return true;
}
