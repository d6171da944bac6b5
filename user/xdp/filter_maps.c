/* SPDX-License-Identifier: MIT */
/* What the filter is told while it runs: sockets, ports, addresses, rules. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

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

int filter_set_address(struct filter *f, const struct udpxdp_addr *addr, __u32 flags)
{
	struct filter_local_bits *bits = &f->skeleton->bss->filter_local_bits;
	const __u32 bit = packet_addr_bit(addr);

	/* The system call behind it is a barrier. */
	bits->words[bit / 64] |= 1ull << bit % 64;
	return bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.local_addrs), addr, &flags, BPF_ANY);
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

int filter_set_rule(struct filter *f, const struct source_rule_key *key, __u32 rule)
{
	return bpf_map_update_elem(
		bpf_map__fd(f->skeleton->maps.source_rules), key, &rule, BPF_ANY);
}
