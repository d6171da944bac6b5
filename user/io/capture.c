/* SPDX-License-Identifier: MIT */
#include "io/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/dlt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"
#include "io/decorator.h"

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
	struct outfile_format format;
	uint64_t flushed_ns; /* frame time of the last flush */
};

struct capture {
	struct decorator base;
	struct capture_file *file;
};

/* ---- the file ------------------------------------------------------------------------ */

static int write_header(int fd)
{
	ssize_t n = write(fd, &file_header, sizeof(file_header));

	if (n == sizeof(file_header))
		return 0;
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

/* Empties the file, unless it is a pipe, and writes the header. */
static int begin(int fd)
{
	if (ftruncate(fd, 0) < 0 && errno != EINVAL)
		return -1;
	return write_header(fd);
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

/* Standard output is what it was given as: a path does not lead there again, be it that of a pipe.
 */
static int open_standard_output(const char *path, int flags)
{
	return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* A reader that does not read is not waited for. Others may have the pipe from the same open(2) and
 * want to wait: it becomes one of our own where that may be. */
static void make_standard_output_nonblocking(void)
{
	struct stat status;
	int own;

	if (!fstat(STDOUT_FILENO, &status) && S_ISREG(status.st_mode))
		return;
	own = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0 || dup2(own, STDOUT_FILENO) < 0)
		fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	if (own >= 0)
		close(own);
}

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

/* The reader of a pipe may have gone already: that is no different from later. */
static int open_stream(struct outfile *out)
{
	make_standard_output_nonblocking();
	if (!outfile_open(out))
		return 0;
	if (errno != EPIPE)
		return -1;
	outfile_reopen(out);
	return 0;
}

struct capture_file *capture_open(const char *path, outfile_open_fn *open_file,
	loss_report_fn *report, char *error, size_t size)
{
	struct capture_file *file = calloc(1, sizeof(*file));

	if (file) {
		file->format = format;
		if (!open_file)
			file->format.begin = write_header; /* what is in it stays */
		file->out = outfile_new(
			path, &file->format, open_file ? open_file : open_standard_output, report);
	}
	if (file && file->out && !(open_file ? outfile_open(file->out) : open_stream(file->out))) {
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
	struct frame_io *inner = c->base.inner;
	int n = inner->ops->receive(inner, frames, max);

	if (n <= 0)
		return n;
	pthread_mutex_lock(&c->file->lock);
	for (int i = 0; i < n; i++)
		file_add(c->file, &frames[i]);
	pthread_mutex_unlock(&c->file->lock);
	return n;
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct capture *c = (struct capture *)io;

	/* Only what was taken was sent; its bytes are still there until the next call. */
	if (!decorator_send(io, frame))
		return false;
	pthread_mutex_lock(&c->file->lock);
	file_add(c->file, frame);
	pthread_mutex_unlock(&c->file->lock);
	return true;
}

static int wait_for(struct frame_io *io, int timeout_ms)
{
	struct capture *c = (struct capture *)io;

	pthread_mutex_lock(&c->file->lock);
	outfile_flush(c->file->out);
	pthread_mutex_unlock(&c->file->lock);
	return decorator_wait(io, timeout_ms);
}

static int descriptor(struct frame_io *io, int *timeout_ms)
{
	struct capture *c = (struct capture *)io;

	pthread_mutex_lock(&c->file->lock);
	outfile_flush(c->file->out);
	pthread_mutex_unlock(&c->file->lock);
	return decorator_descriptor(io, timeout_ms);
}

static const struct frame_io_ops ops = {
	.receive = receive,
	.release = decorator_release,
	.allocate = decorator_allocate,
	.send = send_frame,
	.flush = decorator_flush,
	.wait = wait_for,
	.descriptor = descriptor,
	.close = decorator_close,
};

struct frame_io *capture_wrap(struct frame_io *inner, struct capture_file *file)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct capture){.base = {.io.ops = &ops, .inner = inner}, .file = file};
	return &c->base.io;
}
