/* SPDX-License-Identifier: MIT */
#include "udpxdp/host.h"

#include <stdlib.h>

#include "udpxdp/packet.h"

/* The first that claims an address has it: unicast ones come first. */
static void claim(
	struct udpxdp_host *net, const struct udpxdp_addr *addr, uint32_t kind, uint32_t vlan)
{
	static const struct udpxdp_addr unspecified;
	struct udpxdp_host_slot *slot = (struct udpxdp_host_slot *)udpxdp_host_find(net, addr);

	if (udpxdp_addr_equal(addr, &unspecified) || (slot->kind && slot->kind != kind))
		return;
	if (slot->kind && slot->vlan != vlan)
		vlan = UDPXDP_VLAN_ALL;
	*slot = (struct udpxdp_host_slot){.addr = *addr, .kind = kind, .vlan = vlan};
}

static const struct udpxdp_addr *subnet_of(const struct udpxdp_host_addr *a)
{
	static const struct udpxdp_addr unspecified;

	return udpxdp_addr_equal(&a->peer, &unspecified) ? &a->addr : &a->peer;
}

struct udpxdp_addr udpxdp_host_subnet_broadcast(const struct udpxdp_host_addr *a)
{
	struct udpxdp_addr broadcast = *subnet_of(a);

	if (!udpxdp_addr_is_ipv4(&broadcast) || !broadcast.b[12] || a->prefix_len > 30)
		return (struct udpxdp_addr){};
	broadcast.w[3] |= PACKET_BE32(UINT32_MAX >> a->prefix_len);
	return broadcast;
}

static void claim_all(struct udpxdp_host *net)
{
	const struct udpxdp_addr everybody = udpxdp_addr_ipv4(255, 255, 255, 255);

	for (uint32_t n = 0; n < net->count; n++)
		claim(net, &net->addrs[n].addr, UDPXDP_LOCAL_UNICAST, net->addrs[n].vlan);
	claim(net, &everybody, UDPXDP_LOCAL_BROADCAST, UDPXDP_VLAN_ALL);
	for (uint32_t n = 0; n < net->count; n++) {
		const struct udpxdp_host_addr *a = &net->addrs[n];
		const struct udpxdp_addr subnets = udpxdp_host_subnet_broadcast(a);

		if (!a->on_iface)
			continue;
		claim(net, &a->broadcast, UDPXDP_LOCAL_BROADCAST, a->vlan);
		claim(net, &subnets, UDPXDP_LOCAL_BROADCAST, a->vlan);
	}
}

struct udpxdp_host *udpxdp_host_new_on(const struct udpxdp_host_links *links, uint32_t mtu,
	const struct udpxdp_host_addr *addrs, size_t count)
{
	struct udpxdp_host *net;
	uint32_t slots = 8;

	if (count > UDPXDP_LOCAL_ADDRS_MAX)
		count = UDPXDP_LOCAL_ADDRS_MAX;
	while (slots < 6 * count) /* at most three for each, and half of them free */
		slots *= 2;
	net = calloc(1,
		sizeof(*net) + slots * sizeof(*net->index) + links->mac_count * sizeof(*net->macs) +
			links->vlan_count * sizeof(*net->vlans) + count * sizeof(*net->addrs));
	if (!net)
		return NULL;
	net->index = (struct udpxdp_host_slot *)(net + 1);
	net->macs = (uint64_t *)(net->index + slots);
	net->vlans = (struct udpxdp_host_vlan *)(net->macs + links->mac_count);
	net->addrs = (struct udpxdp_host_addr *)(net->vlans + links->vlan_count);
	net->mask = slots - 1;
	net->mtu = mtu;
	memcpy(net->mac, links->mac, sizeof(net->mac));
	net->any_vlan = links->any_vlan;
	for (size_t n = 0; n < links->mac_count; n++)
		net->macs[net->mac_count++] = links->macs[n];
	for (size_t n = 0; n < links->vlan_count; n++)
		net->vlans[net->vlan_count++] = links->vlans[n];
	for (size_t n = 0; n < count; n++) {
		const struct udpxdp_host_addr *a = &addrs[n];

		net->addrs[net->count++] = *a;
		if (a->on_iface && !a->vlan && !a->inward && udpxdp_addr_is_ipv4(&a->addr) &&
			!udpxdp_addr_is_ipv4(&net->ipv4))
			net->ipv4 = a->addr;
	}
	claim_all(net);
	return net;
}

struct udpxdp_host *udpxdp_host_new(
	const uint8_t mac[6], uint32_t mtu, const struct udpxdp_host_addr *addrs, size_t count)
{
	struct udpxdp_host_links links = {.any_vlan = true};

	memcpy(links.mac, mac, sizeof(links.mac));
	return udpxdp_host_new_on(&links, mtu, addrs, count);
}

bool udpxdp_host_has_mac(const struct udpxdp_host *net, uint64_t mac)
{
	if (net->any_mac || mac == packet_mac(net->mac))
		return true;
	for (uint32_t n = 0; n < net->mac_count; n++)
		if (net->macs[n] == mac)
			return true;
	return false;
}

uint32_t udpxdp_host_vlan_of(const struct udpxdp_host *net, uint32_t vlan)
{
	if (!vlan)
		return 0;
	if (net->any_vlan)
		return UDPXDP_VLAN_ALL;
	for (uint32_t n = 0; n < net->vlan_count; n++)
		if (net->vlans[n].vlan == vlan)
			return net->vlans[n].counts_as;
	return UDPXDP_VLAN_NONE;
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

		if (a->on_iface && !a->off_link && udpxdp_addr_is_ipv4(&a->addr) == ipv4 &&
			same_prefix(subnet_of(a), addr, a->prefix_len + (ipv4 ? 96 : 0)))
			return &a->addr;
	}
	return NULL;
}
