/* SPDX-License-Identifier: MIT */
#include "netlink/links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "netlink/link.h"
#include "udpxdp/packet.h"

/* ---- reading -------------------------------------------------------------------------- */

static bool is_among(const char *kind, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(kind, *list))
			return true;
	return false;
}

static uint32_t number(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint32_t read_tag(const struct nlattr *data)
{
	const struct nlattr *vlan[IFLA_VLAN_PROTOCOL + 1] = {};

	if (!data)
		return 0;
	netlink_nested(data, vlan, IFLA_VLAN_PROTOCOL);
	if (!vlan[IFLA_VLAN_ID] || !vlan[IFLA_VLAN_PROTOCOL])
		return 0;
	return packet_vlan(0, ntohs(mnl_attr_get_u16(vlan[IFLA_VLAN_PROTOCOL])),
		mnl_attr_get_u16(vlan[IFLA_VLAN_ID]));
}

int links_add(struct links *links, const struct nlmsghdr *message)
{
	static const char *const above[] = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", NULL};
	static const char *const gather[] = {"bridge", "bond", "team", NULL};
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[IFLA_LINK_NETNSID + 1] = {}, *info[IFLA_INFO_DATA + 1] = {};
	struct links_entry entry = {.ifindex = header->ifi_index};
	const char *kind = "";

	netlink_attributes(message, sizeof(*header), attrs, IFLA_LINK_NETNSID);
	if (attrs[IFLA_LINKINFO])
		netlink_nested(attrs[IFLA_LINKINFO], info, IFLA_INFO_DATA);
	if (info[IFLA_INFO_KIND])
		kind = mnl_attr_get_str(info[IFLA_INFO_KIND]);
	entry.master = (int)number(attrs[IFLA_MASTER]);
	/* Its number in another namespace says nothing here. */
	if (!attrs[IFLA_LINK_NETNSID])
		entry.lower = (int)number(attrs[IFLA_LINK]);
	entry.above = is_among(kind, above);
	entry.gathers = is_among(kind, gather);
	if (!strcmp(kind, "vlan"))
		entry.tag = read_tag(info[IFLA_INFO_DATA]);
	entry.has_mac = netlink_get_mac(entry.mac, attrs[IFLA_ADDRESS]);
	if (links->count == links->room) {
		size_t room = links->room ? links->room * 2 : 32;
		void *grown = reallocarray(links->entries, room, sizeof(entry));

		if (!grown)
			return -1;
		links->entries = grown;
		links->room = room;
	}
	links->entries[links->count++] = entry;
	return 0;
}

static int read_link(const struct nlmsghdr *message, void *context)
{
	return links_add(context, message) ? MNL_CB_ERROR : MNL_CB_OK;
}

int links_read(struct mnl_socket *socket, struct links *links)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question = netlink_question(buffer, RTM_GETLINK, NLM_F_DUMP);

	*links = (struct links){};
	mnl_nlmsg_put_extra_header(question, sizeof(struct ifinfomsg));
	return netlink_ask(socket, question, read_link, links);
}

void links_free(struct links *links)
{
	free(links->entries);
	*links = (struct links){};
}

/* ---- judging -------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
	const struct links_entry *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static struct links_entry *find(const struct links *links, int ifindex)
{
	const struct links_entry key = {.ifindex = ifindex};

	if (!links->count || !ifindex)
		return NULL;
	return bsearch(&key, links->entries, links->count, sizeof(key), by_index);
}

const struct links_entry *links_find(const struct links *links, int ifindex)
{
	return find(links, ifindex);
}

/* A frame that comes to the lower one comes to this one, too. Returns whether that is news. */
static bool climb(const struct links *links, struct links_entry *entry)
{
	const struct links_entry *lower = entry->above ? find(links, entry->lower) : NULL;

	if (entry->road != ROAD_NONE || !lower || lower->road != ROAD_SAME)
		return false;
	/* More tags than the grammar reads. */
	if (entry->tag && lower->vlan >> 16)
		return false;
	entry->road = entry->tag ? ROAD_SAME : ROAD_BESIDE;
	entry->vlan = entry->tag ? lower->vlan << 16 | entry->tag : lower->vlan;
	return true;
}

static bool climb_to_master(const struct links *links, const struct links_entry *entry)
{
	struct links_entry *master = find(links, entry->master);

	if (entry->road != ROAD_SAME || !master || !master->gathers || master->road == ROAD_SAME)
		return false;
	master->road = ROAD_SAME;
	master->vlan = entry->vlan;
	return true;
}

void links_find_roads(struct links *links, int ifindex)
{
	struct links_entry *self, *lower;
	bool news = true;

	if (links->count)
		qsort(links->entries, links->count, sizeof(*links->entries), by_index);
	for (size_t i = 0; i < links->count; i++)
		links->entries[i].road = ROAD_NONE;
	self = find(links, ifindex);
	if (!self)
		return;
	self->road = ROAD_SAME;
	self->vlan = 0;
	for (unsigned storey = 0; news && storey < LINK_STOREYS_MAX; storey++) {
		news = false;
		for (size_t i = 0; i < links->count; i++) {
			news |= climb(links, &links->entries[i]);
			news |= climb_to_master(links, &links->entries[i]);
		}
	}
	/* Downwards: what a member or the lower device takes for its own goes on to this one. */
	for (size_t i = 0; i < links->count; i++)
		if (links->entries[i].road == ROAD_NONE && self->gathers &&
			links->entries[i].master == ifindex)
			links->entries[i].road = ROAD_BESIDE;
	lower = self->tag ? find(links, self->lower) : NULL;
	if (lower && lower->road == ROAD_NONE)
		lower->road = ROAD_BESIDE;
}

static void list_ids(const struct vlan_set *set, struct udpxdp_host_vlan *vlans, size_t *count)
{
	for (uint32_t id = 1; id <= VLAN_ID_MAX; id++) {
		if (!(set->ids[id / 64] >> id % 64 & 1))
			continue;
		vlans[(*count)++] = (struct udpxdp_host_vlan){id, UDPXDP_VLAN_ALL};
		vlans[(*count)++] =
			(struct udpxdp_host_vlan){id | PACKET_VLAN_SERVICE, UDPXDP_VLAN_ALL};
	}
}

int links_taken(
	const struct links *links, const struct vlan_set *set, struct udpxdp_host_links *taken)
{
	uint64_t *macs = calloc(links->count + 1, sizeof(*macs));
	struct udpxdp_host_vlan *vlans =
		calloc(links->count + 2 * (VLAN_ID_MAX + 1), sizeof(*vlans));

	taken->macs = macs;
	taken->vlans = vlans;
	taken->mac_count = taken->vlan_count = 0;
	taken->any_vlan = set->choice == VLAN_CHOICE_ANY;
	if (!macs || !vlans) {
		links_free_taken(taken);
		errno = ENOMEM;
		return -1;
	}
	for (size_t i = 0; i < links->count; i++) {
		const struct links_entry *e = &links->entries[i];
		const uint64_t mac = packet_mac(e->mac);

		if (e->road != ROAD_NONE && e->has_mac && mac != packet_mac(taken->mac))
			macs[taken->mac_count++] = mac;
		if (set->choice == VLAN_CHOICE_OWN && e->road == ROAD_SAME && e->vlan)
			vlans[taken->vlan_count++] = (struct udpxdp_host_vlan){e->vlan, e->vlan};
	}
	if (set->choice == VLAN_CHOICE_LIST)
		list_ids(set, vlans, &taken->vlan_count);
	return 0;
}

void links_free_taken(struct udpxdp_host_links *taken)
{
	free((void *)taken->macs);
	free((void *)taken->vlans);
	taken->macs = NULL;
	taken->vlans = NULL;
}
