/* SPDX-License-Identifier: MIT */
/* What a chat room says to the speaker alone. */
#ifndef UDPXDP_CHAT_ANSWER_H
#define UDPXDP_CHAT_ANSWER_H

#include "services/chat/chat.h"

#define ANSWER_MAX 256 /* bytes of an answer, so that little comes of a forged question */

/*
 * Answers the speaker in one line: what the format says, which is to begin with "* ". It ends as
 * the question did, which is how the speaker's program shows lines.
 */
void chat_answer(const struct talk *talk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Counts a refusal, and answers why, but not many times a second to one address. */
void chat_refuse(const struct talk *talk, enum udpxdp_drop reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
