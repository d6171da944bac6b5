/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "output/history.h"
#include "base/thread.h"
#include "unit/stderr_capture.h"

#define THEN (1795395600ull * UDPXDP_NSEC_PER_SEC) /* 2026-11-23 01:00:00 UTC */
#define LINE "【Mon Nov 23 02:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:"
#define WAIT_MS 10000 /* for what must come; a test that passes does not wait that long */

static char directory[] = "/tmp/udpxdp-history-XXXXXX";
static char path[64], old_path[64];

/* ---- messages and what became of them --------------------------------------------------- */

/* Message n, with a text that is padded to len bytes. */
static bool put_long(struct history *history, unsigned n, size_t len)
{
	char text[8192];
	struct udpxdp_message message = {
		.time_ns = THEN,
		.direction = UDPXDP_RECEIVED,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 4711,
		.text = (const uint8_t *)text,
	};

	snprintf(text, sizeof(text), "%07u%*s", n, (int)len - 7, "");
	message.len = (uint32_t)strlen(text);
	return history_put(history, &message);
}

static bool put(struct history *history, unsigned n)
{
	return put_long(history, n, 7);
}

/* The whole file, NUL-terminated; "" when there is none. */
static char *contents(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st = {.st_size = 0};
	char *text;
	ssize_t len;

	if (fd >= 0)
		assert_int_equal(fstat(fd, &st), 0);
	text = malloc((size_t)st.st_size + 1);
	assert_non_null(text);
	len = fd < 0 ? 0 : read(fd, text, (size_t)st.st_size);
	assert_int_equal(len, st.st_size);
	text[len] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* Every line of a file must be one of ours, whole, with numbers from `next` on that rise by one,
 * or at all where some may be missing. Returns the number that follows the last. */
static unsigned check_file(const char *file, unsigned next, bool some_missing)
{
	char *text = contents(file), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) && rest) {
		unsigned n;
		char *pad;

		assert_memory_equal(line, LINE, strlen(LINE));
		n = (unsigned)strtoul(line + strlen(LINE), &pad, 10);
		assert_int_equal(pad - line, strlen(LINE) + 7);
		assert_int_equal(strspn(pad, " "), strlen(pad));
		if (some_missing)
			assert_true(n >= next);
		else
			assert_int_equal(n, next);
		next = n + 1;
	}
	assert_string_equal(line, ""); /* no half line at the end */
	free(text);
	return next;
}

static unsigned count_lines(const char *file)
{
	char *text = contents(file);
	unsigned count = 0;

	for (char *c = text; *c; c++)
		count += *c == '\n';
	free(text);
	return count;
}

static void wait_for_lines(const char *file, unsigned count)
{
	uint64_t end = clock_ms() + WAIT_MS;

	while (count_lines(file) < count && clock_ms() < end)
		thread_sleep_ms(5);
	assert_int_equal(count_lines(file), count);
}

static void wait_until_said(const char *what)
{
	uint64_t end = clock_ms() + WAIT_MS;

	while (!said_count(what) && clock_ms() < end)
		thread_sleep_ms(5);
	assert_int_equal(said_count(what), 1);
}

static struct history *start(void)
{
	struct history *history = history_start(path, 1);

	assert_non_null(history);
	return history;
}

/* ---- bytes ------------------------------------------------------------------------------ */

static void lines_have_the_bytes_of_the_tutorial(void **state)
{
	static const char want[] = LINE
		"hello\n"
		"【Mon Nov 23 02:00:01 2026】向【('fe80::1', 8090)】发送数据:two\\nlines\n" LINE
		"again\n";
	struct udpxdp_message received = {.time_ns = THEN,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 4711,
		.len = 5,
		.text = (const uint8_t *)"hello"};
	struct udpxdp_message sent = {.time_ns = THEN + UDPXDP_NSEC_PER_SEC,
		.direction = UDPXDP_SENT,
		.addr = {.b = {0xfe, 0x80, [15] = 1}},
		.port = 8090,
		.len = 9,
		.text = (const uint8_t *)"two\nlines"};
	struct history *history = start();
	struct stat st;
	char *text;

	assert_true(history_put(history, &received));
	assert_true(history_put(history, &sent));
	history_stop(history);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	history = start(); /* it goes on where it ended */
	received.text = (const uint8_t *)"again";
	assert_true(history_put(history, &received));
	wait_for_lines(path, 3); /* without being stopped */
	assert_int_equal(history_lost(history), 0);
	history_stop(history);
	text = contents(path);
	assert_string_equal(text, want);
	free(text);
	assert_string_equal(stderr_capture(), "");
}

static void half_a_line_of_another_gets_an_end(void **state)
{
	FILE *file = fopen(path, "w");
	struct history *history;
	char *text;

	assert_non_null(file);
	fputs("half", file);
	fclose(file);
	history = start();
	put(history, 1);
	history_stop(history);
	text = contents(path);
	assert_string_equal(text, "half\n" LINE "0000001\n");
	free(text);
}

static void ten_thousand_messages_at_once_are_kept(void **state)
{
	struct history *history = start();
	uint64_t begin = clock_ms();

	for (unsigned n = 0; n < 10000; n++)
		assert_true(put_long(history, n, 1400));
	assert_in_range(clock_ms() - begin, 0, 1000);
	history_stop(history);
	assert_int_equal(check_file(path, 0, false), 10000);
}

/* ---- rotation --------------------------------------------------------------------------- */

struct load {
	struct history *history;
	unsigned messages, refused;
};

static void *produce(void *arg)
{
	struct load *load = arg;

	for (unsigned n = 0; n < load->messages; n++) {
		while (!put(load->history, n)) {
			load->refused++;
			thread_sleep_ms(1);
		}
		if (n % 200 == 0)
			thread_sleep_ms(1);
	}
	return NULL;
}

static struct history *signalled;

static void on_hangup(int signal)
{
	history_reopen(signalled);
}

/* Renamed and reopened again and again, as log rotation does, while messages come. */
static void rotation_under_load_loses_nothing(void **state)
{
	struct history *history = start();
	struct load load = {.history = history, .messages = 50000};
	unsigned next = 0, rotated, with_lines = 0;
	pthread_t thread;

	signalled = history;
	signal(SIGHUP, on_hangup);
	assert_int_equal(pthread_create(&thread, NULL, produce, &load), 0);
	for (rotated = 0; rotated < 10; rotated++) {
		uint64_t end = clock_ms() + WAIT_MS;
		char name[80];

		snprintf(name, sizeof(name), "%s.%u", path, rotated);
		assert_int_equal(rename(path, name), 0);
		raise(SIGHUP);
		while (access(path, F_OK) && clock_ms() < end)
			thread_sleep_ms(1);
		thread_sleep_ms(7);
	}
	pthread_join(thread, NULL);
	signal(SIGHUP, SIG_DFL);
	history_stop(history);
	assert_int_equal(load.refused, 0);
	for (unsigned i = 0; i < rotated; i++) {
		char name[80];

		snprintf(name, sizeof(name), "%s.%u", path, i);
		with_lines += count_lines(name) > 0;
		next = check_file(name, next, false);
		unlink(name);
	}
	assert_true(with_lines > 2); /* it was under load */
	assert_int_equal(check_file(path, next, false), load.messages);
	assert_string_equal(stderr_capture(), "");
}

/* The new file cannot be opened: the old one goes on being used until it can. */
static void the_old_file_is_used_until_the_new_one_opens(void **state)
{
	struct history *history = start();
	unsigned next;

	put(history, 0);
	wait_for_lines(path, 1);
	assert_int_equal(rename(path, old_path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	history_reopen(history);
	wait_until_said("Is a directory; retrying every second\n");
	for (unsigned n = 1; n < 1000; n++)
		put(history, n);
	wait_for_lines(old_path, 1000);
	assert_int_equal(rmdir(path), 0);
	wait_until_said("writable again; lines lost so far: 0\n");
	put(history, 1000);
	history_stop(history);
	next = check_file(old_path, 0, false);
	assert_int_equal(check_file(path, next, false), 1001);
}

static void a_deleted_file_is_made_anew(void **state)
{
	struct history *history = start();

	put(history, 0);
	wait_for_lines(path, 1);
	assert_int_equal(unlink(path), 0);
	put(history, 1);
	put(history, 2);
	wait_for_lines(path, 2);
	history_stop(history);
	assert_int_equal(check_file(path, 1, false), 3);
	assert_string_equal(stderr_capture(), "");
}

/* ---- trouble ---------------------------------------------------------------------------- */

static void a_directory_that_comes_back_is_used_again(void **state)
{
	char where[64];
	struct history *history;

	snprintf(where, sizeof(where), "%s/in", directory);
	snprintf(path, sizeof(path), "%s/in/chat.txt", directory);
	assert_int_equal(mkdir(where, 0755), 0);
	history = start();
	put(history, 0);
	wait_for_lines(path, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(where), 0);
	put(history, 1);
	wait_until_said("No such file or directory; retrying every second\n");
	put(history, 2);
	assert_int_equal(mkdir(where, 0755), 0);
	wait_until_said("writable again; lines lost so far: 0\n");
	put(history, 3);
	history_stop(history);
	assert_int_equal(check_file(path, 1, false), 4);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(where), 0);
}

/* It cannot be opened for longer than the memory lasts: old messages are lost and counted, the
 * newest are written when it can. */
static void what_memory_cannot_hold_is_counted_as_lost(void **state)
{
	unsigned messages = 40000, lost, lines;
	struct history *history;
	char want[80];

	assert_int_equal(mkdir(path, 0755), 0);
	history = start();
	assert_int_equal(said_count("Is a directory; retrying every second\n"), 1);
	for (unsigned n = 0; n < messages; n++) {
		while (!put(history, n))
			thread_sleep_ms(1);
	}
	thread_sleep_ms(1500); /* it tries again meanwhile, and says nothing */
	assert_int_equal(said_count("udpxdp: "), 1);
	assert_int_equal(rmdir(path), 0);
	wait_until_said("writable again; lines lost so far: ");
	lost = (unsigned)history_lost(history);
	put(history, messages);
	history_stop(history);

	lines = count_lines(path);
	assert_in_range(lost, 1, messages - 1000);
	assert_int_equal(lines + lost, messages + 1);
	assert_int_equal(check_file(path, lost, false), messages + 1);
	snprintf(want, sizeof(want), "writable again; lines lost so far: %u\n", lost);
	assert_int_equal(said_count(want), 1);
	assert_int_equal(said_count("udpxdp: "), 2);
}

static void what_may_not_be_opened_is_said(void **state)
{
	struct history *history;

	if (geteuid() != 0 || seteuid(65534)) {
		print_message("only root can become somebody who may not\n");
		skip();
	}
	history = history_start(path, 1);
	assert_non_null(history);
	put(history, 1);
	put(history, 2);
	history_stop(history);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(stderr_capture(), "Permission denied; retrying every second\n"));
	assert_non_null(strstr(stderr_capture(), "still failing at exit; lines lost so far: 2\n"));
	assert_int_equal(access(path, F_OK), -1);
}

/* A file system of our own that holds 64 KiB. */
static bool mount_small(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) &&
	       !mount("udpxdp-test", directory, "tmpfs", 0, "size=64k");
}

/* More than the disk holds, less than memory does; returns how many messages. */
static unsigned fill(struct history *history)
{
	unsigned n;

	for (n = 0; n < 1000; n++)
		assert_true(put_long(history, n, 300));
	wait_until_said("No space left on device; retrying every second\n");
	return n;
}

/* A full disk: no half line is ever left, nothing is lost that memory can keep, and when there
 * is room again everything is there once. */
static void a_full_disk_tears_and_loses_nothing(void **state)
{
	unsigned n, written;
	struct history *history;

	if (!mount_small()) {
		print_message("no mount namespace here: %s\n", strerror(errno));
		skip();
	}
	history = start();
	n = fill(history);
	written = check_file(path, 0, false);
	assert_in_range(written, 100, n - 1);

	thread_sleep_ms(1200); /* one more attempt */
	assert_int_equal(check_file(path, 0, false), written);

	assert_int_equal(mount("none", directory, "none", MS_REMOUNT, "size=4m"), 0);
	wait_until_said("writable again; lines lost so far: 0\n");
	put_long(history, n++, 300);
	history_stop(history);
	assert_int_equal(check_file(path, 0, false), n);
	assert_int_equal(said_count("udpxdp: "), 2);
	assert_int_equal(umount(directory), 0);
}

/* A disk that stays full: what is lost is counted, and the end does not wait for it. */
static void a_full_disk_does_not_keep_it_from_stopping(void **state)
{
	unsigned n, written;
	struct history *history;
	char want[80];

	if (!mount_small()) {
		print_message("no mount namespace here: %s\n", strerror(errno));
		skip();
	}
	history = start();
	n = fill(history);
	for (unsigned i = 0; i < 20000; i++)
		while (!put_long(history, n, 300) || (n++, false))
			thread_sleep_ms(1);
	history_stop(history);
	written = check_file(path, 0, false);
	snprintf(want, sizeof(want), "still failing at exit; lines lost so far: %u\n", n - written);
	assert_int_equal(said_count(want), 1);
	assert_int_equal(said_count("udpxdp: "), 2);
	assert_int_equal(umount(directory), 0);
}

/* Sets or clears the append-only attribute of the file. */
static bool set_append_only(bool on)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0640), flags = 0;
	bool done = fd >= 0 && !ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
	done = done && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return done;
}

/* What cannot be taken back out of the file is completed, not written again. */
static void what_cannot_be_taken_back_is_completed(void **state)
{
	struct rlimit before, limit;
	struct history *history;
	unsigned n = 0, lost;
	char *text;

	if (!set_append_only(true)) {
		print_message("no append-only files here: %s\n", strerror(errno));
		skip();
	}
	getrlimit(RLIMIT_FSIZE, &before);
	limit = (struct rlimit){.rlim_cur = 10007, .rlim_max = before.rlim_max};
	history = start();
	setrlimit(RLIMIT_FSIZE, &limit);
	for (; n < 10000; n++)
		assert_true(put_long(history, n, 300));
	wait_until_said("File too large; retrying every second\n");
	setrlimit(RLIMIT_FSIZE, &before);
	text = contents(path);
	assert_int_equal(strlen(text), limit.rlim_cur);
	assert_int_not_equal(text[strlen(text) - 1], '\n');
	free(text);
	wait_until_said("writable again; lines lost so far: ");
	lost = (unsigned)history_lost(history);
	history_stop(history);
	assert_true(lost > 0);
	assert_int_equal(check_file(path, 0, true), n);
	assert_int_equal(count_lines(path) + lost, n);
}

/* ---- set-up ----------------------------------------------------------------------------- */

static int begin(void **state)
{
	snprintf(path, sizeof(path), "%s/chat.txt", directory);
	snprintf(old_path, sizeof(old_path), "%s/chat.txt.1", directory);
	return said_begin(state);
}

static int end(void **state)
{
	int error = said_end(state);

	/* What a test that failed has left, too. */
	if (geteuid() != getuid())
		error |= seteuid(getuid());
	umount2(directory, MNT_DETACH);
	if (!access(path, F_OK))
		set_append_only(false);
	unlink(path);
	rmdir(path);
	unlink(old_path);
	return error;
}

static int make_directory(void **state)
{
	setenv("TZ", "CET-1", 1);
	tzset();
	umask(022);
	return !mkdtemp(directory);
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(lines_have_the_bytes_of_the_tutorial),
		CASE(half_a_line_of_another_gets_an_end),
		CASE(ten_thousand_messages_at_once_are_kept),
		CASE(rotation_under_load_loses_nothing),
		CASE(the_old_file_is_used_until_the_new_one_opens),
		CASE(a_deleted_file_is_made_anew),
		CASE(a_directory_that_comes_back_is_used_again),
		CASE(what_memory_cannot_hold_is_counted_as_lost),
		CASE(what_may_not_be_opened_is_said),
		CASE(a_full_disk_tears_and_loses_nothing),
		CASE(a_full_disk_does_not_keep_it_from_stopping),
		CASE(what_cannot_be_taken_back_is_completed),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
