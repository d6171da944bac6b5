/* SPDX-License-Identifier: MIT */
#include "netlink/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink/netlink.h"

/* One conversation with the kernel's ethtool family. */
struct talk {
	struct mnl_socket *socket;
	uint16_t family;
	int ifindex;
	struct ethtool_facts *facts;
};

static int read_family(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *attrs[CTRL_ATTR_FAMILY_ID + 1] = {};
	uint16_t *family = context;

	netlink_attributes(message, sizeof(struct genlmsghdr), attrs, CTRL_ATTR_FAMILY_ID);
	if (attrs[CTRL_ATTR_FAMILY_ID])
		*family = mnl_attr_get_u16(attrs[CTRL_ATTR_FAMILY_ID]);
	return MNL_CB_OK;
}

static struct nlmsghdr *question_of(void *buffer, uint16_t family, uint8_t command)
{
	struct nlmsghdr *question = netlink_question(buffer, family, 0);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(question, sizeof(*genl));

	genl->cmd = command;
	genl->version = 1;
	return question;
}

static int find_family(struct talk *t)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question = question_of(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(question, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME);
	return netlink_ask(t->socket, question, read_family, &t->family);
}

/* header is the attribute type of the request's header, 1 in each of them. */
static int ask(struct talk *t, uint8_t command, mnl_cb_t parse)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question = question_of(buffer, t->family, command);
	struct nlattr *header = mnl_attr_nest_start(question, ETHTOOL_A_CHANNELS_HEADER);

	mnl_attr_put_u32(question, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)t->ifindex);
	mnl_attr_nest_end(question, header);
	return netlink_ask(t->socket, question, parse, t->facts);
}

static unsigned number(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static int read_channels(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *a[ETHTOOL_A_CHANNELS_MAX + 1] = {};
	struct ethtool_facts *f = context;
	unsigned combined, combined_max;

	netlink_attributes(message, sizeof(struct genlmsghdr), a, ETHTOOL_A_CHANNELS_MAX);
	combined = number(a[ETHTOOL_A_CHANNELS_COMBINED_COUNT]);
	combined_max = number(a[ETHTOOL_A_CHANNELS_COMBINED_MAX]);
	f->combined = combined_max != 0;
	f->rx_queues = combined + number(a[ETHTOOL_A_CHANNELS_RX_COUNT]);
	f->tx_queues = combined + number(a[ETHTOOL_A_CHANNELS_TX_COUNT]);
	f->rx_queues_max = combined_max + number(a[ETHTOOL_A_CHANNELS_RX_MAX]);
	f->tx_queues_max = combined_max + number(a[ETHTOOL_A_CHANNELS_TX_MAX]);
	return MNL_CB_OK;
}

static int read_rings(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *a[ETHTOOL_A_RINGS_RX + 1] = {};
	struct ethtool_facts *f = context;

	netlink_attributes(message, sizeof(struct genlmsghdr), a, ETHTOOL_A_RINGS_RX);
	f->rx_ring = number(a[ETHTOOL_A_RINGS_RX]);
	f->rx_ring_max = number(a[ETHTOOL_A_RINGS_RX_MAX]);
	return MNL_CB_OK;
}

/* Is a feature of this name set in a bitset of names (ethtool-netlink.rst, "Bit sets")? */
static bool has_bit(const struct nlattr *bitset, const char *name)
{
	const struct nlattr *set[ETHTOOL_A_BITSET_BITS + 1] = {}, *bit;

	if (!bitset)
		return false;
	netlink_nested(bitset, set, ETHTOOL_A_BITSET_BITS);
	if (!set[ETHTOOL_A_BITSET_BITS])
		return false;
	mnl_attr_for_each_nested(bit, set[ETHTOOL_A_BITSET_BITS])
	{
		const struct nlattr *a[ETHTOOL_A_BITSET_BIT_VALUE + 1] = {};
		const struct nlattr *text;

		netlink_nested(bit, a, ETHTOOL_A_BITSET_BIT_VALUE);
		text = a[ETHTOOL_A_BITSET_BIT_NAME];
		if (text && !strncmp(mnl_attr_get_str(text), name, mnl_attr_get_payload_len(text)))
			return a[ETHTOOL_A_BITSET_BIT_VALUE] || set[ETHTOOL_A_BITSET_NOMASK];
	}
	return false;
}

static int read_features(const struct nlmsghdr *message, void *context)
{
	const struct nlattr *a[ETHTOOL_A_FEATURES_NOCHANGE + 1] = {};
	const struct nlattr *active, *fixed;
	struct ethtool_facts *f = context;

	netlink_attributes(message, sizeof(struct genlmsghdr), a, ETHTOOL_A_FEATURES_NOCHANGE);
	active = a[ETHTOOL_A_FEATURES_ACTIVE];
	fixed = a[ETHTOOL_A_FEATURES_NOCHANGE];
	f->lro = has_bit(active, "rx-lro");
	f->gro_hw = has_bit(active, "rx-gro-hw");
	f->udp_gro_forwarding = has_bit(active, "rx-udp-gro-forwarding");
	f->rxvlan = has_bit(active, "rx-vlan-hw-parse");
	f->rxvlan_fixed = has_bit(fixed, "rx-vlan-hw-parse");
	return MNL_CB_OK;
}

/* Driver and flow hash are not in ethtool netlink. */
static void ask_by_ioctl(int ifindex, struct ethtool_facts *f)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_rxnfc hash = {.cmd = ETHTOOL_GRXFH, .flow_type = UDP_V4_FLOW};
	struct ifreq request = {.ifr_data = (void *)&driver};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (if_indextoname((unsigned)ifindex, request.ifr_name)) {
		if (!ioctl(fd, SIOCETHTOOL, &request))
			snprintf(f->driver, sizeof(f->driver), "%.31s", driver.driver);
		request.ifr_data = (void *)&hash;
		f->hash_known = !ioctl(fd, SIOCETHTOOL, &request);
		f->hash_ports = hash.data & (RXH_L4_B_0_1 | RXH_L4_B_2_3);
	}
	close(fd);
}

int ethtool_read(int ifindex, struct ethtool_facts *facts)
{
	struct talk t = {.ifindex = ifindex, .facts = facts};
	int error = 0;

	*facts = (struct ethtool_facts){};
	ask_by_ioctl(ifindex, facts);
	t.socket = netlink_open_family(NETLINK_GENERIC, 0);
	if (!t.socket)
		return -1;
	if (find_family(&t) < 0) {
		error = errno;
	} else {
		/* A driver may lack any of them: EOPNOTSUPP is an answer. */
		ask(&t, ETHTOOL_MSG_CHANNELS_GET, read_channels);
		ask(&t, ETHTOOL_MSG_RINGS_GET, read_rings);
		if (ask(&t, ETHTOOL_MSG_FEATURES_GET, read_features) < 0)
			error = errno;
	}
	mnl_socket_close(t.socket);
	errno = error;
	return error ? -1 : 0;
}
