/* SPDX-License-Identifier: MIT */
/*
 * The guard rails of the filter, for frames that no filter saw: decorates a frame_io so that it
 * lends only what --allow, --deny and --limit let through. They mean here what they mean in
 * bpf/udpxdp.bpf.c. Several decorators, on threads of their own, share one guard, since a source's
 * datagrams may come to all of them.
 */
#ifndef UDPXDP_IO_GUARD_H
#define UDPXDP_IO_GUARD_H

#include <stddef.h>

#include "udpxdp/abi.h"
#include "udpxdp/frame_io.h"

struct guard_rule {
	struct source_rule_key key;
	__u32 verdict; /* RULE_ALLOW or RULE_DENY */
};

struct guard;

/*
 * Makes one. rules are copied; of those that match a source the longest decides, the last one of
 * several alike. config: its limit_interval, limit_burst and default_deny count. Returns NULL with
 * errno.
 */
struct guard *guard_new(
	const struct filter_config *config, const struct guard_rule *rules, size_t count);

/* After the decorators are closed. */
void guard_free(struct guard *guard);

/* Wraps inner, which the wrapper's close() closes too. Returns NULL with errno. */
struct frame_io *guard_wrap(struct frame_io *inner, struct guard *guard);

/* How many frames all decorators of a guard have dropped as FRAME_DENIED or FRAME_RATE_LIMITED.
 * Any thread. */
uint64_t guard_dropped(const struct guard *guard, enum frame_verdict verdict);

#endif
