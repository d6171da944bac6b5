/* SPDX-License-Identifier: MIT */
/* The server: everything of `udpxdp serve` put together, run and taken apart again. */
#ifndef UDPXDP_SERVER_H
#define UDPXDP_SERVER_H

#include "io/guard.h"
#include "xdp/xsk_sockets.h"
#include "server/workers.h"

#define SERVER_ANY_INTERFACE "any" /* what a server of all interfaces is called */
#define MAX_RULES 256              /* --allow and --deny together */

struct server_config {
	const char *iface;
	int ifindex;
	struct service_config services[MAX_SERVICES];
	unsigned service_count;
	enum xdp_mode mode;
	bool dispatcher;
	unsigned first_queue, last_queue;
	enum wait_policy wait;
	unsigned coalesce_us, busy_poll;
	int cpus[MAX_QUEUES]; /* for the first worker and so on */
	unsigned cpu_count;   /* 0: workers are pinned round-robin where there are CPUs enough */
	const char *capture;  /* NULL: none */
	const char *control, *pin_dir;
	bool control_asked;             /* by name: without it there is no serving */
	bool quiet;                     /* nothing is printed */
	uint32_t print_rate;            /* lines a second, or PRINTER_ALL */
	enum printer_format log_format; /* of the messages on standard output */
	bool no_sandbox;
	const char *user;                  /* to become; NULL: nobody */
	__u64 limit_interval, limit_burst; /* as in struct filter_config */
	bool default_deny;
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

/* Serves until SIGINT or SIGTERM. Returns the exit status, an error line said. */
int server_run(const struct server_config *config);

#endif
