/* SPDX-License-Identifier: MIT */
#include "cmd/replay/outputs.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/replay/room.h"
#include "output/message_text.h"
#include "services/service_spec.h"

struct replay_outputs {
	const struct service_config *services;
	unsigned count;
	FILE *histories[MAX_SERVICES]; /* NULL: nothing was recorded */
	FILE *told;                    /* NULL: nobody asks for it */
	const char *told_path;
	int print_error, record_error, tell_error; /* the first */
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
	if (o && o->told)
		fclose(o->told);
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

int replay_outputs_tell(struct replay_outputs *o, const char *path)
{
	o->told_path = path;
	o->told = tmpfile();
	return o->told ? 0 : -1;
}

bool replay_tell(void *context, unsigned instance, const struct udpxdp_room_event *event)
{
	struct replay_outputs *o = context;

	if (!o->told || !replay_room_tell(o->told, &o->services[instance], event))
		return true;
	if (!o->tell_error)
		o->tell_error = errno ? errno : EIO;
	return false;
}

int replay_outputs_check(struct replay_outputs *o, char *error, size_t size)
{
	if (!o->print_error && fflush(stdout))
		o->print_error = errno;
	for (unsigned i = 0; i < o->count; i++)
		if (o->histories[i] && !o->record_error && fflush(o->histories[i]))
			o->record_error = errno;
	if (o->told && !o->tell_error && fflush(o->told))
		o->tell_error = errno;
	if (o->print_error)
		snprintf(error, size, "cannot print: %s; free some space, or give --quiet",
			strerror(o->print_error));
	else if (o->record_error)
		snprintf(error, size,
			"cannot keep history in a temporary file: %s; free some space in "
			"/tmp, or give history=off",
			strerror(o->record_error));
	else if (o->tell_error)
		snprintf(error, size,
			"cannot keep what other hosts are told in a temporary file: %s; free some "
			"space in /tmp",
			strerror(o->tell_error));
	return o->print_error || o->record_error || o->tell_error ? -1 : 0;
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

/* Appends all of it, or with O_TRUNC puts it in place of what is there. Returns 0, or an errno with
 * the file as it was, or empty. */
static int put(const char *path, int flags, FILE *from)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640);
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
	const int error_told = o->told ? put(o->told_path, O_TRUNC, o->told) : 0;

	if (error_told) {
		snprintf(error, size, "cannot write %s: %s; give another --told", o->told_path,
			strerror(error_told));
		return -1;
	}
	for (unsigned i = 0; i < o->count; i++) {
		const char *path = service_history(&o->services[i]);
		int why = o->histories[i] ? put(path, O_APPEND, o->histories[i]) : 0;

		if (!why)
			continue;
		snprintf(error, size, "cannot write history %s: %s; give another history=PATH",
			path, strerror(why));
		return -1;
	}
	return 0;
}

void replay_say_skipped(const char *in, const struct pcap_io_skipped *skipped)
{
	if (skipped->odd)
		log_line("%llu records of %s skipped: cut, longer than their frames, or too long "
			 "for any; capture whole frames (tcpdump -s 0)",
			(unsigned long long)skipped->odd, in);
	if (skipped->elsewhere)
		log_line("%llu records of %s skipped: of an interface that is not Ethernet; "
			 "capture on Ethernet interfaces to have them answered",
			(unsigned long long)skipped->elsewhere, in);
}
