/* SPDX-License-Identifier: MIT */
/*
 * The cheap end of an open loop: counts the answers where they arrive and drops them, so that
 * taking them costs next to nothing. Once for tc (skbs, as a socket server's answers are) and
 * once for XDP.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "sink.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sink_counts);
} sink_counts SEC(".maps");

/* Counts an IPv4 UDP frame, or a train of so many datagrams. Returns whether it was one. */
static __always_inline int count(void *data, void *end, __u32 datagrams)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 key = 0;
	struct sink_counts *counts;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
		ip->protocol != IPPROTO_UDP)
		return 0;
	counts = bpf_map_lookup_elem(&sink_counts, &key);
	if (!counts)
		return 0;
	__sync_fetch_and_add(&counts->packets, datagrams);
	__sync_fetch_and_add(&counts->bytes, sizeof(*eth) + bpf_ntohs(ip->tot_len));
	return 1;
}

SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	return count((void *)(long)ctx->data, (void *)(long)ctx->data_end, 1) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int sink_tc(struct __sk_buff *skb)
{
	const __u32 datagrams = skb->gso_segs ? skb->gso_segs : 1;

	return count((void *)(long)skb->data, (void *)(long)skb->data_end, datagrams) ? TC_ACT_SHOT
										      : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
