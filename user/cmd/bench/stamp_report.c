/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cmd/bench/stamp_run.h"
#include "udpxdp/datagram.h"

#define US(ns) ((double)(ns) / 1000)
#define SECONDS(ns) ((double)(ns) / (double)UDPXDP_NSEC_PER_SEC)

static void print_delays(const char *name, const struct stamp_delays *delays)
{
	printf("  %-10s min %.1f p50 %.1f p99 %.1f max %.1f us\n", name, US(stamp_min(delays)),
		US(stamp_percentile(delays, 50)), US(stamp_percentile(delays, 99)),
		US(stamp_max(delays)));
}

static bool is_negative(const struct stamp_session *s)
{
	return s->there.negative.count || s->back.negative.count;
}

static bool are_synchronized(const struct stamp_result *result)
{
	return result->synchronized && result->session.synchronized &&
	       !is_negative(&result->session);
}

/* What the two one-way delays are worth. */
static void print_clocks(const struct stamp_result *result)
{
	const struct stamp_session *s = &result->session;
	const char *whose = !result->synchronized && !s->synchronized ? "neither clock is"
			    : !result->synchronized                   ? "this host's is not"
			    : !s->synchronized                        ? "the reflector's is not"
					       : "both say so, but a delay is negative";

	if (are_synchronized(result))
		printf("  clocks     synchronized, both say so; ");
	else
		printf("  clocks     not synchronized (%s): one-way delays are off by their "
		       "difference; ",
			whose);
	printf("the reflector's times are right to %.1f us\n", s->error_s * 1e6);
	if (is_negative(s))
		printf("  negative   %" PRIu64 " delays there, %" PRIu64
		       " back: the clocks differ by %.1f us or more\n",
			s->there.negative.count, s->back.negative.count,
			US(s->there.negative.count ? s->there.negative.max : s->back.negative.max));
}

static void print_losses(const struct stamp_session *s)
{
	const struct stamp_losses losses = stamp_losses(s);
	const uint64_t lost = s->sent - s->received;

	printf("  lost       %" PRIu64 " (%.4f %%)", lost,
		s->sent ? 100.0 * (double)lost / (double)s->sent : 0);
	if (s->stateful)
		printf(": %" PRIu64 " there, %" PRIu64 " back, %" PRIu64 " on either way\n",
			losses.there, losses.back, losses.either);
	else if (s->received)
		printf("; the reflector is stateless, so which way is not known\n");
	else
		putchar('\n');
}

static void print_order(const struct stamp_session *s)
{
	if (s->stateful)
		printf("  reordered  %" PRIu64 " there, %" PRIu64 " back; duplicate %" PRIu64
		       " there, %" PRIu64 " back; ",
			s->reordered_there, s->reordered_back, s->duplicate_there,
			s->duplicate_back);
	else
		printf("  reordered  %" PRIu64 "; duplicate %" PRIu64 "; ", s->reordered_back,
			s->duplicate_back);
	printf("late %" PRIu64 ", wrong %" PRIu64 "\n", s->late, s->wrong);
}

int stamp_report_text(const char *host, const char *port, const struct load_config *config,
	const struct stamp_result *result)
{
	const struct stamp_session *s = &result->session;

	printf("%s port %s: STAMP, %u/s, %u bytes, %.2f s, reflector %s\n", host, port,
		config->rate, config->size, SECONDS(result->elapsed_ns),
		!s->received  ? "silent"
		: s->stateful ? "stateful"
			      : "stateless");
	printf("  sent       %" PRIu64 ", received %" PRIu64 "\n", s->sent, s->received);
	print_losses(s);
	print_order(s);
	if (s->received) {
		print_delays("there", &s->there);
		print_delays("back", &s->back);
		print_delays("both", &(struct stamp_delays){.positive = s->round_trip});
		print_clocks(result);
	}
	if (result->refused)
		printf("  refused    %" PRIu64 ": nothing listens on that port\n", result->refused);
	return fflush(stdout) ? -1 : 0;
}

static json_t *delays_json(const struct stamp_delays *delays)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:I}", "min", US(stamp_min(delays)), "p50",
		US(stamp_percentile(delays, 50)), "p99", US(stamp_percentile(delays, 99)), "max",
		US(stamp_max(delays)), "negative", (json_int_t)delays->negative.count);
}

/* A number of one way, which only a stateful reflector tells. */
static void set_way(json_t *root, const char *name, bool known, uint64_t number)
{
	json_object_set_new(root, name, known ? json_integer((json_int_t)number) : json_null());
}

int stamp_report_json(const char *host, const char *port, const struct load_config *config,
	const struct stamp_result *result)
{
	const struct stamp_session *s = &result->session;
	const struct stamp_losses losses = stamp_losses(s);
	const uint64_t reordered = s->reordered_there + s->reordered_back;
	const uint64_t duplicate = s->duplicate_there + s->duplicate_back;
	json_t *root =
		json_pack("{s:s, s:s, s:i, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"host", host, "port", port, "rate", (int)config->rate, "size",
			(int)config->size, "seconds", SECONDS(result->elapsed_ns), "sent",
			(json_int_t)s->sent, "received", (json_int_t)s->received, "lost",
			(json_int_t)(s->sent - s->received), "reordered", (json_int_t)reordered,
			"duplicate", (json_int_t)duplicate, "late", (json_int_t)s->late, "wrong",
			(json_int_t)s->wrong, "refused", (json_int_t)result->refused);
	int written;

	set_way(root, "lost_there", s->stateful, losses.there);
	set_way(root, "lost_back", s->stateful, losses.back);
	set_way(root, "lost_either", s->stateful, losses.either);
	set_way(root, "reordered_there", s->stateful, s->reordered_there);
	set_way(root, "reordered_back", s->stateful, s->reordered_back);
	set_way(root, "duplicate_there", s->stateful, s->duplicate_there);
	set_way(root, "duplicate_back", s->stateful, s->duplicate_back);
	json_object_set_new(root, "clock_synchronized", json_boolean(result->synchronized));
	if (s->received) {
		json_object_set_new(root, "stateful", json_boolean(s->stateful));
		json_object_set_new(root, "reflector_synchronized", json_boolean(s->synchronized));
		json_object_set_new(root, "clocks_agree", json_boolean(are_synchronized(result)));
		json_object_set_new(root, "error_us", json_real(s->error_s * 1e6));
		json_object_set_new(root, "there_us", delays_json(&s->there));
		json_object_set_new(root, "back_us", delays_json(&s->back));
		json_object_set_new(root, "round_trip_us",
			delays_json(&(struct stamp_delays){.positive = s->round_trip}));
	}
	written =
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_SORT_KEYS);
	json_decref(root);
	putchar('\n');
	return written || fflush(stdout) ? -1 : 0;
}
