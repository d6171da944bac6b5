/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "cmd/bench/histogram.h"

/* Below 2^(BITS + 1) a bucket is one value; each further power of two is shifted into BITS + 1
 * bits, the leading one always set, and so takes 2^BITS buckets. */
static unsigned bucket_of(uint64_t value)
{
	unsigned top = 63u - (unsigned)__builtin_clzll(value | 1);
	unsigned shift = top > HISTOGRAM_BITS ? top - HISTOGRAM_BITS : 0;

	if (top >= HISTOGRAM_MAX_BITS)
		return HISTOGRAM_BUCKETS - 1;
	return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_BITS;

	if (shift < 2)
		return bucket;
	shift--;
	return ((uint64_t)(bucket - (shift << HISTOGRAM_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	if (!histogram->count || value < histogram->min)
		histogram->min = value;
	if (!histogram->count || value > histogram->max)
		histogram->max = value;
	histogram->count++;
	histogram->sum += value;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	double rank = ceil(percent / 100.0 * (double)histogram->count);
	uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted)
			return bucket_end(i) < histogram->max ? bucket_end(i) : histogram->max;
	}
	return histogram->count ? histogram->max : 0;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
