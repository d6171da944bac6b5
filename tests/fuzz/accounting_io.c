/* SPDX-License-Identifier: MIT */
#include "fuzz/accounting_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"

void require_failed(
	const char *file, int line, const char *condition, const void *frame, uint32_t len)
{
	printf("# %s:%d: does not hold: %s\n", file, line, condition);
	hexdump(frame, len);
	fflush(NULL);
	abort();
}

static uint8_t *block_of(const struct frame *frame)
{
	return (uint8_t *)(uintptr_t)frame->cookie;
}

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct accounting_io *m = (struct accounting_io *)io;
	unsigned i, n = m->queued < (unsigned)max ? m->queued : (unsigned)max;

	for (i = 0; i < n; i++) {
		frames[i] = (struct frame){
			.data = m->frames[i].block + FRAME_HEADROOM,
			.len = m->frames[i].len,
			.room = m->frames[i].len,
			.time_ns = m->frames[i].time_ns,
			.cookie = (uintptr_t)m->frames[i].block,
			.is_rx = true,
		};
		m->out++;
	}
	m->queued -= n;
	memmove(m->frames, m->frames + n, m->queued * sizeof(m->frames[0]));
	return n;
}

/* A frame that was given away is gone: to touch it again is a use after free. */
static void take_back(struct accounting_io *m, const struct frame *frame)
{
	require(m->out, frame->data, 0);
	m->out--;
	free(block_of(frame));
}

static void release(struct frame_io *io, const struct frame *frame)
{
	require(frame->is_rx, frame->data, 0);
	take_back((struct accounting_io *)io, frame);
}

static bool allocate(struct frame_io *io, struct frame *frame)
{
	struct accounting_io *m = (struct accounting_io *)io;
	uint8_t *block;

	if (m->full)
		return false;
	block = malloc(m->room);
	require(block, NULL, 0);
	m->out++;
	*frame = (struct frame){.data = block, .room = m->room, .cookie = (uintptr_t)block};
	return true;
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct accounting_io *m = (struct accounting_io *)io;

	if (m->full && frame->is_rx)
		return false;
	require(frame->len <= frame->room, frame->data, 0);
	require(frame->data >= block_of(frame), NULL, 0);
	m->sent(m->context, frame);
	m->unflushed++;
	take_back(m, frame);
	return true;
}

static void flush(struct frame_io *io)
{
	((struct accounting_io *)io)->unflushed = 0;
}

static int wait_for(struct frame_io *io, int timeout_ms)
{
	return 0;
}

static int close_io(struct frame_io *io)
{
	struct accounting_io *m = (struct accounting_io *)io;

	while (m->queued)
		free(m->frames[--m->queued].block);
	return 0;
}

static const struct frame_io_ops ops = {
	.receive = receive,
	.release = release,
	.allocate = allocate,
	.send = send_frame,
	.flush = flush,
	.wait = wait_for,
	.close = close_io,
};

void accounting_io_init(struct accounting_io *m)
{
	memset(m, 0, sizeof(*m));
	m->io.ops = &ops;
}

void accounting_io_put(
	struct accounting_io *m, const uint8_t *frame, uint32_t len, uint64_t time_ns)
{
	struct queued *queued = &m->frames[m->queued++];

	require(m->queued <= FRAME_BATCH, frame, len);
	queued->block = malloc(FRAME_HEADROOM + len);
	require(queued->block, NULL, 0);
	memcpy(queued->block + FRAME_HEADROOM, frame, len);
	queued->len = len;
	queued->time_ns = time_ns;
}
