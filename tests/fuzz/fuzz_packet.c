/* SPDX-License-Identifier: MIT */
/*
 * One frame, judged three times: by the filter in the kernel, by the same grammar in user space
 * and by the reference. The first byte chooses the queue: an even one has a socket. Needs root.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"
#include "fuzz/accounting_io.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct udpxdp_bpf *filter;
static struct socket_on *sock;
static uint32_t ifindex;
static uint64_t count[FRAME_VERDICT_COUNT];

static void compare_fields(
	const uint8_t *frame, uint32_t len, const struct frame_info *a, const struct frame_info *b)
{
	require(a->l3 == b->l3 && a->l4 == b->l4, frame, len);
	require(a->payload == b->payload && a->payload_len == b->payload_len, frame, len);
	require(a->source_port == b->source_port && a->dest_port == b->dest_port, frame, len);
	require(a->version == b->version && a->tags == b->tags, frame, len);
	require(!memcmp(&a->source, &b->source, 16) && !memcmp(&a->dest, &b->dest, 16), frame, len);
	require((uint32_t)a->payload + a->payload_len <= len, frame, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arrival arrival = {.ifindex = ifindex};
	struct frame_info info = {}, reference;
	enum frame_verdict grammar, verdict;
	uint8_t *frame;
	uint32_t len;

	if (!size)
		return 0;
	arrival.queue = data[0] & probe_takes_arrival();
	len = size - 1 < FRAME_MAX ? size - 1 : FRAME_MAX;
	frame = exact_copy(data + 1, len);
	grammar = frame_classify(frame, frame + len, len, &info);
	require(grammar == reference_classify(frame, len, &reference), frame, len);
	if (grammar == FRAME_UDP)
		compare_fields(frame, len, &info, &reference);
	if (len >= ETH_HEADER_LEN) { /* the kernel tries none that is shorter */
		verdict = world_verdict(frame, len, !arrival.queue, &info);
		count[verdict]++;
		require(probe_run(filter, &arrival, frame, len) == verdict_action(verdict), frame,
			len);
		require(probe_verdict(filter, verdict).frames == count[verdict], frame, len);
	}
	free(frame);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	ifindex = private_net();
	filter = ifindex ? probe_load(&world_config) : NULL;
	sock = filter ? socket_on_queue(filter, 0) : NULL;
	if (!sock) {
		perror("fuzz_packet: cannot load the filter or bind a socket");
		exit(1);
	}
	world_apply(filter);
	return 0;
}
