/* SPDX-License-Identifier: MIT */
/*
 * One flow of the load generator: the requests that left by one socket and what became of each.
 * Pure: it has no socket and no clock. A request is outstanding until it is answered or given
 * up; every answer is right, late (its request had been given up), a duplicate, or wrong.
 */
#ifndef UDPXDP_BENCH_FLOW_H
#define UDPXDP_BENCH_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/bench/histogram.h"

#define REQUEST_MIN 24    /* bytes of a request's own header */
#define REQUEST_MAX 65507 /* UDP payload over IPv4 */
#define STAMP_ROOM 64     /* bytes that a server may put in front of what it echoes: 【...】 */

/* What became of all requests of all flows. sent = received + given up + outstanding. */
struct tally {
	uint64_t sent;
	uint64_t received;  /* requests answered rightly and in time */
	uint64_t late;      /* right answers to requests that had been given up */
	uint64_t duplicate; /* right answers to requests that had their answer already */
	uint64_t reordered; /* of received: answers after one to a later request of their flow */
	uint64_t wrong;     /* answers that are not what was sent */
	uint64_t bytes;     /* of payload in those received, without stamps */
	struct histogram latency; /* of received, nanoseconds */
};

struct slot {
	uint64_t time_ns : 62; /* when its request was sent, or should have been */
	uint64_t state : 2;
};

struct flow {
	struct tally *tally; /* shared by all flows */
	uint32_t id;
	size_t size; /* bytes of a request */

	/*
	 * Set by the caller before the first request. payload: what each request is, size bytes;
	 * NULL: a header and a pattern of our own, which tell an answer's request. any_answer: do
	 * not look at answers. With either, an answer is to the oldest request outstanding.
	 */
	const uint8_t *payload;
	bool any_answer;

	uint64_t next;         /* sequence number of the next request */
	uint64_t oldest;       /* no request before this one is outstanding */
	uint64_t answered_end; /* one after the highest request answered */
	unsigned outstanding;
	uint64_t given_up; /* requests without an answer yet, late or not */
	uint64_t mask;
	struct slot *slots; /* of the mask + 1 latest requests, by sequence number */
};

/*
 * Prepares a flow that remembers at least `memory` requests. Returns 0, or -1 with errno ENOMEM.
 */
int flow_open(struct flow *flow, struct tally *tally, uint32_t id, size_t size, size_t memory);
void flow_close(struct flow *flow);

/* Writes the request that is `ahead` of the next one, size bytes of it. Books nothing. */
void flow_compose(const struct flow *flow, uint64_t ahead, uint64_t time_ns, uint8_t *request);

/* Books the next request as sent at time_ns, the one it was composed with. A request that is
 * still outstanding after as many later ones as the flow remembers is given up for it. */
void flow_sent(struct flow *flow, uint64_t time_ns);

/* Books an answer. Returns true when it is right and in time. */
bool flow_answer(struct flow *flow, const uint8_t *answer, size_t len, uint64_t now_ns);

/* Gives up the outstanding requests that were sent before this time. */
void flow_give_up(struct flow *flow, uint64_t before_ns);

#endif
