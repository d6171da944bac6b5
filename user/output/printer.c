/* SPDX-License-Identifier: MIT */
#include "output/printer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loss.h"
#include "output/message_queue.h"
#include "base/thread.h"

#define CELLS 4095  /* of each worker's queue: 1 MiB, thousands of lines */
#define VISIT 64    /* lines taken from one worker before it is the next one's turn */
#define NAP_MAX 20  /* ms that a line may wait when there was nothing to print */
#define RETRY 50    /* ms between attempts while the reader does not read */
#define GIVE_UP 400 /* ms that the thread waits for such a reader once it has to end */
#define ABANDON 500 /* ms that printer_stop() waits for the thread */
#define REPORT_EVERY 1000

_Static_assert(MESSAGE_TEXT_LINE_MAX <= PIPE_BUF, "a line is written whole or not at all");

/* One worker's. The counters are the worker's: nobody else writes them. */
struct feed {
	_Alignas(64) struct message_queue *queue;
	_Atomic uint64_t queued, refused;
};

struct printer {
	const struct service_config *services;
	enum printer_format format;
	uint32_t rate;
	char (*labels)[MESSAGE_TEXT_LABEL_MAX]; /* of the services */
	unsigned workers;
	pthread_t thread;
	_Atomic bool stopping;
	uint64_t deadline; /* set before stopping is */

	/* The thread's. */
	int fd;
	_Atomic bool broken; /* the reader has gone, and that was reported */
	bool given_up;
	struct loss loss; /* as reported last */
	_Atomic uint64_t written, left_out;
	uint64_t second_end; /* of the second that the rate is held in */
	uint32_t this_second;
	uint64_t left_out_reported;
	size_t used;
	unsigned lines;
	char batch[PIPE_BUF];

	struct feed feeds[];
};

/* The workers pay nothing for it: each counts on a cache line of its own. */
static uint64_t sum(const struct printer *printer, bool queued)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < printer->workers; i++) {
		const struct feed *feed = &printer->feeds[i];

		total += atomic_load_explicit(
			queued ? &feed->queued : &feed->refused, memory_order_relaxed);
	}
	return total;
}

static void report_lost(struct printer *printer, uint64_t lost)
{
	if (lost == loss_count(&printer->loss) || atomic_load(&printer->broken))
		return;
	loss_add(&printer->loss, lost - loss_count(&printer->loss));
	loss_report(&printer->loss, "blocked");
}

static void report_left_out(struct printer *printer)
{
	uint64_t left_out = printer->left_out - printer->left_out_reported;

	if (!left_out || atomic_load(&printer->broken))
		return;
	printer->left_out_reported += left_out;
	log_line("standard output: limited to %u lines a second; lines left out: %llu; "
		 "use --print all to see them",
		printer->rate, (unsigned long long)left_out);
}

/* Once a second: begins another second, and reports what the last one cost. */
static void next_second(struct printer *printer)
{
	uint64_t now = clock_ms();

	if (now < printer->second_end)
		return;
	printer->second_end = now + REPORT_EVERY;
	printer->this_second = 0;
	report_left_out(printer);
	if (!atomic_load(&printer->stopping)) /* then printer_stop() knows better */
		report_lost(printer, sum(printer, false));
}

/* write() failed with errno, or the reader is not ready (EAGAIN): is it worth trying again? */
static bool try_again(struct printer *printer)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
		thread_sleep_ms(RETRY);
		/* fallthrough */
	case EAGAIN:
	case EINTR:
		next_second(printer);
		printer->given_up =
			atomic_load(&printer->stopping) && clock_ms() >= printer->deadline;
		return !printer->given_up;
	default:
		log_line("standard output: %s; printing stopped", strerror(errno));
		atomic_store(&printer->broken, true);
		return false;
	}
}

/* Writes the batch. At most PIPE_BUF bytes and only when poll() says so: a pipe then takes them
 * at once, and the thread is not stuck in write(2) while there is something to report. */
static void write_batch(struct printer *printer)
{
	size_t done = 0;

	while (done < printer->used) {
		struct pollfd ready = {.fd = printer->fd, .events = POLLOUT};
		ssize_t n = -1;

		errno = EAGAIN;
		if (poll(&ready, 1, RETRY) > 0)
			n = write(printer->fd, printer->batch + done, printer->used - done);
		if (n >= 0)
			done += (size_t)n;
		else if (!try_again(printer))
			break;
	}
	if (done == printer->used)
		atomic_store(&printer->written, printer->written + printer->lines);
	printer->used = printer->lines = 0;
}

static void add_line(
	struct printer *printer, unsigned instance, const struct udpxdp_message *message)
{
	char line[MESSAGE_TEXT_LINE_MAX];
	size_t len;

	if (printer->given_up || atomic_load_explicit(&printer->broken, memory_order_relaxed))
		return;
	if (printer->this_second == printer->rate) {
		atomic_store(&printer->left_out, printer->left_out + 1);
		return;
	}
	printer->this_second++;
	if (printer->format == PRINTER_JSON)
		len = message_text_json(line, sizeof(line), &printer->services[instance], message);
	else
		len = message_text_line(line, sizeof(line), printer->labels[instance], message);
	if (len > sizeof(printer->batch) - printer->used)
		write_batch(printer);
	memcpy(printer->batch + printer->used, line, len);
	printer->used += len;
	printer->lines++;
}

/* Returns the most lines that one worker had; VISIT: it may have more. */
static unsigned print_queued(struct printer *printer)
{
	unsigned most = 0;

	for (unsigned i = 0; i < printer->workers; i++) {
		const struct udpxdp_message *message;
		unsigned instance, taken = 0;

		while (taken < VISIT &&
			(message = message_queue_get(printer->feeds[i].queue, &instance))) {
			add_line(printer, instance, message);
			taken++;
		}
		if (most < taken)
			most = taken;
	}
	write_batch(printer);
	return most;
}

static void *run(void *arg)
{
	struct printer *printer = arg;
	unsigned nap = NAP_MAX;

	for (;;) {
		bool stopping = atomic_load(&printer->stopping);
		unsigned taken;

		next_second(printer);
		taken = print_queued(printer);
		if (taken == VISIT)
			continue;
		if (stopping && !taken)
			break;
		nap = thread_nap(nap, taken, NAP_MAX);
	}
	report_left_out(printer);
	return NULL;
}

static void printer_free(struct printer *printer)
{
	for (unsigned i = 0; i < printer->workers; i++)
		message_queue_free(printer->feeds[i].queue);
	free(printer->labels);
	free(printer);
}

struct printer *printer_start(const struct service_config *services, unsigned service_count,
	unsigned workers, int fd, enum printer_format format, uint32_t rate)
{
	size_t size = sizeof(struct printer) + workers * sizeof(struct feed);
	struct printer *printer = aligned_alloc(64, (size + 63) & ~(size_t)63);
	int error = ENOMEM;

	if (!printer)
		return NULL;
	memset(printer, 0, size);
	printer->workers = workers;
	printer->fd = fd;
	printer->services = services;
	printer->format = format;
	printer->rate = rate;
	printer->loss =
		(struct loss){.report = log_line, .what = "standard output", .unit = "lines"};
	printer->labels = calloc(service_count, sizeof(*printer->labels));
	if (!printer->labels)
		goto failed;
	for (unsigned i = 0; i < service_count; i++)
		message_text_label(printer->labels[i], services, service_count, i);
	for (unsigned i = 0; i < workers; i++) {
		printer->feeds[i].queue = message_queue_new(CELLS, MESSAGE_TEXT_LINE_MAX);
		if (!printer->feeds[i].queue)
			goto failed;
	}
	error = thread_start(&printer->thread, "printer", run, printer);
	if (!error)
		return printer;
failed:
	printer_free(printer);
	errno = error;
	return NULL;
}

bool printer_put(struct printer *printer, unsigned worker, unsigned instance,
	const struct udpxdp_message *message)
{
	struct feed *feed = &printer->feeds[worker];
	bool queued = message_queue_put(feed->queue, instance, message);
	_Atomic uint64_t *counter = queued ? &feed->queued : &feed->refused;

	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
	return queued;
}

void printer_stop(struct printer *printer)
{
	uint64_t end = clock_ms() + ABANDON;
	int error;

	printer->deadline = end - ABANDON + GIVE_UP;
	atomic_store(&printer->stopping, true);
	while ((error = pthread_tryjoin_np(printer->thread, NULL)) == EBUSY && clock_ms() < end)
		thread_sleep_ms(1);
	report_lost(printer,
		sum(printer, false) + sum(printer, true) - printer->written - printer->left_out);
	if (error) /* stuck in write(2) to a terminal: the end of the process ends it */
		pthread_detach(printer->thread);
	else
		printer_free(printer);
}
