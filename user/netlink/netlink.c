/* SPDX-License-Identifier: MIT */
#include "netlink/netlink.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/keep_errno.h"

struct mnl_socket *netlink_open_family(int family, unsigned groups)
{
	struct mnl_socket *socket = mnl_socket_open2(family, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
		KEEP_ERRNO;

		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

struct mnl_socket *netlink_open(unsigned groups)
{
	return netlink_open_family(NETLINK_ROUTE, groups);
}

struct nlmsghdr *netlink_question(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	return message;
}

int netlink_ask(struct mnl_socket *socket, struct nlmsghdr *question, mnl_cb_t parse, void *context)
{
	static uint32_t last_seq;
	_Alignas(struct nlmsghdr) uint8_t answer[NETLINK_BUFFER_SIZE];
	uint32_t seq = question->nlmsg_seq = ++last_seq;
	bool dump = question->nlmsg_flags & NLM_F_DUMP;
	ssize_t len;

	if (mnl_socket_sendto(socket, question, question->nlmsg_len) < 0)
		return -1;
	do {
		do {
			len = mnl_socket_recvfrom(socket, answer, sizeof(answer));
			if (len < 0)
				return -1;
			/* An answer that a failure left unread belongs to an older question. */
		} while (((struct nlmsghdr *)answer)->nlmsg_seq != seq);
		len = mnl_cb_run(
			answer, (size_t)len, seq, mnl_socket_get_portid(socket), parse, context);
	} while (dump && len > 0);
	return len < 0 ? -1 : 0;
}

struct table {
	const struct nlattr **attrs;
	uint16_t max;
};

static int collect(const struct nlattr *attr, void *context)
{
	const struct table *table = context;

	if (mnl_attr_get_type(attr) <= table->max)
		table->attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

void netlink_attributes(
	const struct nlmsghdr *message, size_t header, const struct nlattr **table, uint16_t max)
{
	mnl_attr_parse(message, (unsigned)header, collect, &(struct table){table, max});
}

void netlink_nested(const struct nlattr *attr, const struct nlattr **table, uint16_t max)
{
	mnl_attr_parse_nested(attr, collect, &(struct table){table, max});
}

void netlink_put_addr(struct nlmsghdr *message, uint16_t type, const struct udpxdp_addr *addr)
{
	if (udpxdp_addr_is_ipv4(addr))
		mnl_attr_put(message, type, 4, addr->b + 12);
	else
		mnl_attr_put(message, type, 16, addr->b);
}

bool netlink_get_addr(struct udpxdp_addr *addr, uint8_t family, const struct nlattr *attr)
{
	size_t size = family == AF_INET ? 4 : 16;

	if (!attr || mnl_attr_get_payload_len(attr) != size)
		return false;
	*addr = udpxdp_addr_ipv4(0, 0, 0, 0);
	memcpy(addr->b + sizeof(addr->b) - size, mnl_attr_get_payload(attr), size);
	return true;
}

bool netlink_get_mac(uint8_t mac[6], const struct nlattr *attr)
{
	if (!attr || mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(mac, mnl_attr_get_payload(attr), 6);
	return true;
}
