/* SPDX-License-Identifier: MIT */
/*
 * Compares the frames that a replay sends with those of a capture, one by one, and says what
 * differs: the number of the frame, the field as Wireshark calls it, and both values.
 */
#ifndef UDPXDP_REPLAY_EXPECT_H
#define UDPXDP_REPLAY_EXPECT_H

#include <stddef.h>

#include "udpxdp/frame_io.h"

struct expect;

/* Opens the capture of what is expected. Returns NULL with one line in error. */
struct expect *expect_open(const char *path, char *error, size_t size);

/* For pcap_io_watch(): the next frame that was sent. Logs each field that differs, of the first
 * ten frames that do. */
void expect_frame(void *context, const struct frame *frame);

/*
 * At the end: whatever the capture still has is missing. Returns 0 when all frames were as
 * expected, else -1 with one line in error: how many were not, or why the capture cannot be read.
 */
int expect_result(struct expect *expect, char *error, size_t size);

void expect_close(struct expect *expect);

#endif
