/* SPDX-License-Identifier: MIT */
/*
 * resolve IFACE ADDR...: asks netlink/neighbours.h for the way to each address, all at once, and
 * prints what comes back, one line each, as it comes:
 *
 *   ADDR: from ADDR MAC to MAC [tag TPID.VID]...
 *   ADDR: error WHY
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/neighbours.h"
#include "udpxdp/service.h"

struct request {
	sd_event *loop;
	const char *text;
	int *left;
};

static void print_mac(const char *before, const uint8_t mac[6])
{
	printf(" %s%02x:%02x:%02x:%02x:%02x:%02x", before, mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
}

static void on_done(void *context, const struct udpxdp_path *path, const char *error)
{
	const struct request *request = context;
	char addr[UDPXDP_ADDR_TEXT_MAX];

	if (error) {
		printf("%s: error %s\n", request->text, error);
	} else {
		udpxdp_addr_format(addr, &path->peer.addr);
		printf("%s:%s from ", request->text, strcmp(addr, request->text) ? " not" : "");
		udpxdp_addr_format(addr, &path->local.addr);
		fputs(addr, stdout);
		print_mac("", path->local.mac);
		print_mac("to ", path->peer.mac);
		for (int i = 0; i < path->tag_count; i++)
			printf(" tag %04x.%u", path->tags[i].tpid, path->tags[i].tci);
		puts("");
	}
	fflush(stdout);
	if (!--*request->left)
		sd_event_exit(request->loop, 0);
}

int main(int argc, char **argv)
{
	struct neighbours *neighbours;
	struct request *requests = calloc((size_t)argc, sizeof(*requests));
	int left = argc - 2, status;
	sd_event *loop;

	if (argc < 3 || !requests || sd_event_new(&loop) < 0)
		return 2;
	neighbours = neighbours_open(loop, (int)if_nametoindex(argv[1]));
	if (!neighbours) {
		printf("neighbours_open: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		struct udpxdp_addr addr = udpxdp_addr_ipv4(0, 0, 0, 0);

		if (inet_pton(AF_INET, argv[i], addr.b + 12) != 1 &&
			inet_pton(AF_INET6, argv[i], addr.b) != 1)
			return 2;
		requests[i] = (struct request){loop, argv[i], &left};
		neighbours_resolve(neighbours, &addr, on_done, &requests[i]);
	}
	status = left ? sd_event_loop(loop) : 0;
	neighbours_close(neighbours);
	sd_event_unref(loop);
	free(requests);
	return status ? 1 : 0;
}
