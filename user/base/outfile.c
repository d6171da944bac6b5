/* SPDX-License-Identifier: MIT */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 100 /* with a pipe that is full */
#define WAITS_MAX 16    /* for such a pipe in one attempt to write */

enum state {
	NEW,     /* outfile_open() or outfile_reopen() is still to come */
	OPEN,    /* all is well */
	STALE,   /* what the path names cannot be opened: the file before is written */
	BLOCKED, /* it is open, but the last write failed */
	CLOSED,  /* it cannot be opened */
};

struct outfile {
	const struct outfile_format *format;
	outfile_open_fn *open_file;
	struct loss loss;
	char *name; /* and the path behind it: "history chat.txt" */
	const char *path;
	enum state state;
	int fd;     /* -1: NEW or CLOSED */
	int error;  /* the last */
	bool dirty; /* written to since the last sync */
	size_t used;
	size_t rest; /* so many bytes at the front end a record whose beginning is in the file */
	char buffer[];
};

/* ---- which file it is ------------------------------------------------------------------ */

/* Looks up the directory of a path. Returns the file's name in it; NULL: it is not there. */
static const char *look_up(const char *path, struct stat *directory)
{
	const char *slash = strrchr(path, '/');
	char *copy = strdup(path);
	bool found = copy && !stat(dirname(copy), directory);

	free(copy);
	return found ? slash ? slash + 1 : path : NULL;
}

bool outfile_is_same(const char *a, const char *b)
{
	struct stat one, other;
	const bool there = !stat(a, &one), also = !stat(b, &other);
	const char *name, *other_name;

	if (there != also)
		return false;
	if (there)
		return one.st_dev == other.st_dev && one.st_ino == other.st_ino &&
		       !S_ISCHR(one.st_mode);
	if (!strcmp(a, b))
		return true;
	name = look_up(a, &one);
	other_name = look_up(b, &other);
	return name && other_name && !strcmp(name, other_name) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* ---- what waits ------------------------------------------------------------------------ */

static void forget(struct outfile *f, size_t from, size_t to)
{
	memmove(f->buffer + from, f->buffer + to, f->used - to);
	f->used -= to - from;
}

static size_t record_end(const struct outfile *f, size_t at)
{
	return at + f->format->record_size(f->buffer + at, f->used - at);
}

/* Drops at least so many bytes of the oldest records. */
static void drop(struct outfile *f, size_t bytes)
{
	size_t end = f->rest;
	uint64_t count = 0;

	for (; end < f->used && end - f->rest < bytes; count++)
		end = record_end(f, end);
	loss_add(&f->loss, count);
	forget(f, f->rest, end);
}

/* The file that has the beginning of a record does not get its end. */
static void drop_rest(struct outfile *f)
{
	loss_add(&f->loss, f->rest != 0);
	forget(f, 0, f->rest);
	f->rest = 0;
}

/* ---- trouble --------------------------------------------------------------------------- */

static bool in_trouble(const struct outfile *f)
{
	return f->state > OPEN;
}

static void enter(struct outfile *f, enum state state, int error)
{
	bool was_in_trouble = in_trouble(f);

	f->state = state;
	if (error)
		f->error = error;
	if (in_trouble(f) && !was_in_trouble)
		f->loss.report("%s: %s; %s", f->name, strerror(error), f->format->trouble);
	if (!in_trouble(f) && was_in_trouble)
		loss_report(&f->loss, "writable again");
}

static void shut(struct outfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->dirty = false;
	drop_rest(f);
}

/* ---- writing --------------------------------------------------------------------------- */

/* Waits for the reader of a pipe to make room; not for one that has not done so the last time. */
static bool reader_reads(const struct outfile *f, size_t done)
{
	struct pollfd ready = {.fd = f->fd, .events = POLLOUT};

	return (f->state != BLOCKED || done) && poll(&ready, 1, PATIENCE_MS) > 0;
}

/* Writes as much of the buffer as possible; returns how much that was. */
static size_t write_some(struct outfile *f, int *error)
{
	unsigned waits = 0;
	size_t done = 0;

	*error = 0;
	while (done < f->used && !*error) {
		ssize_t n = write(f->fd, f->buffer + done, f->used - done);

		if (n > 0)
			done += (size_t)n;
		else if (!n)
			*error = EIO;
		else if (errno == EAGAIN)
			*error = waits++ < WAITS_MAX && reader_reads(f, done) ? 0 : EAGAIN;
		else if (errno != EINTR)
			*error = errno;
	}
	f->dirty |= done > 0;
	return done;
}

/* Takes the last bytes of what was written back out of the file, unless they are not the last any
 * more, or it is no regular file. */
static bool take_back(struct outfile *f, size_t bytes)
{
	off_t end = lseek(f->fd, 0, SEEK_CUR);

	return end >= (off_t)bytes && lseek(f->fd, 0, SEEK_END) == end &&
	       !ftruncate(f->fd, end - (off_t)bytes);
}

/* So much of the buffer is in the file, perhaps only a part of the last record. */
static void settle(struct outfile *f, size_t done)
{
	size_t whole = f->rest, end;

	if (done < f->rest) {
		f->rest -= done;
	} else {
		while (whole < done && (end = record_end(f, whole)) <= done)
			whole = end;
		f->rest = 0;
		if (whole < done && take_back(f, done - whole))
			done = whole;
		else if (whole < done)
			f->rest = end - done;
	}
	forget(f, 0, done);
}

/* ---- opening --------------------------------------------------------------------------- */

static bool same_file(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Opens the path in place of what is open. Returns 0, or an errno with what is open as it was. */
static int open_path(struct outfile *f)
{
	int fd = f->open_file(
		f->path, f->format->access | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK);
	int error;

	if (fd < 0)
		return errno;
	if (f->fd >= 0 && same_file(f->fd, fd)) {
		close(fd);
		return 0;
	}
	if (f->format->begin(fd)) {
		error = errno;
		close(fd);
		return error;
	}
	shut(f);
	f->fd = fd;
	return 0;
}

static bool is_deleted(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && !st.st_nlink;
}

/* Writes the buffer. Returns 0 or an errno. */
static int write_out(struct outfile *f)
{
	int error, fd = f->fd;
	size_t done = write_some(f, &error);

	/* What went into a file that was deleted belongs into a new one. */
	if (done && f->format->keep && is_deleted(fd)) {
		int open_error = open_path(f);

		if (open_error) {
			shut(f);
			return open_error;
		}
		if (f->fd != fd)
			done = write_some(f, &error);
	}
	settle(f, done);
	return error;
}

/* Opening or writing failed. The next reader of a pipe begins with a file of its own. */
static void failed(struct outfile *f, int error, enum state state)
{
	if (error == EPIPE)
		shut(f);
	if (!f->format->keep)
		drop(f, f->used);
	enter(f, f->fd < 0 ? CLOSED : state, error);
}

/* ---- what others call ------------------------------------------------------------------ */

struct outfile *outfile_new(const char *path, const struct outfile_format *format,
	outfile_open_fn *open_file, loss_report_fn *report)
{
	struct outfile *f = calloc(1, sizeof(*f) + format->capacity);

	if (!f || asprintf(&f->name, "%s %s", format->name, path) < 0) {
		free(f);
		errno = ENOMEM;
		return NULL;
	}
	f->path = f->name + strlen(format->name) + 1;
	f->format = format;
	f->open_file = open_file;
	f->fd = -1;
	f->loss.report = report;
	f->loss.what = f->name;
	f->loss.unit = format->unit;
	return f;
}

int outfile_open(struct outfile *f)
{
	errno = open_path(f);
	if (errno)
		return -1;
	enter(f, OPEN, 0);
	return 0;
}

void outfile_flush(struct outfile *f)
{
	int error;

	if (!f->used || (f->state != OPEN && f->state != STALE))
		return;
	error = write_out(f);
	if (error)
		failed(f, error, BLOCKED);
}

void outfile_reopen(struct outfile *f)
{
	int open_error, write_error = 0;
	bool waits;

	if (!is_deleted(f->fd))
		outfile_flush(f);
	open_error = open_path(f);
	if (open_error && !f->format->keep)
		shut(f);
	waits = f->used > 0;
	if (waits && f->fd >= 0)
		write_error = write_out(f);
	if (write_error)
		failed(f, write_error, BLOCKED);
	else if (open_error)
		failed(f, open_error, STALE);
	else if (waits || f->state != BLOCKED) /* a file that took nothing has to take something */
		enter(f, OPEN, 0);
}

void outfile_retry(struct outfile *f)
{
	if (f->state != OPEN || is_deleted(f->fd))
		outfile_reopen(f);
}

static bool has_room(const struct outfile *f, size_t size)
{
	return f->format->capacity - f->used >= size;
}

char *outfile_reserve(struct outfile *f, size_t size)
{
	size_t quarter = f->format->capacity / 4;

	if (!has_room(f, size))
		outfile_flush(f);
	if (!has_room(f, size))
		drop(f, size > quarter ? size : quarter);
	if (has_room(f, size) && (f->fd >= 0 || f->format->keep))
		return f->buffer + f->used;
	loss_add(&f->loss, 1);
	return NULL;
}

void outfile_commit(struct outfile *f, size_t size)
{
	f->used += size;
}

bool outfile_is_written(const struct outfile *f, uint64_t *size)
{
	struct stat st;

	*size = f->fd >= 0 && !fstat(f->fd, &st) ? (uint64_t)st.st_size : 0;
	return !f->used && f->fd >= 0;
}

void outfile_sync(struct outfile *f)
{
	if (!f->dirty)
		return;
	f->dirty = false;
	if (fdatasync(f->fd) && errno != EINVAL && errno != EROFS) /* a device has no such thing */
		failed(f, errno, BLOCKED);
}

uint64_t outfile_lost(const struct outfile *f)
{
	return loss_count(&f->loss);
}

int outfile_close(struct outfile *f)
{
	int error;

	if (!f)
		return 0;
	outfile_flush(f);
	if (in_trouble(f))
		outfile_reopen(f);
	drop_rest(f);
	drop(f, f->used);
	if (in_trouble(f))
		loss_report(&f->loss, "still failing at exit");
	if (f->fd >= 0 && close(f->fd))
		f->error = errno;
	error = outfile_lost(f) ? f->error : 0;
	free(f->name);
	free(f);
	return error;
}
