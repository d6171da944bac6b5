/* SPDX-License-Identifier: MIT */
/*
 * A session of STAMP (RFC 8762, RFC 8972) as its sender books it: what left, what came back, and
 * what the reflector's times and numbers say of either way. Pure: it has no socket and no clock.
 * Times are nanoseconds since the epoch, UTC.
 */
#ifndef UDPXDP_BENCH_STAMP_H
#define UDPXDP_BENCH_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/bench/histogram.h"

#define STAMP_BASE 44   /* bytes of a test packet */
#define STAMP_PADDED 48 /* and at least so many of one with padding, which is a TLV */

/* Delays of one way, which are negative where the clocks differ by more than it takes. */
struct stamp_delays {
	struct histogram positive, negative; /* the second without its sign */
};

struct stamp_slot {
	uint64_t sent_ns;
	uint32_t reflected; /* the reflector's number in the first answer */
	bool outstanding, answered;
};

struct stamp_session {
	size_t size;
	uint16_t ssid;
	uint32_t first; /* number of the first packet; a reflector's own begin elsewhere */
	uint32_t mask;
	struct stamp_slot *slots; /* of the mask + 1 latest packets */

	uint64_t sent, received, wrong;
	uint64_t oldest; /* no packet before this one is outstanding */
	uint64_t late;   /* answers to packets that are no longer remembered */

	/* What the reflector says of itself, in its latest answer. */
	bool stateful, synchronized;
	double error_s; /* of its times */

	/* With a stateful one: packets by its count, from 0, and by ours. */
	uint32_t base;
	uint64_t reflected_end, answered_end;
	uint64_t latest; /* the highest of ours that was reflected in its order */
	uint64_t reordered_there, reordered_back, duplicate_there, duplicate_back;

	struct stamp_delays there, back;
	struct histogram round_trip; /* without the time spent in the reflector */
};

/*
 * Prepares a session that remembers at least `memory` packets; size is STAMP_BASE, or STAMP_PADDED
 * and more. Returns 0, or -1 with errno ENOMEM.
 */
int stamp_open(struct stamp_session *session, size_t size, size_t memory, uint32_t random);
void stamp_close(struct stamp_session *session);

/* Writes the next packet, size bytes of it, to be sent at this time; clock_synchronized is what it
 * says of our clock. Books nothing. */
void stamp_compose(const struct stamp_session *session, uint64_t now_ns, bool clock_synchronized,
	uint8_t *packet);

/* Books the packet composed last as sent at this time. */
void stamp_sent(struct stamp_session *session, uint64_t now_ns);

/* Books an answer that came at this time. */
void stamp_answer(
	struct stamp_session *session, const uint8_t *answer, size_t len, uint64_t now_ns);

/* Is any packet under way that left at this time or later? */
bool stamp_waits(struct stamp_session *session, uint64_t since_ns);

/*
 * Of the packets without an answer: how many were lost on the way there and on the way back, as
 * the numbers of a stateful reflector tell, and how many, behind the last answer or with a
 * stateless one, on either.
 */
struct stamp_losses {
	uint64_t there, back, either;
};
struct stamp_losses stamp_losses(const struct stamp_session *session);

/* As histogram_percentile(), in nanoseconds. */
int64_t stamp_percentile(const struct stamp_delays *delays, double percent);
int64_t stamp_min(const struct stamp_delays *delays);
int64_t stamp_max(const struct stamp_delays *delays);

#endif
