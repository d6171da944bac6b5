/* SPDX-License-Identifier: MIT */
/* Echo (RFC 862), with the time in front: 【ctime】 and a space, then the request's payload. */
#include "services/loops.h"

#define DSCP 0xfc /* of the TOS or traffic class; the rest is ECN (RFC 3168) */

enum { ANSWER_USER, ANSWER_DRIVER };
enum { TOS_ZERO, TOS_COPY };

struct options {
	bool stamp;
	bool loops; /* allowed */
	int tos;    /* TOS_ZERO or TOS_COPY */
	int answer; /* ANSWER_USER or ANSWER_DRIVER */
};

struct echo {
	const struct options *options;
	uint64_t second_ns; /* that the prefix says: when it began */
	struct udpxdp_prefix prefix;
	struct loops chains; /* of the same payload */
};

static const struct udpxdp_word answers[] = {
	{"user", ANSWER_USER},
	{"driver", ANSWER_DRIVER},
	{},
};

static const struct udpxdp_word toses[] = {
	{"0", TOS_ZERO},
	{"copy", TOS_COPY},
	{},
};

static const struct udpxdp_option options[] = {
	{.name = "stamp",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct options, stamp),
		.fallback = "on",
		.help = "put the time in front of the answer; off: plain RFC 862"},
	{.name = "loops",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct options, loops),
		.fallback = "refuse",
		.help = "requests that may be answers themselves: refuse or allow them"},
	{.name = "tos",
		.kind = UDPXDP_OPTION_ENUM,
		.offset = offsetof(struct options, tos),
		.words = toses,
		.fallback = "0",
		.help = "copy: answer with the request's DSCP (never its ECN bits)"},
	{.name = "answer",
		.kind = UDPXDP_OPTION_ENUM,
		.offset = offsetof(struct options, answer),
		.words = answers,
		.fallback = "user",
		.help = "user: this program answers; driver: the filter does where it can (with "
			"-Q, without -w)"},
	{},
};

static uint8_t driver(const void *o)
{
	const struct options *asked = o;

	if (asked->answer != ANSWER_DRIVER)
		return 0;
	return PORT_ANSWERED | (asked->stamp ? PORT_STAMP : 0) | (asked->loops ? PORT_LOOPS : 0) |
	       (asked->tos == TOS_COPY ? PORT_DSCP : 0);
}

static size_t state_size(const void *o)
{
	return sizeof(struct echo);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct echo *echo = state;

	echo->options = start->options;
	loops_start(&echo->chains, &start->seed);
}

static void set_stamp(struct echo *echo, uint64_t time_ns)
{
	uint8_t text[UDPXDP_STAMP_MAX + 1];
	size_t len = udpxdp_stamp_format(text, time_ns);

	text[len++] = ' ';
	udpxdp_prefix_set(&echo->prefix, text, len);
	echo->second_ns = time_ns - time_ns % UDPXDP_NSEC_PER_SEC;
}

/* Out of line: its message would cost receive() a stack frame. */
static __attribute__((noinline)) void show(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const struct udpxdp_message message = udpxdp_message_of(d);

	udpxdp_print(ctx, &message);
}

/* Out of line, too: few ask for it. */
static __attribute__((noinline)) void reply_alike(
	struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, const struct udpxdp_prefix *prefix)
{
	struct udpxdp_datagram alike = *d;

	alike.path.tos = d->tos & DSCP;
	udpxdp_reply(ctx, &alike, prefix);
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct echo *echo = state;
	const struct udpxdp_prefix *prefix = NULL;
	enum udpxdp_drop drop = UDPXDP_DROP_NONE;

	if (!echo->options->loops)
		drop = loops_refuse(&echo->chains, ctx, d);
	if (drop != UDPXDP_DROP_NONE) {
		udpxdp_count_drop(ctx, drop);
		return;
	}
	if (echo->options->stamp) {
		if (!echo->prefix.len || d->time_ns - echo->second_ns >= UDPXDP_NSEC_PER_SEC)
			set_stamp(echo, d->time_ns);
		prefix = &echo->prefix;
	}
	if (udpxdp_prints(ctx))
		show(ctx, d);
	if (echo->options->tos == TOS_COPY)
		reply_alike(ctx, d, prefix);
	else
		udpxdp_reply(ctx, d, prefix);
}

const struct udpxdp_service echo_service = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "echo",
	.port = 8080,
	.options = options,
	.driver = driver,
	.state_size = state_size,
	.start = start,
	.receive = receive,
};
