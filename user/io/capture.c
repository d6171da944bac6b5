/* SPDX-License-Identifier: MIT */
#include "io/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/dlt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/outfile.h"

#define NSEC 1000000000ull
#define FRAME_MAX 262144u /* the snapshot length that the file states */

/* The pcap format, in this machine's byte order; the magic number says nanoseconds. */
struct file_header {
	uint32_t magic;
	uint16_t version_major, version_minor;
	uint32_t reserved[2];
	uint32_t snapshot_length;
	uint32_t link_type;
};

struct record_header {
	uint32_t seconds, nanoseconds;
	uint32_t captured, length;
};

static const struct file_header file_header = {
	.magic = 0xa1b23c4d,
	.version_major = 2,
	.version_minor = 4,
	.snapshot_length = FRAME_MAX,
	.link_type = DLT_EN10MB,
};

/*
 * libpcap's own writer would leave half a record behind when the disk fills up, and everything
 * after it unreadable.
 */
struct capture_file {
	pthread_mutex_t lock;
	struct outfile *out;
	uint64_t flushed_ns; /* frame time of the last flush */
};

struct capture {
	struct frame_io io;
	struct frame_io *inner;
	struct capture_file *file;
};

/* ---- the file ------------------------------------------------------------------------ */

/* Empties the file, unless it is a pipe, and writes the header. */
static int begin(int fd)
{
	ssize_t n;

	if (ftruncate(fd, 0) < 0 && errno != EINVAL)
		return -1;
	n = write(fd, &file_header, sizeof(file_header));
	if (n == sizeof(file_header))
		return 0;
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

static size_t record_size(const char *data, size_t size)
{
	struct record_header header;

	memcpy(&header, data, sizeof(header));
	return sizeof(header) + header.captured;
}

static const struct outfile_format format = {
	.name = "capture",
	.unit = "frames",
	.trouble = "dropping frames until writable",
	.access = O_WRONLY,
	.capacity = 1 << 20,
	.begin = begin,
	.record_size = record_size,
};

static void file_add(struct capture_file *file, const struct frame *frame)
{
	struct record_header header = {
		.seconds = (uint32_t)(frame->time_ns / NSEC),
		.nanoseconds = (uint32_t)(frame->time_ns % NSEC),
		.captured = frame->len < FRAME_MAX ? frame->len : FRAME_MAX,
		.length = frame->len,
	};
	size_t size = sizeof(header) + header.captured;
	char *record;

	if (frame->time_ns - file->flushed_ns >= NSEC) { /* also when the clock was set back */
		file->flushed_ns = frame->time_ns;
		outfile_flush(file->out);
	}
	record = outfile_reserve(file->out, size);
	if (!record)
		return;
	memcpy(record, &header, sizeof(header));
	memcpy(record + sizeof(header), frame->data, header.captured);
	outfile_commit(file->out, size);
}

struct capture_file *capture_open(const char *path, outfile_open_fn *open_file,
	loss_report_fn *report, char *error, size_t size)
{
	struct capture_file *file = calloc(1, sizeof(*file));

	if (file && (file->out = outfile_new(path, &format, open_file, report)) &&
		!outfile_open(file->out)) {
		pthread_mutex_init(&file->lock, NULL);
		return file;
	}
	snprintf(error, size, "capture %s: %s", path, strerror(errno));
	if (file)
		outfile_close(file->out);
	free(file);
	return NULL;
}

void capture_reopen(struct capture_file *file)
{
	pthread_mutex_lock(&file->lock);
	outfile_reopen(file->out);
	pthread_mutex_unlock(&file->lock);
}

void capture_periodic(struct capture_file *file)
{
	pthread_mutex_lock(&file->lock);
	outfile_retry(file->out);
	pthread_mutex_unlock(&file->lock);
}

uint64_t capture_lost(const struct capture_file *file)
{
	return outfile_lost(file->out);
}

int capture_close(struct capture_file *file)
{
	int error = outfile_close(file->out);

	pthread_mutex_destroy(&file->lock);
	free(file);
	errno = error;
	return error ? -1 : 0;
}

/* ---- the decorator ------------------------------------------------------------------- */

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct capture *c = (struct capture *)io;
	int n = c->inner->ops->receive(c->inner, frames, max);

	if (n <= 0)
		return n;
	pthread_mutex_lock(&c->file->lock);
	for (int i = 0; i < n; i++)
		file_add(c->file, &frames[i]);
	pthread_mutex_unlock(&c->file->lock);
	return n;
}

static void release(struct frame_io *io, const struct frame *frame)
{
	struct capture *c = (struct capture *)io;

	c->inner->ops->release(c->inner, frame);
}

static bool allocate(struct frame_io *io, struct frame *frame)
{
	struct capture *c = (struct capture *)io;

	return c->inner->ops->allocate(c->inner, frame);
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct capture *c = (struct capture *)io;

	/* Only what was taken was sent; its bytes are still there until the next call. */
	if (!c->inner->ops->send(c->inner, frame))
		return false;
	pthread_mutex_lock(&c->file->lock);
	file_add(c->file, frame);
	pthread_mutex_unlock(&c->file->lock);
	return true;
}

static void flush(struct frame_io *io)
{
	struct capture *c = (struct capture *)io;

	c->inner->ops->flush(c->inner);
}

static int wait_for(struct frame_io *io, int timeout_ms)
{
	struct capture *c = (struct capture *)io;

	pthread_mutex_lock(&c->file->lock);
	outfile_flush(c->file->out);
	pthread_mutex_unlock(&c->file->lock);
	return c->inner->ops->wait(c->inner, timeout_ms);
}

static int close_io(struct frame_io *io)
{
	struct capture *c = (struct capture *)io;
	int status = c->inner->ops->close(c->inner);

	free(c);
	return status;
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

struct frame_io *capture_wrap(struct frame_io *inner, struct capture_file *file)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->io.ops = &ops;
	c->inner = inner;
	c->file = file;
	return &c->io;
}
