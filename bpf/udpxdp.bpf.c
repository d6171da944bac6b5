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

char _license[] SEC("license") = "Dual MIT/GPL";

const volatile struct filter_config filter_config = {};
struct filter_favourites filter_favourites;
struct filter_local_bits filter_local_bits;

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
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LOCAL_ADDRS);
	__type(key, struct udpxdp_addr);
	__type(value, __u32);
} local_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u16);
	__type(value, __u8);
} broadcast_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct source_rule_key);
	__type(value, __u32);
} source_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct udpxdp_addr);
	__type(value, __u64);
} source_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/*
 * Both keep the compiler from making one access of two, through a pointer plus a variable: where
 * that has several origins, it takes CAP_PERFMON. LOADED() stands behind a load.
 */
#define LOADED(number) __asm__ volatile("" : "+r"(number))
#define COUNT(counter)                                     \
	do {                                               \
		(counter)++;                               \
		__asm__ volatile("" : : "i"(__COUNTER__)); \
	} while (0)

/*
 * What the maps are asked with. It is copied from the frame_info, whose address is never taken, so
 * that one lives in registers. Each key begins on 8 bytes of its own and an address is stored in
 * whole halves, for the reason that packet_addr_set() has; in one structure the compiler does not
 * let keys share a place.
 */
struct keys {
	struct udpxdp_addr dest;
	__u64 net[2];
	__u32 padding;
	struct source_rule_key source; /* its address on 8 bytes */
	__u32 queue __attribute__((aligned(8)));
	__u32 verdict __attribute__((aligned(8)));
	__u16 port __attribute__((aligned(8)));
};

/* What an address is to this host: LOCAL_UNICAST, LOCAL_BROADCAST, or 0. */
static __always_inline __u32 local_flags(const struct udpxdp_addr *addr)
{
	const __u32 bit = packet_addr_bit(addr);
	const __u32 *flags;

	if (filter_local_bits.complete && !(filter_local_bits.words[bit / 64] >> bit % 64 & 1))
		return 0;
	flags = bpf_map_lookup_elem(&local_addrs, addr);
	return flags ? *flags : 0;
}

static __always_inline bool is_favourite(const struct frame_info *info)
{
	const struct filter_favourites *f = &filter_favourites;
	__u64 dest[2], ipv4, ipv6[2];

	if (f->current) {
		ipv4 = f->pair[1].ipv4;
		ipv6[0] = f->pair[1].ipv6[0];
		ipv6[1] = f->pair[1].ipv6[1];
		LOADED(ipv4);
		LOADED(ipv6[0]);
		LOADED(ipv6[1]);
	} else {
		ipv4 = f->pair[0].ipv4;
		ipv6[0] = f->pair[0].ipv6[0];
		ipv6[1] = f->pair[0].ipv6[1];
		LOADED(ipv4);
		LOADED(ipv6[0]);
		LOADED(ipv6[1]);
	}
	__builtin_memcpy(dest, &info->dest, sizeof(dest));
	if (info->version == 4)
		return dest[1] == ipv4;
	return dest[1] && dest[1] == ipv6[1] && dest[0] == ipv6[0];
}

static __always_inline bool is_ours(const struct frame_info *info, struct keys *keys)
{
	__u32 flags;

	if (is_favourite(info))
		return true;
	keys->dest = info->dest;
	flags = local_flags(&keys->dest);
	if (flags & LOCAL_UNICAST)
		return true;
	return flags && bpf_map_lookup_elem(&broadcast_ports, &keys->port);
}

static __always_inline bool is_denied(const struct frame_info *info, struct keys *keys)
{
	const __u32 *rule;

	if (!filter_config.rules)
		return false;
	keys->source.prefix_len = 128;
	keys->source.addr = info->source;
	rule = bpf_map_lookup_elem(&source_rules, &keys->source);
	return rule ? *rule == RULE_DENY : filter_config.default_deny;
}

/*
 * Two CPUs that race on one source let at most one datagram more through: not worth an atomic.
 */
static __always_inline bool is_over_limit(const struct frame_info *info, struct keys *keys)
{
	__u64 now, next, *arrival;

	if (!filter_config.limit_interval)
		return false;
	__builtin_memcpy(keys->net, &info->source, sizeof(keys->net));
	keys->net[1] &=
		info->version == 4 ? PACKET_HALF(0xffff, 0xffff, 0xffff, PACKET_BE16(0xff00)) : 0;
	now = bpf_ktime_get_ns();
	arrival = bpf_map_lookup_elem(&source_limits, keys->net);
	next = arrival && *arrival > now ? *arrival : now;
	if (next - now > filter_config.limit_burst)
		return true;
	next += filter_config.limit_interval;
	if (arrival)
		*arrival = next;
	else
		bpf_map_update_elem(&source_limits, keys->net, &next, BPF_ANY);
	return false;
}

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
	if (is_denied(info, keys))
		return FRAME_DENIED;
	if (is_over_limit(info, keys))
		return FRAME_RATE_LIMITED;
	return FRAME_UDP;
}

static __always_inline enum frame_verdict redirect(struct xdp_md *ctx, struct port_counters *port)
{
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

/* Multicast, unspecified or loopback: as is_special() of the engine. */
static __always_inline bool is_special(const struct frame_info *info)
{
	__u64 addr[2];
	__u32 first;

	__builtin_memcpy(addr, &info->source, sizeof(addr));
	if (info->version == 4) {
		first = PACKET_BE32((__u32)(addr[1] >> 32)) >> 24;
		return !first || first == 127 || (first & 0xf0) == 0xe0;
	}
	return info->source.b[0] == 0xff ||
	       (!addr[0] && !(addr[1] & ~PACKET_HALF(0, 0, 0, PACKET_BE16(1))));
}

static __always_inline bool is_group(const __u8 *mac)
{
	return *mac & 1;
}

/* Why a datagram whose checksums are right is refused all the same; UDPXDP_DROP_NONE: it is not. */
static __always_inline enum udpxdp_drop refuse(struct xdp_md *ctx, const struct frame_info *info,
	struct keys *keys, const __u8 *payload, const __u8 *end, bool group_source, __u8 flags)
{
	if (!info->source_port)
		return UDPXDP_DROP_source_port_zero;
	keys->dest = info->source;
	if (is_special(info) || group_source || local_flags(&keys->dest))
		return UDPXDP_DROP_source_address;
	if (!(flags & PORT_LOOPS)) {
		if (info->source_port < LOWEST_CLIENT_PORT ||
			port_flags(info->source_port) & PORT_SERVED)
			return UDPXDP_DROP_loop;
		if (payload + 3 <= end && is_open(payload) &&
			answer_is_stamped(ctx, shape_of(info)))
			return UDPXDP_DROP_loop;
	}
	if (info->payload_len + (flags & PORT_STAMP ? STAMP_LEN : 0) + UDP_HEADER_LEN +
			(info->version == 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN) >
		filter_answers.mtu)
		return UDPXDP_DROP_reply_too_big;
	return UDPXDP_DROP_NONE;
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

/* FRAME_ANSWERED, FRAME_REFUSED, or FRAME_UDP: it is for the engine to decide. */
static __always_inline enum frame_verdict answer(struct xdp_md *ctx, const struct frame_info *info,
	struct keys *keys, struct port_counters *port, __u32 len)
{
	const __u8 *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	const __u8 flags = port_flags(info->dest_port);
	const __u32 shape = shape_of(info);
	const __u8 *payload = data;
	__u32 slot = NO_STAMP;
	enum udpxdp_drop drop;
	bool group_source;
	int sum;

	if (!(flags & PORT_ANSWERED) || info->payload_len > PAYLOAD_MAX ||
		info->l4 - info->l3 > (info->version == 4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN))
		return FRAME_UDP;
	if (data + ETH_HEADER_LEN > end || is_group(data))
		return FRAME_UDP;
	keys->queue = ctx->rx_queue_index;
	if (!bpf_map_lookup_elem(&sockets, &keys->queue))
		return FRAME_UDP;
	if (flags & PORT_STAMP) {
		slot = choose_stamp();
		if (slot == NO_STAMP)
			return FRAME_UDP;
	}
	group_source = is_group(data + 6);
	TO_PAYLOAD(payload, shape);
	sum = answer_check(ctx, shape);
	if (sum == ANSWER_CANNOT)
		return FRAME_UDP;
	drop = sum < 0 ? (enum udpxdp_drop)(-1 - sum)
		       : refuse(ctx, info, keys, payload, end, group_source, flags);
	if (drop == UDPXDP_DROP_NONE &&
		answer_write(ctx, shape, sum, slot, len - info->payload - info->payload_len) ==
			ANSWER_CANNOT)
		return FRAME_UDP;
	port->payload_bytes += info->payload_len;
	if (drop != UDPXDP_DROP_NONE)
		return count_refusal(port, drop);
	port->answered++;
	port->answered_bytes += info->payload_len + (flags & PORT_STAMP ? STAMP_LEN : 0);
	return FRAME_ANSWERED;
}

static __always_inline int filter(struct xdp_md *ctx, __u32 len, bool answers)
{
	const void *data = (const void *)(long)ctx->data;
	const void *data_end = (const void *)(long)ctx->data_end;
	struct frame_info info = {};
	struct port_counters *port;
	struct keys keys;
	struct verdict_row *row;
	enum frame_verdict verdict;

	verdict = frame_classify(data, data_end, len, &info);
	if (verdict == FRAME_UDP)
		verdict = admit(&info, &keys, len, &port);
	if (verdict == FRAME_UDP && answers)
		verdict = answer(ctx, &info, &keys, port, len);
	if (verdict == FRAME_UDP)
		verdict = redirect(ctx, port);

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
	return filter(ctx, bpf_xdp_get_buff_len(ctx), false);
}

SEC("xdp")
int udpxdp_answer(struct xdp_md *ctx)
{
	return filter(ctx, bpf_xdp_get_buff_len(ctx), true);
}

#define FRAME_LEN(ctx) ((const void *)(long)(ctx)->data_end - (const void *)(long)(ctx)->data)

/* Needs CAP_PERFMON, but no helper: is faster, and all there is before Linux 5.18. */
SEC("xdp")
int udpxdp_filter_5(struct xdp_md *ctx)
{
	return filter(ctx, FRAME_LEN(ctx), false);
}

SEC("xdp")
int udpxdp_answer_5(struct xdp_md *ctx)
{
	return filter(ctx, FRAME_LEN(ctx), true);
}
