/* SPDX-License-Identifier: MIT */
/*
 * Whose a name is: its claim in the bucket says. A name is taken here first and claimed then; where
 * two hosts meet in one, after a split too, the older claim stays and the other's member gets
 * another name. The claim of a host that is away is anybody's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "output/bridge/internal.h"

#define CLAIMS_AT_ONCE 16

void bridge_claim_key(const char *name, uint32_t len, char key[2 * UDPXDP_ROOM_NAME_MAX + 1])
{
	for (uint32_t i = 0; i < len; i++)
		snprintf(key + 2 * i, 3, "%02x", (uint8_t)name[i]);
}

static struct room_claim claim_of(const struct bridge *b, const struct local_member *member)
{
	struct room_claim claim = {
		.time_ns = member->claimed_ns, .host_len = (uint32_t)strlen(b->host)};

	memcpy(claim.host, b->host, claim.host_len);
	return claim;
}

static bool is_ours(const struct bridge *b, const struct room_claim *claim)
{
	return claim->host_len == strlen(b->host) && !memcmp(claim->host, b->host, claim->host_len);
}

/* The member has to be called something else. */
static void lose(struct bridge *b, struct local_member *member, const struct room_claim *theirs)
{
	struct udpxdp_room_event event = {
		.kind = UDPXDP_ROOM_CLASH, .name_len = member->len, .host_len = theirs->host_len};

	memcpy(event.name, member->name, member->len);
	memcpy(event.host, theirs->host, theirs->host_len);
	local_member_set(&b->members, member, CLAIM_NONE);
	bridge_pass(b, &event);
}

/* The name has a claim already. LINK_NOTHING: that has changed meanwhile. */
static enum link_result contest(
	struct bridge *b, struct local_member *member, const char *key, const char *data)
{
	const struct room_claim ours = claim_of(b, member);
	char host[UDPXDP_ROOM_HOST_MAX + 1] = "";
	struct room_claim theirs = {};
	enum link_result result;
	uint64_t revision;

	result = link_read_claim(b->link, key, &theirs, &revision);
	if (result != LINK_OK && result != LINK_REFUSED)
		return result;
	if (result == LINK_OK && !is_ours(b, &theirs) && room_claim_is_older(&theirs, &ours)) {
		memcpy(host, theirs.host, theirs.host_len);
		result = link_has_presence(b->link, host);
		if (result == LINK_OK)
			lose(b, member, &theirs);
		if (result != LINK_NOTHING)
			return result;
	}
	/* What nobody can read, what is ours, the younger, or of a host that is away. */
	result = link_take_claim(b->link, key, data, revision);
	if (result == LINK_OK)
		local_member_set(&b->members, member, CLAIM_HELD);
	return result;
}

static enum link_result claim_name(struct bridge *b, struct local_member *member)
{
	const struct room_claim ours = claim_of(b, member);
	char key[2 * UDPXDP_ROOM_NAME_MAX + 1], *data = room_claim_text(&ours);
	enum link_result result = LINK_NOTHING;

	bridge_claim_key(member->name, member->len, key);
	if (data)
		result = link_claim(b->link, key, data);
	if (result == LINK_OK)
		local_member_set(&b->members, member, CLAIM_HELD);
	else if (result == LINK_NOTHING && data)
		result = contest(b, member, key, data);
	else if (result == LINK_REFUSED)
		local_member_set(&b->members, member, CLAIM_NONE);
	free(data);
	return result;
}

enum link_result bridge_claim_names(struct bridge *b)
{
	struct local_member *member;

	for (int i = 0; i < CLAIMS_AT_ONCE && (member = local_members_wanted(&b->members)); i++)
		if (claim_name(b, member) == LINK_LOST)
			return LINK_LOST;
	return LINK_OK;
}

void bridge_hear_claim(struct bridge *b, const struct link_message *message)
{
	uint8_t name[UDPXDP_ROOM_NAME_MAX];
	struct local_member *member;
	struct room_claim theirs, ours;
	size_t len;

	if (!parse_hex(message->key, name, sizeof(name), &len) ||
		!room_claim_read(&theirs, message->data, message->len) || is_ours(b, &theirs))
		return;
	member = local_members_find(&b->members, (const char *)name, (uint32_t)len);
	if (!member || member->state != CLAIM_HELD)
		return;
	ours = claim_of(b, member);
	if (room_claim_is_older(&theirs, &ours))
		lose(b, member, &theirs);
	else
		local_member_set(&b->members, member, CLAIM_WANTED);
}
