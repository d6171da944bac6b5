/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/outfile.h"
#include "base/thread.h"
#include "unit/pcap_files.h"

#define HEADER "# header\n"
#define RECORD 100 /* bytes of a record: its number, padding and a newline */

static char reports[1 << 14];
static int last_flags;

/* ---- a file of numbered records behind a header ------------------------------------------ */

static void __attribute__((format(printf, 1, 2))) report(const char *format, ...)
{
	size_t used = strlen(reports);
	va_list args;

	va_start(args, format);
	vsnprintf(reports + used, sizeof(reports) - used - 1, format, args);
	va_end(args);
	strcat(reports, "\n");
}

static int open_file(const char *path, int flags)
{
	last_flags = flags;
	return open(path, flags | O_CLOEXEC, 0640);
}

static int begin(int fd)
{
	return write(fd, HEADER, strlen(HEADER)) == (ssize_t)strlen(HEADER) ? 0 : -1;
}

static int begin_without_header(int fd)
{
	return 0;
}

static size_t record_size(const char *data, size_t size)
{
	assert_true(size >= RECORD);
	assert_int_equal(data[RECORD - 1], '\n');
	return RECORD;
}

/* Records wait for a file that cannot be written, or are dropped. */
static const struct outfile_format keeps = {
	.name = "test",
	.unit = "records",
	.trouble = "waiting",
	.access = O_WRONLY,
	.capacity = 1000 * RECORD,
	.keep = true,
	.begin = begin,
	.record_size = record_size,
};
static const struct outfile_format drops = {
	.name = "test",
	.unit = "records",
	.trouble = "dropping",
	.access = O_WRONLY,
	.capacity = 1000 * RECORD,
	.begin = begin,
	.record_size = record_size,
};
static const struct outfile_format *const both[] = {&keeps, &drops};

static struct outfile *create_at(const char *path, const struct outfile_format *format)
{
	struct outfile *file = outfile_new(path, format, open_file, report);

	assert_non_null(file);
	reports[0] = '\0';
	return file;
}

static struct outfile *open_at(const char *path, const struct outfile_format *format)
{
	struct outfile *file = create_at(path, format);

	assert_int_equal(outfile_open(file), 0);
	return file;
}

/* Adds the records first to end - 1; returns how many were taken. */
static unsigned add(struct outfile *file, unsigned first, unsigned end)
{
	unsigned taken = 0;

	for (unsigned n = first; n < end; n++) {
		char *record = outfile_reserve(file, RECORD + 10);

		if (!record)
			continue;
		snprintf(record, RECORD + 10, "%0*u\n", RECORD - 1, n);
		outfile_commit(file, RECORD);
		taken++;
	}
	return taken;
}

/* Checks that text is a header and then whole records that rise from first on, by one where none
 * may be missing. Returns the number behind the last. */
static unsigned check_text(const char *text, unsigned first, bool some_missing)
{
	char record[RECORD + 1];

	assert_memory_equal(text, HEADER, strlen(HEADER));
	for (text += strlen(HEADER); *text; text += RECORD) {
		unsigned n = (unsigned)strtoul(text, NULL, 10);

		snprintf(record, sizeof(record), "%0*u\n", RECORD - 1, n);
		assert_memory_equal(text, record, RECORD);
		assert_true(some_missing ? n >= first : n == first);
		first = n + 1;
	}
	return first;
}

static char *contents(const char *path)
{
	static char text[1 << 18];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	assert_true(fd >= 0);
	len = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	close(fd);
	return text;
}

static unsigned check(const char *path, unsigned first)
{
	return check_text(contents(path), first, false);
}

/* Checks what was reported about a path since the last time: "PATH" stands for it. */
static void assert_reported(const char *path, const char *want)
{
	char text[2048] = "";

	for (const char *at; (at = strstr(want, "PATH")); want = at + 4)
		sprintf(text + strlen(text), "%.*s%s", (int)(at - want), want, path);
	strcat(text, want);
	assert_string_equal(reports, text);
	reports[0] = '\0';
}

/* ---- all is well ----------------------------------------------------------------------- */

static void records_are_whole_and_in_order(void **state)
{
	const char *path = in_directory("f");
	struct outfile *file = open_at(path, &keeps);

	assert_string_equal(contents(path), HEADER);
	add(file, 0, 3);
	assert_string_equal(contents(path), HEADER); /* it waits */
	outfile_flush(file);
	assert_int_equal(check(path, 0), 3);
	add(file, 3, 2500); /* more than waits */
	outfile_sync(file);
	outfile_retry(file); /* without trouble: nothing */
	assert_int_equal(outfile_lost(file), 0);
	assert_int_equal(outfile_close(file), 0);
	assert_int_equal(check(path, 0), 2500);
	assert_int_equal(last_flags & O_ACCMODE, O_WRONLY);
	assert_reported(path, "");
	assert_int_equal(outfile_close(NULL), 0);
}

static void a_renamed_file_is_begun_anew(void **state)
{
	const char *path = in_directory("f"), *old = in_directory("f.1");

	for (int i = 0; i < 2; i++) {
		struct outfile *file = open_at(path, both[i]);

		add(file, 0, 5);
		assert_int_equal(rename(path, old), 0);
		add(file, 5, 7);
		outfile_reopen(file);
		add(file, 7, 9);
		outfile_reopen(file); /* nobody moved it: it goes on */
		add(file, 9, 10);
		assert_int_equal(outfile_close(file), 0);
		assert_int_equal(check(old, 0), 7);
		assert_int_equal(check(path, 7), 10);
		assert_reported(path, "");
		unlink(path);
	}
}

static void a_deleted_file_is_made_anew(void **state)
{
	const char *path = in_directory("f");

	for (int i = 0; i < 2; i++) {
		struct outfile *file = open_at(path, both[i]);

		add(file, 0, 5);
		outfile_flush(file);
		assert_int_equal(unlink(path), 0);
		add(file, 5, 9);
		outfile_retry(file);
		assert_int_equal(check(path, 5), 9); /* in the file that has the name now */
		assert_int_equal(unlink(path), 0);
		add(file, 9, 12);
		outfile_flush(file);
		assert_int_equal(access(path, F_OK), i ? -1 : 0);
		outfile_retry(file);
		add(file, 12, 15);
		assert_int_equal(outfile_close(file), 0);
		assert_int_equal(check(path, i ? 12 : 9), 15);
		assert_reported(path, "");
		unlink(path);
	}
}

/* A file that never had a name looks like one that was deleted. */
static void a_file_without_a_name_is_written_once(void **state)
{
	int memory = memfd_create("nameless", MFD_CLOEXEC);
	struct outfile *file;
	char path[64];

	assert_true(memory >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	file = open_at(path, &keeps);
	add(file, 0, 5);
	outfile_flush(file);
	add(file, 5, 9);
	assert_int_equal(outfile_close(file), 0);
	assert_int_equal(check(path, 0), 9); /* each once */
	close(memory);
}

/* ---- trouble ---------------------------------------------------------------------------- */

static void what_cannot_be_opened_is_reported_once(void **state)
{
	char path[128];
	struct outfile *file;

	snprintf(path, sizeof(path), "%s", directory);
	file = create_at(path, &keeps);
	assert_int_equal(outfile_open(file), -1);
	assert_int_equal(errno, EISDIR);
	assert_reported(path, "");
	outfile_reopen(file);
	outfile_retry(file);
	assert_reported(path, "test PATH: Is a directory; waiting\n");
	add(file, 0, 3);
	assert_int_equal(outfile_close(file), EISDIR);
	assert_reported(path, "test PATH: still failing at exit; records lost so far: 3\n");
}

static void a_full_device_keeps_whole_records(void **state)
{
	const char *path = in_directory("full");
	struct outfile_format format = keeps;
	struct outfile *file;

	if (!make_device("full", 7)) {
		print_message("no device can be made here\n");
		skip();
	}
	file = create_at(path, &keeps);
	assert_int_equal(outfile_open(file), -1); /* not even the header fits */
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(outfile_close(file), 0);

	format.begin = begin_without_header;
	file = open_at(path, &format);
	add(file, 0, 10);
	outfile_flush(file);
	assert_reported(path, "test PATH: No space left on device; waiting\n");
	assert_int_equal(outfile_lost(file), 0);
	assert_int_equal(add(file, 10, 1500), 1490); /* the oldest go */
	assert_in_range(outfile_lost(file), 500, 750);
	outfile_retry(file);
	outfile_flush(file);
	outfile_sync(file);
	assert_int_equal(outfile_close(file), ENOSPC);
	assert_reported(path, "test PATH: still failing at exit; records lost so far: 1500\n");

	format.keep = false;
	file = open_at(path, &format);
	add(file, 0, 10);
	outfile_flush(file);
	assert_int_equal(outfile_lost(file), 10);
	for (unsigned n = 10; n < 13; n++) {
		add(file, n, n + 1);
		outfile_retry(file);
		assert_int_equal(outfile_lost(file), n + 1);
	}
	assert_reported(path, "test PATH: No space left on device; waiting\n");
	assert_int_equal(outfile_close(file), ENOSPC);
}

static void make_path(char path[128], const char *folder)
{
	assert_int_equal(mkdir(in_directory(folder), 0755), 0);
	snprintf(path, 128, "%s/%s/f", directory, folder);
}

static void a_vanished_directory_keeps_records_waiting(void **state)
{
	struct outfile *file;
	char path[128], moved[128];

	make_path(path, "in");
	snprintf(moved, sizeof(moved), "%s/moved/f", directory);
	file = open_at(path, &keeps);
	add(file, 0, 5);
	assert_int_equal(rename(in_directory("in"), in_directory("moved")), 0);
	outfile_reopen(file);
	add(file, 5, 9); /* the old one goes on */
	outfile_flush(file);
	assert_int_equal(check(moved, 0), 9);
	outfile_retry(file);
	assert_reported(path, "test PATH: No such file or directory; waiting\n");

	assert_int_equal(unlink(moved), 0);
	add(file, 9, 12); /* until it is gone as well */
	outfile_flush(file);
	add(file, 12, 15);
	assert_int_equal(mkdir(in_directory("in"), 0755), 0);
	outfile_retry(file);
	assert_reported(path, "test PATH: writable again; records lost so far: 0\n");
	assert_int_equal(outfile_close(file), 0);
	assert_int_equal(check(path, 9), 15);
	unlink(path);
	rmdir(in_directory("in"));
	rmdir(in_directory("moved"));
}

static void a_vanished_directory_drops_and_counts(void **state)
{
	struct outfile *file;
	char path[128];

	make_path(path, "in");
	file = open_at(path, &drops);
	add(file, 0, 5);
	outfile_flush(file);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(in_directory("in")), 0);
	outfile_reopen(file);
	assert_int_equal(add(file, 5, 9), 0);
	assert_int_equal(outfile_lost(file), 4);
	outfile_retry(file);
	assert_reported(path, "test PATH: No such file or directory; dropping\n");
	assert_int_equal(mkdir(in_directory("in"), 0755), 0);
	outfile_retry(file);
	assert_reported(path, "test PATH: writable again; records lost so far: 4\n");
	add(file, 9, 12);
	assert_int_equal(outfile_close(file), ENOENT);
	assert_int_equal(check(path, 9), 12);
	unlink(path);
	rmdir(in_directory("in"));
}

/* A record that a full disk took only a part of is taken back out. */
static void half_a_record_is_taken_back(void **state)
{
	const char *path = in_directory("f");
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = (struct rlimit){
		.rlim_cur = strlen(HEADER) + 4 * RECORD + 50, .rlim_max = before.rlim_max};
	for (int i = 0; i < 2; i++) {
		struct outfile *file = open_at(path, both[i]);
		unsigned lost = i ? 6 : 0;

		setrlimit(RLIMIT_FSIZE, &limit);
		add(file, 0, 10);
		outfile_flush(file);
		assert_int_equal(check(path, 0), 4);
		outfile_retry(file); /* no better */
		assert_int_equal(check(path, 0), 4);
		setrlimit(RLIMIT_FSIZE, &before);
		add(file, 10, 12);
		outfile_flush(file); /* not before it is time */
		assert_int_equal(check(path, 0), 4);
		outfile_retry(file);
		assert_int_equal(outfile_lost(file), lost);
		assert_non_null(strstr(reports, "writable again"));
		add(file, 12, 15);
		assert_int_equal(outfile_close(file), i ? EFBIG : 0);
		assert_int_equal(check_text(contents(path), 0, true), 15);
		assert_int_equal(strlen(contents(path)), strlen(HEADER) + (15 - lost) * RECORD);
		unlink(path);
	}
}

/* ---- a named pipe ------------------------------------------------------------------------ */

/* Reads what is in the pipe, behind what is in text. */
static void read_pipe(int fd, char *text)
{
	size_t used = strlen(text);
	ssize_t n;

	while ((n = read(fd, text + used, (1 << 18) - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
}

static int open_reader(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A reader that stops reading stops nobody, and in what it reads then no record is torn. */
static void a_pipe_whose_reader_stops_is_not_waited_for(void **state)
{
	static char text[1 << 18];
	const char *path = in_directory("pipe");

	for (int i = 0; i < 2; i++) {
		struct outfile *file = create_at(path, both[i]);
		uint64_t start;
		int reader;

		assert_int_equal(mkfifo(path, 0600), 0);
		assert_int_equal(outfile_open(file), -1);
		assert_int_equal(errno, ENXIO); /* nobody reads it, and nobody waits for that */
		reader = open_reader(path);
		assert_int_equal(outfile_open(file), 0);
		start = clock_ms();
		add(file, 0, 900);
		outfile_flush(file);
		for (unsigned turn = 0; turn < 100; turn++)
			outfile_flush(file);
		outfile_retry(file);
		assert_true(clock_ms() - start < 2000);
		assert_non_null(strstr(reports, "Resource temporarily unavailable; "));
		if (i)
			assert_in_range(outfile_lost(file), 200, 300);
		else
			assert_int_equal(outfile_lost(file), 0);

		text[0] = '\0';
		read_pipe(reader, text);
		assert_int_not_equal((strlen(text) - strlen(HEADER)) % RECORD, 0); /* a part */
		add(file, 900, 910);
		outfile_retry(file);
		assert_non_null(strstr(reports, "writable again; "));
		read_pipe(reader, text);
		assert_int_equal(check_text(text, 0, i), 910);
		assert_int_equal(
			strlen(text), strlen(HEADER) + (910 - outfile_lost(file)) * RECORD);
		outfile_close(file);
		close(reader);
		unlink(path);
	}
}

/* One that goes is trouble; the next gets a file of its own. */
static void a_pipe_may_change_its_reader(void **state)
{
	static char text[1 << 18];
	const char *path = in_directory("pipe");

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		struct outfile *file = create_at(path, both[i]);
		int reader;

		assert_int_equal(mkfifo(path, 0600), 0);
		reader = open_reader(path);
		assert_int_equal(outfile_open(file), 0);
		add(file, 0, 10);
		outfile_flush(file);
		outfile_reopen(file); /* the same pipe goes on */
		text[0] = '\0';
		read_pipe(reader, text);
		assert_int_equal(check_text(text, 0, false), 10);
		close(reader);

		add(file, 10, 20);
		outfile_flush(file);
		outfile_retry(file);
		add(file, 20, 30);
		assert_int_equal(outfile_lost(file), i ? 20 : 0);
		assert_reported(path, i ? "test PATH: Broken pipe; dropping\n"
					: "test PATH: Broken pipe; waiting\n");
		reader = open_reader(path);
		outfile_retry(file);
		assert_non_null(strstr(reports, "writable again; "));
		add(file, 30, 40);
		outfile_flush(file);
		text[0] = '\0';
		read_pipe(reader, text);
		assert_int_equal(check_text(text, i ? 30 : 10, false), 40);
		outfile_close(file);
		close(reader);
		unlink(path);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(records_are_whole_and_in_order),
		TEST(a_renamed_file_is_begun_anew),
		TEST(a_deleted_file_is_made_anew),
		TEST(a_file_without_a_name_is_written_once),
		TEST(what_cannot_be_opened_is_reported_once),
		TEST(a_full_device_keeps_whole_records),
		TEST(a_vanished_directory_keeps_records_waiting),
		TEST(a_vanished_directory_drops_and_counts),
		TEST(half_a_record_is_taken_back),
		TEST(a_pipe_whose_reader_stops_is_not_waited_for),
		TEST(a_pipe_may_change_its_reader),
	};

	return cmocka_run_group_tests_name("outfile", tests, NULL, NULL);
}
