/* SPDX-License-Identifier: MIT */
#include "netlink/bridge.h"

#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "netlink/link.h"
#include "udpxdp/service.h"

#define VIDS 4096

/* What there is to know of a bridge and one of its ports. */
struct bridge {
	int ifindex, port;
	uint8_t mac[6];    /* of the peer */
	int behind;        /* the port that it was seen at; 0: nowhere */
	uint32_t vid;      /* that the bridge itself sends untagged frames in; 0: none */
	uint16_t at[VIDS]; /* how the port has each VLAN: BRIDGE_VLAN_INFO_*; 0: not at all */
};

#define MEMBER 0x8000 /* none of BRIDGE_VLAN_INFO_* */

static int parse_entry(const struct nlmsghdr *message, void *context)
{
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[NDA_LLADDR + 1] = {};
	struct bridge *b = context;
	uint8_t mac[6];

	netlink_attributes(message, sizeof(*header), attrs, NDA_LLADDR);
	if (!(header->ndm_flags & NTF_SELF) && netlink_get_mac(mac, attrs[NDA_LLADDR]) &&
		!memcmp(mac, b->mac, sizeof(mac)) && b->behind != b->port)
		b->behind = header->ndm_ifindex;
	return MNL_CB_OK;
}

/* At which port is the peer? */
static void find_port(struct mnl_socket *socket, struct bridge *b)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *message = netlink_question(buffer, RTM_GETNEIGH, NLM_F_DUMP);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ifi_family = AF_BRIDGE;
	mnl_attr_put_u32(message, IFLA_MASTER, (uint32_t)b->ifindex);
	netlink_ask(socket, message, parse_entry, b);
}

static void note_vlan(struct bridge *b, bool own, const struct nlattr *attr)
{
	const struct bridge_vlan_info *vlan = mnl_attr_get_payload(attr);

	if (mnl_attr_get_payload_len(attr) < sizeof(*vlan) || vlan->vid >= VIDS)
		return;
	if (!own)
		b->at[vlan->vid] = vlan->flags | MEMBER;
	else if (vlan->flags & BRIDGE_VLAN_INFO_PVID)
		b->vid = vlan->vid;
}

static int parse_vlans(const struct nlmsghdr *message, void *context)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[IFLA_AF_SPEC + 1] = {}, *attr;
	struct bridge *b = context;

	if (header->ifi_index != b->ifindex && header->ifi_index != b->port)
		return MNL_CB_OK;
	netlink_attributes(message, sizeof(*header), attrs, IFLA_AF_SPEC);
	if (attrs[IFLA_AF_SPEC])
		mnl_attr_for_each_nested(attr,
			attrs[IFLA_AF_SPEC]) if (mnl_attr_get_type(attr) == IFLA_BRIDGE_VLAN_INFO)
			note_vlan(b, header->ifi_index == b->ifindex, attr);
	return MNL_CB_OK;
}

static void read_vlans(struct mnl_socket *socket, struct bridge *b)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *message = netlink_question(buffer, RTM_GETLINK, NLM_F_DUMP);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ifi_family = AF_BRIDGE;
	mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
	netlink_ask(socket, message, parse_vlans, b);
}

/* The tags that the port puts on it; false: it is in a VLAN that the port is not in. */
static bool choose_tags(const struct bridge *b, struct udpxdp_path *path)
{
	const bool tagged = path->tag_count && path->tags[0].tpid == ETH_P_8021Q;
	const uint32_t vid = tagged ? path->tags[0].tci % VIDS : b->vid;
	const uint16_t at = b->at[vid];

	if (!vid || !at)
		return false;
	if (tagged && at & BRIDGE_VLAN_INFO_UNTAGGED) {
		path->tags[0] = path->tags[1];
		path->tag_count--;
	} else if (!tagged && !(at & BRIDGE_VLAN_INFO_UNTAGGED)) {
		if (path->tag_count == UDPXDP_VLAN_TAGS_MAX)
			return false;
		path->tags[1] = path->tags[0];
		path->tags[0] = (struct udpxdp_vlan_tag){.tpid = ETH_P_8021Q, .tci = (uint16_t)vid};
		path->tag_count++;
	}
	return true;
}

static bool sends(struct mnl_socket *socket, const struct link_facts *port,
	struct udpxdp_path *path, char error[ROUTE_ERROR_SIZE])
{
	struct bridge b = {.ifindex = port->master, .port = port->ifindex};
	char addr[UDPXDP_ADDR_TEXT_MAX];
	struct link_facts bridge, other;

	if (link_read_itself(socket, port->master, &bridge) || strcmp(bridge.kind, "bridge"))
		return true;
	udpxdp_addr_format(addr, &path->peer.addr);
	memcpy(b.mac, path->peer.mac, sizeof(b.mac));
	find_port(socket, &b);
	if (b.behind && b.behind != b.port && !link_read_itself(socket, b.behind, &other)) {
		snprintf(error, ROUTE_ERROR_SIZE,
			"%s is behind port %s of bridge %s, not behind this one; serve %s", addr,
			other.name, bridge.name, bridge.name);
		return false;
	}
	if (!bridge.filters_vlans)
		return true;
	read_vlans(socket, &b);
	if (choose_tags(&b, path))
		return true;
	snprintf(error, ROUTE_ERROR_SIZE,
		"%s is in a VLAN of bridge %s that port %s is not in; see bridge vlan", addr,
		bridge.name, port->name);
	return false;
}

bool bridge_sends(int ifindex, struct udpxdp_path *path, char error[ROUTE_ERROR_SIZE])
{
	struct mnl_socket *socket = netlink_open(0);
	struct link_facts port;
	bool result = true;

	if (socket && !link_read_itself(socket, ifindex, &port) && port.master)
		result = sends(socket, &port, path, error);
	if (socket)
		mnl_socket_close(socket);
	return result;
}
