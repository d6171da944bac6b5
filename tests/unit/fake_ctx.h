/* SPDX-License-Identifier: MIT */
/*
 * A service context that remembers: what a service sent, printed, recorded, notified and counted.
 * It takes the place of the engine's; include it in one file of a test program.
 */
#ifndef FAKE_CTX_H
#define FAKE_CTX_H

#include <stdlib.h>

#include "udpxdp/abi.h"
#include "udpxdp/service.h"

struct sent {
	struct udpxdp_path path;
	uint8_t *payload;
	size_t len;
};

struct messages {
	struct udpxdp_message *list; /* text is a copy */
	size_t count;
};

struct udpxdp_ctx {
	struct udpxdp_host *net;
	const char *hostname;
	uint16_t served[MAX_SERVICES];
	unsigned served_count;
	uint64_t steady_ns;
	bool resume;                     /* it was asked for */
	const struct udpxdp_addr *moved; /* whose MAC is another one now, as the kernel says */
	uint8_t moved_mac[6];
	bool no_frame;                          /* there is none to send with */
	const struct udpxdp_datagram *received; /* of this call of receive(); NULL: none, or void */

	struct sent *sent;
	size_t sent_count;
	struct messages printed, recorded, notified;
	struct udpxdp_room_event *published; /* text is a copy */
	size_t published_count;
	bool room_full;                                     /* the queue to the other hosts */
	unsigned drops[UDPXDP_DROP_OWN + UDPXDP_OWN_DROPS]; /* by reason, its own ones too */
};

static inline void *fake_grow(void *list, size_t count, size_t size)
{
	/* A power of two is where the list is full. */
	return count & (count - 1) ? list : realloc(list, (count ? 2 * count : 1) * size);
}

static inline void *fake_copy(const void *bytes, size_t len)
{
	void *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

static inline void fake_keep(struct messages *messages, const struct udpxdp_message *message)
{
	messages->list = fake_grow(messages->list, messages->count, sizeof(*message));
	messages->list[messages->count] = *message;
	messages->list[messages->count++].text = fake_copy(message->text, message->len);
}

static inline void fake_forget_messages(struct messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		free((void *)messages->list[i].text);
	free(messages->list);
	*messages = (struct messages){0};
}

/* Forgets everything that was sent, shown and counted. */
static inline void fake_ctx_forget(struct udpxdp_ctx *ctx)
{
	for (size_t i = 0; i < ctx->sent_count; i++)
		free(ctx->sent[i].payload);
	free(ctx->sent);
	ctx->sent = NULL;
	ctx->sent_count = 0;
	for (size_t i = 0; i < ctx->published_count; i++)
		free((void *)ctx->published[i].text);
	free(ctx->published);
	ctx->published = NULL;
	ctx->published_count = 0;
	fake_forget_messages(&ctx->printed);
	fake_forget_messages(&ctx->recorded);
	fake_forget_messages(&ctx->notified);
	memset(ctx->drops, 0, sizeof(ctx->drops));
}

static inline unsigned fake_drops(const struct udpxdp_ctx *ctx)
{
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(ctx->drops) / sizeof(ctx->drops[0]); i++)
		sum += ctx->drops[i];
	return sum;
}

/* ---- what service.h promises ---- */

void udpxdp_count_drop(struct udpxdp_ctx *ctx, enum udpxdp_drop reason)
{
	ctx->drops[reason]++;
}

size_t udpxdp_send_max(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	return ctx->net->mtu - (udpxdp_addr_is_ipv4(&path->peer.addr) ? 28 : 48);
}

bool udpxdp_send(
	struct udpxdp_ctx *ctx, const struct udpxdp_path *path, const void *payload, size_t len)
{
	if (len > udpxdp_send_max(ctx, path)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_reply_too_big);
		return false;
	}
	if (ctx->no_frame) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	ctx->sent = fake_grow(ctx->sent, ctx->sent_count, sizeof(*ctx->sent));
	ctx->sent[ctx->sent_count++] = (struct sent){*path, fake_copy(payload, len), len};
	return true;
}

bool udpxdp_forward(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d,
	const struct udpxdp_path *path, const struct udpxdp_prefix *prefix)
{
	size_t prefix_len = prefix ? prefix->len : 0;
	uint8_t *payload = malloc(prefix_len + d->len + 1);
	bool sent;

	assert_ptr_equal(d, ctx->received);
	if (prefix)
		memcpy(payload, prefix->text + sizeof(prefix->text) - prefix_len, prefix_len);
	memcpy(payload + prefix_len, d->payload, d->len);
	sent = udpxdp_send(ctx, path, payload, prefix_len + d->len);
	free(payload);
	return sent;
}

/* Built in the frame that the datagram arrived in, which is gone then. */
bool udpxdp_reply(
	struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, const struct udpxdp_prefix *prefix)
{
	bool sent = udpxdp_forward(ctx, d, &d->path, prefix);

	if (sent)
		ctx->received = NULL;
	return sent;
}

bool udpxdp_prints(const struct udpxdp_ctx *ctx)
{
	return true;
}

void udpxdp_print(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	fake_keep(&ctx->printed, message);
}

void udpxdp_record(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	fake_keep(&ctx->recorded, message);
}

void udpxdp_notify(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	fake_keep(&ctx->notified, message);
}

bool udpxdp_publish(struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	struct udpxdp_room_event *copy;

	if (ctx->room_full) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_room_lost);
		return false;
	}
	ctx->published = fake_grow(ctx->published, ctx->published_count, sizeof(*ctx->published));
	copy = &ctx->published[ctx->published_count++];
	*copy = *event;
	copy->text = fake_copy(event->text, event->len);
	return true;
}

const struct udpxdp_host *udpxdp_host(const struct udpxdp_ctx *ctx)
{
	return ctx->net;
}

bool udpxdp_serves(const struct udpxdp_ctx *ctx, uint16_t port)
{
	for (unsigned i = 0; i < ctx->served_count; i++)
		if (ctx->served[i] == port)
			return true;
	return false;
}

const char *udpxdp_ingress_name(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	return "test";
}

uint32_t udpxdp_link(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	return path->ingress + 1;
}

uint64_t udpxdp_steady(const struct udpxdp_ctx *ctx)
{
	return ctx->steady_ns;
}

void udpxdp_resume_later(struct udpxdp_ctx *ctx)
{
	ctx->resume = true;
}

bool udpxdp_refresh(const struct udpxdp_ctx *ctx, struct udpxdp_path *path)
{
	const struct udpxdp_addr *own = &path->local.addr;

	if (ctx->moved && udpxdp_addr_equal(ctx->moved, &path->peer.addr))
		memcpy(path->peer.mac, ctx->moved_mac, 6);
	if (ctx->net->any_unicast || udpxdp_host_kind(ctx->net, own) == UDPXDP_LOCAL_UNICAST)
		return true;
	own = udpxdp_host_addr_on_subnet_of(ctx->net, &path->peer.addr);
	if (own)
		path->local.addr = *own;
	return own;
}

const char *udpxdp_hostname(const struct udpxdp_ctx *ctx)
{
	return ctx->hostname;
}

#endif
