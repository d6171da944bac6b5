/* SPDX-License-Identifier: MIT */
/* What a test makes the program say: standard error goes to a file while a test runs. */
#ifndef TESTS_UNIT_SAID_H
#define TESTS_UNIT_SAID_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int stderr_capture_fd = -1, said_before = -1;

/* Set-up and teardown of a test. */
static int said_begin(void **state)
{
	stderr_capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	said_before = dup(STDERR_FILENO);
	return stderr_capture_fd < 0 || said_before < 0 ||
	       dup2(stderr_capture_fd, STDERR_FILENO) < 0;
}

static int said_end(void **state)
{
	dup2(said_before, STDERR_FILENO);
	close(said_before);
	return close(stderr_capture_fd);
}

/* Everything said so far; valid until the next call. */
static const char *stderr_capture(void)
{
	static char text[1 << 14];
	ssize_t len = pread(stderr_capture_fd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* How often a text was said. */
static unsigned said_count(const char *what)
{
	const char *at = stderr_capture();
	unsigned count = 0;

	for (; (at = strstr(at, what)); at++)
		count++;
	return count;
}

#endif
