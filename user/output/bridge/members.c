/* SPDX-License-Identifier: MIT */
/* Who is in the room on this host, by name. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "output/bridge/internal.h"

static bool is_address(const struct local_member *member)
{
	return memchr(member->name, ':', member->len);
}

/* Names that somebody chose stand first. */
static int compare(const void *a, const void *b)
{
	const struct local_member *x = a, *y = b;
	const uint32_t len = x->len < y->len ? x->len : y->len;
	int order = is_address(x) - is_address(y);

	if (!order)
		order = memcmp(x->name, y->name, len);
	return order ? order : (int)x->len - (int)y->len;
}

static struct local_member member_of(const char *name, uint32_t len)
{
	struct local_member member = {.len = len};

	if (member.len > sizeof(member.name))
		member.len = sizeof(member.name);
	memcpy(member.name, name, member.len);
	return member;
}

struct local_member *local_members_find(
	const struct local_members *members, const char *name, uint32_t len)
{
	const struct local_member wanted = member_of(name, len);
	void *const *node = tfind(&wanted, &members->tree, compare);

	return node ? *node : NULL;
}

void local_member_set(
	struct local_members *members, struct local_member *member, enum claim_state state)
{
	members->wanted -= member->state == CLAIM_WANTED;
	members->wanted += state == CLAIM_WANTED;
	member->state = state;
}

static bool add(struct local_members *members, const char *name, uint32_t len, uint64_t time_ns)
{
	struct local_member *member;

	if (!len || local_members_find(members, name, len) || !(member = malloc(sizeof(*member))))
		return false;
	*member = member_of(name, len);
	member->claimed_ns = time_ns;
	if (!tsearch(member, &members->tree, compare)) {
		free(member);
		return false;
	}
	members->count++;
	if (!is_address(member)) /* an address is nobody's by claim */
		local_member_set(members, member, CLAIM_WANTED);
	return true;
}

/* Returns whether it was there; *held: and had a claim. */
static bool drop(struct local_members *members, const char *name, uint32_t len, bool *held)
{
	struct local_member *member = local_members_find(members, name, len);

	if (!member)
		return false;
	*held = member->state == CLAIM_HELD;
	local_member_set(members, member, CLAIM_NONE);
	tdelete(member, &members->tree, compare);
	free(member);
	members->count--;
	return true;
}

bool local_members_apply(struct local_members *members, const struct udpxdp_room_event *event,
	char gone[UDPXDP_ROOM_NAME_MAX], uint32_t *gone_len)
{
	bool held = false, changed = false;

	*gone_len = 0;
	if (event->kind == UDPXDP_ROOM_RESET) {
		tdestroy(members->tree, free);
		*members = (struct local_members){};
		return true;
	}
	if (event->kind == UDPXDP_ROOM_JOIN)
		return add(members, event->name, event->name_len, event->time_ns);
	if (event->kind != UDPXDP_ROOM_LEAVE && event->kind != UDPXDP_ROOM_NICK)
		return false;
	changed = drop(members, event->name, event->name_len, &held);
	if (held) {
		memcpy(gone, event->name, event->name_len);
		*gone_len = event->name_len;
	}
	if (event->kind == UDPXDP_ROOM_NICK)
		changed |= add(members, (const char *)event->text, event->len, event->time_ns);
	return changed;
}

/* ---- walks ------------------------------------------------------------------------------- */

struct walk {
	struct local_members *members;
	enum claim_state state;
	struct local_member *found;
	char *names;
	size_t size, used;
	bool full;
};

static void want(const void *node, VISIT visit, void *context)
{
	struct local_member *member = *(struct local_member *const *)node;
	struct walk *walk = context;

	if ((visit == postorder || visit == leaf) && member->state == CLAIM_HELD)
		local_member_set(walk->members, member, CLAIM_WANTED);
}

void local_members_want_all(struct local_members *members)
{
	twalk_r(members->tree, want, &(struct walk){.members = members});
}

static void look_for(const void *node, VISIT visit, void *context)
{
	struct local_member *member = *(struct local_member *const *)node;
	struct walk *walk = context;

	if ((visit == postorder || visit == leaf) && member->state == walk->state)
		walk->found = member;
}

static struct local_member *some(const struct local_members *members, enum claim_state state)
{
	struct walk walk = {.state = state};

	twalk_r(members->tree, look_for, &walk);
	return walk.found;
}

struct local_member *local_members_wanted(const struct local_members *members)
{
	return members->wanted ? some(members, CLAIM_WANTED) : NULL;
}

struct local_member *local_members_held(const struct local_members *members)
{
	return some(members, CLAIM_HELD);
}

static void add_name(const void *node, VISIT visit, void *context)
{
	const struct local_member *member = *(struct local_member *const *)node;
	struct walk *walk = context;

	if (visit != postorder && visit != leaf)
		return;
	walk->full |= walk->used + member->len + 1 > walk->size;
	if (walk->full)
		return;
	if (walk->used)
		walk->names[walk->used++] = ' ';
	memcpy(walk->names + walk->used, member->name, member->len);
	walk->used += member->len;
}

uint32_t local_members_names(const struct local_members *members, char *names, size_t size)
{
	struct walk walk = {.names = names, .size = size};

	twalk_r(members->tree, add_name, &walk);
	return (uint32_t)walk.used;
}
