/* SPDX-License-Identifier: MIT */
#include "io/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "io/decorator.h"
#include "udpxdp/packet.h"

#define BUCKET_BITS 14 /* as many sources at a time as the filter knows: 65,536 */
#define BUCKET_SLOTS 4

/* Whom a datagram is charged to, and when the next would be in time: see source_limits. */
struct slot {
	_Atomic uint64_t source; /* a hash of it */
	_Atomic uint64_t arrival;
};

struct guard {
	struct filter_config config;
	pthread_rwlock_t lock;  /* of rules: held by who asks them, for a batch */
	struct rule_set *rules; /* NULL: none */
	uint64_t secret[2];     /* so that nobody can choose who shares a bucket */
	_Alignas(64) _Atomic uint64_t total;
	_Alignas(64) struct slot slots[LIMIT_TIERS][1 << BUCKET_BITS][BUCKET_SLOTS];
};

struct guarded {
	struct decorator base;
	struct guard *guard;
	struct service_counters *rows;
	size_t row_count;
};

/* ---- the questions ---------------------------------------------------------------- */

/* The finalizer of splitmix64: one to one. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t hash_key(const struct guard *g, const __u64 key[2])
{
	return mix(mix(key[0] ^ g->secret[0]) ^ key[1] ^ g->secret[1]);
}

/* NULL: it has been silent for so long that it has none. */
static struct slot *find_slot(struct guard *g, unsigned tier, uint64_t source)
{
	struct slot *bucket = g->slots[tier][source >> (64 - BUCKET_BITS)];

	for (unsigned i = 0; i < BUCKET_SLOTS; i++)
		if (atomic_load_explicit(&bucket[i].source, memory_order_relaxed) == source)
			return &bucket[i];
	return NULL;
}

/* In place of whoever has been silent longest. */
static struct slot *make_slot(struct guard *g, unsigned tier, uint64_t source)
{
	struct slot *bucket = g->slots[tier][source >> (64 - BUCKET_BITS)], *oldest = bucket;

	for (unsigned i = 1; i < BUCKET_SLOTS; i++)
		if (atomic_load_explicit(&bucket[i].arrival, memory_order_relaxed) <
			atomic_load_explicit(&oldest->arrival, memory_order_relaxed))
			oldest = &bucket[i];
	atomic_store_explicit(&oldest->source, source, memory_order_relaxed);
	atomic_store_explicit(&oldest->arrival, 0, memory_order_relaxed);
	return oldest;
}

static bool is_early(const _Atomic uint64_t *arrival, uint64_t now, uint64_t burst)
{
	const uint64_t due = atomic_load_explicit(arrival, memory_order_relaxed);

	return due > now && due - now > burst;
}

/* Two threads that race on one that is not behind let at most one datagram more through. */
static void charge(_Atomic uint64_t *arrival, uint64_t now, uint64_t interval)
{
	if (atomic_load_explicit(arrival, memory_order_relaxed) > now)
		atomic_fetch_add_explicit(arrival, interval, memory_order_relaxed);
	else
		atomic_store_explicit(arrival, now + interval, memory_order_relaxed);
}

/* The widest tier is asked first: what it refuses drives nobody out. */
static bool is_over_tiers(struct guard *g, const struct frame_info *info, uint64_t now)
{
	static const __u32 factors[LIMIT_TIERS] = {1, LIMIT_NET_FACTOR, LIMIT_SITE_FACTOR};
	const uint64_t interval = g->config.limit_interval, burst = g->config.limit_burst;
	uint64_t sources[LIMIT_TIERS];
	struct slot *slots[LIMIT_TIERS];

	for (unsigned tier = LIMIT_TIERS; tier--;) {
		__u64 key[2];

		packet_limit_key(info, tier, key);
		sources[tier] = hash_key(g, key);
		slots[tier] = find_slot(g, tier, sources[tier]);
		if (slots[tier] && is_early(&slots[tier]->arrival, now,
					   packet_limit_burst(interval, burst, factors[tier])))
			return true;
	}
	for (unsigned tier = 0; tier < LIMIT_TIERS; tier++) {
		if (!slots[tier])
			slots[tier] = make_slot(g, tier, sources[tier]);
		charge(&slots[tier]->arrival, now, packet_limit_interval(interval, factors[tier]));
	}
	return false;
}

static bool is_over_limit(struct guard *g, const struct frame_info *info, uint64_t now)
{
	const struct filter_config *c = &g->config;

	if (c->total_interval && is_early(&g->total, now, c->total_burst))
		return true;
	if (c->limit_interval && is_over_tiers(g, info, now))
		return true;
	if (c->total_interval)
		charge(&g->total, now, c->total_interval);
	return false;
}

/* Why a datagram does not pass; UDPXDP_DROP_NONE: it does. */
static enum udpxdp_drop judge(struct guard *g, const struct frame_info *info, uint64_t now)
{
	if (g->rules && rule_set_denies(g->rules, &info->source))
		return UDPXDP_DROP_denied;
	return is_over_limit(g, info, now) ? UDPXDP_DROP_rate_limited : UDPXDP_DROP_NONE;
}

static void count_refused(
	const struct guarded *w, const struct frame_info *info, enum udpxdp_drop reason)
{
	for (size_t i = 0; i < w->row_count; i++) {
		struct service_counters *row = &w->rows[i];

		if (row->port != info->dest_port)
			continue;
		row->rx++;
		row->rx_bytes += info->payload_len;
		row->drops[reason]++;
		return;
	}
}

static bool passes(const struct guarded *w, const struct frame *frame, uint64_t now)
{
	struct frame_info info;
	enum udpxdp_drop reason;

	if (frame_classify(frame->data, frame->data + frame->len, frame->len, &info) != FRAME_UDP)
		return true; /* the engine says what it is */
	reason = judge(w->guard, &info, now);
	if (reason == UDPXDP_DROP_NONE)
		return true;
	count_refused(w, &info, reason);
	return false;
}

/* ---- the decorator -------------------------------------------------------------------- */

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct guarded *w = (struct guarded *)io;
	struct frame_io *inner = w->base.inner;
	int n = inner->ops->receive(inner, frames, max), kept = 0;
	uint64_t now;

	if (n <= 0)
		return n;
	now = clock_ns();
	pthread_rwlock_rdlock(&w->guard->lock);
	for (int i = 0; i < n; i++)
		if (passes(w, &frames[i], now))
			frames[kept++] = frames[i];
		else
			inner->ops->release(inner, &frames[i]);
	pthread_rwlock_unlock(&w->guard->lock);
	return kept;
}

static const struct frame_io_ops ops = {
	.receive = receive,
	.release = decorator_release,
	.allocate = decorator_allocate,
	.send = decorator_send,
	.flush = decorator_flush,
	.wait = decorator_wait,
	.descriptor = decorator_descriptor,
	.close = decorator_close,
};

struct frame_io *guard_wrap(
	struct frame_io *inner, struct guard *guard, struct service_counters *rows, size_t count)
{
	struct guarded *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct guarded){.base = {.io.ops = &ops, .inner = inner},
		.guard = guard,
		.rows = rows,
		.row_count = count};
	return &w->base.io;
}

/* ---- the guard ------------------------------------------------------------------------ */

/* Who replaces the rules is not to wait for a moment in which no worker asks them. */
static int init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
#ifdef __GLIBC__
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	return pthread_rwlock_init(lock, &attr);
}

struct guard *guard_new(const struct filter_config *config)
{
	struct guard *g = aligned_alloc(64, sizeof(*g));

	if (!g)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->config = *config;
	if (init_lock(&g->lock) ||
		getrandom(g->secret, sizeof(g->secret), 0) != sizeof(g->secret)) {
		free(g);
		return NULL;
	}
	return g;
}

void guard_set_rules(struct guard *g, struct rule_set *rules)
{
	struct rule_set *old;

	pthread_rwlock_wrlock(&g->lock);
	old = g->rules;
	g->rules = rules;
	pthread_rwlock_unlock(&g->lock);
	rule_set_free(old);
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	rule_set_free(guard->rules);
	pthread_rwlock_destroy(&guard->lock);
	free(guard);
}
