/* SPDX-License-Identifier: MIT */
#include "services/chat/say.h"

#include "base/text.h"
#include "services/chat/answer.h"

unsigned chat_count_speakers(const uint8_t *text, size_t len)
{
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

void chat_record(struct chat *chat, struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	const uint64_t rate = chat->options->history_bytes;

	if (!budget_has(&chat->history, chat->now_ns, message->len, rate)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_history_lost);
		return;
	}
	budget_take(&chat->history, chat->now_ns, message->len, rate);
	udpxdp_record(ctx, message);
}

void chat_show(const struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;
	const struct udpxdp_message message = udpxdp_message_of(d);

	udpxdp_print(talk->ctx, &message);
	if (is_command(d) || !talk->believed)
		return;
	udpxdp_notify(talk->ctx, &message);
	if (!is_answer(d->payload, d->len))
		chat_record(talk->chat, talk->ctx, &message);
}

/* The longest line that can be sent to everybody but the speaker. */
static size_t longest_line(const struct talk *talk)
{
	const struct members *members = &talk->chat->members;
	const bool ipv4 = udpxdp_addr_is_ipv4(&talk->path.peer.addr);
	const uint32_t others[2] = {members->ipv6 - !ipv4, members->count - members->ipv6 - ipv4};
	static const struct udpxdp_addr of_kind[2] = {
		{.b = {0xfe, 0x80}}, {.b = {[10] = 0xff, 0xff, 127, 0, 0, 1}}};
	size_t longest = SIZE_MAX;

	for (int kind = 0; kind < 2; kind++) {
		struct udpxdp_path path = talk->path;
		size_t max;

		path.peer.addr = of_kind[kind];
		max = udpxdp_send_max(talk->ctx, &path);
		if (others[kind] && max < longest)
			longest = max;
	}
	return longest;
}

/* "NAME: " and the text as one line of printing text that ends as the text does. Returns its
 * length. */
static size_t compose(const struct talk *talk)
{
	struct chat *chat = talk->chat;
	const struct member *speaker = talk->member;
	const uint8_t *text = talk->d->payload;
	const size_t end = text_line_end(text, talk->d->len), len = talk->d->len - end;
	size_t used = speaker->name_len;

	memcpy(chat->line, speaker->name, used);
	memcpy(chat->line + used, ": ", 2);
	used += 2;
	used += escape_text(chat->line + used, sizeof(chat->line) - used - end, text, len);
	memcpy(chat->line + used, text + len, end);
	return used + end;
}

void chat_say(const struct talk *talk)
{
	struct chat *chat = talk->chat;
	const struct udpxdp_datagram *d = talk->d;
	const size_t front = talk->member->name_len + 2, len = compose(talk);
	const size_t max = longest_line(talk);
	/* A room does not get what another room relayed. */
	const bool relayed =
		d->path.peer.port == chat->port && chat_count_speakers(d->payload, d->len);
	struct fanout_line *line;

	if (len > max) {
		chat_refuse(talk, UDPXDP_DROP_reply_too_big,
			"* message too long: %zu bytes, at most %zu", len - front,
			max > front ? max - front : 0);
		return;
	}
	if (chat->members.count == 1) { /* there is nobody here to hear it */
		chat_show(talk);
		if (!relayed)
			room_say(talk);
		return;
	}
	line = fanout_reserve(&chat->fanout, (uint32_t)len);
	if (!line) {
		chat_refuse(talk, UDPXDP_DROP_over_budget, "* not sent: the room is busy");
		return;
	}
	chat_show(talk);
	if (!relayed)
		room_say(talk);
	line->speaker = members_number(&chat->members, talk->member);
	line->len = (uint32_t)len;
	line->joined = chat->members.joins;
	line->not_port = relayed ? chat->port : 0;
	memcpy(line->text, chat->line, len);
	fanout_add(&chat->fanout, line);
	fanout_run(&chat->fanout, &chat->members, talk->ctx);
}

bool chat_afford(const struct talk *talk)
{
	struct chat *chat = talk->chat;
	const struct chat_options *o = chat->options;
	struct member *speaker = talk->member;
	const uint64_t now = chat->now_ns, bytes = talk->d->len;
	/* Who is unproven has a tenth. */
	const uint64_t share = speaker->path.proven ? 1 : 10;
	const uint64_t rate = o->rate ? (o->rate + share - 1) / share : 0,
		       rate_bytes = o->bytes / share;

	if (!budget_has(&speaker->messages, now, 1, rate) ||
		!budget_has(&speaker->bytes, now, bytes, rate_bytes)) {
		chat_refuse(talk, UDPXDP_DROP_over_budget,
			"* not sent: more than a member may say at once; go on slowly");
		return false;
	}
	if (!budget_has(&chat->messages, now, 1, o->room_rate) ||
		!budget_has(&chat->bytes, now, bytes, o->room_bytes)) {
		chat_refuse(talk, UDPXDP_DROP_over_budget, "* not sent: the room is busy");
		return false;
	}
	budget_take(&speaker->messages, now, 1, rate);
	budget_take(&speaker->bytes, now, bytes, rate_bytes);
	budget_take(&chat->messages, now, 1, o->room_rate);
	budget_take(&chat->bytes, now, bytes, o->room_bytes);
	return true;
}
