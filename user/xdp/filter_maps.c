/* SPDX-License-Identifier: MIT */
/* What the filter is told while it runs: sockets, ports, addresses, rules. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/keep_errno.h"
#include "xdp/internal.h"
#include "udpxdp/packet.h"

int filter_set_socket(struct filter *f, __u32 queue, int socket)
{
	return bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.sockets), &queue, &socket, BPF_ANY);
}

int filter_clear_socket(struct filter *f, __u32 queue)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.sockets), &queue);
}

int filter_serve_port(struct filter *f, __u16 port, bool broadcast)
{
	int cpus = libbpf_num_possible_cpus(), result;
	struct port_counters *zero = cpus > 0 ? calloc(cpus, sizeof(*zero)) : NULL;
	__u8 yes = 1;

	if (!zero)
		return -1;
	result = bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.port_counters), &port, zero, BPF_ANY);
	free(zero);
	if (!result)
		f->skeleton->bss->filter_answers.ports[port] = PORT_SERVED;
	if (!result && broadcast)
		result = bpf_map_update_elem(
			bpf_map__fd(f->skeleton->maps.broadcast_ports), &port, &yes, BPF_ANY);
	return result;
}

void filter_answer_port(struct filter *f, __u16 port, __u8 how)
{
	__atomic_store_n(
		&f->skeleton->bss->filter_answers.ports[port], PORT_SERVED | how, __ATOMIC_RELEASE);
}

struct filter_answers *filter_answers(struct filter *f)
{
	return f->answers ? &f->skeleton->bss->filter_answers : NULL;
}

int filter_set_address(struct filter *f, const struct udpxdp_addr *addr, __u32 flags, __u32 vlan)
{
	const struct local_addr local = {.flags = flags, .vlan = vlan};
	struct filter_local_bits *bits = &f->skeleton->bss->filter_local_bits;
	const __u32 bit = packet_addr_bit(addr);

	/* The system call behind it is a barrier. */
	bits->words[bit / 64] |= 1ull << bit % 64;
	return bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.local_addrs), addr, &local, BPF_ANY);
}

int filter_clear_address(struct filter *f, const struct udpxdp_addr *addr)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.local_addrs), addr);
}

void filter_set_favourites(
	struct filter *f, const struct udpxdp_addr *ipv4, const struct udpxdp_addr *ipv6)
{
	struct filter_favourites *favourites = &f->skeleton->bss->filter_favourites;
	const __u32 other = !favourites->current;

	memset(&favourites->pair[other], 0, sizeof(favourites->pair[other]));
	if (ipv4)
		memcpy(&favourites->pair[other].ipv4, &ipv4->w[2], 8);
	if (ipv6)
		memcpy(favourites->pair[other].ipv6, ipv6, 16);
	__atomic_store_n(&favourites->current, other, __ATOMIC_RELEASE);
}

/* ---- rules ---------------------------------------------------------------------------- */

static int trie_fd(const struct filter *f, unsigned trie)
{
	return bpf_map__fd(
		trie ? f->skeleton->maps.source_rules_b : f->skeleton->maps.source_rules);
}

static void empty_trie(struct filter *f, unsigned trie)
{
	for (size_t i = 0; i < f->tries[trie].count; i++)
		bpf_map_delete_elem(trie_fd(f, trie), &f->tries[trie].keys[i]);
	free(f->tries[trie].keys);
	f->tries[trie].keys = NULL;
	f->tries[trie].count = 0;
}

static int fill_trie(struct filter *f, unsigned trie, const struct rule_set *rules)
{
	const struct guard_rule *rule;
	size_t count = 0;

	while (rule_set_at(rules, count))
		count++;
	f->tries[trie].keys = calloc(count + 1, sizeof(*f->tries[trie].keys));
	if (!f->tries[trie].keys)
		return -1;
	for (size_t i = 0; (rule = rule_set_at(rules, i)); i++) {
		f->tries[trie].keys[f->tries[trie].count++] = rule->key;
		if (bpf_map_update_elem(trie_fd(f, trie), &rule->key, &rule->verdict, BPF_ANY))
			return -1;
	}
	return 0;
}

int filter_set_rules(struct filter *f, const struct rule_set *rules)
{
	__u32 *asked = &f->skeleton->bss->filter_guard.trie;
	const unsigned other = !*asked;

	/* What was asked until the last time: no frame of then is under way any more. */
	empty_trie(f, other);
	if (fill_trie(f, other, rules)) {
		KEEP_ERRNO;

		empty_trie(f, other);
		return -1;
	}
	__atomic_store_n(asked, other, __ATOMIC_RELEASE);
	return 0;
}

int filter_set_mac(struct filter *f, __u64 mac)
{
	const __u8 yes = 1;

	return bpf_map_update_elem(bpf_map__fd(f->skeleton->maps.local_macs), &mac, &yes, BPF_ANY);
}

int filter_clear_mac(struct filter *f, __u64 mac)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.local_macs), &mac);
}

int filter_set_vlan(struct filter *f, __u32 vlan, __u32 counts_as)
{
	return bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.local_vlans), &vlan, &counts_as, BPF_ANY);
}

int filter_clear_vlan(struct filter *f, __u32 vlan)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.local_vlans), &vlan);
}

void filter_set_own_mac(struct filter *f, __u64 mac)
{
	__atomic_store_n(&f->skeleton->bss->filter_favourites.mac, mac, __ATOMIC_RELEASE);
}
