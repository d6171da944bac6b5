/* SPDX-License-Identifier: MIT */
/*
 * Decorates a frame_io: every frame received and sent is also written to a pcap file
 * (nanosecond). Several decorators, on threads of their own, may share one file. A full disk
 * costs captured frames (counted, reported once and once more when it is over), never a packet;
 * the file stays readable.
 */
#ifndef UDPXDP_IO_CAPTURE_H
#define UDPXDP_IO_CAPTURE_H

#include <stddef.h>

#include "base/outfile.h"
#include "udpxdp/frame_io.h"

struct capture_file;

/* Creates path, or empties it. open_file opens it now and whenever it is opened again; NULL: it is
 * standard output, which path is then a name for, and which keeps what is in it. report gets the
 * reports about trouble with it later. Returns NULL with one line in error. */
struct capture_file *capture_open(const char *path, outfile_open_fn *open_file,
	loss_report_fn *report, char *error, size_t size);

/* Opens it anew under its path (SIGHUP) when somebody has moved the file. Any thread, but not a
 * data-path one: it waits for the disk. */
void capture_reopen(struct capture_file *file);

/* Tries again when it could not be opened or written: call about once a second, as above. */
void capture_periodic(struct capture_file *file);

/* Frames that could not be written. */
uint64_t capture_lost(const struct capture_file *file);

/* Flushes and closes. Returns 0, or -1 with errno when not everything could be written, which has
 * been reported. */
int capture_close(struct capture_file *file);

/* Wraps inner, which the wrapper's close() closes too. Returns NULL with errno. */
struct frame_io *capture_wrap(struct frame_io *inner, struct capture_file *file);

#endif
