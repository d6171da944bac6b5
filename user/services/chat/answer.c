/* SPDX-License-Identifier: MIT */
#include "services/chat/answer.h"

#include <stdarg.h>
#include <stdio.h>

static void answer_with(const struct talk *talk, const char *format, va_list args)
{
	const struct udpxdp_datagram *d = talk->d;
	char text[ANSWER_MAX];
	size_t len = (size_t)vsnprintf(text, sizeof(text), format, args);

	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	if (d->len && d->payload[d->len - 1] == '\n')
		text[len++] = '\n';
	udpxdp_send(talk->ctx, &talk->path, text, len);
}

void chat_answer(const struct talk *talk, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer_with(talk, format, args);
	va_end(args);
}

void chat_refuse(const struct talk *talk, enum udpxdp_drop reason, const char *format, ...)
{
	va_list args;

	udpxdp_count_drop(talk->ctx, reason);
	if (!challenge_may_answer(&talk->chat->challenge, talk->identity.host, talk->chat->now_ns))
		return;
	va_start(args, format);
	answer_with(talk, format, args);
	va_end(args);
}
