/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 (Aumasson and Bernstein, 2012) of whole 64-bit words, taken as little-endian. */
#ifndef UDPXDP_SIPHASH_H
#define UDPXDP_SIPHASH_H

#include "udpxdp/service.h"

static inline uint64_t sip_rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = sip_rotate(v[1], 13) ^ v[0];
		v[3] = sip_rotate(v[3], 16) ^ v[2];
		v[0] = sip_rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = sip_rotate(v[1], 17) ^ v[2];
		v[3] = sip_rotate(v[3], 21) ^ v[0];
		v[2] = sip_rotate(v[2], 32);
	}
}

static inline void sip_take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

static inline uint64_t siphash(const struct udpxdp_seed *seed, const uint64_t *words, size_t count)
{
	uint64_t v[4] = {
		seed->key[0] ^ 0x736f6d6570736575,
		seed->key[1] ^ 0x646f72616e646f6d,
		seed->key[0] ^ 0x6c7967656e657261,
		seed->key[1] ^ 0x7465646279746573,
	};

	for (size_t i = 0; i < count; i++)
		sip_take(v, words[i]);
	sip_take(v, (uint64_t)count * 8 << 56);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
