/* SPDX-License-Identifier: MIT */
/*
 * The filter: grammar -> is it ours? -> is the port served? -> count -> answer or redirect.
 * Whatever is not a datagram to this host on a served port is passed to the kernel as if nothing
 * were here.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "udpxdp/packet.h"

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

static __always_inline int filter(struct xdp_md *ctx, __u32 len)
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
	case FRAME_DENIED:
	case FRAME_RATE_LIMITED:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/*
 * One of the two is loaded. They are not branches of one program, because without CAP_PERFMON the
 * verifier follows also a branch that is never taken, and refuses the difference there.
 */

/* Since Linux 5.18. */
SEC("xdp")
int udpxdp_filter(struct xdp_md *ctx)
{
	return filter(ctx, bpf_xdp_get_buff_len(ctx));
}

/* Needs CAP_PERFMON, but no helper: is faster, and all there is before Linux 5.18. */
SEC("xdp")
int udpxdp_filter_5(struct xdp_md *ctx)
{
	return filter(ctx, (const void *)(long)ctx->data_end - (const void *)(long)ctx->data);
}
