/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "output/message_text.h"
#include "output/printer.h"
#include "base/thread.h"
#include "unit/stderr_capture.h"

#define THEN (1795395600ull * UDPXDP_NSEC_PER_SEC) /* 2026-11-23 01:00:00 UTC */
#define WORKERS 2
#define WAIT_MS 10000 /* for what must come; a test that passes does not wait that long */
#define LINE "2026-11-23T02:00:00.%06u+01:00 echo:%u recv 10.0.0.2:4711 \"%u\"\n"
#define LOST "udpxdp: standard output: blocked; lines lost so far: "

static const struct udpxdp_service echo = {.name = "echo", .port = 8080};
static const struct service_config services[] = {
	{.service = &echo, .port = 8080},
	{.service = &echo, .port = 9},
};

/* Worker w says number n on the service that has its number. */
static bool put(struct printer *printer, unsigned w, unsigned n)
{
	char text[16];
	struct udpxdp_message message = {
		.time_ns = THEN + n * 1000ull,
		.direction = UDPXDP_RECEIVED,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 4711,
		.len = (uint32_t)snprintf(text, sizeof(text), "%u", n),
		.text = (const uint8_t *)text,
	};

	return printer_put(printer, w, w, &message);
}

static struct printer *start(int fd)
{
	struct printer *printer =
		printer_start(services, 2, WORKERS, fd, PRINTER_TEXT, PRINTER_ALL);

	assert_non_null(printer);
	return printer;
}

/* Reads until the end, or until nothing comes for a while; NUL-terminated. */
static char *read_all(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t used = 0, size = 1 << 16;
	char *text = malloc(size);
	ssize_t n;

	while (text && poll(&ready, 1, 500) > 0 &&
		(n = read(fd, text + used, size - used - 1)) > 0) {
		used += (size_t)n;
		if (size - used < 1 << 12)
			text = realloc(text, size *= 2);
	}
	assert_non_null(text);
	text[used] = '\0';
	return text;
}

/* Takes a line off text, which must be one of ours and whole, later than the one before it
 * from that worker. Returns the worker, or -1 at the end. */
static int take_line(char **text, long last[WORKERS])
{
	unsigned port, micros, n, w;
	char want[128], *end = strchr(*text, '\n');

	if (!**text)
		return -1;
	assert_non_null(end);
	assert_int_equal(sscanf(*text,
				 "2026-11-23T02:00:00.%u+01:00 echo:%u recv "
				 "10.0.0.2:4711 \"%u\"",
				 &micros, &port, &n),
		3);
	snprintf(want, sizeof(want), LINE, n, port, n);
	assert_memory_equal(*text, want, strlen(want));
	w = port == services[1].port;
	assert_true((long)n > last[w]);
	last[w] = n;
	*text = end + 1;
	return (int)w;
}

/* Checks every line of text and frees it; returns how many there are of each worker. */
static void count_lines(char *text, unsigned counts[WORKERS])
{
	long last[WORKERS] = {-1, -1};
	char *rest = text;
	int w;

	memset(counts, 0, WORKERS * sizeof(*counts));
	while ((w = take_line(&rest, last)) >= 0)
		counts[w]++;
	free(text);
}

static void lines_come_at_once(void **state)
{
	struct printer *printer;
	char *text, want[256];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	printer = start(fds[1]);
	assert_true(put(printer, 0, 1));
	text = read_all(fds[0]); /* it comes with nothing behind it that pushes */
	snprintf(want, sizeof(want), LINE, 1, 8080, 1);
	assert_string_equal(text, want);
	free(text);

	assert_true(put(printer, 1, 2));
	printer_stop(printer);
	close(fds[1]);
	text = read_all(fds[0]);
	snprintf(want, sizeof(want), LINE, 2, 9, 2);
	assert_string_equal(text, want);
	free(text);
	close(fds[0]);
	assert_string_equal(stderr_capture(), "");
}

static void json_lines_come_as_asked(void **state)
{
	struct printer *printer;
	char *text;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	printer = printer_start(services, 2, WORKERS, fds[1], PRINTER_JSON, PRINTER_ALL);
	assert_non_null(printer);
	assert_true(put(printer, 1, 2));
	printer_stop(printer);
	close(fds[1]);
	text = read_all(fds[0]);
	assert_string_equal(text, "{\"time\":\"2026-11-23T02:00:00.000002+01:00\","
				  "\"service\":\"echo\",\"port\":9,\"direction\":\"recv\","
				  "\"peer\":\"10.0.0.2\",\"peer_port\":4711,\"text\":\"2\"}\n");
	free(text);
	close(fds[0]);
}

#define LEFT_OUT "udpxdp: standard output: limited to 10 lines a second; lines left out: "

/* The sum of what was reported as left out. */
static unsigned left_out(void)
{
	unsigned sum = 0;

	for (const char *at = stderr_capture(); (at = strstr(at, LEFT_OUT)); at++)
		sum += (unsigned)strtoul(at + strlen(LEFT_OUT), NULL, 10);
	return sum;
}

/* More comes than is to be printed: the first of each second are, the others are reported as left
 * out, once a second while it lasts and at the end. None is lost. */
static void what_exceeds_the_rate_is_counted_as_left_out(void **state)
{
	unsigned accepted = 0, counts[WORKERS], n, seconds;
	uint64_t begin = clock_ms(), end = begin + 2 * WAIT_MS;
	struct printer *printer;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	printer = printer_start(services, 2, WORKERS, fds[1], PRINTER_TEXT, 10);
	assert_non_null(printer);
	for (n = 0; n < 100; n++)
		accepted += put(printer, 0, n);
	assert_int_equal(accepted, 100);
	/* It is reported without anything more to print. */
	while (!left_out() && clock_ms() < begin + WAIT_MS)
		thread_sleep_ms(5);
	assert_int_equal(left_out(), 90);
	for (; said_count(LEFT_OUT) < 3 && clock_ms() < end; n++) {
		accepted += put(printer, 0, n);
		thread_sleep_ms(1);
	}
	assert_true(said_count(LEFT_OUT) >= 3);
	for (unsigned i = 0; i < 100; i++, n++)
		accepted += put(printer, 0, n);
	printer_stop(printer);
	seconds = (unsigned)((clock_ms() - begin) / 1000) + 2;
	close(fds[1]);
	count_lines(read_all(fds[0]), counts);
	close(fds[0]);
	assert_int_equal(accepted, n);
	assert_int_equal(counts[0] + left_out(), accepted);
	assert_in_range(counts[0], 30, 10 * seconds);
	assert_int_equal(said_count("udpxdp: "), said_count(LEFT_OUT));
	assert_in_range(said_count(LEFT_OUT), 4, seconds);
}

struct producer {
	pthread_t thread;
	struct printer *printer;
	unsigned worker, messages;
	unsigned accepted;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (unsigned n = 0; n < p->messages; n++) {
		p->accepted += put(p->printer, p->worker, n);
		if (n % 256 == 0)
			thread_sleep_ms(1);
	}
	return NULL;
}

static void *reader(void *arg)
{
	return read_all(*(int *)arg);
}

/* What was taken is printed, in order, whatever the pace of the reader. */
static void the_lines_of_two_workers_come_in_order(void **state)
{
	struct producer producers[WORKERS];
	unsigned counts[WORKERS];
	struct printer *printer;
	pthread_t read_thread;
	void *text;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pthread_create(&read_thread, NULL, reader, &fds[0]), 0);
	printer = start(fds[1]);
	for (unsigned w = 0; w < WORKERS; w++) {
		producers[w] =
			(struct producer){.printer = printer, .worker = w, .messages = 20000};
		assert_int_equal(
			pthread_create(&producers[w].thread, NULL, produce, &producers[w]), 0);
	}
	for (unsigned w = 0; w < WORKERS; w++)
		pthread_join(producers[w].thread, NULL);
	printer_stop(printer);
	close(fds[1]);
	pthread_join(read_thread, &text);
	count_lines(text, counts);
	for (unsigned w = 0; w < WORKERS; w++) {
		assert_true(producers[w].accepted > 1000);
		assert_int_equal(counts[w], producers[w].accepted);
	}
	close(fds[0]);
}

/* Puts for that long, faster than anybody reads; returns how many were taken. */
static unsigned put_for(struct printer *printer, unsigned ms, unsigned *refused)
{
	uint64_t end = clock_ms() + ms;
	unsigned n = 0, accepted = 0;

	do
		accepted += put(printer, 0, n++);
	while (n % 1000 || clock_ms() < end);
	*refused = n - accepted;
	return accepted;
}

/* Nobody reads for a while: lines are lost, that is said while it lasts, and the producer does
 * not notice. Then somebody reads: what was taken comes, all of it. */
static void a_slow_reader_costs_lines_that_are_counted(void **state)
{
	char want[128];
	unsigned accepted, refused, counts[WORKERS];
	struct printer *printer;
	pthread_t read_thread;
	uint64_t begin;
	void *text;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	printer = start(fds[1]);
	begin = clock_ms();
	accepted = put_for(printer, 2500, &refused);
	assert_true(clock_ms() - begin < 3500);
	assert_true(refused > 0);
	assert_in_range(said_count(LOST), 2, 4); /* once a second */

	assert_int_equal(pthread_create(&read_thread, NULL, reader, &fds[0]), 0);
	printer_stop(printer);
	close(fds[1]);
	pthread_join(read_thread, &text);
	count_lines(text, counts);
	assert_int_equal(counts[0], accepted);
	snprintf(want, sizeof(want), LOST "%u\n", refused);
	assert_non_null(strstr(stderr_capture(), want)); /* and all of them at the end */
	close(fds[0]);
}

/* Checks that the last thing said is that so many lines were lost. */
static void assert_lost(unsigned lost)
{
	const char *text = stderr_capture(), *last = NULL;
	char want[128];

	for (; (text = strstr(text, LOST)); text++)
		last = text;
	snprintf(want, sizeof(want), LOST "%u\n", lost);
	assert_non_null(last);
	assert_string_equal(last, want);
}

static void stop_in_time(struct printer *printer)
{
	uint64_t begin = clock_ms();

	printer_stop(printer);
	assert_in_range(clock_ms() - begin, 0, 700);
}

static void a_stuck_pipe_does_not_keep_it_from_stopping(void **state)
{
	unsigned accepted, refused, counts[WORKERS];
	struct printer *printer;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	printer = start(fds[1]);
	accepted = put_for(printer, 50, &refused);
	stop_in_time(printer);
	close(fds[1]);
	count_lines(read_all(fds[0]), counts); /* whole lines only */
	assert_true(counts[0] < accepted);
	assert_lost(accepted - counts[0] + refused);
	close(fds[0]);
}

/* A terminal that nobody reads can hold the thread in write(2). */
static void a_stuck_terminal_does_not_keep_it_from_stopping(void **state)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), fd = -1;
	struct printer *printer;
	unsigned refused;

	if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) ||
		(fd = open(ptsname(terminal), O_WRONLY | O_NOCTTY | O_CLOEXEC)) < 0) {
		print_message("no pseudo-terminal here\n");
		skip();
	}
	printer = start(fd);
	put_for(printer, 300, &refused);
	assert_true(refused > 0);
	stop_in_time(printer);
	assert_true(said_count(LOST) >= 1);
	/* The terminal stays open: the thread may still be waiting for it. */
}

static void check_gone(int fd, const char *why)
{
	struct printer *printer = start(fd);
	unsigned accepted = 0;
	char want[128];

	for (unsigned n = 0; n < 20; n++) {
		accepted += put(printer, 0, n);
		thread_sleep_ms(20);
	}
	assert_int_equal(accepted, 20);
	stop_in_time(printer);
	snprintf(want, sizeof(want), "udpxdp: standard output: %s; printing stopped\n", why);
	assert_string_equal(stderr_capture(), want);
}

static void a_reader_that_has_gone_is_said_once(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	check_gone(fds[1], "Broken pipe");
	close(fds[1]);
}

static void a_closed_output_is_said_once(void **state)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	check_gone(fd, "Bad file descriptor");
}

static void what_a_full_output_loses_is_counted(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct printer *printer;

	assert_true(fd >= 0);
	printer = start(fd);
	assert_true(put(printer, 0, 1));
	assert_true(put(printer, 1, 2));
	stop_in_time(printer);
	assert_lost(2);
	close(fd);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, said_begin, said_end)
	const struct CMUnitTest tests[] = {
		CASE(lines_come_at_once),
		CASE(json_lines_come_as_asked),
		CASE(what_exceeds_the_rate_is_counted_as_left_out),
		CASE(the_lines_of_two_workers_come_in_order),
		CASE(a_slow_reader_costs_lines_that_are_counted),
		CASE(a_stuck_pipe_does_not_keep_it_from_stopping),
		CASE(a_stuck_terminal_does_not_keep_it_from_stopping),
		CASE(a_reader_that_has_gone_is_said_once),
		CASE(a_closed_output_is_said_once),
		CASE(what_a_full_output_loses_is_counted),
	};

	setenv("TZ", "CET-1", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
