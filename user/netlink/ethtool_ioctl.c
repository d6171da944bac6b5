/* SPDX-License-Identifier: MIT */
#include "netlink/ethtool_ioctl.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "netlink/link.h"
#include "netlink/netlink.h"

int ethtool_ask(int ifindex, void *question)
{
	struct ifreq request = {.ifr_data = question};
	/* Any socket will do for the question, also the one that knows the interface's name now. */
	struct mnl_socket *socket = netlink_open(0);
	struct link_facts link;
	int result = -1;

	if (!socket)
		return -1;
	if (!link_read_itself(socket, ifindex, &link)) {
		memcpy(request.ifr_name, link.name, sizeof(request.ifr_name));
		result = ioctl(mnl_socket_get_fd(socket), SIOCETHTOOL, &request);
	}
	mnl_socket_close(socket);
	return result;
}

bool ethtool_driver_is(int ifindex, const char *driver)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	return !ethtool_ask(ifindex, &info) && !strcmp(info.driver, driver);
}

static uint32_t count_statistics(int ifindex)
{
	union {
		struct ethtool_sset_info info;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]; /* one count */
	} question = {
		.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_STATS},
	};

	return !ethtool_ask(ifindex, &question) && question.info.sset_mask ? question.info.data[0]
									   : 0;
}

static bool is_tx_error(const char *name)
{
	return strstr(name, "xdp_tx_err") || strstr(name, "xdp_tx_drop") ||
	       strstr(name, "xdp_tx_full");
}

uint64_t ethtool_tx_errors(int ifindex)
{
	const uint32_t count = count_statistics(ifindex);
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + count * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + count * sizeof(uint64_t));
	uint64_t sum = 0;

	if (names && values) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_STATS;
		values->cmd = ETHTOOL_GSTATS;
		names->len = values->n_stats = count;
		if (count && !ethtool_ask(ifindex, names) && !ethtool_ask(ifindex, values))
			for (uint32_t i = 0; i < count; i++) {
				char name[ETH_GSTRING_LEN + 1] = "";

				memcpy(name, names->data + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
				if (is_tx_error(name))
					sum += values->data[i];
			}
	}
	free(names);
	free(values);
	return sum;
}
