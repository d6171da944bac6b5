/* SPDX-License-Identifier: MIT */
/*
 * The guard rails of the filter, for frames that no filter saw: decorates a frame_io so that it
 * lends only what --allow, --deny, --rules and --limit let through. They mean here what they mean
 * in bpf/udpxdp.bpf.c. Several decorators, on threads of their own, share one guard, since a
 * source's datagrams may come to all of them.
 */
#ifndef UDPXDP_IO_GUARD_H
#define UDPXDP_IO_GUARD_H

#include <stddef.h>

#include "io/rules.h"
#include "udpxdp/abi.h"
#include "udpxdp/frame_io.h"

struct guard;

/* Makes one, without rules. config: its intervals and bursts count. Returns NULL with errno. */
struct guard *guard_new(const struct filter_config *config);

/* From now on these rules hold, instead of those before: at once for all decorators, between two of
 * their batches. The guard owns them (NULL: none). Any thread. */
void guard_set_rules(struct guard *guard, struct rule_set *rules);

/* After the decorators are closed. */
void guard_free(struct guard *guard);

/*
 * Wraps inner, which the wrapper's close() closes too. What does not pass is counted in the row of
 * its port, of count that the receiving thread alone writes: as received, and as dropped for
 * UDPXDP_DROP_denied or UDPXDP_DROP_rate_limited. Returns NULL with errno.
 */
struct frame_io *guard_wrap(
	struct frame_io *inner, struct guard *guard, struct service_counters *rows, size_t count);

#endif
