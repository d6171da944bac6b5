/* SPDX-License-Identifier: MIT */
/* What the files of the chat service share: the room, and one datagram from a speaker. */
#ifndef UDPXDP_CHAT_H
#define UDPXDP_CHAT_H

#include "base/escape.h"
#include "services/chat/challenge.h"
#include "services/chat/fanout.h"
#include "services/chat/room.h"

struct chat_options {
	uint32_t members, places;
	uint32_t idle;
	uint32_t rate, bytes;           /* of a member, a second; 0: without end */
	uint32_t room_rate, room_bytes; /* of all of them */
	uint32_t history_bytes;         /* to the history */
	bool challenge;
};

_Static_assert(sizeof(struct chat_options) <= UDPXDP_OPTIONS_SIZE, "options fit their place");

struct chat {
	const struct chat_options *options;
	uint16_t port;
	uint64_t now_ns; /* of the steady clock */
	struct budget messages, bytes, history;
	struct challenge challenge;
	struct fanout fanout;
	struct udpxdp_ctx *ctx; /* of this call */
	struct room room;
	char line[ESCAPE_TEXT_MAX(65536)]; /* what is said, made one line of printing text */
	struct members members;            /* and its records behind it: nothing may follow */
};

/* A datagram from a speaker, and what the room made of it. */
struct talk {
	struct chat *chat;
	struct udpxdp_ctx *ctx;
	const struct udpxdp_datagram *d;
	struct udpxdp_path path; /* by which it is answered */
	struct identity identity;
	struct member *member; /* whose address it is; NULL: nobody's who is one */
	bool believed;         /* and the speaker's */
};

struct text {
	const uint8_t *bytes;
	size_t len;
};

/* Without the line's end and spaces before it. */
static inline struct text trimmed(const struct udpxdp_datagram *d)
{
	struct text text = {d->payload, d->len};

	while (text.len && text.bytes[text.len - 1] <= ' ')
		text.len--;
	return text;
}

#endif
