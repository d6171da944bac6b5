/* SPDX-License-Identifier: MIT */
#include "netlink/ethtool_ioctl.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int ethtool_ask(const char *iface, void *question)
{
	struct ifreq request = {.ifr_data = question};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = -1;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	if (fd >= 0) {
		result = ioctl(fd, SIOCETHTOOL, &request);
		close(fd);
	}
	return result;
}

bool ethtool_driver_is(const char *iface, const char *driver)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	return !ethtool_ask(iface, &info) && !strcmp(info.driver, driver);
}

static uint32_t count_statistics(const char *iface)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} question = {
		.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_STATS},
	};

	return !ethtool_ask(iface, &question) && question.info.sset_mask ? question.count : 0;
}

static bool is_tx_error(const char *name)
{
	return strstr(name, "xdp_tx_err") || strstr(name, "xdp_tx_drop") ||
	       strstr(name, "xdp_tx_full");
}

uint64_t ethtool_tx_errors(const char *iface)
{
	const uint32_t count = count_statistics(iface);
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + count * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + count * sizeof(uint64_t));
	uint64_t sum = 0;

	if (names && values) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_STATS;
		values->cmd = ETHTOOL_GSTATS;
		names->len = values->n_stats = count;
		if (count && !ethtool_ask(iface, names) && !ethtool_ask(iface, values))
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
