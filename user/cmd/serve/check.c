/* SPDX-License-Identifier: MIT */
#include "cmd/serve/check.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "privsep/sandbox.h"
#include "services/service_spec.h"

/* ---- the command line ------------------------------------------------------------------ */

static void check_iface_name(const char *iface)
{
	if (!iface)
		log_fail(EXIT_USAGE, "serve: no interface given; use --iface IFACE, or --mode "
				     "sockets to serve without XDP");
	if (strlen(iface) >= IFNAMSIZ || !iface[0] || strchr(iface, '/'))
		log_fail(EXIT_INTERFACE,
			"interface %s: not a possible name; ip link shows what there is", iface);
}

/* "0-3,6": the CPUs that this process may use. */
static void list_cpus(const cpu_set_t *cpus, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (int first = 0; first < CPU_SETSIZE && used < size; first++) {
		int last = first;

		if (!CPU_ISSET(first, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		used += (size_t)snprintf(text + used, size - used,
			last > first ? "%s%d-%d" : "%s%d", used ? "," : "", first, last);
		first = last;
	}
}

static void check_cpus(const struct server_config *c)
{
	cpu_set_t allowed;
	char there[256];

	if (!c->cpu_count || sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	list_cpus(&allowed, there, sizeof(there));
	for (unsigned i = 0; i < c->cpu_count; i++)
		if (!CPU_ISSET(c->cpus[i], &allowed))
			log_fail(EXIT_USAGE,
				"option --cpus: CPU %d is not among those this process may use; "
				"choose from %s",
				c->cpus[i], there);
}

/* Any socket knows whether the kernel can. */
static void check_busy_poll(const struct server_config *c)
{
	int one = 1, fd = c->busy_poll ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one)) < 0 &&
		errno == ENOPROTOOPT)
		log_fail(EXIT_USAGE,
			"option --busy-poll: not supported by this kernel; use Linux 5.11 or "
			"newer, or leave it out");
	close(fd);
}

/* Two that write one file would spoil it for each other. */
static void check_files(const struct server_config *c)
{
	const struct service_config *owner =
		c->capture ? services_history_owner(c->services, c->service_count, c->capture)
			   : NULL;

	if (owner)
		log_fail(EXIT_USAGE,
			"option --write: %s is also the history of %s:%u; give one of them "
			"another file",
			c->capture, owner->service->name, owner->port);
}

/* Neither the printer nor a capture would see what the filter answers. */
static void check_answers(const struct server_config *c)
{
	for (unsigned i = 0; i < c->service_count; i++) {
		const struct service_config *s = &c->services[i];

		if (!s->service->driver || !s->service->driver(s->options))
			continue;
		if (!c->quiet)
			log_fail(EXIT_USAGE,
				"option --service: %s:%u: answer=driver requires --quiet: what the "
				"filter answers is not printed; give both or neither",
				s->service->name, s->port);
		if (c->capture)
			log_fail(EXIT_USAGE,
				"option --service: %s:%u: answer=driver excludes --write: what the "
				"filter answers is not captured; leave one of them out",
				s->service->name, s->port);
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

static void check_options(struct server_config *c)
{
	char error[256];

	if (c->iface || c->mode != XDP_MODE_SOCKETS)
		check_iface_name(c->iface);
	if (c->mode == XDP_MODE_SOCKETS)
		settle_sockets(c);
	if (c->coalesce_us && c->wait != WAIT_BLOCK)
		log_fail(EXIT_USAGE,
			"option --coalesce: requires --poll block; give both or neither");
	if (services_check(c->services, c->service_count, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "%s", error);
	check_answers(c);
	check_cpus(c);
	check_busy_poll(c);
	check_files(c);
}

/* ---- the system ------------------------------------------------------------------------ */

static void check_privileges(const struct server_config *c)
{
	char text[128];
	int status;

	sandbox_missing(text, sizeof(text));
	if (text[0] && c->mode != XDP_MODE_SOCKETS)
		log_fail(EXIT_PERMISSION,
			"not permitted: %s missing; run as root, grant it, or serve without XDP: "
			"--mode sockets",
			text);
	status = c->no_sandbox ? EXIT_CLEAN : sandbox_check_user(c->user, text, sizeof(text));
	if (status)
		log_fail(status, "%s", text);
}

static void find_interface(struct server_config *c, struct iface_facts *facts)
{
	uint16_t ports[MAX_SERVICES];

	for (unsigned i = 0; i < c->service_count; i++)
		ports[i] = c->services[i].port;
	c->ifindex = (int)if_nametoindex(c->iface);
	if (!c->ifindex || iface_facts_read(facts, c->ifindex, ports, c->service_count) < 0)
		log_fail(EXIT_INTERFACE, "interface %s: %s; ip link shows what there is", c->iface,
			strerror(errno));
}

/* Some kinds can never be served. */
static void check_kind(const struct server_config *c, const struct link_facts *link)
{
	if (link->loopback)
		log_fail(EXIT_INTERFACE,
			"interface %s: a loopback interface (MTU %u) cannot be served, the kernel "
			"drops what XDP sends there; serve the interface that clients come by, or "
			"use --mode sockets",
			c->iface, link->mtu);
	if (!link->ethernet)
		log_fail(EXIT_INTERFACE,
			"interface %s: it carries no Ethernet frames; serve the Ethernet interface "
			"that it stands on",
			c->iface);
}

static void check_free(const struct server_config *c)
{
	char name[64];
	__u32 id;

	if (c->dispatcher || !filter_find_attached(c->ifindex, &id, name, sizeof(name)))
		return;
	log_fail(EXIT_BUSY, "interface %s is busy: XDP program %u (%s) is attached; %s", c->iface,
		id, name,
		strncmp(name, "udpxdp_", 7) ? "stop what attached it, or remove it with ip link "
					      "(xdp off, xdpgeneric off)"
					    : "another udpxdp serves it: stop that one");
}

/* A kernel socket on a served port gets nothing from the interface while we run: say so. */
static void warn_of_sockets(const struct server_config *c, const struct iface_facts *facts)
{
	for (unsigned i = 0; i < facts->held_count; i++)
		for (unsigned j = 0; j < c->service_count; j++)
			if (c->services[j].port == facts->held_ports[i])
				log_line("a kernel socket is bound to UDP port %u: it gets nothing "
					 "from %s while %s is served there",
					facts->held_ports[i], c->iface,
					c->services[j].service->name);
}

void serve_check(struct serve_options *o, struct iface_facts *facts)
{
	struct server_config *c = &o->server;

	check_options(c);
	check_privileges(c);
	if (!c->iface) {
		c->iface = SERVER_ANY_INTERFACE;
		return;
	}
	find_interface(c, facts);
	if (c->mode == XDP_MODE_SOCKETS)
		return;
	check_kind(c, &facts->link);
	check_free(c);
	warn_of_sockets(c, facts);
}
