/* SPDX-License-Identifier: MIT */
/*
 * A histogram of durations with a bounded relative error, in the manner of HdrHistogram: each
 * power of two is cut into 128 buckets, so a value is known to better than 0.8 %. Pure.
 */
#ifndef UDPXDP_BENCH_HISTOGRAM_H
#define UDPXDP_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7      /* of precision below the leading bit */
#define HISTOGRAM_MAX_BITS 40 /* values from 2^40 on (18 minutes in ns) share the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MAX_BITS - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/* All zero is an empty histogram. */
struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t min, max; /* exact; void while count is 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The smallest value v such that at least percent (0 to 100) of all values are at most v, rounded
 * up to its bucket's end and never above the maximum. 0 when the histogram is empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* 0 when the histogram is empty. */
double histogram_mean(const struct histogram *histogram);

#endif
