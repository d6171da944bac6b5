/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/pcap.h"
#include "unit/pcap_files.h"

#define BUFFER 262144     /* bytes of a frame that can be written to */
#define START 1795402800u /* 2026-11-23 03:00:00 UTC */

static struct frame_io *open_files(const char *in, const char *out)
{
	char error[512] = "";
	struct frame_io *io =
		pcap_io_open(in_directory(in), in_directory(out), error, sizeof(error));

	if (!io)
		fail_msg("%s", error);
	return io;
}

/* Sends back everything that is received; returns how many frames that were. */
static int reflect(struct frame_io *io)
{
	struct frame frames[FRAME_BATCH];
	int n, total = 0;

	while ((n = io->ops->receive(io, frames, FRAME_BATCH)) > 0) {
		for (int i = 0; i < n; i++)
			assert_true(io->ops->send(io, &frames[i]));
		io->ops->flush(io);
		total += n;
	}
	assert_int_equal(n, -1);
	return total;
}

/* ---- what goes through --------------------------------------------------------------- */

static const uint32_t lengths[] = {0, 1, 13, 14, 60, 61, 1514, 9014, 65535, 65557, 262144};

#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void frames_of_every_length_come_back_as_they_were(void **state)
{
	FILE *file = create("in.pcap");
	uint8_t *data = malloc(262144);
	struct frame_io *io;
	struct packets *out;

	put_header(file, 0xa1b23c4d, 1, false);
	for (uint32_t i = 0; i < 220; i++) {
		uint32_t len = lengths[i % LENGTHS];

		fill_frame(data, len, i);
		put_packet(file, START + i / 7, 999999999u - i, data, len, len, false);
	}
	fclose(file);
	free(data);

	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(reflect(io), 220);
	assert_int_equal(errno, 0);
	assert_string_equal(pcap_io_error(io), "");
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(entries(), 2);

	out = read_packets("out.pcap");
	assert_int_equal(out->count, 220);
	for (uint32_t i = 0; i < 220; i++) {
		assert_frame(out, i, lengths[i % LENGTHS], i);
		assert_true(out->list[i].time_ns == (START + i / 7) * SECOND + 999999999u - i);
	}
	free_packets(out);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
	char *files[2];
	long sizes[2];

	write_pcap("in.pcap", 500, 333, START);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "b.pcap" : "a.pcap";
		struct frame_io *io = open_files("in.pcap", name);
		FILE *file;

		reflect(io);
		assert_int_equal(io->ops->close(io), 0);
		file = fopen(in_directory(name), "r");
		assert_non_null(file);
		fseek(file, 0, SEEK_END);
		sizes[i] = ftell(file);
		rewind(file);
		files[i] = malloc((size_t)sizes[i]);
		assert_int_equal(fread(files[i], 1, (size_t)sizes[i], file), sizes[i]);
		fclose(file);
	}
	assert_int_equal(sizes[0], 24 + 500 * (16 + 333));
	assert_int_equal(sizes[0], sizes[1]);
	assert_memory_equal(files[0], files[1], (size_t)sizes[0]);
	free(files[0]);
	free(files[1]);
}

static uint64_t first_time(const char *name)
{
	struct frame_io *io = open_files(name, "out.pcap");
	uint64_t time_ns = 0;

	assert_true(pcap_io_peek(io, &time_ns));
	assert_int_equal(reflect(io), 1);
	assert_int_equal(io->ops->close(io), 0);
	return time_ns;
}

static void all_byte_orders_and_resolutions_are_read(void **state)
{
	static const struct {
		uint32_t magic;
		bool swapped;
		uint64_t fraction_ns;
	} formats[] = {
		{0xa1b2c3d4, false, 123456000},
		{0xa1b2c3d4, true, 123456000},
		{0xa1b23c4d, false, 123456},
		{0xa1b23c4d, true, 123456},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		FILE *file = create("in.pcap");

		put_header(file, formats[i].magic, 1, formats[i].swapped);
		put_packet(file, START, 123456, "frame", 5, 5, formats[i].swapped);
		fclose(file);
		assert_true(first_time("in.pcap") == START * SECOND + formats[i].fraction_ns);
	}
}

static void times_after_2038_are_kept(void **state)
{
	static const uint32_t seconds[] = {0, 0x7fffffff, 0x80000000, 0xffffffff};

	for (int i = 0; i < 4; i++) {
		struct packets *out;
		FILE *file = create("in.pcap");

		put_header(file, 0xa1b23c4d, 1, false);
		put_packet(file, seconds[i], 999999999, "frame", 5, 5, false);
		fclose(file);
		assert_true(first_time("in.pcap") == seconds[i] * SECOND + 999999999);
		out = read_packets("out.pcap");
		assert_true(out->list[0].time_ns == seconds[i] * SECOND + 999999999);
		free_packets(out);
	}
}

/* ---- pcapng -------------------------------------------------------------------------- */

static void put_section(FILE *file, bool swapped)
{
	put32(file, 0x0a0d0d0a, swapped);
	put32(file, 28, swapped);
	put32(file, 0x1a2b3c4d, swapped);
	put16(file, 1, swapped);
	put16(file, 0, swapped);
	put32(file, 0xffffffff, swapped);
	put32(file, 0xffffffff, swapped);
	put32(file, 28, swapped);
}

static void put_interface(FILE *file, uint16_t link_type, uint32_t snapshot, bool swapped)
{
	put32(file, 1, swapped);
	put32(file, 20, swapped);
	put16(file, link_type, swapped);
	put16(file, 0, swapped);
	put32(file, snapshot, swapped);
	put32(file, 20, swapped);
}

/* An Enhanced Packet Block with a frame of fill_frame(), of `there` bytes. */
static void put_enhanced(FILE *file, uint32_t interface, uint32_t number, uint32_t there,
	uint32_t captured, uint32_t len, bool swapped)
{
	const uint32_t padded = (there + 3) / 4 * 4;
	uint8_t *data = calloc(1, padded + 1);

	fill_frame(data, there, number);
	put32(file, 6, swapped);
	put32(file, 32 + padded, swapped);
	put32(file, interface, swapped);
	put32(file, 0, swapped);
	put32(file, number, swapped); /* microseconds */
	put32(file, captured, swapped);
	put32(file, len, swapped);
	assert_int_equal(fwrite(data, 1, padded, file), padded);
	put32(file, 32 + padded, swapped);
	free(data);
}

static void put_simple(FILE *file, uint32_t number, uint32_t there, uint32_t len)
{
	uint8_t data[64] = "";

	fill_frame(data, there, number);
	put32(file, 3, false);
	put32(file, 16 + there, false);
	put32(file, len, false);
	assert_int_equal(fwrite(data, 1, there, file), there);
	put32(file, 16 + there, false);
}

/* Of `frames` frames of 60 bytes the answers are those numbered 0 on; the others are counted. */
static void assert_kept(const char *in, int frames, uint64_t odd, uint64_t elsewhere)
{
	struct frame_io *io = open_files(in, "out.pcap");
	struct packets *out;

	assert_int_equal(reflect(io), frames);
	assert_string_equal(pcap_io_error(io), "");
	assert_int_equal(pcap_io_skipped(io).odd, odd);
	assert_int_equal(pcap_io_skipped(io).elsewhere, elsewhere);
	assert_int_equal(io->ops->close(io), 0);
	out = read_packets("out.pcap");
	assert_int_equal(out->count, frames);
	for (int i = 0; i < frames; i++)
		assert_frame(out, (size_t)i, 60, (uint32_t)i);
	free_packets(out);
	unlink(in_directory("out.pcap"));
}

static void other_interfaces_are_skipped(void **state)
{
	for (int i = 0; i < 8; i++) {
		const bool swapped = i & 1, foreign_first = i & 2, late = i & 4;
		const uint32_t ethernet = foreign_first, foreign = !foreign_first;
		FILE *file = create("in.pcapng");

		put_section(file, swapped);
		put_interface(file, foreign_first ? 276 : 1, 0, swapped);
		if (late) /* the second interface comes when there was a packet */
			put_enhanced(file, 0, 0, 60, 60, 60, swapped);
		put_interface(file, foreign_first ? 1 : 101, 0, swapped);
		put_enhanced(file, foreign, 9, 40, 40, 40, swapped);
		if (!late || foreign_first)
			put_enhanced(file, ethernet, 0, 60, 60, 60, swapped);
		put_enhanced(file, foreign, 9, 40, 40, 90, swapped);
		put_enhanced(file, ethernet, 1, 60, 60, 60, swapped);
		put_section(file, swapped); /* from here on they are others */
		put_interface(file, 1, 0, swapped);
		put_enhanced(file, 0, 2, 60, 60, 60, swapped);
		fclose(file);
		assert_kept("in.pcapng", 3, 0, late && foreign_first ? 3 : 2);
	}
}

static void interfaces_may_have_snapshot_lengths_of_their_own(void **state)
{
	FILE *file = create("in.pcapng");

	put_section(file, false);
	put_interface(file, 1, 65535, false);
	put_interface(file, 1, 64, false);
	put_enhanced(file, 0, 0, 60, 60, 60, false);
	put_enhanced(file, 1, 9, 64, 64, 1500, false); /* cut */
	put_enhanced(file, 1, 1, 60, 60, 60, false);
	put_simple(file, 2, 60, 60);
	put_simple(file, 9, 64, 1500);
	fclose(file);
	assert_kept("in.pcapng", 3, 2, 0);
}

static void broken_records_of_pcapng_are_skipped(void **state)
{
	FILE *file = create("in.pcapng");

	put_section(file, false);
	put_interface(file, 1, 0, false);
	put_enhanced(file, 0, 0, 60, 60, 60, false);
	put_enhanced(file, 7, 9, 60, 60, 60, false);             /* no such interface */
	put_enhanced(file, 0, 9, 60, 68, 68, false);             /* longer than its block */
	put_enhanced(file, 0, 9, 262148, 262148, 262148, false); /* than any frame */
	put_enhanced(file, 0, 9, 60, 60, 14, false);             /* than its frame */
	put32(file, 6, false);                                   /* no room for what it is */
	put32(file, 16, false);
	put32(file, 0, false);
	put32(file, 16, false);
	put_enhanced(file, 0, 1, 60, 60, 60, false);
	fclose(file);
	assert_kept("in.pcapng", 2, 5, 0);
}

static void a_record_too_long_is_skipped(void **state)
{
	for (int swapped = 0; swapped < 2; swapped++) {
		FILE *file = create("in.pcap");
		uint8_t *data = calloc(1, 300000);

		put_header(file, 0xa1b23c4d, 1, swapped);
		for (uint32_t i = 0; i < 3; i++) {
			put_packet(file, START, i, data, 262145 + i * 10000, 300000, swapped);
			fill_frame(data, 60, i);
			put_packet(file, START, i, data, 60, 60, swapped);
		}
		fclose(file);
		free(data);
		assert_kept("in.pcap", 3, 3, 0);
	}
}

/* An Enhanced Packet Block's time in units of 10^-resolution seconds. */
static void write_pcapng(const char *name, uint8_t resolution, uint64_t units, uint16_t link_type)
{
	FILE *file = create(name);

	put_section(file, false);
	put32(file, 1, false); /* interface description */
	put32(file, 32, false);
	put16(file, link_type, false);
	put16(file, 0, false);
	put32(file, 0, false);
	put16(file, 9, false); /* if_tsresol */
	put16(file, 1, false);
	put32(file, resolution, false);
	put32(file, 0, false);
	put32(file, 32, false);

	put32(file, 6, false); /* enhanced packet */
	put32(file, 40, false);
	put32(file, 0, false);
	put32(file, (uint32_t)(units >> 32), false);
	put32(file, (uint32_t)units, false);
	put32(file, 5, false);
	put32(file, 5, false);
	fwrite("frame\0\0\0", 1, 8, file);
	put32(file, 40, false);
	fclose(file);
}

static void pcapng_is_read(void **state)
{
	write_pcapng("in.pcapng", 9, START * SECOND + 987654321, 1);
	assert_true(first_time("in.pcapng") == START * SECOND + 987654321);
	write_pcapng("in.pcapng", 6, START * 1000000ull + 987654, 1);
	assert_true(first_time("in.pcapng") == START * SECOND + 987654000);
}

/* ---- batches ------------------------------------------------------------------------- */

static void batches_end_with_the_second(void **state)
{
	static const uint32_t seconds[] = {5, 5, 5, 6, 9, 9, 8};
	static const int batches[] = {3, 1, 2, 1};
	struct frame frames[FRAME_BATCH];
	FILE *file = create("in.pcap");
	struct frame_io *io;
	uint64_t time_ns;
	int at = 0;

	put_header(file, 0xa1b23c4d, 1, false);
	for (uint32_t i = 0; i < 7; i++)
		put_packet(file, seconds[i], i, "frame", 5, 5, false);
	fclose(file);

	io = open_files("in.pcap", "out.pcap");
	for (int b = 0; b < 4; b++) {
		int n;

		assert_true(pcap_io_peek(io, &time_ns));
		assert_true(pcap_io_peek(io, &time_ns));
		assert_true(time_ns == seconds[at] * SECOND + (uint64_t)at);
		n = io->ops->receive(io, frames, FRAME_BATCH);
		assert_int_equal(n, batches[b]);
		for (int i = 0; i < n; i++, at++) {
			assert_true(frames[i].time_ns == seconds[at] * SECOND + (uint64_t)at);
			io->ops->release(io, &frames[i]);
		}
	}
	assert_false(pcap_io_peek(io, &time_ns));
	assert_int_equal(io->ops->receive(io, frames, FRAME_BATCH), -1);
	assert_int_equal(io->ops->close(io), 0);
}

/* The answer to it, what came by a wire, what came by lo to another program, and half of one. */
static void what_came_by_a_socket_came_by_one(void **state)
{
	static const uint8_t macs[][12] = {{[6] = 2, [11] = 7}, {2, [5] = 7},
		{2, [5] = 1, 2, [11] = 7}, {}, {[6] = 2, [11] = 7}};
	const uint32_t sizes[] = {60, 60, 60, 60, 11};
	FILE *file = create("in.pcap");
	struct frame frames[FRAME_BATCH];
	uint8_t data[60] = {};
	struct frame_io *io;

	put_header(file, 0xa1b23c4d, 1, false);
	for (uint32_t i = 0; i < 5; i++) {
		memcpy(data, macs[i], sizeof(macs[i]));
		put_packet(file, START, i, data, sizes[i], sizes[i], false);
	}
	fclose(file);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(io->ops->receive(io, frames, FRAME_BATCH), 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(frames[i].from_kernel, i == 0);
		io->ops->release(io, &frames[i]);
	}
	assert_int_equal(io->ops->close(io), 0);
}

/* ---- buffers ------------------------------------------------------------------------- */

static void received_frames_may_be_sent_changed(void **state)
{
	struct frame frames[FRAME_BATCH];
	struct frame_io *io;
	struct packets *out;

	write_pcap("in.pcap", 200, 100, START);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(io->ops->receive(io, frames, FRAME_BATCH), FRAME_BATCH);
	for (int i = 0; i < FRAME_BATCH; i++) {
		assert_true(frames[i].is_rx);
		assert_int_equal((uintptr_t)frames[i].data % 2, 0);
	}
	/* All of the headroom and all of the buffer of each, and none of its neighbours. */
	for (int i = 0; i < FRAME_BATCH; i++) {
		memset(frames[i].data - FRAME_HEADROOM, i, FRAME_HEADROOM);
		memset(frames[i].data + 100, 255 - i, BUFFER - 100);
	}
	for (int i = 0; i < FRAME_BATCH; i++) {
		frames[i].data -= 31;
		frames[i].len += 31 + 1;
		assert_true(io->ops->send(io, &frames[i]));
	}
	assert_int_equal(reflect(io), 200 - FRAME_BATCH);
	assert_int_equal(io->ops->close(io), 0);

	out = read_packets("out.pcap");
	for (int i = 0; i < FRAME_BATCH; i++) {
		uint8_t want[100];

		fill_frame(want, 100, (uint32_t)i);
		assert_int_equal(out->list[i].len, 132);
		for (int j = 0; j < 31; j++)
			assert_int_equal(out->list[i].data[j], i);
		assert_memory_equal(out->list[i].data + 31, want, 100);
		assert_int_equal(out->list[i].data[131], 255 - i);
	}
	free_packets(out);
}

static void frames_of_its_own_are_bounded(void **state)
{
	struct frame frames[FRAME_BATCH], built[1025], untouched;
	struct frame_io *io;
	struct packets *out;
	int n, count = 0;

	write_pcap("in.pcap", FRAME_BATCH, 100, START);
	io = open_files("in.pcap", "out.pcap");
	n = io->ops->receive(io, frames, FRAME_BATCH);
	assert_int_equal(n, FRAME_BATCH);
	while (count < 1024 && io->ops->allocate(io, &built[count])) {
		assert_int_equal(built[count].len, 0);
		assert_false(built[count].is_rx);
		memset(built[count].data, 0, BUFFER);
		count++;
	}
	assert_in_range(count, 1, 1023);
	memset(&built[count], 0x5a, sizeof(built[0]));
	memset(&untouched, 0x5a, sizeof(untouched));
	assert_false(io->ops->allocate(io, &built[count]));
	assert_memory_equal(&built[count], &untouched, sizeof(untouched));

	for (int i = 0; i < count; i++) {
		built[i].len = 60 + (uint32_t)i;
		built[i].time_ns = 7 * SECOND + (uint64_t)i;
		fill_frame(built[i].data, built[i].len, 5000 + (uint32_t)i);
	}
	for (int i = 0; i < count; i++)
		assert_true(io->ops->send(io, &built[i]));
	for (int i = 0; i < n; i++)
		io->ops->release(io, &frames[i]);

	/* Every buffer is free again, however it came back. */
	for (int i = 0; i < n + count; i++)
		assert_true(io->ops->allocate(io, &built[i]));
	assert_false(io->ops->allocate(io, &built[n + count]));
	assert_int_equal(io->ops->close(io), 0);

	out = read_packets("out.pcap");
	assert_int_equal(out->count, count);
	for (int i = 0; i < count; i++) {
		assert_frame(out, (size_t)i, 60 + (uint32_t)i, 5000 + (uint32_t)i);
		assert_true(out->list[i].time_ns == 7 * SECOND + (uint64_t)i);
	}
	free_packets(out);
}

/* ---- input that is refused ----------------------------------------------------------- */

/* The input is refused while it is read; what was there before stays as it was. */
static void assert_refused(const char *in, int frames, const char *why)
{
	struct frame received[FRAME_BATCH];
	struct frame_io *io;
	struct packets *old;
	int before;

	write_pcap("out.pcap", 3, 77, START);
	before = entries();
	io = open_files(in, "out.pcap");
	assert_int_equal(reflect(io), frames);
	errno = 0;
	assert_int_equal(io->ops->receive(io, received, FRAME_BATCH), -1);
	assert_int_not_equal(errno, 0);
	if (!strstr(pcap_io_error(io), why))
		fail_msg("\"%s\" does not say \"%s\"", pcap_io_error(io), why);
	assert_null(strchr(pcap_io_error(io), '\n'));
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(entries(), before);
	old = read_packets("out.pcap");
	assert_int_equal(old->count, 3);
	assert_frame(old, 2, 77, 2);
	free_packets(old);
	unlink(in_directory("out.pcap"));
}

static void cut(const char *name, long size)
{
	assert_int_equal(truncate(in_directory(name), size), 0);
}

static void a_truncated_capture_is_refused_where_it_ends(void **state)
{
	write_pcap("in.pcap", 100, 50, START);
	cut("in.pcap", 24 + 100 * 66 - 1);
	assert_refused("in.pcap", 99, "packet 100 of");
	cut("in.pcap", 24 + 99 * 66 + 16);
	assert_refused("in.pcap", 99, "truncated");
	cut("in.pcap", 24 + 99 * 66 + 15);
	assert_refused("in.pcap", 99, "truncated");
	cut("in.pcap", 24 + 99 * 66 + 1);
	assert_refused("in.pcap", 99, "truncated");
	cut("in.pcap", 24 + 10);
	assert_refused("in.pcap", 0, "packet 1 of");
}

/* A record that is not one whole frame is passed over, and the others are as they were. */
static void parts_of_frames_are_skipped(void **state)
{
	static const uint32_t sizes[][2] = {{60, 1514}, {0, 60}, {60, 14}};
	FILE *file = create("in.pcap");
	uint8_t data[60] = "";
	struct frame_io *io;
	struct packets *out;

	put_header(file, 0xa1b23c4d, 1, false);
	for (int i = 0; i < 3; i++) {
		put_packet(file, START, 2 * i, data, 60, 60, false);
		put_packet(file, START, 2 * i + 1, data, sizes[i][0], sizes[i][1], false);
	}
	fclose(file);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(reflect(io), 3);
	assert_int_equal(pcap_io_skipped(io).odd, 3);
	assert_string_equal(pcap_io_error(io), "");
	assert_int_equal(io->ops->close(io), 0);
	out = read_packets("out.pcap");
	assert_int_equal(out->count, 3);
	free_packets(out);
	unlink(in_directory("out.pcap"));
}

static void a_damaged_capture_is_refused(void **state)
{
	FILE *file = create("in.pcap");
	uint8_t data[60] = "";

	put_header(file, 0xa1b23c4d, 1, false);
	put_packet(file, START, 0, data, 60, 60, false);
	put32(file, START, false);
	put32(file, 0, false);
	put32(file, 0xfffffff0, false);
	put32(file, 0xfffffff0, false);
	fclose(file);
	assert_refused("in.pcap", 1, "packet 2 of");
}

/* The files are refused at once, with one line and nothing written. */
static void assert_not_opened(const char *in, const char *out, const char *why)
{
	char error[512] = "";
	int before = entries();

	assert_null(pcap_io_open(in, out, error, sizeof(error)));
	if (!strstr(error, why))
		fail_msg("\"%s\" does not say \"%s\"", error, why);
	assert_null(strchr(error, '\n'));
	assert_int_equal(entries(), before);
}

static void what_cannot_be_opened_is_refused(void **state)
{
	FILE *file = create("text");

	fputs("This is no capture, but it is longer than a file header.", file);
	fclose(file);
	fclose(create("empty"));
	assert_not_opened(in_directory("none"), in_directory("out"), "No such file");
	assert_not_opened(in_directory("text"), in_directory("out"), "unknown file format");
	assert_not_opened(in_directory("empty"), in_directory("out"), "truncated");
	assert_not_opened(directory, in_directory("out"), "Is a directory");
	write_pcap("in.pcap", 1, 60, START);
	assert_not_opened(in_directory("in.pcap"), in_directory("none/out"), "No such file");
	assert_not_opened(in_directory("in.pcap"), directory, "Is a directory");
	cut("in.pcap", 23);
	assert_not_opened(in_directory("in.pcap"), in_directory("out"), "truncated");
}

static void other_links_than_ethernet_are_refused(void **state)
{
	static const struct {
		uint32_t type;
		const char *why;
	} types[] = {{113, "LINUX_SLL (113)"}, {276, "LINUX_SLL2 (276)"}, {101, "RAW"},
		{105, "IEEE802_11"}, {65000, "unknown (65000)"}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		FILE *file = create("in.pcap");

		put_header(file, 0xa1b2c3d4, types[i].type, false);
		put_packet(file, START, 0, "packet", 6, 6, false);
		fclose(file);
		assert_not_opened(in_directory("in.pcap"), in_directory("out"), types[i].why);
	}
	write_pcapng("in.pcap", 9, START, 113);
	assert_not_opened(in_directory("in.pcap"), in_directory("out"), "LINUX_SLL (113), not Eth");
	write_pcapng("in.pcap", 9, START, 101);
	assert_not_opened(in_directory("in.pcap"), in_directory("out"), "RAW (12), not Ethernet");
}

/* ---- where the output goes ----------------------------------------------------------- */

static void a_discarded_output_leaves_nothing(void **state)
{
	struct frame_io *io;

	write_pcap("in.pcap", 10, 60, START);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(reflect(io), 10);
	pcap_io_discard(io);
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(entries(), 1);
}

static void nothing_is_under_the_name_before_the_end(void **state)
{
	struct frame_io *io;

	write_pcap("in.pcap", 10, 60, START);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(reflect(io), 10);
	assert_int_equal(access(in_directory("out.pcap"), F_OK), -1);
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(access(in_directory("out.pcap"), F_OK), 0);
	assert_int_equal(entries(), 2);
}

static void the_output_has_the_mode_of_the_mask(void **state)
{
	mode_t mask = umask(027);
	struct frame_io *io;
	struct stat st;

	write_pcap("in.pcap", 1, 60, START);
	io = open_files("in.pcap", "out.pcap");
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(umask(mask), 027);
	assert_int_equal(stat(in_directory("out.pcap"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void a_symbolic_link_is_followed(void **state)
{
	struct packets *out;
	struct frame_io *io;
	struct stat st;

	write_pcap("in.pcap", 10, 60, START);
	write_pcap("real.pcap", 1, 60, START);
	assert_int_equal(symlink("real.pcap", in_directory("link.pcap")), 0);
	io = open_files("in.pcap", "link.pcap");
	assert_int_equal(reflect(io), 10);
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(lstat(in_directory("link.pcap"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	out = read_packets("real.pcap");
	assert_int_equal(out->count, 10);
	free_packets(out);
}

static void a_capture_may_be_replaced_by_its_answers(void **state)
{
	struct packets *out;
	struct frame_io *io;

	write_pcap("in.pcap", 300, 60, START);
	io = open_files("in.pcap", "in.pcap");
	assert_int_equal(reflect(io), 300);
	assert_int_equal(io->ops->close(io), 0);
	out = read_packets("in.pcap");
	assert_int_equal(out->count, 300);
	assert_frame(out, 299, 60, 299);
	free_packets(out);
}

static void a_device_stays_a_device(void **state)
{
	struct frame_io *io;
	struct stat st;

	if (!make_device("null", 3)) {
		print_message("no device can be made here\n");
		skip();
	}
	write_pcap("in.pcap", 10, 60, START);
	io = open_files("in.pcap", "null");
	assert_int_equal(reflect(io), 10);
	assert_int_equal(io->ops->close(io), 0);
	assert_int_equal(stat(in_directory("null"), &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(entries(), 2);
}

static void a_full_device_is_an_error(void **state)
{
	struct frame_io *io;

	if (!make_device("full", 7)) {
		print_message("no device can be made here\n");
		skip();
	}
	/* A little, which is only written at the end. */
	write_pcap("in.pcap", 10, 60, START);
	io = open_files("in.pcap", "full");
	assert_int_equal(reflect(io), 10);
	assert_int_equal(io->ops->close(io), -1);
	assert_int_equal(errno, ENOSPC);

	/* So much that it shows on the way, and the reading stops. */
	write_pcap("in.pcap", 4000, 1000, START);
	io = open_files("in.pcap", "full");
	assert_true(reflect(io) < 200);
	assert_non_null(strstr(pcap_io_error(io), "No space left"));
	assert_int_equal(io->ops->close(io), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(entries(), 2);
}

static void a_full_disk_is_an_error(void **state)
{
	char in[64] = "/tmp/udpxdp-test-in-XXXXXX", error[512] = "";
	struct frame_io *io;
	int fd;

	write_pcap("in.pcap", 4000, 1000, START);
	fd = mkstemp(in);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename(in_directory("in.pcap"), in), 0);
	if (!mount_small("64k")) {
		unlink(in);
		print_message("no mount namespace here\n");
		skip();
	}
	io = pcap_io_open(in, in_directory("out.pcap"), error, sizeof(error));
	assert_non_null(io);
	assert_true(reflect(io) < 400);
	assert_int_equal(io->ops->close(io), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(entries(), 0);
	unmount_small();
	unlink(in);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(frames_of_every_length_come_back_as_they_were),
		TEST(the_same_input_gives_the_same_bytes),
		TEST(all_byte_orders_and_resolutions_are_read),
		TEST(times_after_2038_are_kept),
		TEST(pcapng_is_read),
		TEST(other_interfaces_are_skipped),
		TEST(interfaces_may_have_snapshot_lengths_of_their_own),
		TEST(broken_records_of_pcapng_are_skipped),
		TEST(a_record_too_long_is_skipped),
		TEST(batches_end_with_the_second),
		TEST(what_came_by_a_socket_came_by_one),
		TEST(received_frames_may_be_sent_changed),
		TEST(frames_of_its_own_are_bounded),
		TEST(a_truncated_capture_is_refused_where_it_ends),
		TEST(parts_of_frames_are_skipped),
		TEST(a_damaged_capture_is_refused),
		TEST(what_cannot_be_opened_is_refused),
		TEST(other_links_than_ethernet_are_refused),
		TEST(a_discarded_output_leaves_nothing),
		TEST(nothing_is_under_the_name_before_the_end),
		TEST(the_output_has_the_mode_of_the_mask),
		TEST(a_symbolic_link_is_followed),
		TEST(a_capture_may_be_replaced_by_its_answers),
		TEST(a_device_stays_a_device),
		TEST(a_full_device_is_an_error),
		TEST(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests_name("pcap", tests, NULL, NULL);
}
