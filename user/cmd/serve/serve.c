/* SPDX-License-Identifier: MIT */
/* `udpxdp serve`: reads the command line, checks what can be checked, runs the server. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/config.h"
#include "cmd/serve/options.h"
#include "cli/verbs.h"
#include "server/control.h"
#include "base/log.h"
#include "privsep/sandbox.h"
#include "services/service_table.h"

#define ANY_INTERFACE "any" /* what a server without one is called */

static int set_from_file(
	void *options, const char *name, const char *value, char *error, size_t size)
{
	if (strcmp(name, "config"))
		return options_set(&serve_verb, options, name, value, error, size);
	snprintf(error, size, "config: one file cannot name another");
	return -1;
}

static void read_file(const char *path, struct serve_options *o)
{
	char error[256];
	unsigned line;
	size_t len;

	o->config_text = config_load(path, &len, error, sizeof(error));
	if (!o->config_text)
		log_fail(EXIT_USAGE, "reading %s failed: %s; give another --config", path, error);
	line = config_parse(o->config_text, len, set_from_file, o, error, sizeof(error));
	if (line)
		log_fail(EXIT_USAGE, "%s:%u: %s; correct the file", path, line, error);
}

/* The file first, then the command line on top: its services instead of those of the file. */
static void read_options(const struct verb *verb, struct serve_options *o, int argc, char **argv)
{
	static struct serve_options line;

	line = *o;
	options_parse(verb, &line, argc, argv);
	if (!line.config) {
		*o = line;
		return;
	}
	read_file(line.config, o);
	if (line.server.service_count)
		o->server.service_count = 0;
	if (line.verbose)
		o->verbose = 0;
	options_parse(verb, o, argc, argv);
}

static void add_defaults(struct server_config *c)
{
	char error[256];

	for (int i = 0; default_services[i]; i++) {
		if (service_parse(&c->services[c->service_count], default_services[i], error,
			    sizeof(error)) < 0)
			log_fail(EXIT_USAGE, "%s", error);
		c->service_count++;
	}
}

static void check_capabilities(void)
{
	char missing[64];

	sandbox_missing(missing, sizeof(missing));
	if (missing[0])
		log_fail(EXIT_PERMISSION,
			"not permitted: %s missing; run as root, grant it, or serve without XDP: "
			"--mode sockets",
			missing);
}

static void check_user(const struct server_config *c)
{
	char error[128];
	int status = c->no_sandbox ? EXIT_CLEAN : sandbox_check_user(c->user, error, sizeof(error));

	if (status)
		log_fail(status, "%s", error);
}

static void find_interface(struct server_config *c)
{
	if (strlen(c->iface) >= IFNAMSIZ || !c->iface[0] || strchr(c->iface, '/'))
		log_fail(EXIT_INTERFACE,
			"interface %s: no such name is possible; ip link shows what "
			"there is",
			c->iface);
	c->ifindex = if_nametoindex(c->iface);
	if (!c->ifindex)
		log_fail(EXIT_INTERFACE, "interface %s: %s; ip link shows what there is", c->iface,
			strerror(errno));
}

static void check_interface(const struct server_config *c)
{
	char name[64];
	__u32 id;

	if (!c->dispatcher && filter_find_attached(c->ifindex, &id, name, sizeof(name)))
		log_fail(EXIT_BUSY, "interface %s is busy: XDP program %u (%s) is attached; %s",
			c->iface, id, name,
			strncmp(name, "udpxdp_", 7)
				? "stop what attached it, or take it off with ip "
				  "link (xdp off, xdpgeneric off)"
				: "another udpxdp serves it: stop that one");
}

/* A kernel socket on a served port gets nothing from the interface while we run: say so. */
static void warn_of_sockets(const struct server_config *c)
{
	static const char *const tables[] = {
		"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"};
	bool said[MAX_SERVICES] = {};

	for (unsigned t = 0; t < 2; t++) {
		FILE *table = fopen(tables[t], "re");
		char line[512];
		unsigned port;

		while (table && fgets(line, sizeof(line), table)) {
			if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x", &port) != 1)
				continue;
			for (unsigned i = 0; i < c->service_count; i++) {
				if (c->services[i].port != port || said[i])
					continue;
				said[i] = true;
				log_line("a kernel socket is bound to UDP port %u: it gets nothing "
					 "from %s while %s is served there",
					port, c->iface, c->services[i].service->name);
			}
		}
		if (table)
			fclose(table);
	}
}

/* Without XDP: --queues says how many workers there are. */
static void settle_sockets(struct server_config *c)
{
	if (c->dispatcher)
		log_fail(EXIT_USAGE,
			"option --attach: --mode sockets attaches nothing; leave one of them out");
	if (c->busy_poll)
		log_fail(EXIT_USAGE,
			"option --busy-poll: --mode sockets has no driver to poll; leave one of "
			"them out");
	if (c->first_queue == c->last_queue && !c->first_queue)
		log_fail(EXIT_USAGE,
			"option --queues: with --mode sockets it is the number of workers; give 1 "
			"or more");
	if (!c->first_queue && c->last_queue == MAX_QUEUES - 1)
		c->last_queue = 0;
	else if (c->first_queue == c->last_queue)
		c->first_queue = 1;
}

static int serve(const struct verb *verb, int argc, char **argv)
{
	static struct serve_options o = {.server.last_queue = MAX_QUEUES - 1};
	struct server_config *c = &o.server;
	char control[CONTROL_PATH_SIZE], pin_dir[128], error[256];
	struct udpxdp_seed seed;

	read_options(verb, &o, argc, argv);
	log_level = o.verbose;
	if (!c->iface && c->mode != XDP_MODE_SOCKETS)
		log_fail(EXIT_USAGE,
			"no interface: which one is to be served; give --iface IFACE, or --mode "
			"sockets to serve without XDP");
	if (c->mode == XDP_MODE_SOCKETS)
		settle_sockets(c);
	if (c->coalesce_us && c->wait != WAIT_BLOCK)
		log_fail(EXIT_USAGE,
			"option --coalesce: who spins does not wait for a batch; give --poll "
			"block too");
	if (!c->service_count)
		add_defaults(c);
	if (services_check(c->services, c->service_count, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "%s", error);

	control_default_path(control, c->iface ? c->iface : ANY_INTERFACE);
	c->control = o.control ? o.control : control;
	c->control_asked = o.control;
	snprintf(pin_dir, sizeof(pin_dir), PIN_ROOT "/%s", c->iface ? c->iface : "");
	for (char *dot = pin_dir; (dot = strchr(dot, '.'));)
		*dot = '_';
	c->pin_dir = o.pin_dir ? o.pin_dir : pin_dir;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		log_fail(EXIT_RUNTIME, "no random numbers: %s; the chat needs them",
			strerror(errno));
	services_seed(c->services, c->service_count, &seed);
	filter_log_setup();
	tzset();
	if (c->mode != XDP_MODE_SOCKETS)
		check_capabilities();
	check_user(c);
	if (c->iface)
		find_interface(c);
	else
		c->iface = ANY_INTERFACE;
	if (c->mode != XDP_MODE_SOCKETS) {
		check_interface(c);
		warn_of_sockets(c);
	}
	return server_run(c);
}

const struct verb serve_verb = {
	.name = "serve",
	.operands = "",
	.summary = "Run the services on an interface over AF_XDP.",
	.options = serve_options,
	.more = service_help_print,
	.notes = serve_notes,
	.run = serve,
};
