/* SPDX-License-Identifier: MIT */
#include "udpxdp/local_net.h"

#include <stdlib.h>

static uint32_t hash_addr(const struct ip_addr *addr)
{
	uint64_t h = addr->w[0] ^ ((uint64_t)addr->w[1] << 32);

	h = (h ^ addr->w[2]) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 32) ^ addr->w[3]) * 0x9e3779b97f4a7c15u;
	return h >> 32;
}

static const struct local_addr *find(const struct local_net *net, const struct ip_addr *addr)
{
	for (uint32_t i = hash_addr(addr) & net->mask; net->index[i]; i = (i + 1) & net->mask) {
		const struct local_addr *a = &net->addrs[net->index[i] - 1];

		if (ip_addr_equal(&a->addr, addr))
			return a;
	}
	return NULL;
}

struct local_net *local_net_new(const uint8_t mac[6], uint32_t mtu,
		const struct local_addr *addrs, size_t count)
{
	struct local_net *net;
	uint32_t slots = 8;

	if (count > MAX_LOCAL_ADDRS)
		count = MAX_LOCAL_ADDRS;
	while (slots < 2 * count)
		slots *= 2;
	net = calloc(1, sizeof(*net) + count * sizeof(*net->addrs) + slots * sizeof(*net->index));
	if (!net)
		return NULL;
	net->addrs = (struct local_addr *)(net + 1);
	net->index = (uint16_t *)(net->addrs + count);
	net->mask = slots - 1;
	net->mtu = mtu;
	memcpy(net->mac, mac, sizeof(net->mac));

	for (size_t n = 0; n < count; n++) {
		const struct local_addr *a = &addrs[n];
		uint32_t i = hash_addr(&a->addr) & net->mask;

		net->addrs[net->count++] = *a;
		while (net->index[i])
			i = (i + 1) & net->mask;
		net->index[i] = net->count;
		if (a->on_iface && ip_addr_is_ipv4(&a->addr) && !ip_addr_is_ipv4(&net->ipv4))
			net->ipv4 = a->addr;
	}
	return net;
}

bool local_net_has(const struct local_net *net, const struct ip_addr *addr)
{
	return find(net, addr) != NULL;
}

bool local_net_is_broadcast(const struct local_net *net, const struct ip_addr *addr)
{
	const struct ip_addr everybody = ip_addr_ipv4(255, 255, 255, 255);

	if (!ip_addr_is_ipv4(addr))
		return false;
	if (ip_addr_equal(addr, &everybody))
		return true;
	for (uint32_t i = 0; i < net->count; i++)
		if (net->addrs[i].on_iface && ip_addr_equal(&net->addrs[i].broadcast, addr))
			return true;
	return false;
}

static bool same_prefix(const struct ip_addr *a, const struct ip_addr *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return !memcmp(a->b, b->b, bytes) &&
	       (!rest || !((a->b[bytes] ^ b->b[bytes]) & (0xff00 >> rest) & 0xff));
}

bool local_net_on_link(const struct local_net *net, const struct ip_addr *addr)
{
	bool ipv4 = ip_addr_is_ipv4(addr);

	for (uint32_t i = 0; i < net->count; i++) {
		const struct local_addr *a = &net->addrs[i];

		if (a->on_iface && ip_addr_is_ipv4(&a->addr) == ipv4 &&
				same_prefix(&a->addr, addr, a->prefix_len + (ipv4 ? 96 : 0)))
			return true;
	}
	return false;
}
