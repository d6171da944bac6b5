/* SPDX-License-Identifier: MIT */
#include "udpxdp/local_net.h"

#include <stdlib.h>

/* The first that claims an address has it: unicast ones come first. */
static void claim(struct local_net *net, const struct ip_addr *addr, uint32_t kind)
{
	static const struct ip_addr unspecified;
	uint32_t i = local_net_hash(addr) & net->mask;

	if (ip_addr_equal(addr, &unspecified) || local_net_kind(net, addr))
		return;
	while (net->index[i].kind)
		i = (i + 1) & net->mask;
	net->index[i] = (struct local_slot){.addr = *addr, .kind = kind};
}

struct local_net *local_net_new(const uint8_t mac[6], uint32_t mtu,
		const struct local_addr *addrs, size_t count)
{
	const struct ip_addr everybody = ip_addr_ipv4(255, 255, 255, 255);
	struct local_net *net;
	uint32_t slots = 8;

	if (count > MAX_LOCAL_ADDRS)
		count = MAX_LOCAL_ADDRS;
	while (slots < 4 * count) /* at most two for each, and half of them free */
		slots *= 2;
	net = calloc(1, sizeof(*net) + slots * sizeof(*net->index) + count * sizeof(*net->addrs));
	if (!net)
		return NULL;
	net->index = (struct local_slot *)(net + 1);
	net->addrs = (struct local_addr *)(net->index + slots);
	net->mask = slots - 1;
	net->mtu = mtu;
	memcpy(net->mac, mac, sizeof(net->mac));

	for (size_t n = 0; n < count; n++) {
		const struct local_addr *a = &addrs[n];

		net->addrs[net->count++] = *a;
		claim(net, &a->addr, LOCAL_UNICAST);
		if (a->on_iface && ip_addr_is_ipv4(&a->addr) && !ip_addr_is_ipv4(&net->ipv4))
			net->ipv4 = a->addr;
	}
	claim(net, &everybody, LOCAL_BROADCAST);
	for (size_t n = 0; n < count; n++)
		if (addrs[n].on_iface)
			claim(net, &addrs[n].broadcast, LOCAL_BROADCAST);
	return net;
}

static bool same_prefix(const struct ip_addr *a, const struct ip_addr *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return !memcmp(a->b, b->b, bytes) &&
	       (!rest || !((a->b[bytes] ^ b->b[bytes]) & (0xff00 >> rest) & 0xff));
}

const struct ip_addr *local_net_neighbour(const struct local_net *net, const struct ip_addr *addr)
{
	bool ipv4 = ip_addr_is_ipv4(addr);

	for (uint32_t i = 0; i < net->count; i++) {
		const struct local_addr *a = &net->addrs[i];

		if (a->on_iface && ip_addr_is_ipv4(&a->addr) == ipv4 &&
				same_prefix(&a->addr, addr, a->prefix_len + (ipv4 ? 96 : 0)))
			return &a->addr;
	}
	return NULL;
}
