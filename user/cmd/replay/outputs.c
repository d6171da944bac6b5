/* SPDX-License-Identifier: MIT */
#include "cmd/replay/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/message_text.h"
#include "services/service_spec.h"

struct replay_outputs {
	const struct service_config *services;
	unsigned count;
	FILE *histories[MAX_SERVICES]; /* NULL: nothing was recorded */
	int print_error, record_error; /* the first */
	char line[MESSAGE_TEXT_HISTORY_MAX];
};

struct replay_outputs *replay_outputs_new(const struct service_config *services, unsigned count)
{
	struct replay_outputs *o = calloc(1, sizeof(*o));

	if (o) {
		o->services = services;
		o->count = count;
	}
	return o;
}

void replay_outputs_free(struct replay_outputs *o)
{
	for (unsigned i = 0; o && i < o->count; i++)
		if (o->histories[i])
			fclose(o->histories[i]);
	free(o);
}

/* Writes the line that stands in the buffer; remembers the first error. */
static bool put_line(struct replay_outputs *o, size_t len, FILE *to, int *error)
{
	errno = 0;
	if (fwrite(o->line, 1, len, to) == len)
		return true;
	if (!*error)
		*error = errno ? errno : EIO;
	return false;
}

bool replay_print(void *context, unsigned instance, const struct udpxdp_message *message)
{
	struct replay_outputs *o = context;
	char label[MESSAGE_TEXT_LABEL_MAX];

	message_text_label(label, o->services, o->count, instance);
	return put_line(o, message_text_line(o->line, sizeof(o->line), label, message), stdout,
		&o->print_error);
}

bool replay_record(void *context, unsigned instance, const struct udpxdp_message *message)
{
	struct replay_outputs *o = context;
	FILE **history = &o->histories[instance];

	if (!service_history(&o->services[instance]))
		return true;
	if (!*history)
		*history = tmpfile();
	if (!*history) {
		o->record_error = errno;
		return false;
	}
	return put_line(o, message_text_history(o->line, sizeof(o->line), message), *history,
		&o->record_error);
}

int replay_outputs_check(struct replay_outputs *o, char *error, size_t size)
{
	if (!o->print_error && fflush(stdout))
		o->print_error = errno;
	for (unsigned i = 0; i < o->count; i++)
		if (o->histories[i] && !o->record_error && fflush(o->histories[i]))
			o->record_error = errno;
	if (o->print_error)
		snprintf(error, size, "cannot print: %s; make room, or give --quiet",
			strerror(o->print_error));
	else if (o->record_error)
		snprintf(error, size,
			"cannot keep history in a temporary file: %s; make room in "
			"/tmp, or give history=off",
			strerror(o->record_error));
	return o->print_error || o->record_error ? -1 : 0;
}

static int copy(int fd, FILE *from)
{
	char block[65536];
	size_t size;

	rewind(from);
	while ((size = fread(block, 1, sizeof(block), from)) > 0) {
		for (size_t done = 0; done < size;) {
			ssize_t n = write(fd, block + done, size - done);

			if (n < 0 && errno != EINTR)
				return -1;
			done += n > 0 ? (size_t)n : 0;
		}
	}
	return ferror(from) ? -1 : 0;
}

/* Appends all of it. Returns 0, or an errno with the file as it was. */
static int append(const char *path, FILE *from)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	int error = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		error = errno;
	} else if (copy(fd, from)) {
		error = errno;
		if (S_ISREG(st.st_mode) && ftruncate(fd, st.st_size))
			error = errno;
	}
	if (fd >= 0 && close(fd) && !error)
		error = errno;
	return error;
}

int replay_outputs_keep(struct replay_outputs *o, char *error, size_t size)
{
	for (unsigned i = 0; i < o->count; i++) {
		const char *path = service_history(&o->services[i]);
		int why = o->histories[i] ? append(path, o->histories[i]) : 0;

		if (!why)
			continue;
		snprintf(error, size, "cannot write history %s: %s; give another history=PATH",
			path, strerror(why));
		return -1;
	}
	return 0;
}
