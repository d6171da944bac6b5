/* SPDX-License-Identifier: MIT */
/* What a test makes the program say: standard error goes to a file while a test runs. */
#ifndef TESTS_UNIT_SAID_H
#define TESTS_UNIT_SAID_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int said_fd = -1, said_before = -1;

/* Set-up and teardown of a test. */
static int said_begin(void **state)
{
	said_fd = memfd_create("said", MFD_CLOEXEC);
	said_before = dup(STDERR_FILENO);
	return said_fd < 0 || said_before < 0 || dup2(said_fd, STDERR_FILENO) < 0;
}

static int said_end(void **state)
{
	dup2(said_before, STDERR_FILENO);
	close(said_before);
	return close(said_fd);
}

/* Everything said so far; valid until the next call. */
static const char *said(void)
{
	static char text[1 << 14];
	ssize_t len = pread(said_fd, text, sizeof(text) - 1, 0);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* How often a text was said. */
static unsigned said_count(const char *what)
{
	const char *at = said();
	unsigned count = 0;

	for (; (at = strstr(at, what)); at++)
		count++;
	return count;
}

#endif
