/* SPDX-License-Identifier: MIT */
#include "io/decorator.h"

#include <stdlib.h>

void decorator_release(struct frame_io *io, const struct frame *frame)
{
	struct frame_io *inner = decorator_inner(io);

	inner->ops->release(inner, frame);
}

bool decorator_allocate(struct frame_io *io, struct frame *frame)
{
	struct frame_io *inner = decorator_inner(io);

	return inner->ops->allocate(inner, frame);
}

bool decorator_send(struct frame_io *io, const struct frame *frame)
{
	struct frame_io *inner = decorator_inner(io);

	return inner->ops->send(inner, frame);
}

void decorator_flush(struct frame_io *io)
{
	struct frame_io *inner = decorator_inner(io);

	inner->ops->flush(inner);
}

int decorator_wait(struct frame_io *io, int timeout_ms)
{
	struct frame_io *inner = decorator_inner(io);

	return inner->ops->wait(inner, timeout_ms);
}

int decorator_descriptor(struct frame_io *io, int *timeout_ms)
{
	struct frame_io *inner = decorator_inner(io);

	return inner->ops->descriptor(inner, timeout_ms);
}

int decorator_close(struct frame_io *io)
{
	struct frame_io *inner = decorator_inner(io);

	free(io);
	return inner->ops->close(inner);
}
