/* SPDX-License-Identifier: MIT */
/*
 * The filter that answers, with the frame made anew behind each answer, so that BPF_PROG_TEST_RUN
 * can repeat it; and what that alone costs. The frame is an IPv4 one without tags, answered with a
 * stamp; its sender has left the checksum to an offload.
 */
#include "../../bpf/udpxdp.bpf.c"

#define HEADERS (ETH_HEADER_LEN + IPV4_HEADER_LEN + UDP_HEADER_LEN)

__u64 headers[(HEADERS + 7) / 8]; /* of the question */
__u32 number;                     /* at the begin of its payload, as a meter has it */

static __always_inline void restore(struct xdp_md *ctx)
{
	__u8 *p;

	bpf_xdp_adjust_head(ctx, STAMP_LEN);
	p = (void *)(long)ctx->data;
	if (p + HEADERS + 4 > (__u8 *)(long)ctx->data_end)
		return;
#pragma unroll
	for (int i = 0; i < HEADERS / 8; i++)
		STORE64(p, 8 * i, headers[i]);
	STORE16(p, HEADERS / 8 * 8, headers[HEADERS / 8]);
	STORE32(p, HEADERS, number++);
}

SEC("xdp")
int answer_again(struct xdp_md *ctx)
{
	const int action = filter(ctx, FRAME_LEN(ctx), ANSWERS_PERFMON);

	if (action == XDP_TX)
		restore(ctx);
	return action;
}

SEC("xdp")
int restore_alone(struct xdp_md *ctx)
{
	bpf_xdp_adjust_head(ctx, -STAMP_LEN);
	restore(ctx);
	return XDP_TX;
}
