/* SPDX-License-Identifier: MIT */
/*
 * A file of records that survives trouble with its disk. A record is in the file whole or not at
 * all: what a full disk took of one is taken back out. While the file cannot be written it is
 * opened again at every outfile_retry(); records that are lost are counted; the beginning of the
 * trouble and its end are reported once each. A regular file, a device and a named pipe will do.
 * No clock, no thread and no lock of its own: one thread at a time, except where noted.
 */
#ifndef UDPXDP_OUTFILE_H
#define UDPXDP_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loss.h"

/* open(2) with the mode that the file is to be created with. Returns a descriptor, or -1 with
 * errno. */
typedef int outfile_open_fn(const char *path, int flags);

/* What kind of file it is. */
struct outfile_format {
	const char *name;    /* in reports, before the path: "history" */
	const char *unit;    /* of what is lost: "lines" */
	const char *trouble; /* what is done while it cannot be written: "retrying every second" */
	int access;          /* O_WRONLY, or O_RDWR when begin() reads */
	size_t capacity;     /* bytes of records that wait to be written */

	/*
	 * true: records wait while the file cannot be written, the oldest making room for new ones;
	 * a file that was moved away is written as long as a new one cannot be opened; what was
	 * written into a file that was deleted is written again. false: records that cannot be
	 * written at once are dropped, and outfile_flush() makes no system calls but write(2),
	 * lseek(2), ftruncate(2), poll(2) and close(2).
	 */
	bool keep;

	/* Makes a file that was just opened ready for records. Returns 0, or -1 with errno. */
	int (*begin)(int fd);

	/* The size of the record that data begins with; size bytes of whole records are there. */
	size_t (*record_size)(const char *data, size_t size);
};

/* Do these paths name one file, there or yet to be made? Never a device: it keeps nothing. */
bool outfile_is_same(const char *a, const char *b);

struct outfile;

/* Makes one that is still to be opened. format outlives it, path is copied. Returns NULL with errno
 * ENOMEM. */
struct outfile *outfile_new(const char *path, const struct outfile_format *format,
	outfile_open_fn *open_file, loss_report_fn *report);

/* Opens it for the first time. Returns 0, or -1 with errno: nothing is reported, and
 * outfile_reopen() may try again. */
int outfile_open(struct outfile *file);

/*
 * Writes what waits and opens the path anew: log rotation. A path that still names the file that is
 * open changes nothing. Reports trouble.
 */
void outfile_reopen(struct outfile *file);

/* The same, if there is trouble or the file was deleted: to be called about once a second. */
void outfile_retry(struct outfile *file);

/* Space for a record of at most size bytes, which outfile_commit() completes. Room is made by
 * writing, then by dropping. Returns NULL when the record is dropped itself, and counted. */
char *outfile_reserve(struct outfile *file, size_t size);
void outfile_commit(struct outfile *file, size_t size);

/* Writes what waits. With trouble, nothing happens until outfile_retry(). */
void outfile_flush(struct outfile *file);

/* Is all that was committed written? Then *size is the file's, 0 where it has none. */
bool outfile_is_written(const struct outfile *file, uint64_t *size);

/* fdatasync(2), if something was written since the last time. */
void outfile_sync(struct outfile *file);

/* How many records were lost. Any thread. */
uint64_t outfile_lost(const struct outfile *file);

/* Tries once more to write what waits, closes and frees. Returns 0, or the last errno when records
 * were lost. Reports trouble that lasts. NULL does nothing. */
int outfile_close(struct outfile *file);

#endif
