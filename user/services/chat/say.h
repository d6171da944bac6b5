/* SPDX-License-Identifier: MIT */
/* What is said in a chat room: what kind of text it is, who is shown it, and what it may cost. */
#ifndef UDPXDP_CHAT_SAY_H
#define UDPXDP_CHAT_SAY_H

#include "services/chat/chat.h"

#define MAX_SPEAKERS 3

/* Is it what a room, this one or another, says of itself? */
static inline bool is_answer(const uint8_t *text, size_t len)
{
	return len >= 2 && !memcmp(text, "* ", 2);
}

static inline bool is_command(const struct udpxdp_datagram *d)
{
	return d->len && d->payload[0] == '/';
}

/* How many times, up to MAX_SPEAKERS, the text begins with "NAME: ". */
unsigned chat_count_speakers(const uint8_t *text, size_t len);

/* Writes a message to the history, as far as the room's budget for that goes. */
void chat_record(struct chat *chat, struct udpxdp_ctx *ctx, const struct udpxdp_message *message);

/*
 * Prints everything. The consoles get no commands, and the history neither commands nor the answers
 * of another room; neither gets what somebody says who is not believed: a forger would fill them.
 */
void chat_show(const struct talk *talk);

/* Does what the speaker, a member, says fit its budget and that of the room? Takes it from them, or
 * refuses. */
bool chat_afford(const struct talk *talk);

/* Shows what the speaker says and sends it to everybody else; or refuses. */
void chat_say(const struct talk *talk);

#endif
