/* SPDX-License-Identifier: MIT */
/* What filter.c (load, attach, pin) and filter_maps.c (what it is told) share. */
#ifndef UDPXDP_XDP_INTERNAL_H
#define UDPXDP_XDP_INTERNAL_H

#include "xdp/filter.h"
#include "udpxdp.skel.h"

struct filter {
	struct udpxdp_bpf *skeleton;
	struct bpf_program *program; /* the one that is loaded */
	bool answers;                /* it can answer by itself */
	char refused[64];            /* why it cannot, though that was wanted */
	int ifindex;
	int link;                      /* of an attachment by bpf_link, or -1 */
	struct dispatched *dispatched; /* attached through the dispatcher, or NULL */
	struct service_counters *counters;
	size_t counters_size;
	struct {
		struct source_rule_key *keys; /* that are in it, or may be */
		size_t count;
	} tries[2];
	struct pins pins;
	struct pin pinned[3];
};

#endif
