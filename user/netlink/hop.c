/* SPDX-License-Identifier: MIT */
#include "netlink/hop.h"

#include <linux/rtnetlink.h>

static int parse_neighbour(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attrs[NDA_LLADDR + 1] = {0};
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);
	struct neighbour *neighbour = context;

	netlink_attributes(message, sizeof(*header), attrs, NDA_LLADDR);
	neighbour->state = header->ndm_state;
	neighbour->has_mac = netlink_get_mac(neighbour->mac, attrs[NDA_LLADDR]);
	return MNL_CB_OK;
}

static struct nlmsghdr *about_hop(void *buffer, const struct hop *hop)
{
	struct nlmsghdr *message = netlink_question(buffer, RTM_GETNEIGH, 0);
	struct ndmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ndm_family = hop->family;
	header->ndm_ifindex = hop->ifindex;
	netlink_put_addr(message, NDA_DST, &hop->addr);
	return message;
}

struct neighbour hop_look_up(struct mnl_socket *questions, const struct hop *hop)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct neighbour found = {.state = NUD_NONE};

	netlink_ask(questions, about_hop(buffer, hop), parse_neighbour, &found);
	return found;
}
