/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts white space off both ends of a string. */
static char *trim(char *text)
{
	size_t len = strlen(text);

	while (len && is_space(text[len - 1]))
		text[--len] = '\0';
	return text + strspn(text, " \t\r");
}

static void cut_comment(char *line)
{
	for (char *c = line; *c; c++) {
		if (*c == '#' && (c == line || is_space(c[-1]))) {
			*c = '\0';
			return;
		}
	}
}

static int take_line(char *line, config_set *set, void *context, char *error, size_t size)
{
	char *name, *value;

	cut_comment(line);
	value = strchr(line, '=');
	if (value)
		*value++ = '\0';
	name = trim(line);
	if (!*name && !value)
		return 0;
	if (!*name || strpbrk(name, ": \t\r")) {
		snprintf(error, size, "'%s': expected NAME = VALUE", name);
		return -1;
	}
	if (value)
		value = trim(value);
	if (value && !*value) {
		snprintf(error, size, "%s: requires a value", name);
		return -1;
	}
	return set(context, name, value, error, size);
}

unsigned config_parse(
	char *text, size_t len, config_set *set, void *context, char *error, size_t size)
{
	static const char mark[] = "\xef\xbb\xbf"; /* U+FEFF */
	char *line = text, *end = text + len;
	unsigned number = 1;

	if (len >= strlen(mark) && !memcmp(text, mark, strlen(mark)))
		line += strlen(mark);
	for (; line < end; number++) {
		char *newline = memchr(line, '\n', (size_t)(end - line));

		if (!newline)
			newline = end;
		if (memchr(line, '\0', (size_t)(newline - line))) {
			snprintf(error, size, "a NUL byte: not a text file in UTF-8");
			return number;
		}
		*newline = '\0';
		if (take_line(line, set, context, error, size))
			return number;
		line = newline + 1;
	}
	return 0;
}

/* Returns the number of bytes read, or -1 with errno: EFBIG when there are more than max. */
static ssize_t read_all(int fd, char *to, size_t max)
{
	size_t used = 0;

	for (;;) {
		ssize_t got = read(fd, to + used, max + 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -1 : (ssize_t)used;
		used += (size_t)got;
		if (used > max) {
			errno = EFBIG;
			return -1;
		}
	}
}

char *config_load(const char *path, size_t *len, char *error, size_t size)
{
	char *text = malloc(CONFIG_SIZE_MAX + 1), *fitting;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t used = -1;

	if (text && fd >= 0)
		used = read_all(fd, text, CONFIG_SIZE_MAX);
	if (used < 0)
		snprintf(error, size, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (used < 0) {
		free(text);
		return NULL;
	}
	*len = (size_t)used;
	fitting = realloc(text, *len + 1);
	return fitting ? fitting : text;
}
