/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "io/capture.h"
#include "unit/pcap_files.h"

#define START (1795402800ull * SECOND)

/* ---- what is decorated: a source of numbered frames that remembers what it was asked ------ */

struct source {
	struct frame_io io;
	uint32_t next, end; /* numbers of the frames still to come */
	uint32_t len;
	uint64_t time_ns, step_ns;
	bool refuse; /* lent frames */
	unsigned given_back, sent, flushed, waited, closed;
	uint64_t cookies;
	uint8_t memory[FRAME_BATCH + 1][2048];
};

static int source_receive(struct frame_io *io, struct frame *frames, int max)
{
	struct source *s = (struct source *)io;
	int n = 0;

	for (; n < max && s->next < s->end; n++) {
		frames[n] = (struct frame){.data = s->memory[n] + FRAME_HEADROOM,
			.len = s->len,
			.time_ns = s->time_ns,
			.cookie = 1000 + (uint64_t)n,
			.is_rx = true};
		fill_frame(frames[n].data, s->len, s->next++);
		s->time_ns += s->step_ns;
	}
	return n;
}

static void source_give_back(struct frame_io *io, const struct frame *frame)
{
	struct source *s = (struct source *)io;

	s->given_back++;
	s->cookies += frame->cookie;
}

static bool source_allocate(struct frame_io *io, struct frame *frame)
{
	struct source *s = (struct source *)io;

	*frame = (struct frame){.data = s->memory[FRAME_BATCH], .cookie = 77};
	return true;
}

static bool source_send(struct frame_io *io, const struct frame *frame)
{
	struct source *s = (struct source *)io;

	if (s->refuse && frame->is_rx)
		return false;
	s->sent++;
	s->cookies += frame->cookie;
	return true;
}

static void source_flush(struct frame_io *io)
{
	((struct source *)io)->flushed++;
}

static int source_wait(struct frame_io *io, int timeout_ms)
{
	((struct source *)io)->waited += (unsigned)timeout_ms;
	errno = EINTR;
	return -1;
}

static int source_close(struct frame_io *io)
{
	((struct source *)io)->closed++;
	return 0;
}

static const struct frame_io_ops source_ops = {
	.receive = source_receive,
	.release = source_give_back,
	.allocate = source_allocate,
	.send = source_send,
	.flush = source_flush,
	.wait = source_wait,
	.close = source_close,
};

static struct source *source_new(uint32_t first, uint32_t count, uint32_t len)
{
	struct source *s = calloc(1, sizeof(*s));

	*s = (struct source){.io.ops = &source_ops,
		.next = first,
		.end = first + count,
		.len = len,
		.time_ns = START,
		.step_ns = 1};
	return s;
}

static int open_file(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0640);
}

static char reports[2048];

static void __attribute__((format(printf, 1, 2))) report(const char *format, ...)
{
	size_t used = strlen(reports);
	va_list args;

	va_start(args, format);
	vsnprintf(reports + used, sizeof(reports) - used, format, args);
	va_end(args);
	strncat(reports, "\n", sizeof(reports) - strlen(reports) - 1);
}

/* Checks what was reported since the last time. */
static void assert_reported(const char *want)
{
	assert_string_equal(reports, want);
	reports[0] = '\0';
}

static struct capture_file *open_capture(const char *name)
{
	char error[512] = "";
	struct capture_file *file =
		capture_open(in_directory(name), open_file, report, error, sizeof(error));

	if (!file)
		fail_msg("%s", error);
	return file;
}

/* Receives everything there is and gives it back. */
static void drain(struct frame_io *io)
{
	struct frame frames[FRAME_BATCH];
	int n;

	while ((n = io->ops->receive(io, frames, FRAME_BATCH)) > 0)
		for (int i = 0; i < n; i++)
			io->ops->release(io, &frames[i]);
}

/* ---- the tests ----------------------------------------------------------------------- */

static void both_directions_are_captured_as_they_were(void **state)
{
	struct capture_file *file = open_capture("c.pcap");
	struct source *s = source_new(0, 3, 60);
	struct frame_io *io = capture_wrap(&s->io, file);
	struct frame frames[FRAME_BATCH], built;
	struct packets *out;

	assert_int_equal(io->ops->receive(io, frames, FRAME_BATCH), 3);
	/* What was received is in the file as it came, whatever is done to it then. */
	memset(frames[0].data - 31, 0xee, 60 + 31);
	frames[0].data -= 31;
	frames[0].len += 31;
	assert_true(io->ops->send(io, &frames[0]));
	io->ops->release(io, &frames[1]);
	s->refuse = true;
	assert_false(io->ops->send(io, &frames[2]));
	io->ops->release(io, &frames[2]);
	assert_true(io->ops->allocate(io, &built));
	built.len = 99;
	built.time_ns = START + 5 * SECOND + 123456789;
	fill_frame(built.data, 99, 4000);
	assert_true(io->ops->send(io, &built));
	io->ops->flush(io);
	assert_int_equal(io->ops->wait(io, 42), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(capture_lost(file), 0);
	assert_int_equal(capture_close(file), 0);

	assert_int_equal(s->given_back, 2);
	assert_int_equal(s->sent, 2);
	assert_int_equal(s->cookies, 1000 + 1001 + 1002 + 77);
	assert_int_equal(s->flushed, 1);
	assert_int_equal(s->waited, 42);
	assert_int_equal(s->closed, 1);

	out = read_packets("c.pcap");
	assert_int_equal(out->count, 5);
	for (uint32_t i = 0; i < 3; i++) {
		assert_frame(out, i, 60, i);
		assert_true(out->list[i].time_ns == START + i);
	}
	assert_int_equal(out->list[3].len, 91);
	for (int i = 0; i < 91; i++)
		assert_int_equal(out->list[3].data[i], 0xee);
	assert_true(out->list[3].time_ns == START);
	assert_frame(out, 4, 99, 4000);
	assert_true(out->list[4].time_ns == START + 5 * SECOND + 123456789);
	free_packets(out);
	free(s);
}

static size_t count_in(const char *name)
{
	struct packets *out = read_packets(name);
	size_t count = out->count;

	free_packets(out);
	return count;
}

static void a_wait_or_a_second_brings_frames_to_the_file(void **state)
{
	struct capture_file *file = open_capture("c.pcap");
	struct source *s = source_new(0, 3, 60);
	struct frame_io *io = capture_wrap(&s->io, file);

	assert_int_equal(count_in("c.pcap"), 0);
	drain(io);
	io->ops->wait(io, 0);
	assert_int_equal(count_in("c.pcap"), 3);

	/* Without a wait, a second of frame time brings what came before. */
	s->end += 2;
	s->step_ns = SECOND;
	s->time_ns = START + 10 * SECOND;
	drain(io);
	s->end += 1;
	drain(io);
	assert_in_range(count_in("c.pcap"), 5, 6);

	/* A clock that was set back does not stop it. */
	s->time_ns = START - 1000 * SECOND;
	s->end += 3;
	drain(io);
	assert_in_range(count_in("c.pcap"), 8, 9);
	io->ops->close(io);
	assert_int_equal(capture_close(file), 0);
	assert_int_equal(count_in("c.pcap"), 9);
	free(s);
}

struct worker {
	pthread_t thread;
	struct source *source;
	struct frame_io *io;
};

static void *work(void *arg)
{
	drain(((struct worker *)arg)->io);
	return NULL;
}

#define WORKERS 2
#define EACH 2000u

static void the_frames_of_all_workers_are_there_in_order(void **state)
{
	struct capture_file *file = open_capture("c.pcap");
	struct worker workers[WORKERS];
	bool seen[WORKERS * EACH] = {};
	uint32_t last[WORKERS] = {};
	struct packets *out;

	for (uint32_t w = 0; w < WORKERS; w++) {
		workers[w].source = source_new(w * EACH, EACH, 1000 + w);
		workers[w].source->time_ns = w * EACH;
		workers[w].io = capture_wrap(&workers[w].source->io, file);
	}
	for (int w = 0; w < WORKERS; w++)
		assert_int_equal(pthread_create(&workers[w].thread, NULL, work, &workers[w]), 0);
	for (int w = 0; w < WORKERS; w++) {
		pthread_join(workers[w].thread, NULL);
		workers[w].io->ops->close(workers[w].io);
		free(workers[w].source);
	}
	assert_int_equal(capture_lost(file), 0);
	assert_int_equal(capture_close(file), 0);

	/* Each frame once and whole, those of each thread in their order. */
	out = read_packets("c.pcap");
	assert_int_equal(out->count, WORKERS * EACH);
	for (size_t i = 0; i < out->count; i++) {
		uint32_t number = (uint32_t)out->list[i].time_ns, w = number / EACH;

		assert_true(number < WORKERS * EACH && !seen[number] && number >= last[w]);
		seen[number] = true;
		last[w] = number;
		assert_frame(out, i, 1000 + w, number);
	}
	free_packets(out);
}

static void add(struct source *s, struct frame_io *io, uint32_t count)
{
	s->end += count;
	drain(io);
}

static void a_renamed_file_is_begun_anew(void **state)
{
	struct capture_file *file = open_capture("c.pcap");
	struct source *s = source_new(0, 0, 60);
	struct frame_io *io = capture_wrap(&s->io, file);
	struct packets *out;

	add(s, io, 5);
	assert_int_equal(rename(in_directory("c.pcap"), in_directory("c.1")), 0);
	add(s, io, 2);
	capture_reopen(file);
	add(s, io, 4);
	/* Asked for again when nobody moved the file, it loses nothing. */
	capture_reopen(file);
	add(s, io, 3);
	io->ops->close(io);
	assert_int_equal(capture_close(file), 0);
	free(s);

	out = read_packets("c.1");
	assert_int_equal(out->count, 7);
	assert_frame(out, 6, 60, 6);
	free_packets(out);
	out = read_packets("c.pcap");
	assert_int_equal(out->count, 7);
	assert_frame(out, 0, 60, 7);
	assert_frame(out, 6, 60, 13);
	free_packets(out);
}

static void a_file_that_cannot_be_reopened_is_tried_again(void **state)
{
	char path[128], want[512];
	struct capture_file *file;
	struct source *s = source_new(0, 0, 60);
	struct frame_io *io;
	char error[512];

	snprintf(path, sizeof(path), "%s/inner/c.pcap", directory);
	assert_int_equal(mkdir(in_directory("inner"), 0755), 0);
	file = capture_open(path, open_file, report, error, sizeof(error));
	assert_non_null(file);
	io = capture_wrap(&s->io, file);
	add(s, io, 5);
	assert_int_equal(rename(in_directory("inner"), in_directory("moved")), 0);
	capture_reopen(file);
	add(s, io, 4); /* lost: there is nowhere to write to */
	assert_int_equal(capture_lost(file), 4);
	assert_int_equal(mkdir(in_directory("inner"), 0755), 0);
	capture_periodic(file);
	add(s, io, 3);
	assert_int_equal(capture_lost(file), 4);
	io->ops->close(io);
	assert_int_equal(capture_close(file), -1);
	assert_int_equal(errno, ENOENT);
	free(s);
	assert_int_equal(count_in("inner/c.pcap"), 3);
	assert_int_equal(count_in("moved/c.pcap"), 5);
	snprintf(want, sizeof(want),
		"capture %s: No such file or directory; dropping frames until writable\n"
		"capture %s: writable again; frames lost so far: 4\n",
		path, path);
	assert_reported(want);
	unlink(in_directory("inner/c.pcap"));
	unlink(in_directory("moved/c.pcap"));
	rmdir(in_directory("inner"));
	rmdir(in_directory("moved"));
}

static void frames_that_a_full_disk_loses_are_counted(void **state)
{
	struct capture_file *file;
	struct source *s = source_new(0, 0, 1000);
	struct frame_io *io;
	struct packets *out;
	uint64_t lost;
	FILE *ballast;
	char zeros[4096] = "", want[512];
	size_t kept;

	if (!mount_small("256k"))
		skip();
	ballast = create("ballast");
	for (int i = 0; i < 40; i++)
		assert_int_equal(fwrite(zeros, 1, sizeof(zeros), ballast), sizeof(zeros));
	assert_int_equal(fclose(ballast), 0);

	/* Some fit, then none do, and then again when there is room. */
	file = open_capture("c.pcap");
	io = capture_wrap(&s->io, file);
	add(s, io, 50);
	io->ops->wait(io, 0);
	assert_int_equal(capture_lost(file), 0);
	add(s, io, 60);
	io->ops->wait(io, 0);
	/* What fits is there, whole; the rest is counted. */
	lost = capture_lost(file);
	assert_in_range(lost, 1, 60);
	assert_int_equal(count_in("c.pcap"), 110 - lost);
	assert_int_equal(unlink(in_directory("ballast")), 0);
	add(s, io, 40);
	io->ops->wait(io, 0);
	assert_int_equal(capture_lost(file), lost);
	assert_null(strstr(reports, "again"));
	capture_periodic(file);
	snprintf(want, sizeof(want),
		"capture %s: No space left on device; dropping frames until writable\n"
		"capture %s: writable again; frames lost so far: %u\n",
		in_directory("c.pcap"), in_directory("c.pcap"), (unsigned)lost);
	assert_reported(want);
	io->ops->close(io);
	assert_int_equal(capture_close(file), -1);
	assert_int_equal(errno, ENOSPC);
	free(s);

	out = read_packets("c.pcap");
	kept = out->count;
	for (uint32_t i = 0; i < kept; i++)
		assert_frame(out, i, 1000, i < 110 - lost ? i : i + (uint32_t)lost);
	free_packets(out);
	unmount_small();
	assert_int_equal(kept, 150 - lost);
}

static void what_cannot_be_opened_is_refused(void **state)
{
	char error[512] = "";

	assert_null(capture_open("/dev/full", open_file, report, error, sizeof(error)));
	assert_non_null(strstr(error, "No space left"));
	assert_null(
		capture_open(in_directory("none/c.pcap"), open_file, report, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
	assert_null(capture_open(directory, open_file, report, error, sizeof(error)));
	assert_non_null(strstr(error, "Is a directory"));
	assert_int_equal(mkfifo(in_directory("pipe"), 0600), 0);
	assert_null(capture_open(in_directory("pipe"), open_file, report, error, sizeof(error)));
	assert_non_null(strstr(error, "No such device or address")); /* nobody reads it */
	assert_null(strchr(error, '\n'));
	assert_reported(""); /* nothing beside the error */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(both_directions_are_captured_as_they_were),
		TEST(a_wait_or_a_second_brings_frames_to_the_file),
		TEST(the_frames_of_all_workers_are_there_in_order),
		TEST(a_renamed_file_is_begun_anew),
		TEST(a_file_that_cannot_be_reopened_is_tried_again),
		TEST(frames_that_a_full_disk_loses_are_counted),
		TEST(what_cannot_be_opened_is_refused),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
