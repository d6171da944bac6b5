/* SPDX-License-Identifier: MIT */
/*
 * Who may join a chat room, and how often a source is told what it did wrong. Anybody can make up
 * a source address from outside the interface's subnets, so a speaker from there first has to echo
 * a token that was sent to it. The token is derived from its address and the time: no state is
 * kept for those who never answer.
 */
#ifndef UDPXDP_CHALLENGE_H
#define UDPXDP_CHALLENGE_H

#include "services/chat/members.h"

#define CHALLENGE_TOKEN_LEN 8
#define CHALLENGE_ALLOWED 64   /* peers that a console has spoken to, remembered */
#define CHALLENGE_SOURCES 1024 /* sources whose refusals of this second are remembered */
#define CHALLENGE_ANSWERS 8    /* answered to one source in a second */

struct challenge {
	struct udpxdp_seed seed;
	struct challenge_pass {
		uint64_t id;
		uint64_t until_ns;
	} allowed[CHALLENGE_ALLOWED];
	struct challenge_answered {
		uint64_t host;
		uint64_t second;
		uint32_t count;
	} answered[CHALLENGE_SOURCES];
};

/* Hashes of where a speaker is that only the holder of the seed can compute. link: udpxdp_link().
 */
struct identity challenge_identity(
	const struct challenge *challenge, const struct udpxdp_path *path, uint32_t link);

/*
 * The token that a speaker has to send, now: one that wants to join, or, by_mac, a member that
 * wants to be reached by this MAC from now on.
 */
void challenge_token(const struct challenge *challenge, const struct udpxdp_path *path, bool by_mac,
	uint64_t time_ns, char token[CHALLENGE_TOKEN_LEN]);

/* Is this text the token that was sent to the speaker within the last minute or two? */
bool challenge_accepts(const struct challenge *challenge, const struct udpxdp_path *path,
	bool by_mac, uint64_t time_ns, const uint8_t *text, size_t len);

/* A console spoke to this peer, which may join without a token until then. */
void challenge_allow(struct challenge *challenge, uint64_t id, uint64_t until_ns);
bool challenge_allowed(const struct challenge *challenge, uint64_t id, uint64_t time_ns);

/* May this address be told of one more refusal in this second? Counts it. */
bool challenge_may_answer(struct challenge *challenge, uint64_t host, uint64_t time_ns);

#endif
