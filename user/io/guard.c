/* SPDX-License-Identifier: MIT */
#include "io/guard.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "udpxdp/packet.h"

#define BUCKET_BITS 14 /* as many sources at a time as the filter knows: 65,536 */
#define BUCKET_SLOTS 4

/* A source, and when its next datagram would be in time: see struct filter_config. */
struct slot {
	_Atomic uint64_t source; /* a hash of it */
	_Atomic uint64_t arrival;
};

struct guard {
	struct filter_config config;
	size_t rule_count;
	struct guard_rule *rules; /* the longest first */
	uint64_t secret[2];       /* so that nobody can choose who shares a bucket */
	atomic_uint_fast64_t denied, limited;
	_Alignas(64) struct slot slots[1 << BUCKET_BITS][BUCKET_SLOTS];
};

struct guarded {
	struct frame_io io;
	struct frame_io *inner;
	struct guard *guard;
};

/* ---- the two questions ---------------------------------------------------------------- */

static bool matches(const struct source_rule_key *key, const struct udpxdp_addr *addr)
{
	const unsigned bytes = key->prefix_len / 8, rest = key->prefix_len % 8;

	return !memcmp(key->addr.b, addr->b, bytes) &&
	       (!rest || !((key->addr.b[bytes] ^ addr->b[bytes]) >> (8 - rest)));
}

static bool is_denied(const struct guard *g, const struct udpxdp_addr *source)
{
	for (size_t i = 0; i < g->rule_count; i++)
		if (matches(&g->rules[i].key, source))
			return g->rules[i].verdict == RULE_DENY;
	return g->config.default_deny;
}

/* The finalizer of splitmix64: one to one. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Of the /24 or /64. Only half of the address differs among either: no two have the same. */
static uint64_t hash_net(const struct guard *g, const struct frame_info *info)
{
	const uint64_t mask = PACKET_HALF(0xffff, 0xffff, 0xffff, PACKET_BE16(0xff00));
	uint64_t half[2];

	memcpy(half, &info->source, sizeof(half));
	half[1] &= info->version == 4 ? mask : 0;
	return mix(mix(half[0] ^ g->secret[0]) ^ half[1] ^ g->secret[1]);
}

/* The source's slot, or that of whoever has been silent longest. */
static struct slot *find_slot(struct guard *g, uint64_t source)
{
	struct slot *bucket = g->slots[source >> (64 - BUCKET_BITS)], *oldest = bucket;

	for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
		if (atomic_load_explicit(&bucket[i].source, memory_order_relaxed) == source)
			return &bucket[i];
		if (atomic_load_explicit(&bucket[i].arrival, memory_order_relaxed) <
			atomic_load_explicit(&oldest->arrival, memory_order_relaxed))
			oldest = &bucket[i];
	}
	atomic_store_explicit(&oldest->source, source, memory_order_relaxed);
	atomic_store_explicit(&oldest->arrival, 0, memory_order_relaxed);
	return oldest;
}

/* Two threads that race on one source let at most one datagram more through. */
static bool is_over_limit(struct guard *g, const struct frame_info *info, uint64_t now)
{
	struct slot *slot = find_slot(g, hash_net(g, info));
	uint64_t arrival = atomic_load_explicit(&slot->arrival, memory_order_relaxed);

	if (arrival < now)
		arrival = now;
	if (arrival - now > g->config.limit_burst)
		return true;
	atomic_store_explicit(
		&slot->arrival, arrival + g->config.limit_interval, memory_order_relaxed);
	return false;
}

static bool passes(struct guard *g, const struct frame *frame, uint64_t now)
{
	struct frame_info info;

	if (frame_classify(frame->data, frame->data + frame->len, frame->len, &info) != FRAME_UDP)
		return true; /* the engine says what it is */
	if (is_denied(g, &info.source)) {
		atomic_fetch_add_explicit(&g->denied, 1, memory_order_relaxed);
		return false;
	}
	if (g->config.limit_interval && is_over_limit(g, &info, now)) {
		atomic_fetch_add_explicit(&g->limited, 1, memory_order_relaxed);
		return false;
	}
	return true;
}

/* ---- the decorator -------------------------------------------------------------------- */

static struct guarded *guarded_of(const struct frame_io *io)
{
	return (struct guarded *)io;
}

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct guarded *w = guarded_of(io);
	int n = w->inner->ops->receive(w->inner, frames, max), kept = 0;
	struct timespec t;
	uint64_t now;

	if (n <= 0)
		return n;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
	for (int i = 0; i < n; i++)
		if (passes(w->guard, &frames[i], now))
			frames[kept++] = frames[i];
		else
			w->inner->ops->release(w->inner, &frames[i]);
	return kept;
}

static void release(struct frame_io *io, const struct frame *frame)
{
	struct frame_io *inner = guarded_of(io)->inner;

	inner->ops->release(inner, frame);
}

static bool allocate(struct frame_io *io, struct frame *frame)
{
	struct frame_io *inner = guarded_of(io)->inner;

	return inner->ops->allocate(inner, frame);
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct frame_io *inner = guarded_of(io)->inner;

	return inner->ops->send(inner, frame);
}

static void flush(struct frame_io *io)
{
	struct frame_io *inner = guarded_of(io)->inner;

	inner->ops->flush(inner);
}

static int wait_for(struct frame_io *io, int timeout_ms)
{
	struct frame_io *inner = guarded_of(io)->inner;

	return inner->ops->wait(inner, timeout_ms);
}

static int close_io(struct frame_io *io)
{
	struct frame_io *inner = guarded_of(io)->inner;

	free(io);
	return inner->ops->close(inner);
}

static const struct frame_io_ops ops = {
	.receive = receive,
	.release = release,
	.allocate = allocate,
	.send = send_frame,
	.flush = flush,
	.wait = wait_for,
	.close = close_io,
};

struct frame_io *guard_wrap(struct frame_io *inner, struct guard *guard)
{
	struct guarded *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct guarded){.io.ops = &ops, .inner = inner, .guard = guard};
	return &w->io;
}

/* ---- the guard ------------------------------------------------------------------------ */

/* Behind those that are longer, before those alike: the first match is to decide. */
static void insert(struct guard *g, const struct guard_rule *rule)
{
	size_t at = 0;

	while (at < g->rule_count && g->rules[at].key.prefix_len > rule->key.prefix_len)
		at++;
	memmove(&g->rules[at + 1], &g->rules[at], (g->rule_count - at) * sizeof(*rule));
	g->rules[at] = *rule;
	g->rule_count++;
}

struct guard *guard_new(
	const struct filter_config *config, const struct guard_rule *rules, size_t count)
{
	struct guard *g = aligned_alloc(64, sizeof(*g));

	if (!g)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->config = *config;
	g->rules = calloc(count + 1, sizeof(*rules));
	if (!g->rules || getrandom(g->secret, sizeof(g->secret), 0) != sizeof(g->secret)) {
		guard_free(g);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		insert(g, &rules[i]);
	return g;
}

void guard_free(struct guard *guard)
{
	if (guard)
		free(guard->rules);
	free(guard);
}

uint64_t guard_dropped(const struct guard *guard, enum frame_verdict verdict)
{
	return verdict == FRAME_DENIED         ? atomic_load(&guard->denied)
	       : verdict == FRAME_RATE_LIMITED ? atomic_load(&guard->limited)
					       : 0;
}
