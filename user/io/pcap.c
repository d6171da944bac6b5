/* SPDX-License-Identifier: MIT */
#include "io/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/pcap_source.h"
#include "io/sockets_message.h"

#define NSEC 1000000000ull

#define FRAME_MAX PCAP_SOURCE_FRAME_MAX
#define BUFFER_SIZE (FRAME_HEADROOM + FRAME_MAX)

/* A batch lent, and as many to build in. The pages of long buffers cost nothing until used. */
#define BUFFERS (2 * FRAME_BATCH)
#define MEMORY_SIZE ((size_t)BUFFERS * BUFFER_SIZE)

struct pcap_io {
	struct frame_io io;
	pcap_t *in;
	struct pcap_source records; /* that it reads */
	char *source;               /* what the input is called */
	struct pcap_pkthdr *header; /* of the packet that was read ahead; NULL: there is none */
	const uint8_t *packet;
	uint64_t read;    /* packets, also a bad one */
	uint64_t skipped; /* of those */

	pcap_t *format;
	pcap_dumper_t *dump;
	char *target;    /* what the output will be called */
	char *temporary; /* what it is called until then; NULL: it is written directly */

	void (*sent)(void *context, const struct frame *frame); /* or NULL */
	void *sent_context;

	bool ended, discard;
	uint64_t until_ns; /* packets from then on are left for later */
	int read_errno, write_errno;
	char error[512];

	uint8_t *memory;
	uint32_t free_count;
	uint16_t free[BUFFERS];
};

static struct pcap_io *pcap_io(const struct frame_io *io)
{
	return (struct pcap_io *)io;
}

static uint8_t *buffer(const struct pcap_io *p, uint64_t cookie)
{
	return p->memory + cookie * BUFFER_SIZE;
}

static void buffer_release(struct pcap_io *p, uint64_t cookie)
{
	p->free[p->free_count++] = (uint16_t)cookie;
}

static uint8_t *buffer_take(struct pcap_io *p, struct frame *frame)
{
	frame->cookie = p->free[--p->free_count];
	frame->data = buffer(p, frame->cookie) + FRAME_HEADROOM;
	return frame->data;
}

static void input_failed(struct pcap_io *p)
{
	snprintf(p->error, sizeof(p->error),
		"cannot read packet %llu of %s: %s; the file is damaged, or ends there: editcap IN "
		"OUT keeps what is before",
		(unsigned long long)(p->read + p->records.odd + p->records.elsewhere), p->source,
		pcap_geterr(p->in));
	p->ended = true;
	p->read_errno = EBADMSG;
}

static void output_failed(struct pcap_io *p)
{
	p->write_errno = errno ? errno : EIO;
	if (!p->ended)
		snprintf(p->error, sizeof(p->error),
			"cannot write %s: %s; free some space, or give another file", p->target,
			strerror(p->write_errno));
	p->ended = true;
}

/* Not the whole frame and nothing else: cut, or longer than it says. */
static bool is_odd(const struct pcap_pkthdr *header)
{
	return header->caplen != header->len || header->caplen > FRAME_MAX;
}

/* Reads one packet ahead, unless there is one already. Returns false at the end. */
static bool read_ahead(struct pcap_io *p)
{
	int status;

	if (p->header || p->ended)
		return !p->ended;
	do {
		p->read++;
		status = pcap_next_ex(p->in, &p->header, &p->packet);
	} while (status == 1 && is_odd(p->header) && ++p->skipped);
	if (status == 1)
		return true;
	if (status == PCAP_ERROR_BREAK)
		p->ended = true;
	else
		input_failed(p);
	p->header = NULL;
	return false;
}

struct pcap_io_skipped pcap_io_skipped(const struct frame_io *io)
{
	const struct pcap_io *p = pcap_io(io);

	return (struct pcap_io_skipped){p->skipped + p->records.odd, p->records.elsewhere};
}

/*
 * tv_usec holds nanoseconds: the file was opened so. A pcap file's numbers have 32 unsigned bits,
 * but libpcap reads them as signed ones. No time is the end of all times, which until_ns may be.
 */
static uint64_t header_time(const struct pcap_pkthdr *header)
{
	time_t seconds = header->ts.tv_sec;
	uint64_t time_ns = (seconds < 0 ? (uint32_t)seconds : (uint64_t)seconds) * NSEC +
			   (uint32_t)header->ts.tv_usec;

	return time_ns < UINT64_MAX ? time_ns : UINT64_MAX - 1;
}

bool pcap_io_peek(struct frame_io *io, uint64_t *time_ns)
{
	struct pcap_io *p = pcap_io(io);

	if (!read_ahead(p))
		return false;
	*time_ns = header_time(p->header);
	return true;
}

void pcap_io_read_until(struct frame_io *io, uint64_t time_ns)
{
	pcap_io(io)->until_ns = time_ns;
}

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct pcap_io *p = pcap_io(io);
	int n = 0;

	while (n < max && p->free_count && read_ahead(p)) {
		uint64_t time_ns = header_time(p->header);

		if (time_ns >= p->until_ns || (n && time_ns / NSEC != frames[0].time_ns / NSEC))
			break;
		frames[n] = (struct frame){};
		memcpy(buffer_take(p, &frames[n]), p->packet, p->header->caplen);
		frames[n].len = p->header->caplen;
		frames[n].time_ns = time_ns;
		frames[n].is_rx = true;
		frames[n].from_kernel = sockets_wrote(frames[n].data, frames[n].len);
		p->header = NULL;
		n++;
	}
	if (n || !p->ended)
		return n;
	errno = p->read_errno ? p->read_errno : p->write_errno;
	return -1;
}

static void release(struct frame_io *io, const struct frame *frame)
{
	buffer_release(pcap_io(io), frame->cookie);
}

static bool allocate(struct frame_io *io, struct frame *frame)
{
	struct pcap_io *p = pcap_io(io);

	if (!p->free_count)
		return false;
	*frame = (struct frame){};
	buffer_take(p, frame);
	return true;
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct pcap_io *p = pcap_io(io);
	struct pcap_pkthdr header = {
		.ts = {.tv_sec = (time_t)(frame->time_ns / NSEC),
			.tv_usec = (suseconds_t)(frame->time_ns % NSEC)},
		.caplen = frame->len,
		.len = frame->len,
	};

	if (p->sent)
		p->sent(p->sent_context, frame);
	errno = 0;
	pcap_dump((u_char *)p->dump, &header, frame->data);
	if (!p->write_errno && ferror(pcap_dump_file(p->dump)))
		output_failed(p);
	buffer_release(p, frame->cookie);
	return true;
}

static void flush(struct frame_io *io)
{
}

static int wait_for(struct frame_io *io, int timeout_ms)
{
	return 0;
}

static void free_all(struct pcap_io *p)
{
	if (p->in)
		pcap_close(p->in);
	if (p->format)
		pcap_close(p->format);
	free(p->temporary);
	free(p->target);
	free(p->source);
	munmap(p->memory, MEMORY_SIZE);
	free(p);
}

static int close_io(struct frame_io *io)
{
	struct pcap_io *p = pcap_io(io);
	int error;

	errno = 0;
	if (pcap_dump_flush(p->dump) && !p->write_errno)
		output_failed(p);
	pcap_dump_close(p->dump);
	if (p->temporary) {
		if (p->discard || p->read_errno || p->write_errno) {
			unlink(p->temporary);
		} else if (rename(p->temporary, p->target)) {
			output_failed(p);
			unlink(p->temporary);
		}
	}
	error = p->write_errno;
	free_all(p);
	errno = error;
	return error ? -1 : 0;
}

static const struct frame_io_ops ops = {
	.receive = receive,
	.release = release,
	.allocate = allocate,
	.send = send_frame,
	.flush = flush,
	.wait = wait_for,
	.close = close_io,
};

/* An interface that is may come later than those that are not, or not at all. */
static bool is_ethernet(struct pcap_io *p, char *error, size_t size)
{
	int type = pcap_datalink(p->in);
	const char *name;

	if (p->records.link_type >= 0 && !p->records.has_ethernet) {
		read_ahead(p);
		if (!p->records.has_ethernet)
			type = p->records.link_type;
	}
	if (type == DLT_EN10MB)
		return true;
	name = pcap_datalink_val_to_name(type);
	snprintf(error, size,
		"cannot replay %s: its link type is %s (%d), not Ethernet; capture on one Ethernet "
		"interface, not on \"any\"",
		p->source, name ? name : "unknown", type);
	return false;
}

static bool input_open(struct pcap_io *p, const char *name, char *error, size_t size)
{
	char why[PCAP_ERRBUF_SIZE];
	FILE *in = strcmp(name, "-") ? fopen(name, "re") : stdin;
	FILE *file = in ? pcap_source_open(&p->records, in) : NULL;

	p->source = strdup(in == stdin ? "standard input" : name);
	if (!file || !p->source) {
		snprintf(error, size, "cannot read %s: %s; give another file", name,
			strerror(errno));
		if (file)
			fclose(file);
		else if (in && in != stdin)
			fclose(in);
		return false;
	}
	p->in = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p->in) {
		snprintf(error, size, "cannot read %s: %s; it must be a pcap or pcapng file",
			p->source, why);
		fclose(file);
		return false;
	}
	return is_ethernet(p, error, size);
}

/* Opens what will be renamed to the target, with the mode that a new file would have. */
static int temporary_open(struct pcap_io *p)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (asprintf(&p->temporary, "%s.XXXXXX", p->target) < 0) {
		p->temporary = NULL;
		return -1;
	}
	fd = mkostemp(p->temporary, O_CLOEXEC);
	if (fd >= 0)
		fchmod(fd, 0666 & ~mask);
	return fd;
}

static int output_fd(struct pcap_io *p, const char *name)
{
	struct stat st;

	if (!strcmp(name, "-")) {
		p->target = strdup("standard output");
		return p->target ? dup(STDOUT_FILENO) : -1;
	}
	/* Through a symbolic link, so that what it names is replaced and not the link. */
	p->target = realpath(name, NULL);
	if (!p->target)
		p->target = errno == ENOENT ? strdup(name) : NULL;
	if (!p->target)
		return -1;
	if (!stat(p->target, &st) && !S_ISREG(st.st_mode))
		return open(p->target, O_WRONLY | O_CLOEXEC);
	return temporary_open(p);
}

static bool output_open(struct pcap_io *p, const char *name, char *error, size_t size)
{
	int fd = output_fd(p, name);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	p->format = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, (int)FRAME_MAX, PCAP_TSTAMP_PRECISION_NANO);
	if (file && p->format) {
		setvbuf(file, NULL, _IOFBF, 1 << 16);
		p->dump = pcap_dump_fopen(p->format, file);
	}
	if (p->dump)
		return true;
	snprintf(error, size, "cannot write %s: %s; give another file", name, strerror(errno));
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	if (fd >= 0 && p->temporary)
		unlink(p->temporary);
	return false;
}

struct frame_io *pcap_io_open(const char *in, const char *out, char *error, size_t size)
{
	struct pcap_io *p = calloc(1, sizeof(*p));

	if (p)
		p->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!p || p->memory == MAP_FAILED) {
		snprintf(error, size, "cannot replay %s: %s; free some", in, strerror(ENOMEM));
		free(p);
		return NULL;
	}
	p->io.ops = &ops;
	p->until_ns = UINT64_MAX;
	for (uint32_t i = BUFFERS; i--;)
		buffer_release(p, i);
	if (!input_open(p, in, error, size) || !output_open(p, out, error, size)) {
		free_all(p);
		return NULL;
	}
	return &p->io;
}

void pcap_io_watch(
	struct frame_io *io, void (*sent)(void *context, const struct frame *frame), void *context)
{
	struct pcap_io *p = pcap_io(io);

	p->sent = sent;
	p->sent_context = context;
}

void pcap_io_discard(struct frame_io *io)
{
	pcap_io(io)->discard = true;
}

const char *pcap_io_error(const struct frame_io *io)
{
	return pcap_io(io)->error;
}
