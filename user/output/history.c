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
#include "base/outfile.h"
#include "output/message_queue.h"
#include "output/message_text.h"
#include "output/place_file.h"
#include "base/thread.h"

#define CELLS 65535      /* 16 MiB: as many short messages, or 10,000 that fill an Ethernet frame */
#define BATCH 4096       /* messages taken from the queue before anything else is looked at */
#define NAP_MAX 20       /* ms that a message may wait when there was nothing to write */
#define RETRY_EVERY 1000 /* ms */

struct history {
	uint64_t sync_every; /* ms; 0: never */
	char *path;
	struct message_queue *queue;
	pthread_t thread;
	_Atomic bool stopping, reopen;
	struct place_file *_Atomic place; /* of a room; set before the producer starts */

	/* The thread's. */
	struct outfile *file;
	uint64_t sync_at, retry_at;
};

/* A process that was killed may have left half a line: ours must not be appended to it. */
static int begin(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) == 1 && last == '\n')
		return 0;
	return write(fd, "\n", 1) == 1 ? 0 : -1;
}

static size_t line_size(const char *data, size_t size)
{
	return (size_t)((const char *)memchr(data, '\n', size) - data) + 1;
}

static const struct outfile_format format = {
	.name = "history",
	.unit = "lines",
	.trouble = "retrying every second",
	.access = O_RDWR,
	.capacity = 1 << 20,
	.keep = true,
	.begin = begin,
	.record_size = line_size,
};

_Static_assert(1 << 20 >= 2 * MESSAGE_TEXT_HISTORY_MAX, "more than one line is kept");

/* Formats what is queued; false: nothing was. */
static bool gather(struct history *h)
{
	struct place_file *place = atomic_load(&h->place);
	const struct udpxdp_message *message;
	unsigned instance, taken;

	for (taken = 0; taken < BATCH; taken++) {
		size_t size;
		char *line;

		message = message_queue_get(h->queue, &instance);
		if (!message)
			break;
		if (place && message->place.epoch)
			place_file_set(place, &message->place);
		if (!message->len && message->place.epoch)
			continue; /* nothing was said */
		line = outfile_reserve(h->file, MESSAGE_TEXT_HISTORY_MAX);
		if (!line)
			continue;
		size = message_text_history(line, MESSAGE_TEXT_HISTORY_MAX, message);
		if (!place || !message->place.epoch || !place_file_knows(place, line, size))
			outfile_commit(h->file, size);
	}
	return taken;
}

static void write_place(struct history *h)
{
	struct place_file *place = atomic_load(&h->place);
	uint64_t size;

	if (place && outfile_is_written(h->file, &size))
		place_file_write(place, size);
}

static void sync_file(struct history *h)
{
	if (h->sync_every)
		outfile_sync(h->file);
	h->sync_at = clock_ms() + h->sync_every;
}

static void *run(void *arg)
{
	struct history *h = arg;
	unsigned nap = NAP_MAX;

	for (;;) {
		bool stopping = atomic_load(&h->stopping), any;
		uint64_t now = clock_ms();

		if (atomic_exchange(&h->reopen, false)) {
			sync_file(h);
			outfile_reopen(h->file);
		}
		if (now >= h->retry_at) {
			outfile_retry(h->file);
			h->retry_at = now + RETRY_EVERY;
		}
		any = gather(h);
		outfile_flush(h->file);
		write_place(h);
		if (now >= h->sync_at)
			sync_file(h);
		if (stopping && !any)
			return NULL;
		if (!stopping)
			nap = thread_nap(nap, any, NAP_MAX);
	}
}

struct history *history_start(const char *path, uint32_t sync_seconds)
{
	struct history *h = calloc(1, sizeof(*h));
	int error = ENOMEM;

	if (!h)
		return NULL;
	h->path = strdup(path);
	h->sync_every = sync_seconds * 1000ull;
	h->sync_at = clock_ms() + h->sync_every;
	h->file = outfile_new(path, &format, monitor_open, log_line);
	h->queue = message_queue_new(CELLS, UDPXDP_PAYLOAD_MAX);
	if (!h->file || !h->queue || !h->path)
		goto failed;
	outfile_reopen(h->file);
	h->retry_at = clock_ms() + RETRY_EVERY;
	error = thread_start(&h->thread, "history", run, h);
	if (!error)
		return h;
failed:
	outfile_close(h->file);
	message_queue_free(h->queue);
	free(h->path);
	free(h);
	errno = error;
	return NULL;
}

int history_keep_place(struct history *h, const char *path, struct udpxdp_room_place *place)
{
	struct place_file *file = place_file_open(path, h->path, monitor_open, place);

	if (!file)
		return -1;
	atomic_store(&h->place, file);
	return 0;
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
	return outfile_lost(h->file);
}

void history_stop(struct history *h)
{
	atomic_store(&h->stopping, true);
	pthread_join(h->thread, NULL);
	outfile_retry(h->file);
	sync_file(h);
	write_place(h);
	outfile_close(h->file);
	place_file_close(h->place);
	message_queue_free(h->queue);
	free(h->path);
	free(h);
}
