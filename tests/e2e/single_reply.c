/* SPDX-License-Identifier: MIT */
/*
 * Serves echo and a service that lives on one worker and answers (single_reply.h), which udpxdp
 * itself has none of. Takes what tests/e2e/lib.sh gives a server: serve, and these options.
 */
#include <getopt.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "server/server.h"
#include "services/service_spec.h"
#include "unit/single_reply.h"

int main(int argc, char **argv)
{
	static struct server_config c = {.last_queue = MAX_QUEUES - 1, .control_asked = true};
	static const struct option options[] = {
		{"iface", required_argument, NULL, 'i'},
		{"mode", required_argument, NULL, 'm'},
		{"control", required_argument, NULL, 'c'},
		{"pin-dir", required_argument, NULL, 'p'},
		{},
	};
	char error[256];
	int option;

	if (argc < 2 || strcmp(argv[1], "serve"))
		return EXIT_USAGE;
	while ((option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			c.iface = optarg;
			break;
		case 'm':
			c.mode = !strcmp(optarg, "skb") ? XDP_MODE_SKB : XDP_MODE_COPY;
			break;
		case 'c':
			c.control = optarg;
			break;
		case 'p':
			c.pin_dir = optarg;
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (!c.iface || !c.control || !c.pin_dir)
		return EXIT_USAGE;
	c.ifindex = (int)if_nametoindex(c.iface);
	if (service_parse(&c.services[0], "echo", error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "%s", error);
	c.services[1] = (struct service_config){
		.service = &single_reply_service, .port = SINGLE_REPLY_PORT};
	c.service_count = 2;
	filter_log_setup();
	tzset();
	return server_run(&c);
}
