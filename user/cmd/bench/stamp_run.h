/* SPDX-License-Identifier: MIT */
/* bench --stamp: sends the packets of one session at a steady rate, and says what came of them. */
#ifndef UDPXDP_BENCH_STAMP_RUN_H
#define UDPXDP_BENCH_STAMP_RUN_H

#include "cmd/bench/load.h"
#include "cmd/bench/stamp.h"

struct stamp_result {
	struct stamp_session session; /* its delays and counts; its slots are gone */
	uint64_t elapsed_ns, refused;
	bool synchronized; /* our own clock */
};

/*
 * Runs a session to its end: server, rate, size, duration, count, timeout and stop of the load.
 * result is filled in any case. Returns 0, or -1 with one line in error when a socket refused what
 * was asked of it.
 */
int stamp_run(const struct load_config *config, struct stamp_result *result, char *error,
	size_t error_size);

/* Both print to standard output. Return 0, or -1 with errno when it could not be written. */
int stamp_report_text(const char *host, const char *port, const struct load_config *config,
	const struct stamp_result *result);
int stamp_report_json(const char *host, const char *port, const struct load_config *config,
	const struct stamp_result *result);

#endif
