/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/keep_errno.h"
#include "base/log.h"

#define LINE_MAX_BYTES 4096 /* PIPE_BUF: a pipe that is ready takes it whole */
#define PATIENCE_MS 100     /* with a reader that does not read, once */

unsigned log_level;

/* Nothing that is said is worth a server that hangs because nobody reads it. */
static bool reader_reads(void)
{
	static atomic_bool stuck;
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	bool reads = poll(&ready, 1, atomic_load(&stuck) ? 0 : PATIENCE_MS) > 0;

	atomic_store(&stuck, !reads);
	return reads;
}

static void __attribute__((format(printf, 1, 0))) log_write(const char *format, va_list args)
{
	static const char prefix[] = "udpxdp: ";
	KEEP_ERRNO;
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
	size_t len = sizeof(prefix) - 1;
	int wanted = vsnprintf(text, sizeof(text), format, args);

	if (wanted < 0)
		wanted = 0;
	if ((size_t)wanted >= sizeof(text))
		wanted = sizeof(text) - 1;
	memcpy(line, prefix, len);
	len += escape_text(
		line + len, sizeof(line) - len - 1, (const uint8_t *)text, (size_t)wanted);
	line[len++] = '\n';
	for (size_t done = 0; done < len && reader_reads();) {
		ssize_t written = write(STDERR_FILENO, line + done, len - done);

		if (written < 0 && errno != EINTR)
			break;
		if (written > 0)
			done += (size_t)written;
	}
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_write(format, args);
	va_end(args);
}

void log_verbose(const char *format, ...)
{
	va_list args;

	if (!log_level)
		return;
	va_start(args, format);
	log_write(format, args);
	va_end(args);
}

void log_fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_write(format, args);
	va_end(args);
	exit(status);
}

void log_fail_output(void)
{
	log_fail(EXIT_RUNTIME, "standard output: %m; direct it elsewhere");
}
