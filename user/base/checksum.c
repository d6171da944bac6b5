/* SPDX-License-Identifier: MIT */
#include "base/checksum.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "udpxdp/packet.h"
#include "udpxdp/service.h"

static inline uint64_t word64(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* One's complement addition: the carry comes back in below. */
static inline uint64_t add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t add_four(uint64_t sum, const uint8_t *p)
{
#ifdef __x86_64__
	unsigned long long chain = sum; /* four additions that pass their carry on, no more */
	unsigned char carry = _addcarry_u64(0, chain, word64(p), &chain);

	carry = _addcarry_u64(carry, chain, word64(p + 8), &chain);
	carry = _addcarry_u64(carry, chain, word64(p + 16), &chain);
	carry = _addcarry_u64(carry, chain, word64(p + 24), &chain);
	return chain + carry;
#else
	sum = add(add(sum, word64(p)), word64(p + 8));
	return add(add(sum, word64(p + 16)), word64(p + 24));
#endif
}

/* What is left below eight bytes, as one word. */
static uint64_t tail(const uint8_t *p, size_t len)
{
	uint64_t word = 0;
	uint16_t two;

	if (len & 4)
		word = checksum_word32(p);
	if (len & 2) {
		memcpy(&two, p + (len & 4), 2);
		word += two;
	}
	if (len & 1)
		word += PACKET_BE16((uint16_t)p[len - 1] << 8);
	return word;
}

uint32_t checksum_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = 0;

	for (; len >= 32; len -= 32, p += 32)
		sum = add_four(sum, p);
	for (; len >= 8; len -= 8, p += 8)
		sum = add(sum, word64(p));
	if (len)
		sum = add(sum, tail(p, len));
	return checksum_fold(sum);
}

void udpxdp_prefix_set(struct udpxdp_prefix *prefix, const void *text, size_t len)
{
	if (len > sizeof(prefix->text))
		len = sizeof(prefix->text);
	memcpy(prefix->text + sizeof(prefix->text) - len, text, len);
	prefix->len = len;
	prefix->sum = checksum_sum(text, len);
}
