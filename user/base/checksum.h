/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071), as running sums of 16-bit words taken as they lie in memory:
 * the one's complement sum does not care about byte order (section 2(B)), so nothing is swapped.
 * A sum is a number congruent to that of its words; checksum_fold() ends it.
 */
#ifndef UDPXDP_CHECKSUM_H
#define UDPXDP_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The sum of len bytes at any alignment, folded; an odd last byte is padded with zero. */
uint32_t checksum_sum(const void *data, size_t len);

/* The 32 bits at p, at any alignment, as a sum. */
static inline uint64_t checksum_word32(const void *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* Folds a sum to 16 bits, in memory order, not complemented. 0xffff stays 0xffff. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half;

	/* A sum and the same with its halves changed over: the upper half is both with their carry.
	 */
	half = (sum + (sum << 32 | sum >> 32)) >> 32;
	return (half + (half << 16 | half >> 16)) >> 16;
}

/* The folded sum of what stands at an even offset, as it counts behind len bytes of others. */
static inline uint32_t checksum_behind(size_t len, uint32_t sum)
{
	return len & 1 ? __builtin_bswap16((uint16_t)sum) : sum;
}

#endif
