/* SPDX-License-Identifier: MIT */
/*
 * The kernel's frame generator, as BPF_PROG_TEST_RUN with live frames drives it: each frame is
 * written anew, since an answer may have been made in it, gets one of 1,024 source ports, and is
 * sent.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEADERS 42
#define FIRST_PORT 20000

struct {
	__u64 headers[(HEADERS + 7) / 8]; /* Ethernet, IPv4, UDP; the checksum of the first port */
	__u64 count;
} question;

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u8 *p = (void *)(long)ctx->data;
	const __u64 port = question.count++ & 1023;
	__u32 sum;

	if (p + HEADERS > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < HEADERS / 8; i++)
		*(__u64 *)(p + 8 * i) = question.headers[i];
	sum = bpf_ntohs((__u16)question.headers[HEADERS / 8]) ^ 0xffff;
	sum += port;
	sum = (sum & 0xffff) + (sum >> 16);
	*(__u16 *)(p + 34) = bpf_htons(FIRST_PORT + port);
	*(__u16 *)(p + 40) = bpf_htons(sum ^ 0xffff);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
