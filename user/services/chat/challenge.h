/* SPDX-License-Identifier: MIT */
/*
 * Whom a chat room lets in and whom it answers. An address off the interface's subnet can be
 * invented by anybody, so a speaker from there first has to repeat a word that was sent to it;
 * the word follows from its address and the time, so nothing is kept for those who never do.
 * Nobody is told more than a few times a second what is wrong with what it sends.
 */
#ifndef UDPXDP_GATE_H
#define UDPXDP_GATE_H

#include "udpxdp/service.h"

#define GATE_WORD_LEN 8
#define GATE_INVITED 64      /* peers that a console has spoken to, remembered */
#define GATE_SOURCES 1024    /* sources whose refusals of this second are remembered */
#define GATE_REFUSALS 8      /* told to one source in a second */

struct gate {
	struct seed seed;
	struct invitation {
		uint64_t id;
		uint64_t until_ns;
	} invited[GATE_INVITED];
	struct told {
		uint64_t id;
		uint64_t second;
		uint32_t count;
	} told[GATE_SOURCES];
};

/* A hash of an address and port that only the holder of the seed can compute. */
uint64_t gate_id(const struct gate *gate, const struct endpoint *peer);

/* The word that this speaker has to send, now. */
void gate_word(const struct gate *gate, const struct endpoint *peer, uint64_t time_ns,
		char word[GATE_WORD_LEN]);

/* Is this text the word that was sent to the speaker within the last minute or two? */
bool gate_knows_word(const struct gate *gate, const struct endpoint *peer, uint64_t time_ns,
		const uint8_t *text, size_t len);

/* A console spoke to this peer: an answer from there is welcome until then. */
void gate_invite(struct gate *gate, uint64_t id, uint64_t until_ns);
bool gate_invited(const struct gate *gate, uint64_t id, uint64_t time_ns);

/* May this source be told of one more refusal in this second? Counts it. */
bool gate_may_tell(struct gate *gate, uint64_t id, uint64_t time_ns);

#endif
