/* SPDX-License-Identifier: MIT */
/* What everything that udpxdp sends and says has to be, whatever it was sent. */
#ifndef UDPXDP_TESTS_JUDGE_H
#define UDPXDP_TESTS_JUDGE_H

#include "engine/engine.h"
#include "udpxdp/packet.h"

/* A frame sent: whole, with right checksums, no longer than the MTU allows, to one host. Returns
 * where things are in it. */
struct frame_info judge_frame(const struct frame *frame, uint32_t mtu);

/* A message, written as a line in both ways: one line, UTF-8, nothing that steers a terminal. */
void judge_message(const struct udpxdp_message *message);

/* Makes lengths and checksums of a frame right, where it is IP and UDP at all. */
void mend_frame(uint8_t *frame, uint32_t len);

#endif
