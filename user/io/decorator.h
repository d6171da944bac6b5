/* SPDX-License-Identifier: MIT */
/*
 * What the frame_io that stand around another one share: each call goes to the inner one as it
 * came. A decorator embeds struct decorator as its first member, allocates itself with malloc()
 * and puts these into its table where it adds nothing of its own. Errors are the inner one's.
 */
#ifndef UDPXDP_DECORATOR_H
#define UDPXDP_DECORATOR_H

#include "udpxdp/frame_io.h"

struct decorator {
	struct frame_io io;
	struct frame_io *inner;
};

static inline struct frame_io *decorator_inner(const struct frame_io *io)
{
	return ((const struct decorator *)io)->inner;
}

void decorator_release(struct frame_io *io, const struct frame *frame);
bool decorator_allocate(struct frame_io *io, struct frame *frame);
bool decorator_send(struct frame_io *io, const struct frame *frame);
void decorator_flush(struct frame_io *io);
int decorator_wait(struct frame_io *io, int timeout_ms);
int decorator_descriptor(struct frame_io *io, int *timeout_ms);

/* Frees the decorator, and closes the inner one. */
int decorator_close(struct frame_io *io);

#endif
