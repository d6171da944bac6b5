/* SPDX-License-Identifier: MIT */
#include "netlink/resolver.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink/netlink.h"

static struct mnl_socket *kernel;

int resolver_open(void)
{
	if (!kernel)
		kernel = netlink_open(0);
	return kernel ? 0 : -1;
}

int resolver_use(int ifindex, const struct udpxdp_addr *addr)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *message = netlink_question(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
	struct ndmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ndm_family = udpxdp_addr_is_ipv4(addr) ? AF_INET : AF_INET6;
	header->ndm_ifindex = ifindex;
	header->ndm_flags = NTF_USE;
	netlink_put_addr(message, NDA_DST, addr);
	return resolver_open() ? -1 : netlink_ask(kernel, message, NULL, NULL);
}
