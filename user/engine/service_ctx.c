/* SPDX-License-Identifier: MIT */
/* What a service may call: see service.h. */
#include "base/build.h"
#include "base/checksum.h"
#include "engine/internal.h"

_Static_assert(sizeof(((struct udpxdp_prefix *)0)->text) <= FRAME_HEADROOM,
	"an answer in place grows into the headroom");

void udpxdp_count_drop(struct udpxdp_ctx *ctx, enum udpxdp_drop reason)
{
	ctx->instance->counters->drops[reason]++;
}

static void count_sent(struct udpxdp_ctx *ctx, uint32_t len)
{
	ctx->instance->counters->tx++;
	ctx->instance->counters->tx_bytes += len;
}

size_t udpxdp_send_max(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	const size_t fits = ctx->engine->net->mtu - ip_udp_len(path);

	return fits < UDPXDP_PAYLOAD_MAX ? fits : UDPXDP_PAYLOAD_MAX;
}

/* Does so much payload fit the path? Counts it when it does not. */
static bool fits(struct udpxdp_ctx *ctx, const struct udpxdp_path *path, size_t len)
{
	if (len <= udpxdp_send_max(ctx, path))
		return true;
	udpxdp_count_drop(ctx, UDPXDP_DROP_reply_too_big);
	return false;
}

/* Sends prefix (NULL: nothing) and len bytes of payload, whose sum is payload_sum, by a copy. */
static bool send_copy(struct udpxdp_ctx *ctx, const struct udpxdp_path *path,
	const struct udpxdp_prefix *prefix, const void *payload, uint32_t len, uint32_t payload_sum)
{
	struct frame_io *io = ctx->engine->io;
	struct frame frame;
	uint8_t *to;

	if (!io->ops->allocate(io, &frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	to = frame.data + headers_len(path);
	if (prefix) {
		memcpy(to, prefix->text + sizeof(prefix->text) - prefix->len, prefix->len);
		to += prefix->len;
		payload_sum = prefix->sum + checksum_behind(prefix->len, payload_sum);
	}
	memcpy(to, payload, len);
	frame.len = to + len - frame.data;
	len = frame.len - headers_len(path);
	headers_write(frame.data, path, len, payload_sum);
	frame.time_ns = ctx->time_ns;
	io->ops->send(io, &frame);
	count_sent(ctx, len);
	return true;
}

bool udpxdp_send(
	struct udpxdp_ctx *ctx, const struct udpxdp_path *path, const void *payload, size_t len)
{
	return fits(ctx, path, len) &&
	       send_copy(ctx, path, NULL, payload, len, checksum_sum(payload, len));
}

bool udpxdp_forward(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d,
	const struct udpxdp_path *path, const struct udpxdp_prefix *prefix)
{
	return fits(ctx, path, (prefix ? prefix->len : 0) + (size_t)d->len) &&
	       send_copy(ctx, path, prefix, d->payload, d->len, d->payload_sum);
}

bool udpxdp_reply(
	struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, const struct udpxdp_prefix *prefix)
{
	struct frame_io *io = ctx->engine->io;
	struct frame *frame = ctx->frame;
	uint8_t *payload = (uint8_t *)d->payload, *start;
	uint32_t len = d->len, sum = d->payload_sum;

	if (!frame)
		return udpxdp_forward(ctx, d, &d->path, prefix);
	if (prefix) {
		len += prefix->len;
		sum = prefix->sum + checksum_behind(prefix->len, sum);
	}
	if (!fits(ctx, &d->path, len))
		return false;
	if (prefix) {
		/* A fixed length costs no call; what it spoils is written anew below. */
		memcpy(payload - sizeof(prefix->text), prefix->text, sizeof(prefix->text));
		payload -= prefix->len;
	}
	start = payload - headers_len(&d->path);
	headers_write(start, &d->path, len, sum);
	frame->len = payload + len - start;
	frame->data = start;
	if (!io->ops->send(io, frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	ctx->frame = NULL;
	count_sent(ctx, len);
	return true;
}

bool udpxdp_prints(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->sinks.print;
}

/* Hands a message to a sink, if there is one; counts it when the sink lets it go. */
static void hand_on(struct udpxdp_ctx *ctx, engine_sink *sink, enum udpxdp_drop lost,
	const struct udpxdp_message *message)
{
	const struct engine *e = ctx->engine;

	if (sink && !sink(e->sinks.context, ctx->instance - e->instances, message))
		udpxdp_count_drop(ctx, lost);
}

void udpxdp_print(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.print, UDPXDP_DROP_print_lost, message);
}

void udpxdp_record(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.record, UDPXDP_DROP_history_lost, message);
}

void udpxdp_notify(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.notify, UDPXDP_DROP_console_lost, message);
}

const struct udpxdp_host *udpxdp_host(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->net;
}

bool udpxdp_serves(const struct udpxdp_ctx *ctx, uint16_t port)
{
	return ctx->engine->dispatch[port];
}

const char *udpxdp_hostname(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->hostname;
}
