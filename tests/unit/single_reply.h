/* SPDX-License-Identifier: MIT */
/*
 * A service that lives on one worker and answers: with the number of datagrams that it has seen,
 * from whatever queue they came, in front of what each said.
 */
#ifndef SINGLE_REPLY_H
#define SINGLE_REPLY_H

#include <stdio.h>

#include "udpxdp/service.h"

#define SINGLE_REPLY_PORT 8099

struct single_reply {
	unsigned count;
};

static size_t single_reply_size(const void *options)
{
	return sizeof(struct single_reply);
}

static void single_reply_start(void *state, const struct udpxdp_start *start)
{
}

static void single_reply_receive(
	void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct single_reply *s = state;
	struct udpxdp_prefix prefix;
	char text[16];

	udpxdp_prefix_set(&prefix, text, (size_t)snprintf(text, sizeof(text), "%u ", ++s->count));
	udpxdp_reply(ctx, d, &prefix);
}

static const struct udpxdp_service single_reply_service = {
	.name = "reply",
	.port = SINGLE_REPLY_PORT,
	.single = true,
	.state_size = single_reply_size,
	.start = single_reply_start,
	.receive = single_reply_receive,
};

#endif
