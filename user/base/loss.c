/* SPDX-License-Identifier: MIT */
#include "base/loss.h"

void loss_add(struct loss *loss, uint64_t count)
{
	atomic_store_explicit(&loss->count, loss_count(loss) + count, memory_order_relaxed);
}

uint64_t loss_count(const struct loss *loss)
{
	return atomic_load_explicit(&loss->count, memory_order_relaxed);
}

void loss_report(const struct loss *loss, const char *event)
{
	loss->report("%s: %s; %s lost so far: %llu", loss->what, event, loss->unit,
		(unsigned long long)loss_count(loss));
}
