/* SPDX-License-Identifier: MIT */
#include "xdp/stamps.h"

#include <string.h>

#include "base/checksum.h"
#include "udpxdp/service.h"

#define AGREE_NS 100000 /* two readings of two clocks */

static void write_slot(struct filter_stamp *slot, uint64_t second, uint64_t from_ns)
{
	uint8_t text[UDPXDP_STAMP_MAX + 1] = {};
	size_t len = udpxdp_stamp_format(text, second * UDPXDP_NSEC_PER_SEC);

	text[len] = ' ';
	/* Whoever reads it meanwhile sees 0 before it or behind it, and leaves the frame to us. */
	__atomic_store_n(&slot->from_ns, 0, __ATOMIC_SEQ_CST);
	memcpy(slot->text, text, STAMP_LEN);
	slot->sum = checksum_sum(text, STAMP_LEN);
	__atomic_store_n(&slot->from_ns, len + 1 == STAMP_LEN ? from_ns : 0, __ATOMIC_SEQ_CST);
}

void stamps_publish(struct stamps *stamps, struct filter_stamps *published, uint64_t monotonic_ns,
	uint64_t realtime_ns)
{
	const uint64_t now = realtime_ns / UDPXDP_NSEC_PER_SEC;
	const uint64_t began_ns = monotonic_ns - realtime_ns % UDPXDP_NSEC_PER_SEC;

	for (uint64_t second = now; second <= now + 1; second++) {
		struct filter_stamp *slot = &published->slots[second & 1];
		const uint64_t from_ns = began_ns + (second - now) * UDPXDP_NSEC_PER_SEC;

		if (stamps->seconds[second & 1] == second &&
			slot->from_ns - from_ns + AGREE_NS <= 2 * AGREE_NS)
			continue;
		write_slot(slot, second, from_ns);
		stamps->seconds[second & 1] = second;
		__atomic_store_n(&published->edition, published->edition + 1, __ATOMIC_RELEASE);
	}
}
