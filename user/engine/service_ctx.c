/* SPDX-License-Identifier: MIT */
/* What a service may call: see service.h. */
#include "engine/build.h"
#include "engine/checksum.h"
#include "engine/internal.h"

_Static_assert(sizeof(((struct prefix *)0)->text) <= FRAME_HEADROOM,
		"an answer in place grows into the headroom");

void count_drop(struct outlet *out, enum drop_reason reason)
{
	static const uint16_t offsets[] = {
#define X(name, text) offsetof(struct service_counters, name),
			DROP_REASONS(X)
#undef X
	};

	(*(__u64 *)((char *)out->instance->counters + offsets[reason]))++;
}

static void count_sent(struct outlet *out, uint32_t len)
{
	out->instance->counters->tx++;
	out->instance->counters->tx_bytes += len;
}

size_t emit_max(const struct outlet *out, const struct path *path)
{
	return out->engine->net->mtu - ip_udp_len(path);
}

bool reply(struct outlet *out, const struct datagram *d, const struct prefix *prefix)
{
	struct frame_io *io = out->engine->io;
	struct frame *frame = out->frame;
	uint8_t *payload = (uint8_t *)d->payload, *start;
	uint32_t len = d->len, sum = out->payload_sum;

	if (prefix) {
		len += prefix->len;
		sum = prefix->sum + checksum_behind(prefix->len, sum);
	}
	if (len > emit_max(out, &d->path)) {
		count_drop(out, DROP_reply_too_big);
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
		count_drop(out, DROP_no_tx_frame);
		return false;
	}
	out->frame = NULL;
	count_sent(out, len);
	return true;
}

bool emit(struct outlet *out, const struct path *path, const void *payload, size_t len)
{
	struct frame_io *io = out->engine->io;
	uint32_t header_len = headers_len(path);
	struct frame frame;

	if (len > emit_max(out, path)) {
		count_drop(out, DROP_reply_too_big);
		return false;
	}
	if (!io->ops->allocate(io, &frame)) {
		count_drop(out, DROP_no_tx_frame);
		return false;
	}
	memcpy(frame.data + header_len, payload, len);
	headers_write(frame.data, path, len, checksum_sum(payload, len));
	frame.len = header_len + len;
	frame.time_ns = out->time_ns;
	io->ops->send(io, &frame);
	count_sent(out, len);
	return true;
}

static unsigned instance_number(const struct outlet *out)
{
	return out->instance - out->engine->instances;
}

bool outlet_prints(const struct outlet *out)
{
	return out->engine->sinks.print;
}

void print(struct outlet *out, const struct message *message)
{
	const struct sinks *sinks = &out->engine->sinks;

	if (sinks->print && !sinks->print(sinks->context, instance_number(out), message))
		count_drop(out, DROP_print_lost);
}

void record(struct outlet *out, const struct message *message)
{
	const struct sinks *sinks = &out->engine->sinks;

	if (sinks->record && !sinks->record(sinks->context, instance_number(out), message))
		count_drop(out, DROP_history_lost);
}

void notify(struct outlet *out, const struct message *message)
{
	const struct sinks *sinks = &out->engine->sinks;

	if (sinks->notify)
		sinks->notify(sinks->context, instance_number(out), message);
}

const struct local_net *outlet_net(const struct outlet *out)
{
	return out->engine->net;
}

bool outlet_serves(const struct outlet *out, uint16_t port)
{
	return out->engine->port_instance[port] != 0;
}

const char *outlet_hostname(const struct outlet *out)
{
	return out->engine->hostname;
}
