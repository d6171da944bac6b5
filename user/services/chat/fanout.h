/* SPDX-License-Identifier: MIT */
/*
 * Lines on their way to everybody in a room. A slice of the work is done at a time, so that a large
 * room leaves its worker to the others in between.
 */
#ifndef UDPXDP_FANOUT_H
#define UDPXDP_FANOUT_H

#include "services/chat/members.h"

#define FANOUT_BYTES (512u << 10) /* of lines that are under way */
#define FANOUT_SLICE 128          /* datagrams between two batches of frames */

struct fanout {
	uint32_t head, tail; /* of the lines in the ring; equal: there is none, if count is 0 */
	uint32_t end;        /* where they go on at the ring's beginning */
	uint32_t count;
	uint32_t allowance; /* left of this slice */
	_Alignas(8) uint8_t ring[FANOUT_BYTES];
};

/* A line, as it goes to each. */
struct fanout_line {
	uint32_t speaker; /* number of a member who does not get it; 0: nobody */
	uint32_t len;
	uint64_t joined;   /* who came after so many joins does not get it */
	uint16_t not_port; /* who speaks from this port does not get it; 0: nobody */
	uint8_t text[];
};

/*
 * A place for a line of so many bytes; fanout_add() puts it on its way. NULL: too much is on its
 * way already.
 */
struct fanout_line *fanout_reserve(struct fanout *fanout, uint32_t len);
void fanout_add(struct fanout *fanout, const struct fanout_line *line);

/* Sends what this slice still allows, and asks for another. */
void fanout_run(struct fanout *fanout, struct members *members, struct udpxdp_ctx *ctx);

#endif
