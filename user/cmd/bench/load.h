/* SPDX-License-Identifier: MIT */
/*
 * The load generator: sends the requests of its flows over ordinary UDP sockets, one a flow,
 * and books what comes back. One thread that spins while there is something to do soon.
 */
#ifndef UDPXDP_BENCH_LOAD_H
#define UDPXDP_BENCH_LOAD_H

#include <signal.h>
#include <sys/socket.h>

#include "cmd/bench/flow.h"

struct load_config {
	struct sockaddr_storage server;
	socklen_t server_len;
	unsigned window; /* closed loop: requests under way, over all flows */
	unsigned rate;   /* open loop: requests per second; 0: closed loop */
	unsigned burst;  /* open loop: so many at a time, at least 1 */
	unsigned size;   /* bytes of a request: from REQUEST_MIN, or 1 of payload, to REQUEST_MAX */
	unsigned flows;
	const uint8_t *payload;            /* of each request, size bytes; NULL: one of our own */
	bool any_answer;                   /* whatever comes back is right */
	uint64_t duration_ns;              /* 0: no limit */
	uint64_t count;                    /* requests; 0: no limit */
	uint64_t timeout_ns;               /* an answer that takes longer is given up */
	const volatile sig_atomic_t *stop; /* becomes non-zero: end now */

	/* Called twice a second. NULL: nobody looks. */
	void (*progress)(const struct tally *tally, uint64_t elapsed_ns);
};

struct load_result {
	struct tally tally;
	uint64_t elapsed_ns; /* from the first request to the last one or its answer */
	uint64_t refused;    /* ICMP errors: nobody listens there */
	uint64_t stalled;    /* times that the kernel took no request: its queue was full */
	uint64_t overflowed; /* answers that our own sockets had no room for */
	uint64_t behind_ns;  /* open loop: how late the latest request left */
	bool gso;            /* the kernel cut batches into datagrams */
};

/*
 * Runs the load to its end. result is filled in any case. Returns 0, or -1 with one line in error
 * when a socket refused what was asked of it.
 */
int bench_load_run(const struct load_config *config, struct load_result *result, char *error,
	size_t error_size);

#endif
