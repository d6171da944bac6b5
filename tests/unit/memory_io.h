/* SPDX-License-Identifier: MIT */
/* A frame_io in memory: frames put in come out of receive(), what is sent is kept. */
#ifndef UDPXDP_MEMORY_IO_H
#define UDPXDP_MEMORY_IO_H

#include <string.h>

#include "udpxdp/frame_io.h"

#define MEMORY_FRAMES 64
#define MEMORY_ROOM 4096

struct memory_frame {
	_Alignas(2) uint8_t bytes[FRAME_HEADROOM + MEMORY_ROOM];
	uint8_t *data;
	uint32_t len;
	uint64_t time_ns;
};

struct memory_io {
	struct frame_io io;
	struct memory_frame in[MEMORY_FRAMES], out[MEMORY_FRAMES];
	unsigned in_count, in_next, out_count, given_back, flushes;
	unsigned tx_room; /* how many more frames can be sent */
};

static int memory_receive(struct frame_io *io, struct frame *frames, int max)
{
	struct memory_io *m = (struct memory_io *)io;
	int n = 0;

	for (; n < max && m->in_next < m->in_count; n++, m->in_next++) {
		struct memory_frame *f = &m->in[m->in_next];

		frames[n] = (struct frame){.data = f->bytes + FRAME_HEADROOM,
			.len = f->len,
			.time_ns = f->time_ns,
			.cookie = m->in_next,
			.is_rx = true};
	}
	return n;
}

static void memory_release(struct frame_io *io, const struct frame *frame)
{
	((struct memory_io *)io)->given_back++;
}

static bool memory_allocate(struct frame_io *io, struct frame *frame)
{
	struct memory_io *m = (struct memory_io *)io;

	if (!m->tx_room || m->out_count == MEMORY_FRAMES)
		return false;
	m->tx_room--;
	memset(m->out[m->out_count].bytes, 0xa5, sizeof(m->out[m->out_count].bytes));
	*frame = (struct frame){.data = m->out[m->out_count].bytes};
	return true;
}

static bool memory_send(struct frame_io *io, const struct frame *frame)
{
	struct memory_io *m = (struct memory_io *)io;
	struct memory_frame *f = &m->out[m->out_count];

	if (frame->is_rx) {
		if (!m->tx_room || m->out_count == MEMORY_FRAMES)
			return false;
		m->tx_room--;
		memcpy(f->bytes, frame->data, frame->len);
	}
	f->data = f->bytes;
	f->len = frame->len;
	m->out_count++;
	return true;
}

static void memory_flush(struct frame_io *io)
{
	((struct memory_io *)io)->flushes++;
}

static int memory_wait(struct frame_io *io, int timeout_ms)
{
	return 0;
}

static int memory_close(struct frame_io *io)
{
	return 0;
}

static const struct frame_io_ops memory_ops = {
	.receive = memory_receive,
	.release = memory_release,
	.allocate = memory_allocate,
	.send = memory_send,
	.flush = memory_flush,
	.wait = memory_wait,
	.close = memory_close,
};

static inline void memory_open(struct memory_io *m)
{
	memset(m, 0, sizeof(*m));
	m->io.ops = &memory_ops;
	m->tx_room = MEMORY_FRAMES;
}

static inline void memory_put(struct memory_io *m, const void *data, uint32_t len, uint64_t time_ns)
{
	struct memory_frame *f = &m->in[m->in_count++];

	memcpy(f->bytes + FRAME_HEADROOM, data, len);
	f->len = len;
	f->time_ns = time_ns;
}

#endif
