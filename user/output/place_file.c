/* SPDX-License-Identifier: MIT */
#include "output/place_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_SIZE 96          /* of the file: always the same */
#define BEYOND_MAX (16 << 20) /* bytes of lines that are looked at */

struct place_file {
	int fd;
	bool changed;
	struct udpxdp_room_place place;
	char *beyond; /* lines that may come again; NULL: none */
	size_t beyond_at, beyond_len;
};

/* What the history has behind `from`; a history that is shorter was begun anew since. */
static void read_beyond(struct place_file *file, int fd, uint64_t from)
{
	struct stat st;
	ssize_t got = 0;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (from > (uint64_t)st.st_size)
		from = 0;
	if (from == (uint64_t)st.st_size || (uint64_t)st.st_size - from > BEYOND_MAX)
		return;
	file->beyond = malloc((size_t)st.st_size - from);
	if (file->beyond)
		got = pread(fd, file->beyond, (size_t)st.st_size - from, (off_t)from);
	file->beyond_len = got > 0 ? (size_t)got : 0;
}

static void forget_beyond(struct place_file *file)
{
	free(file->beyond);
	file->beyond = NULL;
	file->beyond_at = file->beyond_len = 0;
}

struct place_file *place_file_open(const char *path, const char *history,
	outfile_open_fn *open_file, struct udpxdp_room_place *place)
{
	struct place_file *file = calloc(1, sizeof(*file));
	char text[TEXT_SIZE + 1] = "";
	uint64_t size;
	int fd;

	*place = (struct udpxdp_room_place){};
	if (!file)
		return NULL;
	file->fd = open_file(path, O_RDWR | O_CREAT | O_NOCTTY | O_NONBLOCK);
	if (file->fd < 0) {
		free(file);
		return NULL;
	}
	if (pread(file->fd, text, TEXT_SIZE, 0) <= 0 ||
		sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu64, &place->epoch,
			&place->sequence, &place->part, &size) != 4) {
		*place = (struct udpxdp_room_place){};
		return file;
	}
	fd = open_file(history, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		read_beyond(file, fd, size);
		close(fd);
	}
	return file;
}

void place_file_set(struct place_file *file, const struct udpxdp_room_place *place)
{
	file->place = *place;
	file->changed = true;
}

bool place_file_knows(struct place_file *file, const char *line, size_t len)
{
	const char *at = file->beyond + file->beyond_at, *end = file->beyond + file->beyond_len;

	if (!file->beyond)
		return false;
	/* The same lines come again in the same order; those of this host stand between them. */
	for (; at < end; at++) {
		if ((size_t)(end - at) >= len && !memcmp(at, line, len)) {
			file->beyond_at = (size_t)(at - file->beyond) + len;
			return true;
		}
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			break;
	}
	forget_beyond(file);
	return false;
}

void place_file_write(struct place_file *file, uint64_t history_size)
{
	char text[TEXT_SIZE + 1];

	if (!file->changed)
		return;
	snprintf(text, sizeof(text), "%-*s\n", TEXT_SIZE - 1, "");
	text[snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64,
		file->place.epoch, file->place.sequence, file->place.part, history_size)] = ' ';
	if (pwrite(file->fd, text, TEXT_SIZE, 0) == TEXT_SIZE)
		file->changed = false; /* else it is tried again: its disk is the history's */
}

void place_file_close(struct place_file *file)
{
	if (!file)
		return;
	forget_beyond(file);
	close(file->fd);
	free(file);
}
