/* SPDX-License-Identifier: MIT */
#include "services/chat/challenge.h"

#include <endian.h>

#include "services/chat/siphash.h"

#define TOKEN_SECONDS 64 /* a token is good for one to two times that */

/* Of an address and a topic; and of what else is given, which may be nothing (0). */
static uint64_t hash(const struct challenge *challenge, const struct udpxdp_addr *addr,
	uint64_t topic, uint64_t vlan, uint64_t mac)
{
	uint64_t words[5];

	memcpy(words, addr->b, sizeof(addr->b));
	words[0] = le64toh(words[0]);
	words[1] = le64toh(words[1]);
	words[2] = topic;
	words[3] = vlan;
	words[4] = mac;
	return siphash(&challenge->seed, words, mac ? 5 : vlan ? 4 : 3);
}

static bool is_link_local(const struct udpxdp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

struct identity challenge_identity(
	const struct challenge *challenge, const struct udpxdp_path *path, uint32_t link)
{
	const struct udpxdp_endpoint *peer = &path->peer;

	if (!is_link_local(&peer->addr))
		link = 0;
	return (struct identity){
		.id = hash(challenge, &peer->addr, peer->port,
			(uint64_t)link << 32 | udpxdp_vlan_id(path), 0),
		.host = hash(challenge, &peer->addr, 0, 0, 0),
		.link = link,
	};
}

static uint64_t period(uint64_t time_ns)
{
	return 1 + time_ns / (TOKEN_SECONDS * UDPXDP_NSEC_PER_SEC);
}

static void token_of(const struct challenge *challenge, const struct udpxdp_path *path, bool by_mac,
	uint64_t number, char token[CHALLENGE_TOKEN_LEN])
{
	static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint64_t mac = 0, text;

	if (by_mac) {
		memcpy(&mac, path->peer.mac, sizeof(path->peer.mac));
		mac = le64toh(mac) | 1ull << 48;
	}
	text = hash(challenge, &path->peer.addr, number << 16 | path->peer.port,
		udpxdp_vlan_id(path), mac);
	for (int i = 0; i < CHALLENGE_TOKEN_LEN; i++, text >>= 5)
		token[i] = letters[text & 31];
}

void challenge_token(const struct challenge *challenge, const struct udpxdp_path *path, bool by_mac,
	uint64_t time_ns, char token[CHALLENGE_TOKEN_LEN])
{
	token_of(challenge, path, by_mac, period(time_ns), token);
}

bool challenge_accepts(const struct challenge *challenge, const struct udpxdp_path *path,
	bool by_mac, uint64_t time_ns, const uint8_t *text, size_t len)
{
	char token[CHALLENGE_TOKEN_LEN];

	if (len != CHALLENGE_TOKEN_LEN)
		return false;
	token_of(challenge, path, by_mac, period(time_ns), token);
	if (!memcmp(text, token, len))
		return true;
	token_of(challenge, path, by_mac, period(time_ns) - 1, token);
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

bool challenge_may_answer(struct challenge *challenge, uint64_t host, uint64_t time_ns)
{
	struct challenge_answered *answered = &challenge->answered[host % CHALLENGE_SOURCES];
	uint64_t second = time_ns / UDPXDP_NSEC_PER_SEC;

	if (answered->host != host || answered->second != second)
		*answered = (struct challenge_answered){.host = host, .second = second};
	if (answered->count == CHALLENGE_ANSWERS)
		return false;
	answered->count++;
	return true;
}
