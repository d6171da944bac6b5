/* SPDX-License-Identifier: MIT */
/*
 * A capture as libpcap can read it to its end. What libpcap would end at, although the records
 * behind it are sound, is changed or left out on the way: records of interfaces that are not
 * Ethernet, records longer than any frame or than the block they stand in, and interfaces of
 * different snapshot lengths. Where the file itself is damaged, or ends, libpcap gets to see that.
 */
#ifndef UDPXDP_IO_PCAP_SOURCE_H
#define UDPXDP_IO_PCAP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* libpcap reads no Ethernet frame that is longer (its MAXIMUM_SNAPLEN). */
#define PCAP_SOURCE_FRAME_MAX 262144u

struct pcap_source {
	FILE *in;
	enum { SOURCE_BEGINS, SOURCE_PCAP, SOURCE_PCAPNG, SOURCE_AS_IT_IS } format;
	bool swapped;
	uint8_t *unit; /* a header, record or block that is being handed out */
	size_t capacity, size, given;
	bool *foreign; /* of each interface of the section: no Ethernet */
	size_t interfaces, interfaces_capacity;

	uint64_t odd;       /* records left out because they are broken or too long */
	uint64_t elsewhere; /* because they are of an interface that is not Ethernet */
	int link_type;      /* of the first such interface; -1: there was none */
	bool has_ethernet;  /* there was an interface that is; a pcap file may be anything */
};

/* Reads in through source. The returned file's fclose() closes in, unless it is standard input;
 * source outlives it. Returns NULL with errno, and in is as it was. */
FILE *pcap_source_open(struct pcap_source *source, FILE *in);

#endif
