/* SPDX-License-Identifier: MIT */
/* What a service may call: see service.h. */
#include "base/build.h"
#include "base/checksum.h"
#include "engine/internal.h"

_Static_assert(sizeof(((struct udpxdp_prefix *)0)->text) <= FRAME_HEADROOM,
	"an answer in place grows into the headroom");

void udpxdp_count_drop(struct udpxdp_ctx *ctx, enum udpxdp_drop reason)
{
	static const uint16_t offsets[] = {
#define X(name, text) offsetof(struct service_counters, name),
		UDPXDP_DROP_REASONS(X)
#undef X
	};

	(*(__u64 *)((char *)ctx->instance->counters + offsets[reason]))++;
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

bool udpxdp_reply(
	struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, const struct udpxdp_prefix *prefix)
{
	struct frame_io *io = ctx->engine->io;
	struct frame *frame = ctx->frame;
	uint8_t *payload = (uint8_t *)d->payload, *start;
	uint32_t len = d->len, sum = ctx->payload_sum;

	if (prefix) {
		len += prefix->len;
		sum = prefix->sum + checksum_behind(prefix->len, sum);
	}
	if (len > udpxdp_send_max(ctx, &d->path)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_reply_too_big);
		return false;
	}
	if (prefix) {
		/* A fixed length costs no call; what it spoils is written anew below. */
		memcpy(payload - sizeof(prefix->text), prefix->text, sizeof(prefix->text));
		payload -= prefix->len;
	}
	start = payload - headers_len(&d->path);
	headers_write(start, &d->path, len, sum);
	frame->len = payload + len - start;
	frame->room += frame->data - start;
	frame->data = start;
	if (!io->ops->send(io, frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	ctx->frame = NULL;
	count_sent(ctx, len);
	return true;
}

bool udpxdp_send(
	struct udpxdp_ctx *ctx, const struct udpxdp_path *path, const void *payload, size_t len)
{
	struct frame_io *io = ctx->engine->io;
	uint32_t header_len = headers_len(path);
	struct frame frame;

	if (len > udpxdp_send_max(ctx, path)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_reply_too_big);
		return false;
	}
	if (!io->ops->allocate(io, &frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	memcpy(frame.data + header_len, payload, len);
	headers_write(frame.data, path, len, checksum_sum(payload, len));
	frame.len = header_len + len;
	frame.time_ns = ctx->time_ns;
	io->ops->send(io, &frame);
	count_sent(ctx, len);
	return true;
}

static unsigned instance_number(const struct udpxdp_ctx *ctx)
{
	return ctx->instance - ctx->engine->instances;
}

bool udpxdp_prints(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->sinks.print;
}

void udpxdp_print(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	const struct engine_sinks *sinks = &ctx->engine->sinks;

	if (sinks->print && !sinks->print(sinks->context, instance_number(ctx), message))
		udpxdp_count_drop(ctx, UDPXDP_DROP_print_lost);
}

void udpxdp_record(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	const struct engine_sinks *sinks = &ctx->engine->sinks;

	if (sinks->record && !sinks->record(sinks->context, instance_number(ctx), message))
		udpxdp_count_drop(ctx, UDPXDP_DROP_history_lost);
}

void udpxdp_notify(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	const struct engine_sinks *sinks = &ctx->engine->sinks;

	if (sinks->notify)
		sinks->notify(sinks->context, instance_number(ctx), message);
}

const struct udpxdp_host *udpxdp_host(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->net;
}

bool udpxdp_serves(const struct udpxdp_ctx *ctx, uint16_t port)
{
	return ctx->engine->port_instance[port] != 0;
}

const char *udpxdp_hostname(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->hostname;
}
