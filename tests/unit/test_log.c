/* SPDX-License-Identifier: MIT */
/* What is said when nobody reads it: a line may be lost, the process may not hang. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h" /* before cmocka, which has a macro called fail */
#include "base/thread.h"

#include <cmocka.h>

static int before, pipe_fds[2];

static int begin(void **state)
{
	before = dup(STDERR_FILENO);
	return before < 0 || pipe(pipe_fds) || dup2(pipe_fds[1], STDERR_FILENO) < 0;
}

static int end(void **state)
{
	dup2(before, STDERR_FILENO);
	close(before);
	close(pipe_fds[0]);
	return close(pipe_fds[1]);
}

/* Fills the pipe to the last byte. */
static void fill(void)
{
	char byte = '.';

	fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
	while (write(pipe_fds[1], &byte, 1) == 1)
		;
	fcntl(pipe_fds[1], F_SETFL, 0);
}

static size_t drain(char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	while (len < size && (n = read(pipe_fds[0], text + len, size - len)) > 0)
		len += (size_t)n;
	return len;
}

static void a_reader_that_does_not_read(void **state)
{
	static char text[1 << 17];
	uint64_t start = clock_ms();
	size_t len;

	fill();
	for (int i = 0; i < 100; i++)
		log_line("nobody reads this");
	assert_true(clock_ms() - start < 2000);
	assert_true(drain(text, sizeof(text)) > 0);
	assert_null(memmem(text, sizeof(text), "udpxdp", 6));

	log_line("now %s does", "somebody");
	len = drain(text, sizeof(text));
	assert_int_equal(len, strlen("udpxdp: now somebody does\n"));
	assert_memory_equal(text, "udpxdp: now somebody does\n", len);
}

/* Without a standard error nothing is said and the caller's errno stays; what is said once there is
 * one again is not what was said before. */
static void a_closed_standard_error_loses_the_line_alone(void **state)
{
	static const char want[] = "udpxdp: to somebody\n";
	char text[256];
	int error;

	close(STDERR_FILENO);
	errno = EDOM;
	log_line("to nobody at all");
	error = errno;
	dup2(pipe_fds[1], STDERR_FILENO);
	log_line("to somebody");
	assert_int_equal(error, EDOM);
	assert_int_equal(drain(text, sizeof(text)), strlen(want));
	assert_memory_equal(text, want, strlen(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reader_that_does_not_read, begin, end),
		cmocka_unit_test_setup_teardown(
			a_closed_standard_error_loses_the_line_alone, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
