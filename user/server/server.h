/* SPDX-License-Identifier: MIT */
/* The server: everything of `udpxdp serve` put together, run and taken apart again. */
#ifndef UDPXDP_SERVER_H
#define UDPXDP_SERVER_H

#include "io/guard.h"
#include "netlink/links.h"
#include "xdp/xsk_sockets.h"
#include "server/workers.h"

#define SERVER_ANY_INTERFACE "any" /* what a server of all interfaces is called */
#define MAX_RULES 256              /* --allow and --deny together */

/* As in struct filter_config: nanoseconds between datagrams, and ahead of that; 0: no limit. */
struct rate_limit {
	__u64 interval, burst;
};

#define INTERFACES_MAX (INGRESSES_MAX - 1)

struct server_config {
	const char *iface;
	int ifindex;
	struct server_interface { /* the others that are served */
		const char *iface;
		int ifindex;
		char pin_dir[128];
	} more[INTERFACES_MAX - 1];
	unsigned more_count;
	struct service_config services[MAX_SERVICES];
	unsigned service_count;
	enum xdp_mode mode;
	int beside; /* XDP: kernel sockets, too */
	bool dispatcher;
	unsigned first_queue, last_queue;
	enum wait_policy wait;
	unsigned coalesce_us, busy_poll;
	int cpus[MAX_QUEUES]; /* for the first worker and so on */
	unsigned cpu_count;   /* 0: workers are pinned round-robin where there are CPUs enough */
	const char *capture;  /* NULL: none; "-": standard output */
	const char *control, *pin_dir;
	bool control_asked;             /* by name: without it there is no serving */
	bool quiet;                     /* nothing is printed */
	uint32_t print_rate;            /* lines a second, or PRINTER_ALL */
	enum printer_format log_format; /* of the messages on standard output */
	bool no_sandbox;
	const char *user;               /* to become; NULL: it is left to us */
	struct rate_limit limit, total; /* of a host, and of all together */
	const char *rules_file;         /* NULL: none */
	struct vlan_set vlans;          /* from which to serve tagged frames */
	struct guard_rule rules[MAX_RULES];
	unsigned rule_count;
	struct udpxdp_seed seed; /* random, for services that keep secrets */
};

/*
 * Counts the interface's queues; *most is how many there are to serve, from the first that is asked
 * for. Are those that are asked for among them? Returns EXIT_CLEAN, or the exit status, an error
 * line said.
 */
int server_check_queues(
	const struct server_config *config, struct xsk_queues *queues, unsigned *most);

bool server_captures_to_stdout(const struct server_config *config);

/* Registers what is written while the server runs: may and can it be? Returns as above. */
int server_register_outputs(const struct server_config *config);

/* What opening the registered capture would fail with: 0 or an errno. Nothing is made. */
int server_check_capture(const struct server_config *config);

/* Can the rooms over several hosts be joined, as far as that is up to this one? As above. */
int server_check_bridges(const struct server_config *config);

/* Says why the filter is not loaded: error, and errno. Returns the exit status. */
int server_filter_failed(const char *error);

/* Says that there is no dispatcher. Returns the exit status. */
int server_dispatcher_failed(void);

/* Serves until SIGINT or SIGTERM. Returns the exit status, an error line said. */
int server_run(const struct server_config *config);

#endif
