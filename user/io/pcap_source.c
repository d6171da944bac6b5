/* SPDX-License-Identifier: MIT */
#include "io/pcap_source.h"

#include <errno.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEADER 24
#define RECORD_HEADER 16
#define LINKTYPE_RAW 101 /* as a file has it */
#define BLOCK_MIN 12u
#define BLOCK_MAX (1u << 24) /* libpcap's own limit */

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_ENHANCED_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

/* ---- bytes --------------------------------------------------------------------------- */

static uint32_t get32(const struct pcap_source *s, size_t at)
{
	uint32_t v;

	memcpy(&v, s->unit + at, sizeof(v));
	return s->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct pcap_source *s, size_t at)
{
	uint16_t v;

	memcpy(&v, s->unit + at, sizeof(v));
	return s->swapped ? __builtin_bswap16(v) : v;
}

static void put32(struct pcap_source *s, size_t at, uint32_t v)
{
	v = s->swapped ? __builtin_bswap32(v) : v;
	memcpy(s->unit + at, &v, sizeof(v));
}

static void put16(struct pcap_source *s, size_t at, uint16_t v)
{
	v = s->swapped ? __builtin_bswap16(v) : v;
	memcpy(s->unit + at, &v, sizeof(v));
}

/* Makes the unit that long. Where the file ends before, what there is of it is for libpcap to
 * judge, and so is all behind what is not understood. Returns whether it is whole. */
static bool take(struct pcap_source *s, size_t size)
{
	if (size > s->capacity) {
		uint8_t *larger = realloc(s->unit, size);

		if (!larger) {
			s->format = SOURCE_AS_IT_IS;
			return false;
		}
		s->unit = larger;
		s->capacity = size;
	}
	s->size += fread(s->unit + s->size, 1, size - s->size, s->in);
	if (s->size == size)
		return true;
	s->format = SOURCE_AS_IT_IS;
	return false;
}

static void leave_out(struct pcap_source *s, uint64_t *count)
{
	s->size = 0;
	++*count;
}

/* ---- pcap ---------------------------------------------------------------------------- */

static bool pass_over(struct pcap_source *s, uint32_t size)
{
	char piece[4096];

	while (size) {
		size_t n = fread(piece, 1, size < sizeof(piece) ? size : sizeof(piece), s->in);

		if (!n)
			return false;
		size -= (uint32_t)n;
	}
	return true;
}

static void next_record(struct pcap_source *s)
{
	uint32_t captured;

	if (!take(s, RECORD_HEADER))
		return;
	captured = get32(s, 8);
	if (captured <= PCAP_SOURCE_FRAME_MAX)
		take(s, RECORD_HEADER + captured);
	else if (pass_over(s, captured))
		leave_out(s, &s->odd);
	else
		s->format = SOURCE_AS_IT_IS; /* no record, but damage */
}

/* ---- pcapng -------------------------------------------------------------------------- */

static void section(struct pcap_source *s)
{
	uint32_t order;

	if (!take(s, 12))
		return;
	memcpy(&order, s->unit + 8, sizeof(order));
	s->swapped = order == 0x4d3c2b1a;
	s->interfaces = 0;
}

/* All are of one kind and one snapshot length, as libpcap wants them. */
static void interface(struct pcap_source *s)
{
	const int type = get16(s, 8);

	if (s->interfaces == s->interfaces_capacity) {
		size_t capacity = s->interfaces_capacity ? 2 * s->interfaces_capacity : 16;
		bool *larger = realloc(s->foreign, capacity * sizeof(*larger));

		if (!larger) {
			s->format = SOURCE_AS_IT_IS;
			return;
		}
		s->foreign = larger;
		s->interfaces_capacity = capacity;
	}
	s->foreign[s->interfaces++] = type != DLT_EN10MB;
	if (type == DLT_EN10MB)
		s->has_ethernet = true;
	else if (s->link_type < 0)
		s->link_type = type == LINKTYPE_RAW ? DLT_RAW : type;
	put16(s, 8, DLT_EN10MB);
	put32(s, 12, 0); /* no limit */
}

static void packet(struct pcap_source *s, uint32_t id, size_t header, size_t captured_at)
{
	if (s->size < header + 4 || id >= s->interfaces)
		leave_out(s, &s->odd);
	else if (s->foreign[id])
		leave_out(s, &s->elsewhere);
	else if (get32(s, captured_at) > s->size - header - 4 ||
		 get32(s, captured_at) > PCAP_SOURCE_FRAME_MAX)
		leave_out(s, &s->odd);
}

static void next_block(struct pcap_source *s)
{
	uint32_t type, size;

	if (!take(s, 8))
		return;
	if (get32(s, 0) == BLOCK_SECTION)
		section(s);
	type = get32(s, 0);
	size = get32(s, 4);
	if (size < BLOCK_MIN || size > BLOCK_MAX || size % 4)
		s->format = SOURCE_AS_IT_IS;
	if (s->format == SOURCE_AS_IT_IS || !take(s, size))
		return;
	if (type == BLOCK_INTERFACE) {
		if (size >= 20)
			interface(s);
	} else if (type == BLOCK_ENHANCED_PACKET)
		packet(s, size < 32 ? 0 : get32(s, 8), 28, 20);
	else if (type == BLOCK_PACKET)
		packet(s, size < 32 ? 0 : get16(s, 8), 28, 20);
	else if (type == BLOCK_SIMPLE_PACKET)
		packet(s, 0, 12, 8);
	else if (type != BLOCK_SECTION)
		s->size = 0; /* nothing that is needed */
}

/* ---- what libpcap reads --------------------------------------------------------------- */

static void begin(struct pcap_source *s)
{
	uint32_t magic;

	if (!take(s, 8))
		return;
	memcpy(&magic, s->unit, sizeof(magic));
	s->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	if (s->swapped)
		magic = __builtin_bswap32(magic);
	if (magic == BLOCK_SECTION) {
		s->format = SOURCE_PCAPNG;
		next_block(s);
	} else if ((magic == 0xa1b2c3d4 || magic == 0xa1b23c4d) && get16(s, 4) == 2 &&
		   get16(s, 6) == 4) {
		s->format = SOURCE_PCAP;
		take(s, FILE_HEADER);
	} else {
		s->format = SOURCE_AS_IT_IS;
	}
}

static void next_unit(struct pcap_source *s)
{
	s->size = s->given = 0;
	switch (s->format) {
	case SOURCE_BEGINS:
		begin(s);
		break;
	case SOURCE_PCAP:
		next_record(s);
		break;
	case SOURCE_PCAPNG:
		next_block(s);
		break;
	case SOURCE_AS_IT_IS:
		take(s, BUFSIZ);
		break;
	}
}

static ssize_t read_unit(void *cookie, char *to, size_t size)
{
	struct pcap_source *s = cookie;
	size_t n;

	while (s->given == s->size && !feof(s->in) && !ferror(s->in))
		next_unit(s);
	n = s->size - s->given < size ? s->size - s->given : size;
	if (!n && ferror(s->in))
		return -1;
	memcpy(to, s->unit + s->given, n);
	s->given += n;
	return (ssize_t)n;
}

static int close_source(void *cookie)
{
	struct pcap_source *s = cookie;
	int status = s->in == stdin ? 0 : fclose(s->in);

	free(s->unit);
	free(s->foreign);
	return status;
}

FILE *pcap_source_open(struct pcap_source *source, FILE *in)
{
	static const cookie_io_functions_t functions = {.read = read_unit, .close = close_source};

	*source = (struct pcap_source){.in = in, .link_type = -1};
	return fopencookie(source, "r", functions);
}
