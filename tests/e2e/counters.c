/* SPDX-License-Identifier: MIT */
/*
 * Stands in for a server where its counters are read: loads the filter, serves ports 8080 and
 * 8090 of ADDR without a socket behind them, fills in the rows of two services on two workers,
 * pins them in DIR ("" for no pins) and attaches to IFACE. Then each line of standard input adds
 * 100 datagrams of 1,000 bytes to the first row, 7 of them refused; the end of input ends it as a
 * server ends.
 *
 *   counters IFACE ADDR DIR
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xdp/filter.h"
#include "base/log.h"
#include "netlink/link.h"
#include "udpxdp/datagram.h"
#include "udpxdp/packet.h"

#define WORKERS 2
#define SERVICES 2

static void fill(struct service_counters *rows)
{
	static const struct {
		const char *name;
		uint16_t port;
	} services[SERVICES] = {{"echo", 8080}, {"chat", 8090}};

	for (unsigned i = 0; i < WORKERS * SERVICES; i++) {
		struct service_counters *row = &rows[i];

		snprintf(row->service, sizeof(row->service), "%s", services[i % SERVICES].name);
		row->port = services[i % SERVICES].port;
		row->worker = (uint16_t)(i / SERVICES);
		row->rx = 10 + i;
		row->tx = 20 + i;
		row->rx_bytes = 1000 + i;
		row->tx_bytes = 2000 + i;
		row->drops[UDPXDP_DROP_bad_udp_checksum] = i;
		row->drops[UDPXDP_DROP_print_lost] = 5;
	}
}

int main(int argc, char **argv)
{
	struct filter_settings settings = {.counter_rows = WORKERS * SERVICES};
	struct service_counters *rows;
	struct filter *filter;
	struct link_facts link;
	struct udpxdp_addr addr;
	char error[256], line[16];
	uint8_t *b = addr.b;

	if (argc != 4)
		return EXIT_USAGE;
	settings.ifindex = (int)if_nametoindex(argv[1]);
	addr = udpxdp_addr_ipv4(0, 0, 0, 0);
	if (inet_pton(AF_INET, argv[2], b + 12) != 1)
		return EXIT_USAGE;
	filter_log_setup();
	filter = filter_load(&settings, error, sizeof(error));
	if (!filter)
		log_fail(EXIT_RUNTIME, "%s", error);
	if (link_read(settings.ifindex, &link))
		log_fail(EXIT_RUNTIME, "%m");
	filter_set_own_mac(filter, packet_mac(link.mac));
	rows = filter_counters(filter);
	fill(rows);
	if (filter_serve_port(filter, 8080, false) || filter_serve_port(filter, 8090, false) ||
		filter_set_address(filter, &addr, UDPXDP_LOCAL_UNICAST, UDPXDP_VLAN_ALL) ||
		(*argv[3] && filter_pin(filter, argv[3])))
		log_fail(EXIT_RUNTIME, "%m");
	if (filter_attach(filter, true))
		log_fail(EXIT_RUNTIME, "%m");
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		rows[0].rx += 100;
		rows[0].rx_bytes += 100000;
		rows[0].drops[UDPXDP_DROP_loop] += 7;
	}
	filter_close(filter);
	return EXIT_CLEAN;
}
