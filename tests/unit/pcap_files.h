/* SPDX-License-Identifier: MIT */
/*
 * Capture files for tests, written byte by byte and not by the code under test, and read back
 * by libpcap; and a directory to keep them in.
 */
#ifndef UDPXDP_TEST_PCAP_FILES_H
#define UDPXDP_TEST_PCAP_FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECOND 1000000000ull

struct packet {
	uint64_t time_ns;
	uint32_t len;
	uint8_t *data;
};

struct packets {
	size_t count;
	struct packet list[4096];
};

/* ---- a directory --------------------------------------------------------------------- */

static char directory[64];

static inline const char *in_directory(const char *name)
{
	static char paths[4][128];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", directory, name);
	return paths[next];
}

static inline int make_directory(void **state)
{
	strcpy(directory, "/tmp/udpxdp-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return 0;
}

static inline int entries(void)
{
	DIR *dir = opendir(directory);
	int count = 0;

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static inline int remove_directory(void **state)
{
	DIR *dir = opendir(directory);

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

/*
 * A device like /dev/null or /dev/full, but one that may be lost: code that is wrong, run by
 * root, would replace the machine's own. Needs root.
 */
static inline bool make_device(const char *name, unsigned minor_number)
{
	int fd;

	if (mknod(in_directory(name), S_IFCHR | 0666, makedev(1, minor_number)))
		return false;
	fd = open(in_directory(name), O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A file system of so many bytes in place of the directory. Needs root. */
static inline bool mount_small(const char *size)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%s", size);
	return !mount("tmpfs", directory, "tmpfs", 0, options);
}

static inline void unmount_small(void)
{
	assert_int_equal(umount2(directory, MNT_DETACH), 0);
}

/* ---- writing ------------------------------------------------------------------------- */

static inline void put32(FILE *file, uint32_t v, bool big)
{
	v = big ? __builtin_bswap32(v) : v;
	assert_int_equal(fwrite(&v, 4, 1, file), 1);
}

static inline void put16(FILE *file, uint16_t v, bool big)
{
	v = big ? __builtin_bswap16(v) : v;
	assert_int_equal(fwrite(&v, 2, 1, file), 1);
}

static inline void put_header(FILE *file, uint32_t magic, uint32_t link_type, bool swapped)
{
	put32(file, magic, swapped);
	put16(file, 2, swapped);
	put16(file, 4, swapped);
	put32(file, 0, swapped);
	put32(file, 0, swapped);
	put32(file, 262144, swapped);
	put32(file, link_type, swapped);
}

static inline void put_packet(FILE *file, uint32_t seconds, uint32_t fraction, const void *data,
	uint32_t captured, uint32_t length, bool swapped)
{
	put32(file, seconds, swapped);
	put32(file, fraction, swapped);
	put32(file, captured, swapped);
	put32(file, length, swapped);
	assert_int_equal(fwrite(data, 1, captured, file), captured);
}

/* A frame whose every byte depends on its number and place. */
static inline void fill_frame(uint8_t *data, uint32_t len, uint32_t number)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)((number * 2654435761u + i * 40503u) >> 8);
}

static inline FILE *create(const char *name)
{
	FILE *file = fopen(in_directory(name), "w");

	assert_non_null(file);
	return file;
}

/* count packets of len bytes, ns apart, in a nanosecond pcap. */
static inline void write_pcap(const char *name, uint32_t count, uint32_t len, uint32_t seconds)
{
	FILE *file = create(name);
	uint8_t *data = malloc(len + 1);

	put_header(file, 0xa1b23c4d, 1, false);
	for (uint32_t i = 0; i < count; i++) {
		fill_frame(data, len, i);
		put_packet(file, seconds, i, data, len, len, false);
	}
	free(data);
	assert_int_equal(fclose(file), 0);
}

/* ---- reading ------------------------------------------------------------------------- */

static inline struct packets *read_packets(const char *name)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *in = pcap_open_offline_with_tstamp_precision(
		in_directory(name), PCAP_TSTAMP_PRECISION_NANO, why);
	struct packets *packets = calloc(1, sizeof(*packets));
	struct pcap_pkthdr *header;
	const uint8_t *data;
	int status;

	if (!in)
		fail_msg("%s: %s", name, why);
	assert_int_equal(pcap_datalink(in), DLT_EN10MB);
	while ((status = pcap_next_ex(in, &header, &data)) == 1) {
		struct packet *p = &packets->list[packets->count++];

		assert_true(packets->count < 4096);
		assert_int_equal(header->caplen, header->len);
		p->time_ns = (uint32_t)header->ts.tv_sec * SECOND + (uint64_t)header->ts.tv_usec;
		p->len = header->caplen;
		p->data = malloc(p->len + 1);
		memcpy(p->data, data, p->len);
	}
	if (status != PCAP_ERROR_BREAK)
		fail_msg("%s: %s", name, pcap_geterr(in));
	pcap_close(in);
	return packets;
}

static inline void free_packets(struct packets *packets)
{
	for (size_t i = 0; i < packets->count; i++)
		free(packets->list[i].data);
	free(packets);
}

/* Is packet i the frame that fill_frame() makes of number? */
static inline void assert_frame(
	const struct packets *packets, size_t i, uint32_t len, uint32_t number)
{
	const struct packet *p = &packets->list[i];
	uint8_t *want = malloc(len + 1);

	assert_true(i < packets->count);
	fill_frame(want, len, number);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, want, len);
	free(want);
}

#endif
