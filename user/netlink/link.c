/* SPDX-License-Identifier: MIT */
#include "netlink/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#define RUNNING 0x40 /* IFF_RUNNING; <net/if.h> and <linux/if.h> exclude each other */

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	if (attr)
		snprintf(to, size, "%.*s", (int)mnl_attr_get_payload_len(attr),
			(const char *)mnl_attr_get_payload(attr));
}

static uint32_t number(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

struct link_row {
	const struct ifinfomsg *header;
	const struct nlattr *attrs[IFLA_XDP + 1];
	const struct nlattr *info[IFLA_INFO_SLAVE_DATA + 1];
};

static void read_row(struct link_row *row, const struct nlmsghdr *message)
{
	*row = (struct link_row){.header = mnl_nlmsg_get_payload(message)};
	netlink_attributes(message, sizeof(*row->header), row->attrs, IFLA_XDP);
	if (row->attrs[IFLA_LINKINFO])
		netlink_nested(row->attrs[IFLA_LINKINFO], row->info, IFLA_INFO_SLAVE_DATA);
}

static void read_xdp(struct link_facts *f, const struct nlattr *xdp)
{
	const struct nlattr *a[IFLA_XDP_MAX + 1] = {};
	uint32_t id;

	if (!xdp)
		return;
	netlink_nested(xdp, a, IFLA_XDP_MAX);
	f->xdp_native = number(a[IFLA_XDP_DRV_PROG_ID]);
	f->xdp_generic = number(a[IFLA_XDP_SKB_PROG_ID]);
	f->xdp_offloaded = number(a[IFLA_XDP_HW_PROG_ID]);
	/* Where only one program is attached, older kernels say no more than its id and how. */
	id = number(a[IFLA_XDP_PROG_ID]);
	if (!id || f->xdp_native || f->xdp_generic || f->xdp_offloaded)
		return;
	if (a[IFLA_XDP_ATTACHED] && mnl_attr_get_u8(a[IFLA_XDP_ATTACHED]) == XDP_ATTACHED_SKB)
		f->xdp_generic = id;
	else
		f->xdp_native = id;
}

static void read_vlan(struct link_facts *f, const struct link_row *row)
{
	const struct nlattr *vlan[IFLA_VLAN_PROTOCOL + 1] = {};

	if (strcmp(f->kind, "vlan") || !row->info[IFLA_INFO_DATA])
		return;
	netlink_nested(row->info[IFLA_INFO_DATA], vlan, IFLA_VLAN_PROTOCOL);
	if (!vlan[IFLA_VLAN_ID] || !vlan[IFLA_VLAN_PROTOCOL])
		return;
	f->tag.tci = mnl_attr_get_u16(vlan[IFLA_VLAN_ID]);
	f->tag.tpid = ntohs(mnl_attr_get_u16(vlan[IFLA_VLAN_PROTOCOL]));
}

static void read_bridge(struct link_facts *f, const struct link_row *row)
{
	const struct nlattr *bridge[IFLA_BR_VLAN_FILTERING + 1] = {};

	if (strcmp(f->kind, "bridge") || !row->info[IFLA_INFO_DATA])
		return;
	netlink_nested(row->info[IFLA_INFO_DATA], bridge, IFLA_BR_VLAN_FILTERING);
	f->filters_vlans =
		bridge[IFLA_BR_VLAN_FILTERING] && mnl_attr_get_u8(bridge[IFLA_BR_VLAN_FILTERING]);
}

static void read_ipvlan(struct link_facts *f, const struct link_row *row)
{
	const struct nlattr *ipvlan[IFLA_IPVLAN_MODE + 1] = {};

	if (strcmp(f->kind, "ipvlan") || !row->info[IFLA_INFO_DATA])
		return;
	netlink_nested(row->info[IFLA_INFO_DATA], ipvlan, IFLA_IPVLAN_MODE);
	f->layer3 = ipvlan[IFLA_IPVLAN_MODE] &&
		    mnl_attr_get_u16(ipvlan[IFLA_IPVLAN_MODE]) != IPVLAN_MODE_L2;
}

static void read_itself(struct link_facts *f, const struct link_row *row)
{
	const struct nlattr *slave[IFLA_BOND_SLAVE_MAX + 1] = {};

	copy_text(f->name, sizeof(f->name), row->attrs[IFLA_IFNAME]);
	copy_text(f->kind, sizeof(f->kind), row->info[IFLA_INFO_KIND]);
	f->ethernet = row->header->ifi_type == ARPHRD_ETHER;
	f->loopback = row->header->ifi_type == ARPHRD_LOOPBACK;
	f->up = row->header->ifi_flags & IFF_UP;
	f->carrier = row->header->ifi_flags & RUNNING;
	f->has_mac = netlink_get_mac(f->mac, row->attrs[IFLA_ADDRESS]);
	f->mtu = number(row->attrs[IFLA_MTU]);
	f->rx_queues = number(row->attrs[IFLA_NUM_RX_QUEUES]);
	f->tx_queues = number(row->attrs[IFLA_NUM_TX_QUEUES]);
	f->master = (int)number(row->attrs[IFLA_MASTER]);
	/* Its number in another namespace says nothing here. */
	if (!row->attrs[IFLA_LINK_NETNSID])
		f->lower = (int)number(row->attrs[IFLA_LINK]);
	read_vlan(f, row);
	read_ipvlan(f, row);
	read_bridge(f, row);
	read_xdp(f, row->attrs[IFLA_XDP]);
	if (row->info[IFLA_INFO_SLAVE_DATA] && row->info[IFLA_INFO_SLAVE_KIND] &&
		!strcmp(mnl_attr_get_str(row->info[IFLA_INFO_SLAVE_KIND]), "bond")) {
		netlink_nested(row->info[IFLA_INFO_SLAVE_DATA], slave, IFLA_BOND_SLAVE_MAX);
		f->backup = slave[IFLA_BOND_SLAVE_STATE] &&
			    mnl_attr_get_u8(slave[IFLA_BOND_SLAVE_STATE]) == 1;
	}
}

static int read_one(const struct nlmsghdr *message, void *context)
{
	struct link_row row;

	read_row(&row, message);
	read_itself(context, &row);
	return MNL_CB_OK;
}

static bool stands_on(const struct link_row *row, int ifindex)
{
	return !row->attrs[IFLA_LINK_NETNSID] && (int)number(row->attrs[IFLA_LINK]) == ifindex;
}

/* A program there keeps the kernel from attaching one here. */
static void look_for_xdp_beside(struct link_facts *f, const struct link_row *row)
{
	const int index = row->header->ifi_index;
	struct link_facts other = {};

	if (index != f->master && index != f->lower && !stands_on(row, f->ifindex) &&
		(int)number(row->attrs[IFLA_MASTER]) != f->ifindex)
		return;
	read_xdp(&other, row->attrs[IFLA_XDP]);
	if (other.xdp_native || other.xdp_generic || other.xdp_offloaded)
		copy_text(f->xdp_beside, sizeof(f->xdp_beside), row->attrs[IFLA_IFNAME]);
}

/* One of all the others: is it above, below or the master? */
static int read_other(const struct nlmsghdr *message, void *context)
{
	struct link_facts *f = context;
	struct link_row row;

	read_row(&row, message);
	look_for_xdp_beside(f, &row);
	if (row.header->ifi_index == f->master) {
		copy_text(f->master_name, sizeof(f->master_name), row.attrs[IFLA_IFNAME]);
		copy_text(f->master_kind, sizeof(f->master_kind), row.info[IFLA_INFO_KIND]);
	}
	if (row.header->ifi_index == f->lower)
		copy_text(f->lower_name, sizeof(f->lower_name), row.attrs[IFLA_IFNAME]);
	if (stands_on(&row, f->ifindex) && row.info[IFLA_INFO_KIND] &&
		!strcmp(mnl_attr_get_str(row.info[IFLA_INFO_KIND]), "vlan")) {
		if (f->vlan_count < LINK_VLANS_MAX)
			copy_text(f->vlan_names[f->vlan_count], IFNAMSIZ, row.attrs[IFLA_IFNAME]);
		f->vlan_count++;
	}
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *socket, int ifindex, mnl_cb_t parse, struct link_facts *facts)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question = netlink_question(buffer, RTM_GETLINK, ifindex ? 0 : NLM_F_DUMP);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(question, sizeof(*link));

	link->ifi_index = ifindex;
	return netlink_ask(socket, question, parse, facts);
}

int link_read_itself(struct mnl_socket *socket, int ifindex, struct link_facts *facts)
{
	*facts = (struct link_facts){.ifindex = ifindex};
	return ask(socket, ifindex, read_one, facts);
}

int link_read(int ifindex, struct link_facts *facts)
{
	struct mnl_socket *socket = netlink_open(0);
	int error = 0;

	*facts = (struct link_facts){.ifindex = ifindex};
	if (!socket)
		return -1;
	if (ask(socket, ifindex, read_one, facts) < 0 || ask(socket, 0, read_other, facts) < 0)
		error = errno;
	mnl_socket_close(socket);
	errno = error;
	return error ? -1 : 0;
}

unsigned link_storey(int ifindex)
{
	struct mnl_socket *socket = netlink_open(0);
	struct link_facts link;
	unsigned storey = 0;

	/* A veth names its other end so. */
	while (socket && storey < LINK_STOREYS_MAX && !link_read_itself(socket, ifindex, &link) &&
		link.lower && strcmp(link.kind, "veth")) {
		ifindex = link.lower;
		storey++;
	}
	if (socket)
		mnl_socket_close(socket);
	return storey;
}

int link_neighbour_holder(struct mnl_socket *socket, int ifindex)
{
	struct link_facts link, master;

	if (link_read_itself(socket, ifindex, &link) || !link.master ||
		link_read_itself(socket, link.master, &master) || !strcmp(master.kind, "vrf"))
		return ifindex;
	return link.master;
}
