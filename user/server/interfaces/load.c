/* SPDX-License-Identifier: MIT */
/* An interface's filter: loaded, its maps filled, its counters pinned. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "server/internal.h"

int server_dispatcher_failed(void)
{
	log_line("attaching through the dispatcher failed: the kernel does not allow programs of "
		 "type "
		 "EXT, which libxdp needs; use --attach link");
	return EXIT_INTERFACE;
}

/* Loading through the dispatcher attaches, and so decides about the mode. */
static int load_dispatched(struct server *s, struct filter_settings *settings,
	struct xsk_sockets_config *sockets, char *error, size_t size)
{
	unsigned id = filter_find_dispatched(settings->ifindex);
	int status = xsk_sockets_settle_mode(sockets);
	bool generic;

	if (status)
		return status;
	if (id && xsk_sockets_are_taken(sockets)) {
		log_line("interface %s is busy: another udpxdp serves it (XDP program %u); stop it",
			sockets->iface, id);
		return EXIT_BUSY;
	}
	settings->generic = sockets->mode == XDP_MODE_SKB;
	settings->native = sockets->mode == XDP_MODE_ZEROCOPY || sockets->mode == XDP_MODE_COPY;
	s->filter = filter_load_dispatched(settings, &generic, error, size);
	if (s->filter && generic)
		sockets->mode = XDP_MODE_SKB;
	if (s->filter || errno != EOPNOTSUPP)
		return EXIT_CLEAN;
	return server_dispatcher_failed();
}

int server_filter_failed(const char *error)
{
	const bool permitted = errno != EPERM && errno != EACCES;

	log_line("loading the filter failed: %s; see udpxdp -vv for the kernel's messages%s", error,
		permitted ? "" : ", or serve without XDP: --mode sockets");
	return permitted ? EXIT_INTERFACE : EXIT_PERMISSION;
}

int server_load_filter(struct server *s)
{
	const struct server_config *c = s->config;
	struct xsk_sockets_config *sockets = &s->opening;
	const unsigned workers = s->counter_workers;
	struct filter_settings settings = {
		.ifindex = c->ifindex,
		.frame_max = afxdp_frame_max(s->mtu_max),
		.frags = s->link_mtu > AFXDP_WHOLE_MTU_MAX,
		.counter_rows = (workers + (c->beside ? 1 : 0)) * c->service_count,
		.limit_interval = c->limit.interval,
		.limit_burst = c->limit.burst,
		.total_interval = c->total.interval,
		.total_burst = c->total.burst,
		.rules = c->rule_count != 0 || c->rules_file,
		.any_vlan = c->vlans.choice == VLAN_CHOICE_ANY,
		.answers = server_asks_for_answers(c) && c->mode != XDP_MODE_SKB,
	};
	char error[256];
	int status = EXIT_CLEAN;

	if (c->dispatcher)
		status = load_dispatched(s, &settings, sockets, error, sizeof(error));
	else
		s->filter = filter_load(&settings, error, sizeof(error));
	if (status)
		return status;
	if (!s->filter)
		return server_filter_failed(error);
	for (unsigned i = 0; i < c->service_count; i++)
		if (filter_serve_port(s->filter, c->services[i].port,
			    c->services[i].service->wants_broadcast) < 0)
			return server_start_failed("filling the filter's maps");
	if (!filter_pin(s->filter, c->pin_dir))
		return EXIT_CLEAN;
	if (errno == EBUSY) {
		log_line("%s is in use: another udpxdp pins its counters there; stop it or use "
			 "another "
			 "--pin-dir",
			c->pin_dir);
		return EXIT_BUSY;
	}
	log_line("counters are not pinned in %s: %s; %s", c->pin_dir, strerror(errno),
		errno == EPERM && strchr(c->pin_dir, '.')
			? "bpffs allows no dot in a name"
			: "mount bpffs there to read them with bpftool");
	return EXIT_CLEAN;
}
