/* SPDX-License-Identifier: MIT */
/*
 * So much a second, and ten seconds' worth of it at once: the virtual scheduling form of a token
 * bucket (ITU-T I.371 annex A). Time is of a steady clock, in nanoseconds.
 */
#ifndef UDPXDP_BUDGET_H
#define UDPXDP_BUDGET_H

#include "udpxdp/service.h"

#define BUDGET_SPAN (10 * UDPXDP_NSEC_PER_SEC)

struct budget {
	uint64_t due_ns; /* when everything taken so far is paid for */
};

/* How long it takes until everything is paid for: never more than the span, but for a clock that
 * was set back; then it begins anew. */
static inline uint64_t budget_debt(const struct budget *budget, uint64_t now)
{
	const uint64_t debt = budget->due_ns - now;

	return budget->due_ns < now || debt > BUDGET_SPAN ? 0 : debt;
}

/* Is there so much left of a budget of rate a second? A rate of 0 has no end. What is more than the
 * whole of it passes when nothing is owed. */
static inline bool budget_has(
	const struct budget *budget, uint64_t now, uint64_t amount, uint64_t rate)
{
	const uint64_t debt = budget_debt(budget, now);

	return !rate || !debt || debt + amount * UDPXDP_NSEC_PER_SEC / rate <= BUDGET_SPAN;
}

/* Takes it. */
static inline void budget_take(struct budget *budget, uint64_t now, uint64_t amount, uint64_t rate)
{
	uint64_t debt = budget_debt(budget, now);

	if (!rate)
		return;
	debt += amount * UDPXDP_NSEC_PER_SEC / rate;
	budget->due_ns = now + (debt < BUDGET_SPAN ? debt : BUDGET_SPAN);
}

#endif
