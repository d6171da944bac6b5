/* SPDX-License-Identifier: MIT */
/* What the sink says to its reader: the one value of the map "sink_counts". */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <linux/types.h>

struct sink_counts {
	__u64 packets;
	__u64 bytes; /* whole frames */
};

#endif
