/* SPDX-License-Identifier: MIT */
/*
 * Frame I/O over memory, which keeps account of every frame: lent ones have to come back or be
 * sent, allocated ones have to be sent, none twice. Each is a block of its own and exactly as long
 * as it says, so that AddressSanitizer sees whatever is read or written beside it.
 */
#ifndef UDPXDP_TESTS_LEDGER_IO_H
#define UDPXDP_TESTS_LEDGER_IO_H

#include "udpxdp/frame_io.h"

struct accounting_io {
	struct frame_io io;
	uint32_t room;   /* bytes of an allocated frame */
	bool full;       /* there is no frame to send with */
	unsigned queued; /* frames to receive */
	unsigned out;    /* frames lent or allocated, not yet back */
	unsigned unflushed;
	void *context;
	void (*sent)(void *context, const struct frame *frame);
	struct queued {
		uint8_t *block;
		uint32_t len;
		uint64_t time_ns;
	} frames[FRAME_BATCH];
};

void accounting_io_init(struct accounting_io *io);

/* Queues a copy of a frame to be received. */
void accounting_io_put(
	struct accounting_io *io, const uint8_t *frame, uint32_t len, uint64_t time_ns);

/* Ends the program, with a message and the frame, for which a fuzzer keeps the input. */
#define require(condition, frame, len)                                              \
	do {                                                                        \
		if (!(condition))                                                   \
			require_failed(__FILE__, __LINE__, #condition, frame, len); \
	} while (0)
void require_failed(const char *file, int line, const char *condition, const void *frame,
	uint32_t len) __attribute__((noreturn));

#endif
