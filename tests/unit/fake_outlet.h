/* SPDX-License-Identifier: MIT */
/*
 * An outlet that remembers: what a service sent, printed, recorded, notified and counted. It
 * takes the place of the engine's; include it in one file of a test program.
 */
#ifndef FAKE_OUTLET_H
#define FAKE_OUTLET_H

#include <stdlib.h>

#include "udpxdp/service.h"

struct sent {
	struct path path;
	uint8_t *payload;
	size_t len;
};

struct messages {
	struct message *list; /* text is a copy */
	size_t count;
};

struct outlet {
	struct local_net *net;
	const char *hostname;
	uint16_t served[MAX_SERVICES];
	unsigned served_count;
	bool no_frame; /* emit() and reply() fail for want of one */

	struct sent *sent;
	size_t sent_count;
	struct messages printed, recorded, notified;
	unsigned drops[DROP_REASON_COUNT];
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

static inline void fake_keep(struct messages *messages, const struct message *message)
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
static inline void fake_outlet_forget(struct outlet *out)
{
	for (size_t i = 0; i < out->sent_count; i++)
		free(out->sent[i].payload);
	free(out->sent);
	out->sent = NULL;
	out->sent_count = 0;
	fake_forget_messages(&out->printed);
	fake_forget_messages(&out->recorded);
	fake_forget_messages(&out->notified);
	memset(out->drops, 0, sizeof(out->drops));
}

static inline unsigned fake_drops(const struct outlet *out)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		sum += out->drops[i];
	return sum;
}

/* ---- what service.h promises ---- */

void count_drop(struct outlet *out, enum drop_reason reason)
{
	out->drops[reason]++;
}

size_t emit_max(const struct outlet *out, const struct path *path)
{
	return out->net->mtu - (ip_addr_is_ipv4(&path->peer.addr) ? 28 : 48);
}

bool emit(struct outlet *out, const struct path *path, const void *payload, size_t len)
{
	if (len > emit_max(out, path)) {
		count_drop(out, DROP_reply_too_big);
		return false;
	}
	if (out->no_frame) {
		count_drop(out, DROP_no_tx_frame);
		return false;
	}
	out->sent = fake_grow(out->sent, out->sent_count, sizeof(*out->sent));
	out->sent[out->sent_count++] = (struct sent){*path, fake_copy(payload, len), len};
	return true;
}

bool reply(struct outlet *out, const struct datagram *d, const struct prefix *prefix)
{
	size_t prefix_len = prefix ? prefix->len : 0;
	uint8_t *payload = malloc(prefix_len + d->len + 1);
	bool sent;

	if (prefix)
		memcpy(payload, prefix->text + sizeof(prefix->text) - prefix_len, prefix_len);
	memcpy(payload + prefix_len, d->payload, d->len);
	sent = emit(out, &d->path, payload, prefix_len + d->len);
	free(payload);
	return sent;
}

bool outlet_prints(const struct outlet *out)
{
	return true;
}

void print(struct outlet *out, const struct message *message)
{
	fake_keep(&out->printed, message);
}

void record(struct outlet *out, const struct message *message)
{
	fake_keep(&out->recorded, message);
}

void notify(struct outlet *out, const struct message *message)
{
	fake_keep(&out->notified, message);
}

const struct local_net *outlet_net(const struct outlet *out)
{
	return out->net;
}

bool outlet_serves(const struct outlet *out, uint16_t port)
{
	for (unsigned i = 0; i < out->served_count; i++)
		if (out->served[i] == port)
			return true;
	return false;
}

const char *outlet_hostname(const struct outlet *out)
{
	return out->hostname;
}

#endif
