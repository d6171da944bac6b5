/* SPDX-License-Identifier: MIT */
/*
 * A chat room: whoever speaks is a member, and what a member says goes to all the others.
 *
 * An answer of the room itself begins with "* ". Rooms and echo servers can be made to talk to
 * each other by forged source addresses, or by a console that speaks to another room, so
 *  - a text that begins with "* " is shown, but neither answered nor relayed;
 *  - a text that already begins with MAX_SPEAKERS names is refused;
 *  - what another room relayed is not passed to a third room.
 */
#include <stdio.h>

#include "services/chat/answer.h"
#include "services/chat/commands.h"
#include "services/chat/say.h"

#define LOWEST_CLIENT_PORT 1024 /* below it live services, which might answer */

static const struct udpxdp_option options[] = {
	{.name = "members",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, members),
		.min = 1,
		.max = 65536,
		.fallback = "1024",
		.help = "maximum number of members"},
	{.name = "idle",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, idle),
		.min = 1,
		.max = 86400,
		.fallback = "300",
		.help = "seconds of silence after which a member is removed"},
	{.name = "places",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, places),
		.min = 1,
		.max = 65536,
		.fallback = "16",
		.help = "members with the same address, if others want a place or it is far"},
	{.name = "rate",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, rate),
		.max = 1000000,
		.fallback = "100",
		.help = "messages a second of a member, ten times that at once; 0: no limit"},
	{.name = "bytes",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, bytes),
		.fallback = "150000",
		.help = "bytes a second of a member, likewise"},
	{.name = "room-rate",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, room_rate),
		.max = 1000000,
		.fallback = "2000",
		.help = "messages a second of all members, likewise"},
	{.name = "room-bytes",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, room_bytes),
		.fallback = "2000000",
		.help = "bytes a second of all members, likewise"},
	{.name = "history-bytes",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct chat_options, history_bytes),
		.fallback = "1000000",
		.help = "bytes of texts a second that go to the history, likewise"},
	{.name = "challenge",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct chat_options, challenge),
		.fallback = "on",
		.help = "speakers whose address may be forged must echo a token to join"},
	{},
};

static size_t state_size(const void *o)
{
	const struct chat_options *opts = o;

	return offsetof(struct chat, members) + members_size(opts->members);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct chat *chat = state;

	chat->options = start->options;
	chat->port = start->port;
	chat->challenge.seed = start->seed;
	chat->fanout.allowance = FANOUT_SLICE;
	chat->members.on_leave = room_left;
	chat->members.context = chat;
	members_init(&chat->members, chat->options->members, chat->options->places);
}

/* Time passes: members who were silent too long leave. A clock set back strands nobody. */
static void advance(struct chat *chat, struct udpxdp_ctx *ctx)
{
	const uint64_t now = udpxdp_steady(ctx);

	chat->ctx = ctx;

	if (now + UDPXDP_NSEC_PER_SEC < chat->now_ns)
		members_rewind(&chat->members, now);
	chat->now_ns = now;
	members_expire(&chat->members, now, chat->options->idle * UDPXDP_NSEC_PER_SEC);
}

/* ---- membership ---- */

/* Two hosts may have one address, on different links or VLANs: the second says where it is. */
static void tell_apart(const struct chat *chat, struct member *member)
{
	const uint32_t link = member->identity.link, vlan = udpxdp_vlan_id(&member->path);
	int len = (int)member->name_len;

	if ((link || vlan) && members_named(&chat->members, (const uint8_t *)member->name,
				      member->name_len) != member)
		len += snprintf(member->name + len, sizeof(member->name) - (size_t)len, "%%%u",
			vlan ? vlan : link);
	if (len < (int)sizeof(member->name))
		member->name_len = (uint32_t)len;
}

static bool join(struct talk *talk)
{
	struct chat *chat = talk->chat;

	talk->member = members_join(
		&chat->members, &talk->identity, &talk->path, talk->d->path.proven, chat->now_ns);
	if (talk->member) {
		tell_apart(chat, talk->member);
		room_joined(chat, talk->member);
	} else {
		chat_refuse(talk, UDPXDP_DROP_room_full,
			chat->members.count == chat->members.capacity
				? "* not sent: the room is full, with %u members"
				: "* not sent: too many of the %u members speak from your address",
			chat->members.count);
	}
	return talk->member;
}

/* A datagram of a neighbour that the kernel had to put together shows no MAC: what it says is
 * taken, but no command, and the member's road stays. */
static bool by_another_way(const struct talk *talk)
{
	return talk->d->path.ingress != talk->member->path.ingress && !talk->d->path.proven;
}

/* May what is said be by whom it says it is by? A console vouches for whom it speaks to. */
static bool is_believed(const struct talk *talk)
{
	const struct chat *chat = talk->chat;
	const struct member *member = talk->member;
	const uint8_t *mac = talk->d->path.peer.mac;

	if (talk->d->path.proven)
		return true;
	if (member && by_another_way(talk))
		return !is_command(talk->d) &&
		       udpxdp_host_on_link(udpxdp_host(talk->ctx), &talk->d->path.peer.addr);
	if (member)
		return !memcmp(mac, member->path.peer.mac, 6) || !memcmp(mac, member->other_mac, 6);
	return !chat->options->challenge ||
	       challenge_allowed(&chat->challenge, talk->identity.id, chat->now_ns);
}

/* From now on the member is reached by the way that this came. */
static void follow(const struct talk *talk)
{
	struct member *member = talk->member;
	const struct udpxdp_path before = member->path;
	const bool moved = memcmp(talk->path.peer.mac, before.peer.mac, 6);

	if (talk->path.proven && !before.proven)
		members_prove(&talk->chat->members, member);
	member->path = talk->path;
	member->path.proven |= before.proven;
	/* Behind two routers it may speak by either, once it has shown that it is there. */
	member->neighbour = talk->d->path.proven;
	if (member->neighbour)
		memset(member->other_mac, 0, 6);
	else if (moved)
		memcpy(member->other_mac, before.peer.mac, 6);
	members_touch(&talk->chat->members, member, talk->chat->now_ns);
}

/*
 * Somebody whose address may be forged: who is no member yet, or a member by a road that is not its
 * own. What it says comes to nothing before it has echoed its token, which goes where the kernel
 * knows the address to be, if it does.
 */
static void challenge(struct talk *talk)
{
	struct chat *chat = talk->chat;
	const struct challenge *c = &chat->challenge;
	const bool by_mac = talk->member;
	struct text text = trimmed(talk->d);
	char token[CHALLENGE_TOKEN_LEN];

	if (challenge_accepts(c, &talk->d->path, by_mac, chat->now_ns, text.bytes, text.len)) {
		talk->path.proven = true;
		if (talk->member)
			follow(talk);
		if (!talk->member && !join(talk))
			return;
		if (memcmp(talk->d->path.peer.mac, talk->path.peer.mac, 6))
			memcpy(talk->member->other_mac, talk->d->path.peer.mac, 6);
		chat_answer(talk, "* welcome: %u here", chat->members.count);
		return;
	}
	if (talk->d->len)
		chat_show(talk);
	challenge_token(c, &talk->d->path, by_mac, chat->now_ns, token);
	chat_refuse(talk, by_mac ? UDPXDP_DROP_other_road : UDPXDP_DROP_unconfirmed,
		"* to join, send: %.*s", CHALLENGE_TOKEN_LEN, token);
}

static void hear(struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;

	if (!talk->believed) {
		challenge(talk);
		return;
	}
	if (talk->member && by_another_way(talk)) {
		members_touch(&talk->chat->members, talk->member, talk->chat->now_ns);
	} else if (talk->member) {
		follow(talk);
	} else {
		talk->path.proven |= challenge_allowed(
			&talk->chat->challenge, talk->identity.id, talk->chat->now_ns);
		if (!join(talk))
			return;
	}
	if (!d->len || !chat_afford(talk))
		return;
	if (is_command(d)) {
		chat_show(talk);
		chat_run_command(talk);
	} else {
		chat_say(talk);
	}
}

/* ---- what the engine calls ---- */

/*
 * A pasted line, or another service's answer? Whoever pastes one is told, but what stands behind
 * the stamp may be our own word, sent back.
 */
static void refuse_stamped(const struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;
	struct text rest = {d->payload, d->len};

	while (udpxdp_stamp_starts(rest.bytes, rest.len)) {
		rest.bytes += UDPXDP_STAMP_LEN;
		rest.len -= UDPXDP_STAMP_LEN;
		while (rest.len && *rest.bytes == ' ')
			rest.bytes++, rest.len--;
	}
	if (udpxdp_serves(talk->ctx, d->path.peer.port) || is_answer(rest.bytes, rest.len))
		udpxdp_count_drop(talk->ctx, UDPXDP_DROP_loop);
	else
		chat_refuse(talk, UDPXDP_DROP_loop,
			"* not sent: it begins with a time stamp, as answers of services do");
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct chat *chat = state;
	struct talk talk = {.chat = chat, .ctx = ctx, .d = d, .path = d->path};

	advance(chat, ctx);
	if (d->path.peer.port < LOWEST_CLIENT_PORT) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
		return;
	}
	if (!d->path.proven) /* answers go where the kernel says that it is */
		udpxdp_refresh(ctx, &talk.path);
	talk.identity = challenge_identity(&chat->challenge, &d->path, udpxdp_link(ctx, &d->path));
	talk.member = members_find(&chat->members, &talk.identity, &d->path);
	talk.believed = is_believed(&talk);
	if (udpxdp_stamp_starts(d->payload, d->len)) {
		refuse_stamped(&talk);
	} else if (is_answer(d->payload, d->len)) {
		chat_show(&talk);
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
	} else if (chat_count_speakers(d->payload, d->len) == MAX_SPEAKERS) {
		chat_refuse(&talk, UDPXDP_DROP_loop, "* not sent: %d names stand in front of it",
			MAX_SPEAKERS);
	} else if (udpxdp_text_is_utf8(d->payload, d->len)) {
		hear(&talk);
	} else {
		chat_refuse(
			&talk, UDPXDP_DROP_invalid_text, "* not sent: the text is not valid UTF-8");
	}
}

/* Another slice for those who wait for a line. */
static void resume(void *state, struct udpxdp_ctx *ctx)
{
	struct chat *chat = state;

	chat->fanout.allowance = FANOUT_SLICE;
	fanout_run(&chat->fanout, &chat->members, ctx);
}

/* Nobody is reached by a road that is no more. */
static void tick(void *state, struct udpxdp_ctx *ctx, uint64_t time_ns)
{
	struct chat *chat = state;
	uint8_t mac[6];

	advance(chat, ctx);
	for (uint32_t i = chat->members.count; i-- > 0;) {
		struct member *member = members_at(&chat->members, i);

		memcpy(mac, member->path.peer.mac, sizeof(mac));
		if (!udpxdp_refresh(ctx, &member->path))
			members_leave(&chat->members, member);
		else if (!member->neighbour && memcmp(mac, member->path.peer.mac, sizeof(mac)))
			memcpy(member->other_mac, mac, sizeof(mac)); /* it may speak by both */
	}
	room_tick(chat);
}

static const char *command(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_command *c)
{
	struct chat *chat = state;
	struct udpxdp_path path = c->path;
	const struct udpxdp_message message = {
		.time_ns = c->time_ns,
		.direction = UDPXDP_SENT,
		.addr = path.peer.addr,
		.port = path.peer.port,
		.text = c->text,
		.len = c->len,
	};

	advance(chat, ctx);
	if (!udpxdp_text_is_utf8(c->text, c->len))
		return "the text is not valid UTF-8; use a UTF-8 terminal";
	path.local.port = chat->port;
	path.proven = true; /* whoever sits at the console decides that */
	if (!udpxdp_send(ctx, &path, c->text, c->len))
		return c->len > udpxdp_send_max(ctx, &path)
			       ? "the text does not fit the interface's MTU; shorten it"
			       : "no transmit frame is free; try again";
	challenge_allow(&chat->challenge,
		challenge_identity(&chat->challenge, &path, udpxdp_link(ctx, &path)).id,
		chat->now_ns + chat->options->idle * UDPXDP_NSEC_PER_SEC);
	udpxdp_print(ctx, &message);
	udpxdp_record(ctx, &message);
	return NULL;
}

static void room(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	advance(state, ctx);
	room_hear(state, event);
}

const struct udpxdp_service chat_service = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "chat",
	.port = 8090,
	.single = true,
	.options = options,
	.has_history = true,
	.state_size = state_size,
	.start = start,
	.receive = receive,
	.tick = tick,
	.resume = resume,
	.command = command,
	.room = room,
};
