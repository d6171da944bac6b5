/* SPDX-License-Identifier: MIT */
/* What a run of the load generator is shown as: a few lines for people, JSON for programs. */
#ifndef UDPXDP_BENCH_REPORT_H
#define UDPXDP_BENCH_REPORT_H

#include "cmd/bench/load.h"

/* Both print to standard output. Return 0, or -1 with errno when it could not be written. */
int bench_report_text(const char *host, const char *port, const struct load_config *config,
	const struct load_result *result);
int bench_report_json(const char *host, const char *port, const struct load_config *config,
	const struct load_result *result);

/* One line on standard error that is overwritten by the next; end it with bench_progress_end(). */
void bench_progress(const struct tally *tally, uint64_t elapsed_ns);
void bench_progress_end(void);

#endif
