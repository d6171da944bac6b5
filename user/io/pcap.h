/* SPDX-License-Identifier: MIT */
/* Frame I/O over capture files: frames come from one pcap file and go to another. */
#ifndef UDPXDP_IO_PCAP_H
#define UDPXDP_IO_PCAP_H

#include <stddef.h>

#include "udpxdp/frame_io.h"

/*
 * Opens in (pcap or pcapng, any resolution, an Ethernet interface in it; "-": standard input) for
 * reading, and a temporary file beside out for writing (nanosecond pcap). close() renames it to
 * out; after an error in reading or writing, and when discard was called, nothing of it is left
 * behind. An out that is no regular file (a pipe, a device, "-" for standard output) is written
 * directly. A received frame that sockets wrote (sockets_wrote()) is from_kernel again, and a frame
 * sent carries its time_ns. Returns NULL with one line in error.
 */
struct frame_io *pcap_io_open(const char *in, const char *out, char *error, size_t size);

/*
 * When the frame that receive() will lend next was captured, so that the clock can be moved on
 * before it comes. A batch never reaches from one second into another. Returns false when there
 * is no more to receive.
 */
bool pcap_io_peek(struct frame_io *io, uint64_t *time_ns);

/* From now on receive() lends only frames captured before this time, in nanoseconds, and then none:
 * something else comes first. At the beginning there is no such time. */
void pcap_io_read_until(struct frame_io *io, uint64_t time_ns);

/* Calls sent with each frame that is sent, before it is written. */
void pcap_io_watch(
	struct frame_io *io, void (*sent)(void *context, const struct frame *frame), void *context);

/* Makes close() throw the output away. */
void pcap_io_discard(struct frame_io *io);

/* Why receive() returned -1, one line; "" at the plain end of the file. */
const char *pcap_io_error(const struct frame_io *io);

/* How many records were passed over so far. */
struct pcap_io_skipped {
	uint64_t odd;       /* they are not one whole frame */
	uint64_t elsewhere; /* they are of an interface that is not Ethernet */
} pcap_io_skipped(const struct frame_io *io);

#endif
