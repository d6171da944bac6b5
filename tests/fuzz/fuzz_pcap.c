/* SPDX-License-Identifier: MIT */
/*
 * A capture file, read frame by frame as replay does; every other frame is sent. What is written
 * is a capture of exactly those frames; after an error nothing is left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCAP_DONT_INCLUDE_PCAP_BPF_H
#include <pcap/pcap.h>

#include "fuzz/accounting_io.h"
#include "io/pcap.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/udpxdp-fuzz-XXXXXX";
static char in[64], out[64];
static int input;

static void judge_line(const char *text, size_t size)
{
	require(memchr(text, '\0', size) && *text && !strchr(text, '\n'), text, strlen(text));
}

/* Takes every frame; returns how many were sent. */
static unsigned run(struct frame_io *io)
{
	struct frame frames[FRAME_BATCH], made;
	unsigned sent = 0;
	int n, i;

	while ((n = io->ops->receive(io, frames, FRAME_BATCH)) >= 0) {
		for (i = 0; i < n; i++) {
			require(frames[i].is_rx, NULL, 0);
			memset(frames[i].data - FRAME_HEADROOM, 0, FRAME_HEADROOM);
			memset(frames[i].data, 0, frames[i].len);
			if (i % 2) {
				io->ops->release(io, &frames[i]);
				continue;
			}
			sent += io->ops->send(io, &frames[i]);
			if (!io->ops->allocate(io, &made))
				continue;
			made.len = 60;
			sent += io->ops->send(io, &made);
		}
		io->ops->flush(io);
	}
	return sent;
}

/* The number of frames in what was written; -1: nothing was. */
static int frames_written(void)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	pcap_t *pcap;
	int count = 0, status;

	if (access(out, F_OK))
		return -1;
	pcap = pcap_open_offline_with_tstamp_precision(out, PCAP_TSTAMP_PRECISION_NANO, error);
	require(pcap, error, strlen(error));
	while ((status = pcap_next_ex(pcap, &header, &bytes)) == 1)
		count++;
	require(status == PCAP_ERROR_BREAK, pcap_geterr(pcap), 0);
	pcap_close(pcap);
	unlink(out);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[256] = "";
	struct frame_io *io;
	unsigned sent;
	bool failed;

	if (ftruncate(input, 0) || pwrite(input, data, size, 0) != (ssize_t)size)
		return 0;
	io = pcap_io_open(in, out, error, sizeof(error));
	if (!io) {
		judge_line(error, sizeof(error));
		require(frames_written() == -1, NULL, 0);
		return 0;
	}
	sent = run(io);
	failed = errno != 0;
	if (failed)
		judge_line(pcap_io_error(io), 512);
	else
		require(!*pcap_io_error(io), pcap_io_error(io), strlen(pcap_io_error(io)));
	require(!io->ops->close(io), NULL, 0);
	require(frames_written() == (failed ? -1 : (int)sent), NULL, 0);
	return 0;
}

static void clean_up(void)
{
	rmdir(directory); /* fails, and shows, when anything was left in it */
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	input = memfd_create("capture", MFD_CLOEXEC);
	if (input < 0 || !mkdtemp(directory)) {
		perror("fuzz_pcap: cannot make files");
		exit(1);
	}
	atexit(clean_up);
	snprintf(in, sizeof(in), "/proc/self/fd/%d", input);
	snprintf(out, sizeof(out), "%s/out.pcap", directory);
	return 0;
}
