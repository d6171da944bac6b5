/* SPDX-License-Identifier: MIT */
#include "udpxdp/host.h"

#include <stdlib.h>

/* The first that claims an address has it: unicast ones come first. */
static void claim(struct udpxdp_host *net, const struct udpxdp_addr *addr, uint32_t kind)
{
	static const struct udpxdp_addr unspecified;
	uint32_t i = udpxdp_host_hash(addr) & net->mask;

	if (udpxdp_addr_equal(addr, &unspecified) || udpxdp_host_kind(net, addr))
		return;
	while (net->index[i].kind)
		i = (i + 1) & net->mask;
	net->index[i] = (struct udpxdp_host_slot){.addr = *addr, .kind = kind};
}

struct udpxdp_host *udpxdp_host_new(
	const uint8_t mac[6], uint32_t mtu, const struct udpxdp_host_addr *addrs, size_t count)
{
	const struct udpxdp_addr everybody = udpxdp_addr_ipv4(255, 255, 255, 255);
	struct udpxdp_host *net;
	uint32_t slots = 8;

	if (count > MAX_LOCAL_ADDRS)
		count = MAX_LOCAL_ADDRS;
	while (slots < 4 * count) /* at most two for each, and half of them free */
		slots *= 2;
	net = calloc(1, sizeof(*net) + slots * sizeof(*net->index) + count * sizeof(*net->addrs));
	if (!net)
		return NULL;
	net->index = (struct udpxdp_host_slot *)(net + 1);
	net->addrs = (struct udpxdp_host_addr *)(net->index + slots);
	net->mask = slots - 1;
	net->mtu = mtu;
	memcpy(net->mac, mac, sizeof(net->mac));

	for (size_t n = 0; n < count; n++) {
		const struct udpxdp_host_addr *a = &addrs[n];

		net->addrs[net->count++] = *a;
		claim(net, &a->addr, LOCAL_UNICAST);
		if (a->on_iface && udpxdp_addr_is_ipv4(&a->addr) &&
			!udpxdp_addr_is_ipv4(&net->ipv4))
			net->ipv4 = a->addr;
	}
	claim(net, &everybody, LOCAL_BROADCAST);
	for (size_t n = 0; n < count; n++)
		if (addrs[n].on_iface)
			claim(net, &addrs[n].broadcast, LOCAL_BROADCAST);
	return net;
}

static bool same_prefix(const struct udpxdp_addr *a, const struct udpxdp_addr *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return !memcmp(a->b, b->b, bytes) &&
	       (!rest || !((a->b[bytes] ^ b->b[bytes]) & (0xff00 >> rest) & 0xff));
}

const struct udpxdp_addr *udpxdp_host_addr_on_subnet_of(
	const struct udpxdp_host *net, const struct udpxdp_addr *addr)
{
	bool ipv4 = udpxdp_addr_is_ipv4(addr);

	for (uint32_t i = 0; i < net->count; i++) {
		const struct udpxdp_host_addr *a = &net->addrs[i];

		if (a->on_iface && udpxdp_addr_is_ipv4(&a->addr) == ipv4 &&
			same_prefix(&a->addr, addr, a->prefix_len + (ipv4 ? 96 : 0)))
			return &a->addr;
	}
	return NULL;
}
