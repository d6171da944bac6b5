/* SPDX-License-Identifier: MIT */
#include "io/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/dlt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define NSEC 1000000000ull
#define FRAME_MAX 262144u /* the snapshot length that the file states */
#define BUFFER_SIZE (1u << 20)

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
 * after it unreadable. Here the buffer holds whole records and reaches the file whole or not at
 * all, so the file can always be read, and goes on when there is room again.
 */
struct capture_file {
	pthread_mutex_t lock; /* of everything but the atomics and the path */
	char *path;
	int (*open_file)(const char *path, int flags);
	int fd;        /* -1: it could not be opened */
	off_t written; /* bytes of whole records in the file */
	uint8_t *buffer;
	size_t used;
	uint32_t records;    /* in the buffer */
	uint64_t flushed_ns; /* frame time of the last flush */
	int error;           /* the last failure */
	bool failing;        /* and it has been said */
	_Atomic uint64_t lost;
};

struct capture {
	struct frame_io io;
	struct frame_io *inner;
	struct capture_file *file;
};

/* ---- the file ------------------------------------------------------------------------ */

static void lose(struct capture_file *file, uint64_t records)
{
	atomic_fetch_add_explicit(&file->lost, records, memory_order_relaxed);
	if (!file->failing)
		log_line("cannot capture to %s: %s; what comes meanwhile is lost from the capture",
			file->path, strerror(file->error));
	file->failing = true;
}

static void recover(struct capture_file *file)
{
	if (file->failing)
		log_line("captures to %s again; %llu frames are missing", file->path,
			(unsigned long long)capture_lost(file));
	file->failing = false;
}

static void file_shut(struct capture_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* Writes all of it, or leaves the file as it was. Returns false when it could not. */
static bool write_whole(struct capture_file *file, const void *data, size_t size)
{
	size_t done = 0;

	errno = 0;
	while (done < size) {
		ssize_t n = write(file->fd, (const uint8_t *)data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == size) {
		file->written += (off_t)size;
		return true;
	}
	file->error = errno ? errno : EIO;
	/* A pipe cannot take back half a record: nothing may follow it. */
	if (done && ftruncate(file->fd, file->written))
		file_shut(file);
	return false;
}

/*
 * Opens the path. When it still names the file that is open, that one goes on; another takes its
 * place, emptied. A named pipe is not waited for until somebody reads it, but written as any other.
 */
static bool file_open(struct capture_file *file)
{
	int fd = file->open_file(file->path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK);
	struct stat ours, named;

	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0) {
		file->error = errno;
		file_shut(file);
		return false;
	}
	if (file->fd >= 0 && !fstat(file->fd, &ours) && !fstat(fd, &named) &&
		ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
		close(fd);
		return true;
	}
	file_shut(file);
	file->fd = fd;
	file->written = 0;
	if (ftruncate(fd, 0) < 0 && errno != EINVAL) { /* not a pipe */
		file->error = errno;
		file_shut(file);
	} else if (!write_whole(file, &file_header, sizeof(file_header))) {
		file_shut(file);
	}
	return file->fd >= 0;
}

static void file_flush(struct capture_file *file)
{
	if (!file->used)
		return;
	if (file->fd >= 0 && write_whole(file, file->buffer, file->used))
		recover(file);
	else
		lose(file, file->records);
	file->used = 0;
	file->records = 0;
}

static void file_add(struct capture_file *file, const struct frame *frame, uint64_t time_ns)
{
	struct record_header header = {
		.seconds = (uint32_t)(time_ns / NSEC),
		.nanoseconds = (uint32_t)(time_ns % NSEC),
		.captured = frame->len,
		.length = frame->len,
	};
	size_t size = sizeof(header) + frame->len;

	if (frame->len > FRAME_MAX)
		file->error = EMSGSIZE;
	if (file->fd < 0 || frame->len > FRAME_MAX) {
		lose(file, 1);
		return;
	}
	if (file->used + size > BUFFER_SIZE || time_ns - file->flushed_ns >= NSEC) {
		file->flushed_ns = time_ns;
		file_flush(file);
	}
	memcpy(file->buffer + file->used, &header, sizeof(header));
	memcpy(file->buffer + file->used + sizeof(header), frame->data, frame->len);
	file->used += size;
	file->records++;
}

struct capture_file *capture_open(
	const char *path, int (*open_file)(const char *path, int flags), char *error, size_t size)
{
	struct capture_file *file = calloc(1, sizeof(*file));

	if (file) {
		file->fd = -1;
		file->open_file = open_file;
		file->path = strdup(path);
		file->buffer = malloc(BUFFER_SIZE);
	}
	if (!file || !file->path || !file->buffer) {
		snprintf(error, size, "cannot capture to %s: %s", path, strerror(ENOMEM));
	} else if (!file_open(file)) {
		snprintf(error, size, "cannot capture to %s: %s", path, strerror(file->error));
	} else {
		pthread_mutex_init(&file->lock, NULL);
		return file;
	}
	if (file) {
		free(file->path);
		free(file->buffer);
	}
	free(file);
	return NULL;
}

void capture_reopen(struct capture_file *file)
{
	pthread_mutex_lock(&file->lock);
	file_flush(file);
	file_open(file);
	pthread_mutex_unlock(&file->lock);
}

void capture_periodic(struct capture_file *file)
{
	pthread_mutex_lock(&file->lock);
	if (file->fd < 0)
		file_open(file);
	pthread_mutex_unlock(&file->lock);
}

uint64_t capture_lost(const struct capture_file *file)
{
	return atomic_load_explicit(&file->lost, memory_order_relaxed);
}

int capture_close(struct capture_file *file)
{
	int error;

	file_flush(file);
	if (file->fd >= 0 && close(file->fd))
		file->error = errno;
	error = file->error;
	pthread_mutex_destroy(&file->lock);
	free(file->path);
	free(file->buffer);
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
		file_add(c->file, &frames[i], frames[i].time_ns);
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
	file_add(c->file, frame, frame->time_ns);
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
	file_flush(c->file);
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
