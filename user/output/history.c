/* SPDX-License-Identifier: MIT */
#include "output/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privsep/monitor.h"
#include "base/log.h"
#include "output/message_queue.h"
#include "output/message_text.h"
#include "base/thread.h"

#define CELLS 65535 /* 16 MiB: as many short messages, or 10,000 that fill an Ethernet frame */
#define BUFFER_SIZE (1 << 20)
#define NAP_MAX 20       /* ms that a message waits at most when there was nothing to write */
#define RETRY_EVERY 1000 /* ms between attempts while the file cannot be written */

_Static_assert(BUFFER_SIZE >= 2 * MESSAGE_TEXT_HISTORY_MAX, "what is kept is more than one line");

struct history {
	char *path;
	uint64_t sync_every; /* ms; 0: never */
	struct message_queue *queue;
	pthread_t thread;
	_Atomic bool stopping, reopen;
	_Atomic uint64_t lost;

	/* The thread's. */
	int fd;           /* -1: none */
	bool open_wanted; /* what is open is not, or may not be, the file under the path */
	bool dirty;       /* written to since the last sync */
	uint64_t sync_at;
	bool stuck;   /* there is no file, or it takes nothing */
	bool trouble; /* that, or the file that is wanted cannot be opened: it has been said */
	uint64_t retry_at;
	uint64_t lost_before; /* the trouble began */
	size_t used;
	bool torn; /* the buffer begins with the rest of a line whose beginning is in the file */
	char buffer[BUFFER_SIZE];
};

/* ---- what waits to be written --------------------------------------------------------- */

/* The end of the line that byte `at` of the buffer belongs to; the buffer ends with a newline. */
static size_t line_end(const struct history *h, size_t at)
{
	const char *newline = memchr(h->buffer + at, '\n', h->used - at);

	return (size_t)(newline - h->buffer) + 1;
}

/* Takes bytes out of the buffer. */
static void forget(struct history *h, size_t from, size_t to)
{
	memmove(h->buffer + from, h->buffer + to, h->used - to);
	h->used -= to - from;
}

/* Takes whole lines out of the buffer and counts them as lost. */
static void lose(struct history *h, size_t from, size_t to)
{
	for (size_t at = from; at < to; at = line_end(h, at))
		atomic_store(&h->lost, h->lost + 1);
	forget(h, from, to);
}

/* Formats what is queued, at most a buffer full; false: nothing was. While nothing can be
 * written, old lines make room for new ones. */
static bool gather(struct history *h)
{
	const struct udpxdp_message *message;
	unsigned instance;
	bool any = false, room_made = false;

	for (;;) {
		if (BUFFER_SIZE - h->used < MESSAGE_TEXT_HISTORY_MAX) {
			size_t from = h->torn ? line_end(h, 0) : 0;

			if (!h->stuck || room_made)
				return any;
			lose(h, from, line_end(h, from + (h->used - from) / 4));
			room_made = true;
			continue;
		}
		message = message_queue_get(h->queue, &instance);
		if (!message)
			return any;
		h->used +=
			message_text_history(h->buffer + h->used, BUFFER_SIZE - h->used, message);
		any = true;
	}
}

/* ---- the file -------------------------------------------------------------------------- */

static void begin_trouble(struct history *h, int error)
{
	h->retry_at = clock_ms() + RETRY_EVERY;
	if (h->trouble)
		return;
	h->trouble = true;
	h->lost_before = h->lost;
	log_line("history %s: %s; trying again every second", h->path, strerror(error));
}

static void end_trouble(struct history *h)
{
	h->trouble = false;
	log_line("history %s: written again; lines lost: %llu", h->path,
		(unsigned long long)(h->lost - h->lost_before));
}

static void sync_file(struct history *h)
{
	h->sync_at = clock_ms() + h->sync_every;
	if (!h->dirty || !h->sync_every)
		return;
	h->dirty = false;
	if (fdatasync(h->fd) && errno != EINVAL &&
		errno != EROFS) /* a device has nothing to sync */
		begin_trouble(h, errno);
}

static void close_file(struct history *h)
{
	if (h->fd < 0)
		return;
	sync_file(h);
	close(h->fd);
	h->fd = -1;
}

/* A process that was killed may have left half a line: it must not get ours for its end. */
static bool begins_line(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return true;
	return (pread(fd, &last, 1, st.st_size - 1) == 1 && last == '\n') ||
	       write(fd, "\n", 1) == 1;
}

/* Opens the file under the path; the one that is open stays so until that has succeeded. */
static bool open_file(struct history *h)
{
	int fd = monitor_open(h->path, O_RDWR | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (!begins_line(fd)) {
		int error = errno;

		close(fd);
		errno = error;
		return false;
	}
	close_file(h);
	h->fd = fd;
	h->open_wanted = false;
	if (h->torn)
		lose(h, 0, line_end(h, 0));
	h->torn = false;
	return true;
}

/* Takes the last bytes of what was written back out of the file. */
static bool take_back(struct history *h, size_t bytes)
{
	off_t end = lseek(h->fd, 0, SEEK_CUR);
	struct stat st;

	return !fstat(h->fd, &st) && S_ISREG(st.st_mode) && st.st_size == end &&
	       !ftruncate(h->fd, end - (off_t)bytes);
}

/* `written` bytes are in the file, perhaps only half of the last line. */
static void settle(struct history *h, size_t written)
{
	size_t whole = written;

	while (whole && h->buffer[whole - 1] != '\n')
		whole--;
	if (whole < written && take_back(h, written - whole))
		written = whole;
	if (written)
		h->torn = written != whole;
	forget(h, 0, written);
}

/* Returns 0 or an errno. */
static int write_lines(struct history *h)
{
	size_t done = 0;
	int error = 0;
	struct stat st;

	while (done < h->used && !error) {
		ssize_t n = write(h->fd, h->buffer + done, h->used - done);

		if (n > 0)
			done += (size_t)n;
		else if (!n || errno != EINTR)
			error = n ? errno : EIO;
	}
	h->dirty |= done > 0;
	if (done && !fstat(h->fd, &st) && !st.st_nlink) {
		/* The file was deleted: what went into it just now belongs into a new one. */
		close(h->fd);
		h->fd = -1;
		h->dirty = false;
		h->open_wanted = true;
		return 0;
	}
	settle(h, done);
	return error;
}

/* Opens the file if it has to be, and writes the buffer. What failed is tried again when it is
 * time, or at the very end. */
static void flush(struct history *h, bool last_try)
{
	bool due = !h->trouble || last_try || clock_ms() >= h->retry_at;
	int open_error = 0, write_error = 0;

	if (h->open_wanted && due && !open_file(h))
		open_error = errno;
	if (h->fd < 0) {
		h->stuck = true;
	} else if (due || !h->stuck) {
		write_error = write_lines(h);
		h->stuck = write_error != 0;
	}
	if (write_error || open_error)
		begin_trouble(h, write_error ? write_error : open_error);
	else if (h->trouble && due && !h->open_wanted)
		end_trouble(h);
}

/* ---- the thread ------------------------------------------------------------------------ */

static void *run(void *arg)
{
	struct history *h = arg;
	unsigned nap = NAP_MAX;

	for (;;) {
		bool stopping = atomic_load(&h->stopping), any;

		if (atomic_exchange(&h->reopen, false)) {
			h->open_wanted = true;
			h->retry_at = 0;
		}
		any = gather(h);
		if (any || h->trouble || h->open_wanted)
			flush(h, stopping && !any);
		if (h->dirty && clock_ms() >= h->sync_at)
			sync_file(h);
		if (any && stopping)
			continue;
		if (h->used && !h->stuck)
			continue;
		if (stopping)
			return NULL;
		nap = thread_nap(nap, any, NAP_MAX);
	}
}

struct history *history_start(const char *path, uint32_t sync_seconds)
{
	struct history *h = calloc(1, sizeof(*h));
	int error = ENOMEM;

	if (!h)
		return NULL;
	h->fd = -1;
	h->sync_every = sync_seconds * 1000ull;
	h->sync_at = clock_ms() + h->sync_every;
	h->path = strdup(path);
	h->queue = message_queue_new(CELLS, UDPXDP_PAYLOAD_MAX);
	if (!h->path || !h->queue)
		goto failed;
	if (!open_file(h)) {
		h->open_wanted = true;
		begin_trouble(h, errno);
	}
	error = thread_start(&h->thread, "history", run, h);
	if (!error)
		return h;
	close_file(h);
failed:
	message_queue_free(h->queue);
	free(h->path);
	free(h);
	errno = error;
	return NULL;
}

bool history_put(struct history *h, const struct udpxdp_message *message)
{
	return message_queue_put(h->queue, 0, message);
}

void history_reopen(struct history *h)
{
	atomic_store(&h->reopen, true);
}

uint64_t history_lost(const struct history *h)
{
	return atomic_load(&h->lost);
}

void history_stop(struct history *h)
{
	atomic_store(&h->stopping, true);
	pthread_join(h->thread, NULL);
	if (h->used)
		lose(h, 0, h->used);
	close_file(h);
	if (h->trouble)
		log_line("history %s: ended unwritten; lines lost: %llu", h->path,
			(unsigned long long)(h->lost - h->lost_before));
	message_queue_free(h->queue);
	free(h->path);
	free(h);
}
