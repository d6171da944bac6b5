/* SPDX-License-Identifier: MIT */
#include "netlink/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "netlink/link.h"
#include "udpxdp/service.h"

/* ---- the route ------------------------------------------------------------------------ */

struct route {
	unsigned type;
	int ifindex;
	struct udpxdp_addr source;
	bool has_source;
	uint8_t family; /* of the next hop */
	struct udpxdp_addr gateway;
	bool has_gateway;
};

static int parse_route(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attrs[RTA_VIA + 1] = {0};
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct route *route = context;

	netlink_attributes(message, sizeof(*header), attrs, RTA_VIA);
	route->type = header->rtm_type;
	route->family = header->rtm_family;
	if (attrs[RTA_OIF])
		route->ifindex = (int)mnl_attr_get_u32(attrs[RTA_OIF]);
	route->has_source = netlink_get_addr(&route->source, route->family, attrs[RTA_PREFSRC]);
	route->has_gateway = netlink_get_addr(&route->gateway, route->family, attrs[RTA_GATEWAY]);
	if (attrs[RTA_VIA] && mnl_attr_get_payload_len(attrs[RTA_VIA]) ==
				      sizeof(struct rtvia) + sizeof(struct udpxdp_addr)) {
		/* An IPv4 route over an IPv6 next hop (RFC 5549). */
		const struct rtvia *via = mnl_attr_get_payload(attrs[RTA_VIA]);

		route->family = (uint8_t)via->rtvia_family;
		memcpy(route->gateway.b, via->rtvia_addr, sizeof(route->gateway));
		route->has_gateway = true;
	}
	return MNL_CB_OK;
}

static bool is_link_local(const struct udpxdp_addr *addr)
{
	return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

/* The VRF that the interface is in, which has routes of its own; 0: none. */
static int vrf_of(struct mnl_socket *socket, int ifindex)
{
	struct link_facts ours, master;

	if (link_read_itself(socket, ifindex, &ours) || !ours.master ||
		link_read_itself(socket, ours.master, &master) || strcmp(master.kind, "vrf"))
		return 0;
	return ours.master;
}

static int ask_route(
	struct mnl_socket *socket, int ifindex, const struct udpxdp_addr *peer, struct route *route)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *message = netlink_question(buffer, RTM_GETROUTE, 0);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	bool ipv4 = udpxdp_addr_is_ipv4(peer);
	int by;

	header->rtm_family = ipv4 ? AF_INET : AF_INET6;
	header->rtm_dst_len = ipv4 ? 32 : 128;
	netlink_put_addr(message, RTA_DST, peer);
	/* A link-local address says nothing without its link. */
	by = is_link_local(peer) ? ifindex : vrf_of(socket, ifindex);
	if (by)
		mnl_attr_put_u32(message, RTA_OIF, (uint32_t)by);
	*route = (struct route){0};
	return netlink_ask(socket, message, parse_route, route);
}

/* ---- the links between the route and the interface ------------------------------------ */

/*
 * Does what the kernel sends by `out` leave by our interface? It does when out is the interface,
 * a VLAN device on top of it (whose tags are then ours to put), or the bridge or bond that it
 * belongs to. *path gets the tags, and out's MAC: the one that the network knows the host by.
 * name says what out is.
 */
static bool leaves_by(struct mnl_socket *socket, int ifindex, int out, struct udpxdp_path *path,
	char name[IF_NAMESIZE])
{
	struct link_facts link, ours;

	if (link_read_itself(socket, out, &link))
		return false;
	strcpy(name, link.name);
	if (!link.has_mac)
		return false;
	memcpy(path->local.mac, link.mac, sizeof(link.mac));
	while (out != ifindex && link.tag.tpid) {
		if (path->tag_count == UDPXDP_VLAN_TAGS_MAX)
			return false;
		path->tags[1] = path->tags[0]; /* outermost first */
		path->tags[0] = link.tag;
		path->tag_count++;
		out = link.lower;
		if (link_read_itself(socket, out, &link))
			return false;
	}
	return out == ifindex || (!link_read_itself(socket, ifindex, &ours) && ours.master == out);
}

/* ---- the way -------------------------------------------------------------------------- */

static const char *no_peer(const struct udpxdp_addr *peer)
{
	static const struct udpxdp_addr unspecified;
	bool ipv4 = udpxdp_addr_is_ipv4(peer);

	if (ipv4 ? peer->b[12] >> 4 == 0xe : peer->b[0] == 0xff)
		return "is a multicast address; give a host address";
	if (ipv4 && peer->w[3] == UINT32_MAX) /* the kernel may have no route to it */
		return "is a broadcast address; give a host address";
	if (ipv4 ? !peer->b[12] : udpxdp_addr_equal(peer, &unspecified))
		return "is not a host address; give one";
	return NULL;
}

static const char *no_way(const struct route *route)
{
	switch (route->type) {
	case RTN_UNICAST:
		return NULL;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		return "is an address of this host; give another host's";
	case RTN_BROADCAST:
		return "is a broadcast address; give a host address";
	default:
		return "is unreachable by its route; see ip route get";
	}
}

/* How the kernel refuses a question for a route. */
static bool route_forbids(int error)
{
	return error == EHOSTUNREACH || error == EACCES || error == EINVAL;
}

bool route_find(struct mnl_socket *socket, int ifindex, const struct udpxdp_addr *peer,
	struct udpxdp_path *path, struct hop *hop, char error[ROUTE_ERROR_SIZE])
{
	char text[UDPXDP_ADDR_TEXT_MAX], name[IF_NAMESIZE] = "another";
	const char *why = no_peer(peer);
	struct route route;

	udpxdp_addr_format(text, peer);
	if (!why && !ask_route(socket, ifindex, peer, &route)) {
		why = no_way(&route);
	} else if (!why && route_forbids(errno)) {
		why = "is unreachable by its route; see ip route get";
	} else if (!why) {
		snprintf(error, ROUTE_ERROR_SIZE, "no route to %s; add one with ip route", text);
		return false;
	}
	if (why) {
		snprintf(error, ROUTE_ERROR_SIZE, "%s %s", text, why);
		return false;
	}
	*path = (struct udpxdp_path){.local.addr = route.source, .peer.addr = *peer};
	if (!leaves_by(socket, ifindex, route.ifindex, path, name)) {
		snprintf(error, ROUTE_ERROR_SIZE,
			"the route to %s leaves by %s, not by this interface; use "
			"the server there",
			text, name);
		return false;
	}
	if (!route.has_source) {
		snprintf(error, ROUTE_ERROR_SIZE,
			"no source address for %s on this host; add one with ip address", text);
		return false;
	}
	*hop = (struct hop){route.ifindex, route.family, route.has_gateway ? route.gateway : *peer};
	return true;
}

bool route_is_on_link(struct mnl_socket *socket, int ifindex, const struct udpxdp_host_addr *addr)
{
	static const struct udpxdp_addr unspecified;
	const bool ipv4 = udpxdp_addr_is_ipv4(&addr->addr);
	const unsigned bits = addr->prefix_len + (ipv4 ? 96 : 0);
	struct udpxdp_addr someone = addr->peer;
	struct udpxdp_path path = {};
	char name[IF_NAMESIZE];
	struct route route;

	if (udpxdp_addr_equal(&someone, &unspecified)) {
		if (bits > 126)
			return false;
		/* The first of the subnet that is not the host itself. */
		someone = addr->addr;
		for (unsigned bit = bits; bit < 128; bit++)
			someone.b[bit / 8] &= ~(0x80 >> bit % 8);
		someone.b[15] |= 1;
		if (udpxdp_addr_equal(&someone, &addr->addr))
			someone.b[15] ^= 3;
	}
	return !ask_route(socket, ifindex, &someone, &route) && route.type == RTN_UNICAST &&
	       !route.has_gateway && leaves_by(socket, ifindex, route.ifindex, &path, name);
}
