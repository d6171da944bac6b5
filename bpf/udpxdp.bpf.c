/* SPDX-License-Identifier: MIT */
/*
 * The filter: grammar -> is it ours? -> is the port served? -> count -> answer or redirect.
 * Whatever is not a datagram to this host on a served port is passed to the kernel as if nothing
 * were here.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "answer.h"
#include "checksum.h"
#include "guard.h"
#include "ours.h"
#include "stamp.h"
#include "verifier.h"

char _license[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u16);
	__type(value, struct port_counters);
} port_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FRAME_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct verdict_row);
} verdicts SEC(".maps");

/* Written and read by user space alone, which maps it into memory; it stands here to be typed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct service_counters);
} service_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* Is a datagram for us, and let in? *port: where it is counted, and already was. */
static __always_inline enum frame_verdict admit(
	const struct frame_info *info, struct keys *keys, __u32 len, struct port_counters **port)
{
	keys->port = info->dest_port;
	if (!is_ours(info, keys))
		return FRAME_NOT_OURS;
	*port = bpf_map_lookup_elem(&port_counters, &keys->port);
	if (!*port)
		return FRAME_NOT_SERVED;
	(*port)->rx_packets++;
	(*port)->rx_bytes += len;
	if (is_denied(info, &keys->source))
		return FRAME_DENIED;
	if (is_over_limit(info, keys->net))
		return FRAME_RATE_LIMITED;
	return FRAME_UDP;
}

static __always_inline enum frame_verdict redirect(
	struct xdp_md *ctx, struct port_counters *port, __u32 len)
{
	if (filter_config.frame_max && len > filter_config.frame_max) {
		COUNT(port->passed);
		return FRAME_TOO_LARGE;
	}
	if (bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS) == XDP_REDIRECT) {
		COUNT(port->redirected);
		return FRAME_REDIRECTED;
	}
	COUNT(port->passed);
	return FRAME_NO_SOCKET;
}

static __always_inline __u8 port_flags(__u32 port)
{
	/* Not all verifiers know what is left of a number whose bytes were swapped; clang does. */
	LOADED(port);
	return filter_answers.ports[port & 0xffff];
}

#define LOWEST_CLIENT_PORT 1024 /* as in loops.h */
#define IPV6_MTU_MIN 1280       /* RFC 8200, 5 */

/* What an answer depends on. The verifier knows the same of it whatever the frame was like. */
struct question {
	__u64 source[2];
	__u64 shape;   /* see checksum.h */
	__u64 padding; /* bytes behind the datagram */
	__u64 slot;    /* of the stamp, or NO_STAMP */
	__u64 begins;  /* does the payload, as a stamp does? */
	__u16 source_port, dest_port;
	__u8 flags;        /* of the destination port */
	bool group_source; /* is the source's MAC address one? */
};

static __always_inline __u32 payload_len(const struct question *q)
{
	return q->shape & 0xffff;
}

static __always_inline __u32 stamp_len(const struct question *q)
{
	return q->slot < NO_STAMP ? STAMP_LEN : 0;
}

/* Multicast, unspecified or loopback: as is_special() of the engine. */
static __always_inline bool is_special(const struct question *q)
{
	if (!(q->shape & SHAPE_IPV6)) {
		const __u32 first = PACKET_BE32((__u32)(q->source[1] >> 32)) >> 24;

		return !first || first == 127 || (first & 0xf0) == 0xe0;
	}
	return (q->source[0] & PACKET_HALF(PACKET_BE16(0xff00), 0, 0, 0)) ==
		       PACKET_HALF(PACKET_BE16(0xff00), 0, 0, 0) ||
	       (!q->source[0] && !(q->source[1] & ~PACKET_HALF(0, 0, 0, PACKET_BE16(1))));
}

/* Does the answer not fit? Over IPv6 user space knows better what lies between the MTU that every
 * link has and that of this one. */
static __always_inline bool is_too_big(const struct question *q)
{
	const __u32 len = payload_len(q) + stamp_len(q) + UDP_HEADER_LEN;
	__u32 most = filter_answers.mtu;

	LOADED(most);
	if (!(q->shape & SHAPE_IPV6))
		return IPV4_HEADER_LEN + len > most;
	if (q->flags & PORT_SOCKET && most > IPV6_MTU_MIN)
		most = IPV6_MTU_MIN;
	return IPV6_HEADER_LEN + len > most;
}

/* Is it perhaps an answer itself? */
static __always_inline bool is_loop(struct xdp_md *ctx, const struct question *q)
{
	return q->source_port < LOWEST_CLIENT_PORT || port_flags(q->source_port) & PORT_SERVED ||
	       (q->begins && answer_is_stamped(ctx, q->shape));
}

/* Why a datagram whose checksums are right, with this sum of its payload, is refused all the same;
 * UDPXDP_DROP_NONE: it is not. */
static __always_inline enum udpxdp_drop refuse(
	struct xdp_md *ctx, const struct question *q, struct keys *keys, __u32 sum, bool perfmon)
{
	const __u64 seed[2] = {filter_config.seed[0], filter_config.seed[1]};

	if (!q->source_port)
		return UDPXDP_DROP_source_port_zero;
	packet_addr_set(&keys->dest, q->source[0], q->source[1]);
	if (is_special(q) || q->group_source || local_flags(&keys->dest, UDPXDP_VLAN_ALL))
		return UDPXDP_DROP_source_address;
	if (!(q->flags & PORT_LOOPS)) {
		const __u64 who = packet_repeats_who(&keys->dest, q->dest_port, seed);
		const __u32 what = sum | payload_len(q) << 16;

		if (is_loop(ctx, q))
			return UDPXDP_DROP_loop;
		if (perfmon ? is_repeated(who, what) : answer_is_repeated(who, what))
			return UDPXDP_DROP_repeated;
	}
	return is_too_big(q) ? UDPXDP_DROP_reply_too_big : UDPXDP_DROP_NONE;
}

static __always_inline enum frame_verdict count_refusal(
	struct port_counters *port, enum udpxdp_drop reason)
{
	switch (reason) {
#define X(name)                    \
	case UDPXDP_DROP_##name:   \
		COUNT(port->name); \
		break;
		FILTER_REFUSALS(X)
#undef X
	default:
		break;
	}
	return FRAME_REFUSED;
}

/* Can it be answered here? Then *q says all that the answer depends on. */
static __always_inline bool may_answer(struct xdp_md *ctx, const struct frame_info *info,
	struct keys *keys, __u32 len, struct question *q)
{
	const __u8 *p = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;

	q->flags = port_flags(info->dest_port);
	if (!(q->flags & PORT_ANSWERED) || info->payload_len > PAYLOAD_MAX ||
		info->l4 - info->l3 != (info->version == 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN))
		return false;
	keys->queue = ctx->rx_queue_index;
	if (!bpf_map_lookup_elem(&sockets, &keys->queue))
		return false;
	q->slot = NO_STAMP;
	if (q->flags & PORT_STAMP) {
		q->slot = choose_stamp();
		if (q->slot == NO_STAMP)
			return false;
	}
	__builtin_memcpy(q->source, &info->source, sizeof(q->source));
	q->source_port = info->source_port;
	q->dest_port = info->dest_port;
	q->padding = len - info->payload - info->payload_len;
	q->shape = shape_of(info);
	if (q->flags & PORT_DSCP)
		q->shape |= SHAPE_DSCP;
	if (p + ETH_HEADER_LEN > end)
		return false;
	q->group_source = p[6] & 1;
	FORGET(q->shape, len);
	TO_PAYLOAD(p, q->shape);
	q->begins = p + 3 <= end && is_open(p);

	FORGET(q->source[0], len);
	FORGET(q->source[1], len);
	FORGET(q->padding, len);
	FORGET(q->slot, len);
	FORGET(q->begins, len);
	return true;
}

/* FRAME_ANSWERED, FRAME_REFUSED, or FRAME_UDP: it is for the engine to decide. */
static __always_inline enum frame_verdict answer(struct xdp_md *ctx, const struct frame_info *info,
	struct keys *keys, struct port_counters *port, __u32 len, bool perfmon)
{
	struct question q;
	enum udpxdp_drop drop;
	int sum, written;

	if (!may_answer(ctx, info, keys, len, &q))
		return FRAME_UDP;
	sum = perfmon ? check_sums(ctx, q.shape, true) : answer_check(ctx, q.shape);
	if (sum == ANSWER_CANNOT)
		return FRAME_UDP;
	drop = sum < 0 ? (enum udpxdp_drop)(-1 - sum) : refuse(ctx, &q, keys, sum, perfmon);
	if (drop == UDPXDP_DROP_reply_too_big && q.flags & PORT_SOCKET)
		return FRAME_UDP;
	if (drop != UDPXDP_DROP_NONE) {
		port->payload_bytes += payload_len(&q);
		return count_refusal(port, drop);
	}
	written = perfmon ? write_answer(ctx, q.shape, sum, q.slot, q.padding)
			  : answer_write(ctx, q.shape, sum, q.slot, q.padding);
	if (written == ANSWER_CANNOT)
		return FRAME_UDP;
	port->payload_bytes += payload_len(&q);
	port->answered++;
	port->answered_bytes += payload_len(&q) + stamp_len(&q);
	return FRAME_ANSWERED;
}

enum answers { ANSWERS_NONE, ANSWERS_PERFMON, ANSWERS_PLAIN };

static __always_inline int filter(struct xdp_md *ctx, __u32 len, enum answers answers)
{
	const void *data = (const void *)(long)ctx->data;
	const void *data_end = (const void *)(long)ctx->data_end;
	struct frame_info info = {};
	struct port_counters *port;
	struct keys keys;
	struct verdict_row *row;
	enum frame_verdict verdict;

	/* A native program of a bond runs on its members, that of an AF_XDP socket must not. */
	verdict = FRAME_OTHER_DEVICE;
	if (!filter_config.ifindex || ctx->ingress_ifindex == filter_config.ifindex)
		verdict = frame_classify(data, data_end, len, &info);
	if (verdict == FRAME_UDP)
		verdict = admit(&info, &keys, len, &port);
	if (verdict == FRAME_UDP && answers != ANSWERS_NONE)
		verdict = answer(ctx, &info, &keys, port, len, answers == ANSWERS_PERFMON);
	if (verdict == FRAME_UDP)
		verdict = redirect(ctx, port, len);

	keys.verdict = verdict;
	row = bpf_map_lookup_elem(&verdicts, &keys.verdict);
	if (row) {
		row->frames++;
		row->bytes += len;
	}
	switch (verdict) {
	case FRAME_REDIRECTED:
		return XDP_REDIRECT;
	case FRAME_ANSWERED:
		return XDP_TX;
	case FRAME_DENIED:
	case FRAME_RATE_LIMITED:
	case FRAME_REFUSED:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/*
 * One of the four is loaded. They are not branches of one program, because without CAP_PERFMON the
 * verifier follows also a branch that is never taken, and refuses the difference there.
 */

/* Since Linux 5.18. */
SEC("xdp")
int udpxdp_filter(struct xdp_md *ctx)
{
	return filter(ctx, bpf_xdp_get_buff_len(ctx), ANSWERS_NONE);
}

SEC("xdp")
int udpxdp_answer(struct xdp_md *ctx)
{
	return filter(ctx, bpf_xdp_get_buff_len(ctx), ANSWERS_PLAIN);
}

#define FRAME_LEN(ctx) ((const void *)(long)(ctx)->data_end - (const void *)(long)(ctx)->data)

/* Needs CAP_PERFMON, but no helper: is faster, and all there is before Linux 5.18. */
SEC("xdp")
int udpxdp_filter_5(struct xdp_md *ctx)
{
	return filter(ctx, FRAME_LEN(ctx), ANSWERS_NONE);
}

SEC("xdp")
int udpxdp_answer_5(struct xdp_md *ctx)
{
	return filter(ctx, FRAME_LEN(ctx), ANSWERS_PERFMON);
}
