/* SPDX-License-Identifier: MIT */
#include "engine/checksum.h"

#include <string.h>

#include "udpxdp/service.h"

uint32_t checksum_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	unsigned __int128 wide = 0;
	uint64_t sum, word;

	for (; len >= 32; len -= 32, p += 32) {
		uint64_t w[4];

		memcpy(w, p, 32);
		wide += w[0];
		wide += w[1];
		wide += w[2];
		wide += w[3];
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		wide += word;
	}
	word = 0;
	memcpy(&word, p, len);
	wide += word;

	sum = (uint64_t)wide + (uint64_t)(wide >> 64);
	sum += sum < (uint64_t)wide; /* the carry out of 64 bits */
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	/* A sum of swapped words is the swapped sum (RFC 1071, 2(B)). */
	return __builtin_bswap16((uint16_t)sum);
#else
	return (uint16_t)sum;
#endif
}

void prefix_set(struct prefix *prefix, const void *text, size_t len)
{
	if (len > sizeof(prefix->text))
		len = sizeof(prefix->text);
	memcpy(prefix->text, text, len);
	prefix->len = len;
	prefix->sum = checksum_sum(text, len);
}
