/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "xdp/counters.h"

#define CPUS_MAX 1024

/* A test that cannot set up what it tests has nothing to say. */
static void must(int err, const char *what)
{
	if (!err)
		return;
	printf("Bail out! %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

void need_root(void)
{
	if (!geteuid())
		return;
	printf("1..0 # SKIP needs root\n");
	exit(0);
}

bool probe_has_helper(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
}

bool probe_takes_arrival(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	static const uint8_t frame[64];
	static int takes = -1;
	struct xdp_md ctx = {.data_end = sizeof(frame)};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		.ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int program;

	if (takes >= 0)
		return takes;
	program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);
	must(program < 0 ? program : 0, "a program of two instructions");
	takes = !bpf_prog_test_run_opts(program, &opts);
	close(program);
	return takes;
}

/*
 * Before Linux 5.15 each run puts the program into the kernel's dispatcher of XDP programs and
 * takes it out again, and each time kernel code is rewritten. One that is attached is in there
 * already: so it is, in a namespace of its own, until this process ends.
 */
static void attach_somewhere(int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_SKB_MODE);
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	must(here < 0 || unshare(CLONE_NEWNET) ? errno : 0, "a network namespace");
	open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC); /* keeps it */
	bpf_link_create(program, 1, BPF_XDP, &opts);     /* to its loopback interface */
	must(setns(here, CLONE_NEWNET) ? errno : 0, "back from a network namespace");
	close(here);
}

const uint8_t probe_mac[6] = {2, 0, 0, 0, 0, 1};

struct udpxdp_bpf *probe_load_program(const struct filter_config *config, const char *name)
{
	static const struct filter_config plain = {.any_vlan = 1};
	struct udpxdp_bpf *filter = udpxdp_bpf__open();
	struct bpf_program *program;
	int err;

	if (!filter)
		return NULL;
	memcpy((void *)&filter->rodata->filter_config, config ? config : &plain, sizeof(plain));
	bpf_object__for_each_program(program, filter->obj)
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), name));
	err = udpxdp_bpf__load(filter);
	if (err) {
		udpxdp_bpf__destroy(filter);
		errno = -err;
		return NULL;
	}
	filter->bss->filter_favourites.mac = packet_mac(probe_mac);
	return filter;
}

struct udpxdp_bpf *probe_load_variant(const struct filter_config *config, bool helper)
{
	return probe_load_program(config, helper ? "udpxdp_filter" : "udpxdp_filter_5");
}

struct udpxdp_bpf *probe_load(const struct filter_config *config)
{
	struct udpxdp_bpf *filter = probe_load_variant(config, probe_has_helper());

	if (filter && !probe_has_helper())
		attach_somewhere(probe_program(filter));
	return filter;
}

int probe_program(const struct udpxdp_bpf *filter)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program,
		filter->obj) if (bpf_program__autoload(program)) return bpf_program__fd(program);
	return -1;
}

int probe_run(const struct udpxdp_bpf *filter, const struct arrival *arrival, const void *frame,
	uint32_t len)
{
	return probe_run_out(filter, arrival, frame, len, NULL, NULL);
}

int probe_run_out(const struct udpxdp_bpf *filter, const struct arrival *arrival, const void *frame,
	uint32_t len, void *out, uint32_t *out_len)
{
	struct xdp_md ctx = {.data_end = len};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .data_out = out,
		.data_size_out = out ? FRAME_MAX : 0);
	int err;

	if (arrival && arrival->ifindex && !probe_takes_arrival()) {
		if (arrival->queue)
			return -EOPNOTSUPP;
	} else if (arrival && arrival->ifindex) {
		ctx.ingress_ifindex = arrival->ifindex;
		ctx.rx_queue_index = arrival->queue;
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	err = bpf_prog_test_run_opts(probe_program(filter), &opts);
	if (out_len)
		*out_len = opts.data_size_out;
	return err ? err : (int)opts.retval;
}

struct verdict_row probe_verdict(const struct udpxdp_bpf *filter, enum frame_verdict verdict)
{
	struct verdict_row rows[CPUS_MAX], sum = {.reason = verdict};
	uint32_t key = verdict;

	must(bpf_map_lookup_elem(bpf_map__fd(filter->maps.verdicts), &key, rows), "verdicts");
	for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
		sum.frames += rows[i].frames;
		sum.bytes += rows[i].bytes;
	}
	return sum;
}

struct port_counters probe_port(const struct udpxdp_bpf *filter, uint16_t port)
{
	const size_t words = sizeof(struct port_counters) / sizeof(uint64_t);
	struct port_counters rows[CPUS_MAX], sum;

	must(bpf_map_lookup_elem(bpf_map__fd(filter->maps.port_counters), &port, rows),
		"port_counters");
	counters_sum(
		(uint64_t *)&sum, words, (const uint64_t *)rows, words, libbpf_num_possible_cpus());
	return sum;
}

void probe_serve(const struct udpxdp_bpf *filter, uint16_t port, bool by_broadcast)
{
	static const struct port_counters zero[CPUS_MAX];
	const uint8_t one = 1;

	must(bpf_map_update_elem(bpf_map__fd(filter->maps.port_counters), &port, zero, BPF_ANY),
		"port_counters");
	if (by_broadcast)
		must(bpf_map_update_elem(
			     bpf_map__fd(filter->maps.broadcast_ports), &port, &one, BPF_ANY),
			"broadcast_ports");
}

void probe_unserve(const struct udpxdp_bpf *filter, uint16_t port)
{
	must(bpf_map_delete_elem(bpf_map__fd(filter->maps.port_counters), &port), "port_counters");
}

static struct udpxdp_addr addr_of(const char *text)
{
	struct udpxdp_addr addr = {};

	if (inet_pton(AF_INET6, text, &addr) == 1)
		return addr;
	addr.b[10] = addr.b[11] = 0xff;
	must(inet_pton(AF_INET, text, &addr.b[12]) == 1 ? 0 : EINVAL, text);
	return addr;
}

void probe_local(const struct udpxdp_bpf *filter, const char *addr, uint32_t flags)
{
	probe_local_on(filter, addr, flags, UDPXDP_VLAN_ALL);
}

void probe_local_on(
	const struct udpxdp_bpf *filter, const char *addr, uint32_t flags, uint32_t vlan)
{
	const struct udpxdp_addr key = addr_of(addr);
	const struct local_addr local = {.flags = flags, .vlan = vlan};
	const uint32_t bit = packet_addr_bit(&key);

	filter->bss->filter_local_bits.words[bit / 64] |= 1ull << bit % 64;
	must(bpf_map_update_elem(bpf_map__fd(filter->maps.local_addrs), &key, &local, BPF_ANY),
		"local_addrs");
}

void probe_vlan(const struct udpxdp_bpf *filter, uint32_t vlan, uint32_t counts_as)
{
	must(bpf_map_update_elem(bpf_map__fd(filter->maps.local_vlans), &vlan, &counts_as, BPF_ANY),
		"local_vlans");
}

void probe_mac_too(const struct udpxdp_bpf *filter, uint64_t mac)
{
	const uint8_t yes = 1;

	must(bpf_map_update_elem(bpf_map__fd(filter->maps.local_macs), &mac, &yes, BPF_ANY),
		"local_macs");
}

void probe_favourites(struct udpxdp_bpf *filter, const char *ipv4, const char *ipv6)
{
	const struct udpxdp_addr a = addr_of(ipv4), b = addr_of(ipv6);

	memcpy(&filter->bss->filter_favourites.pair[0].ipv4, &a.w[2], 8);
	memcpy(filter->bss->filter_favourites.pair[0].ipv6, &b, 16);
	filter->bss->filter_local_bits.complete = 1;
}

void probe_rule(const struct udpxdp_bpf *filter, const char *prefix, uint32_t rule)
{
	struct source_rule_key key;
	char addr[64];
	unsigned len;

	must(sscanf(prefix, "%63[^/]/%u", addr, &len) == 2 ? 0 : EINVAL, prefix);
	key.addr = addr_of(addr);
	key.prefix_len = strchr(addr, ':') ? len : 96 + len;
	must(bpf_map_update_elem(bpf_map__fd(filter->maps.source_rules), &key, &rule, BPF_ANY),
		"source_rules");
}

static void over_limit(const struct udpxdp_bpf *filter, const char *net)
{
	const struct udpxdp_addr key = addr_of(net);
	const uint64_t arrival = UINT64_MAX / 2; /* in some 292 years */

	must(bpf_map_update_elem(bpf_map__fd(filter->maps.net_limits), &key, &arrival, BPF_ANY),
		"net_limits");
}

const struct filter_config world_config = {
	.limit_interval = 1,
	.limit_burst = 1000000000,
	.rules = 1,
};

static const uint8_t second_mac[6] = {2, 0, 0, 0, 0, 0xaa};

static const struct {
	uint32_t vlan, counts_as;
} world_vlans[] = {{7, UDPXDP_VLAN_ALL}, {0x1007, UDPXDP_VLAN_ALL}, {0x10640007, UDPXDP_VLAN_ALL},
	{0x00640007, UDPXDP_VLAN_ALL}, {9, 9}};

void world_apply(const struct udpxdp_bpf *filter)
{
	probe_local(filter, "10.0.0.1", UDPXDP_LOCAL_UNICAST);
	probe_local(filter, "2001:db8::1", UDPXDP_LOCAL_UNICAST);
	probe_local_on(filter, "10.9.0.1", UDPXDP_LOCAL_UNICAST, 9);
	probe_local(filter, "10.0.0.255", UDPXDP_LOCAL_BROADCAST);
	for (size_t i = 0; i < sizeof(world_vlans) / sizeof(world_vlans[0]); i++)
		probe_vlan(filter, world_vlans[i].vlan, world_vlans[i].counts_as);
	probe_mac_too(filter, packet_mac(second_mac));
	probe_local(filter, "255.255.255.255", UDPXDP_LOCAL_BROADCAST);
	probe_serve(filter, 8080, false);
	probe_serve(filter, 8086, true);
	probe_serve(filter, 8090, false);
	probe_rule(filter, "192.0.2.0/24", RULE_DENY);
	probe_rule(filter, "192.0.2.128/25", RULE_ALLOW);
	probe_rule(filter, "2001:db8:dead::/48", RULE_DENY);
	probe_rule(filter, "2001:db8:dead:1::/64", RULE_ALLOW);
	over_limit(filter, "203.0.113.0");
	over_limit(filter, "2001:db8:bad::");
}

static bool in_prefix(const struct udpxdp_addr *addr, const char *text, unsigned len)
{
	const struct udpxdp_addr prefix = addr_of(text);
	unsigned i;

	if (!strchr(text, ':'))
		len += 96;
	for (i = 0; i < len; i++)
		if ((addr->b[i / 8] ^ prefix.b[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

/* Read from the frame itself. */
static bool in_our_vlan(const uint8_t *frame, const struct frame_info *info, uint32_t *vlan)
{
	uint32_t key = 0;

	*vlan = 0;
	for (unsigned i = 0; i < info->tags; i++) {
		const uint8_t *tag = frame + 12 + 4 * i;
		const uint32_t vid = (tag[2] & 15) << 8 | tag[3];

		if (vid)
			key = key << 16 | (tag[0] == 0x88 ? 0x1000 : 0) | vid;
	}
	if (!key)
		return true;
	for (size_t i = 0; i < sizeof(world_vlans) / sizeof(world_vlans[0]); i++)
		if (world_vlans[i].vlan == key) {
			*vlan = world_vlans[i].counts_as;
			return true;
		}
	return false;
}

enum frame_verdict world_verdict(
	const void *frame, uint32_t len, bool has_socket, struct frame_info *info)
{
	const enum frame_verdict verdict =
		frame_classify(frame, (const uint8_t *)frame + len, len, info);
	const struct udpxdp_addr *source = &info->source, *dest = &info->dest;
	const uint16_t port = info->dest_port;
	const bool group = len && *(const uint8_t *)frame & 1;
	uint32_t vlan;

	if (verdict != FRAME_UDP)
		return verdict;
	if (!in_our_vlan(frame, info, &vlan))
		return FRAME_NOT_OURS;
	if (!group && memcmp(frame, probe_mac, 6) && memcmp(frame, second_mac, 6))
		return FRAME_NOT_OURS;
	if (in_prefix(dest, "10.0.0.255", 32) || in_prefix(dest, "255.255.255.255", 32)) {
		if (port != 8086)
			return FRAME_NOT_OURS;
	} else if (group) {
		return FRAME_NOT_OURS;
	} else if (in_prefix(dest, "10.9.0.1", 32)) {
		if (vlan != 9 && vlan != UDPXDP_VLAN_ALL)
			return FRAME_NOT_OURS;
	} else if (!in_prefix(dest, "10.0.0.1", 32) && !in_prefix(dest, "2001:db8::1", 128)) {
		return FRAME_NOT_OURS;
	}
	if (port != 8080 && port != 8086 && port != 8090)
		return FRAME_NOT_SERVED;
	if (in_prefix(source, "192.0.2.0", 24) && !in_prefix(source, "192.0.2.128", 25))
		return FRAME_DENIED;
	if (in_prefix(source, "2001:db8:dead::", 48) && !in_prefix(source, "2001:db8:dead:1::", 64))
		return FRAME_DENIED;
	if (in_prefix(source, "203.0.113.0", 24) || in_prefix(source, "2001:db8:bad::", 64))
		return FRAME_RATE_LIMITED;
	return has_socket ? FRAME_REDIRECTED : FRAME_NO_SOCKET;
}

int verdict_action(enum frame_verdict verdict)
{
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

const char *verdict_name(enum frame_verdict verdict)
{
	static const char *const names[] = {
#define X(name, label, text) #label,
		FRAME_VERDICTS(X)
#undef X
	};

	return verdict < FRAME_VERDICT_COUNT ? names[verdict]
	       : verdict == FRAME_UDP        ? "udp"
					     : "none";
}

/* The lengths in the table hold the zeroes at the end that the bytes leave out. */
#define FIXTURE(name, verdict, queue, offset, length, len, bytes) \
	static const _Alignas(8) uint8_t frame_##name[len] = bytes;
#include "../fixtures/bpf/frames.inc"
#undef FIXTURE

const struct fixture fixtures[] = {
#define FIXTURE(name, verdict, queue, offset, length, len, bytes) \
	{#name, verdict, queue, offset, length, len, frame_##name},
#include "../fixtures/bpf/frames.inc"
#undef FIXTURE
};
const size_t fixture_count = sizeof(fixtures) / sizeof(fixtures[0]);

void *exact_copy(const void *frame, uint32_t len)
{
	void *copy = malloc(len ? len : 1);

	must(copy ? 0 : ENOMEM, "memory");
	return memcpy(copy, frame, len);
}

void hexdump(const void *frame, uint32_t len)
{
	const uint8_t *b = frame;

	for (uint32_t i = 0; i < len; i += 16) {
		printf("#   %04x ", i);
		for (uint32_t j = i; j < i + 16 && j < len; j++)
			printf(" %02x", b[j]);
		printf("\n");
	}
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
