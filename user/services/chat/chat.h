/* SPDX-License-Identifier: MIT */
/* What the files of the chat service share: the room, and one datagram from a speaker. */
#ifndef UDPXDP_CHAT_H
#define UDPXDP_CHAT_H

#include "services/chat/challenge.h"
#include "services/chat/members.h"

struct chat_options {
	uint32_t members;
	uint32_t idle;
	bool challenge;
};

_Static_assert(sizeof(struct chat_options) <= UDPXDP_OPTIONS_SIZE, "options fit their place");

struct chat {
	const struct chat_options *options;
	uint16_t port;
	uint64_t now_ns;
	struct challenge challenge;
	struct members members; /* and its records behind it: nothing may follow */
};

/* A datagram from a speaker, and what the room made of it. */
struct talk {
	struct chat *chat;
	struct udpxdp_ctx *ctx;
	const struct udpxdp_datagram *d;
	uint64_t id;
	struct member *speaker;
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
