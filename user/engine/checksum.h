/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071), as running sums. A sum is a 32-bit number congruent to the
 * 16-bit one's complement sum of big-endian words; checksum_fold() ends it. Sums of parts add
 * up with checksum_join(), which knows what an odd offset does to a part (RFC 1071, 2(B)).
 */
#ifndef UDPXDP_CHECKSUM_H
#define UDPXDP_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum of len bytes; an odd last byte is padded with zero. Folded to 16 bits. */
uint32_t checksum_sum(const void *data, size_t len);

/* a (len_a bytes long, at an even offset) followed by b: their sum. */
static inline uint32_t checksum_join(uint32_t a, size_t len_a, uint32_t b)
{
	if (len_a & 1)
		b = ((b & 0xff) << 8) | ((b >> 8) & 0xff);
	return a + b;
}

/* Folds a sum of at most 0xffff 16-bit words to 16 bits, not complemented. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
