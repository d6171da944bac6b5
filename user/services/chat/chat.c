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
#include "services/chat/answer.h"
#include "services/chat/commands.h"

#define LOWEST_CLIENT_PORT 1024 /* below it live services, which might answer */
#define MAX_SPEAKERS 3

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
	{.name = "challenge",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct chat_options, challenge),
		.fallback = "on",
		.help = "speakers from off the subnet must echo a token to join"},
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
	members_init(&chat->members, chat->options->members);
}

/* Time passes: members who were silent too long leave. A clock set back strands nobody. */
static void advance(struct chat *chat, uint64_t time_ns)
{
	if (time_ns + NSEC_PER_SEC < chat->now_ns)
		members_rewind(&chat->members, time_ns);
	chat->now_ns = time_ns;
	members_expire(&chat->members, time_ns, chat->options->idle * NSEC_PER_SEC);
}

/* ---- what a text is ---- */

/* Is it what a room, this one or another, says of itself? */
static bool is_answer(const struct udpxdp_datagram *d)
{
	return d->len >= 2 && !memcmp(d->payload, "* ", 2);
}

static bool is_command(const struct udpxdp_datagram *d)
{
	return d->len && d->payload[0] == '/';
}

/* How many times, up to MAX_SPEAKERS, the text begins with "NAME: ". */
static unsigned count_speakers(const struct udpxdp_datagram *d)
{
	const uint8_t *text = d->payload;
	size_t len = d->len;
	unsigned count = 0;

	while (count < MAX_SPEAKERS) {
		size_t limit = len < UDPXDP_ADDR_TEXT_MAX ? len : UDPXDP_ADDR_TEXT_MAX;
		size_t i = 0;

		while (i < limit && text[i] > ' ')
			i++;
		if (i == limit || i < 2 || text[i] != ' ' || text[i - 1] != ':')
			break;
		text += i + 1;
		len -= i + 1;
		count++;
	}
	return count;
}

static bool could_loop(const struct udpxdp_datagram *d)
{
	return d->path.peer.port < LOWEST_CLIENT_PORT || udpxdp_stamp_starts(d->payload, d->len);
}

/* Prints everything; the consoles get no commands, and the history neither commands nor the answers
 * of another room. */
static void show(const struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;
	const struct udpxdp_message message = {
		.time_ns = d->time_ns,
		.direction = UDPXDP_RECEIVED,
		.addr = d->path.peer.addr,
		.port = d->path.peer.port,
		.text = d->payload,
		.len = d->len,
	};

	udpxdp_print(talk->ctx, &message);
	if (is_command(d))
		return;
	udpxdp_notify(talk->ctx, &message);
	if (!is_answer(d))
		udpxdp_record(talk->ctx, &message);
}

/* ---- the conversation ---- */

/* Does this member get what the speaker says? A room does not get what another room relayed. */
static bool hears(const struct talk *talk, const struct member *member, bool relayed)
{
	return member != talk->speaker && !(relayed && member->path.peer.port == talk->chat->port);
}

/* The longest line that can be sent to everybody who hears it. The paths are of two kinds, of which
 * each is asked for once. */
static size_t longest_line(const struct talk *talk, bool relayed)
{
	const struct members *members = &talk->chat->members;
	size_t longest = SIZE_MAX, of_kind[2] = {};

	for (uint32_t i = 0; i < members->count; i++) {
		const struct member *member = members_at(members, i);
		size_t *max = &of_kind[udpxdp_addr_is_ipv4(&member->path.peer.addr)];

		if (*max || !hears(talk, member, relayed))
			continue;
		*max = udpxdp_send_max(talk->ctx, &member->path);
		if (*max < longest)
			longest = *max;
	}
	return longest;
}

/* "NAME: ", to stand in front of what the speaker says. */
static void set_prefix(struct udpxdp_prefix *prefix, const struct member *speaker)
{
	char text[sizeof(speaker->name) + 2];

	_Static_assert(sizeof(text) <= sizeof(prefix->text), "a name fits in front of a text");
	memcpy(text, speaker->name, speaker->name_len);
	memcpy(text + speaker->name_len, ": ", 2);
	udpxdp_prefix_set(prefix, text, speaker->name_len + 2);
}

static void relay(const struct talk *talk)
{
	const struct members *members = &talk->chat->members;
	const struct udpxdp_datagram *d = talk->d;
	bool relayed = d->path.peer.port == talk->chat->port && count_speakers(d);
	size_t max = longest_line(talk, relayed);
	struct udpxdp_prefix prefix;

	set_prefix(&prefix, talk->speaker);
	if (prefix.len + d->len > max) {
		chat_refuse(talk, UDPXDP_DROP_reply_too_big,
			"* message too long: %u bytes, at most %zu", d->len,
			max > prefix.len ? max - prefix.len : 0);
		return;
	}

	show(talk);
	for (uint32_t i = 0; i < members->count; i++) {
		const struct member *member = members_at(members, i);

		if (hears(talk, member, relayed))
			udpxdp_forward(talk->ctx, d, &member->path, &prefix);
	}
}

/* ---- membership ---- */

static bool needs_token(const struct talk *talk)
{
	const struct chat *chat = talk->chat;
	const struct udpxdp_host *net = udpxdp_host(talk->ctx);

	return chat->options->challenge && !net->any_unicast &&
	       !udpxdp_host_on_link(net, &talk->d->path.peer.addr) &&
	       !challenge_allowed(&chat->challenge, talk->id, talk->d->time_ns);
}

static bool join(struct talk *talk)
{
	struct chat *chat = talk->chat;

	talk->speaker = members_join(&chat->members, talk->id, &talk->d->path, talk->d->time_ns);
	if (!talk->speaker)
		chat_refuse(talk, UDPXDP_DROP_room_full,
			"* not sent: the room is full, with %u members", chat->members.count);
	return talk->speaker;
}

/* Somebody from off the subnet who is no member yet. */
static void challenge(struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;
	const struct udpxdp_endpoint *peer = &d->path.peer;
	struct text text = trimmed(d);
	char token[CHALLENGE_TOKEN_LEN];

	if (challenge_accepts(&talk->chat->challenge, peer, d->time_ns, text.bytes, text.len)) {
		if (join(talk))
			chat_answer(talk, "* welcome: %u here", talk->chat->members.count);
		return;
	}
	if (d->len)
		show(talk);
	challenge_token(&talk->chat->challenge, peer, d->time_ns, token);
	chat_refuse(
		talk, UDPXDP_DROP_unconfirmed, "* to join, send: %.*s", CHALLENGE_TOKEN_LEN, token);
}

static void hear(struct talk *talk)
{
	struct chat *chat = talk->chat;
	const struct udpxdp_datagram *d = talk->d;

	talk->speaker = members_find(&chat->members, talk->id, &d->path.peer);
	if (talk->speaker) {
		members_touch(&chat->members, talk->speaker, &d->path, d->time_ns);
	} else if (needs_token(talk)) {
		challenge(talk);
		return;
	} else if (!join(talk)) {
		return;
	}
	if (is_command(d)) {
		show(talk);
		chat_run_command(talk);
	} else if (d->len) {
		relay(talk);
	}
}

/* ---- what the engine calls ---- */

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct chat *chat = state;
	struct talk talk = {.chat = chat, .ctx = ctx, .d = d};

	advance(chat, d->time_ns);
	if (could_loop(d)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
		return;
	}
	talk.id = challenge_id(&chat->challenge, &d->path.peer);
	if (is_answer(d)) {
		show(&talk);
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
	} else if (count_speakers(d) == MAX_SPEAKERS) {
		chat_refuse(&talk, UDPXDP_DROP_loop, "* not sent: %d names stand in front of it",
			MAX_SPEAKERS);
	} else if (udpxdp_text_is_utf8(d->payload, d->len)) {
		hear(&talk);
	} else {
		chat_refuse(
			&talk, UDPXDP_DROP_invalid_text, "* not sent: the text is not valid UTF-8");
	}
}

static void tick(void *state, struct udpxdp_ctx *ctx, uint64_t time_ns)
{
	advance(state, time_ns);
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

	advance(chat, c->time_ns);
	if (!udpxdp_text_is_utf8(c->text, c->len))
		return "the text is not valid UTF-8; use a UTF-8 terminal";
	path.local.port = chat->port;
	if (!udpxdp_send(ctx, &path, c->text, c->len))
		return c->len > udpxdp_send_max(ctx, &path)
			       ? "the text does not fit the interface's MTU; shorten it"
			       : "no transmit frame is free; try again";
	challenge_allow(&chat->challenge, challenge_id(&chat->challenge, &path.peer),
		c->time_ns + chat->options->idle * NSEC_PER_SEC);
	udpxdp_print(ctx, &message);
	udpxdp_record(ctx, &message);
	return NULL;
}

const struct udpxdp_service chat_service = {
	.name = "chat",
	.port = 8090,
	.single = true,
	.options = options,
	.has_history = true,
	.state_size = state_size,
	.start = start,
	.receive = receive,
	.tick = tick,
	.command = command,
};
