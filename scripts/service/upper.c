/* SPDX-License-Identifier: MIT */
/* Answers text with the same in capitals: a service with an option and a drop reason of its own. */
#include <udpxdp/service.h>

#define TEXT_MAX 2048

struct options {
	uint32_t max;
};

struct upper {
	const struct options *options;
};

static const struct udpxdp_option options[] = {
	{.name = "max",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct options, max),
		.min = 1,
		.max = TEXT_MAX,
		.fallback = "512",
		.help = "the longest text that is answered, in bytes"},
	{},
};

enum { TOO_LONG };

static const struct udpxdp_reason drops[] = {
	[TOO_LONG] = {"too_long", "the text is longer than max"},
	{},
};

static size_t state_size(const void *o)
{
	return sizeof(struct upper);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct upper *upper = state;

	upper->options = start->options;
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const struct upper *upper = state;
	uint8_t text[TEXT_MAX];

	if (d->len > upper->options->max) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_OWN + TOO_LONG);
		return;
	}
	/* What comes from a service's port may be an answer: two of us would never end. */
	if (d->path.peer.port < 1024 || udpxdp_serves(ctx, d->path.peer.port)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
		return;
	}
	for (uint32_t i = 0; i < d->len; i++)
		text[i] = d->payload[i] - (d->payload[i] >= 'a' && d->payload[i] <= 'z' ? 32 : 0);
	udpxdp_send(ctx, &d->path, text, d->len);
}

const struct udpxdp_service udpxdp_service = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "upper",
	.port = 9000,
	.options = options,
	.drops = drops,
	.state_size = state_size,
	.start = start,
	.receive = receive,
};
