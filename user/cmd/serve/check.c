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
#include "cli/files.h"
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
			"interface %s: not a valid name; ip link shows what there is", iface);
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
static void check_files(const struct serve_options *o)
{
	const struct server_config *c = &o->server;
	const char *capture = server_captures_to_stdout(c) ? "/dev/stdout" : c->capture;
	const struct named_file files[] = {{"--write", capture, true},
		{"--rules", c->rules_file, false}, {"--config", o->config, false}};

	files_check(files, 3, c->services, c->service_count);
}

/* There is one standard output: for a capture, or for messages. */
static void settle_stdout(struct serve_options *o)
{
	struct server_config *c = &o->server;

	if (!server_captures_to_stdout(c))
		return;
	if (o->print_asked && !c->quiet)
		log_fail(EXIT_USAGE,
			"option --write: the capture goes to standard output, and --print has the "
			"messages go there too; leave one of them out");
	if (isatty(STDOUT_FILENO) && !o->check)
		log_fail(EXIT_USAGE, "option --write: standard output is a terminal; direct it to "
				     "a program such as tshark -r -, or to a file");
	c->quiet = true;
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
		if (c->mode == XDP_MODE_SOCKETS)
			log_line("not answering in the driver: --mode sockets has none; kernel "
				 "sockets answer %s:%u instead",
				s->service->name, s->port);
	}
}

/* Without XDP: --queues says how many workers there are. */
static void settle_sockets(struct server_config *c)
{
	if (c->dispatcher)
		log_fail(EXIT_USAGE,
			"option --attach: --mode sockets attaches nothing; leave one of them out");
	if (!c->beside)
		log_fail(EXIT_USAGE,
			"option --sockets: --mode sockets serves by nothing else; leave "
			"one of them out");
	if (c->busy_poll)
		log_fail(EXIT_USAGE,
			"option --busy-poll: --mode sockets has no driver to poll; leave one of "
			"them out");
	if (c->vlans.choice != VLAN_CHOICE_OWN)
		log_fail(EXIT_USAGE,
			"option --vlan: --mode sockets gets what the kernel takes; leave one of "
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

static void check_options(struct serve_options *o)
{
	struct server_config *c = &o->server;
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
	settle_stdout(o);
	check_answers(c);
	check_cpus(c);
	check_busy_poll(c);
	check_files(o);
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

static void check_free(const struct server_config *c)
{
	char name[64];
	__u32 id;

	if (c->dispatcher || !filter_find_attached(c->ifindex, &id, name, sizeof(name)))
		return;
	log_fail(EXIT_BUSY, "interface %s is busy: XDP program %u (%s) is attached; %s", c->iface,
		id, name,
		filter_is_ours(name) ? "another udpxdp serves it: stop that one"
				     : "stop what attached it, or remove it with ip link "
				       "(xdp off, xdpgeneric off)");
}

static bool is_served(const struct server_config *c, const char *iface)
{
	for (unsigned i = 0; i < c->more_count; i++)
		if (!strcmp(c->more[i].iface, iface))
			return true;
	return !strcmp(c->iface, iface);
}

/* The VLANs above are served by devices of their own. */
static bool vlans_are_served(const struct server_config *c, const struct link_facts *link)
{
	unsigned served = 0;

	while (served < link->vlan_count && served < LINK_VLANS_MAX &&
		is_served(c, link->vlan_names[served]))
		served++;
	return link->vlan_count && served == link->vlan_count;
}

/* What the start says itself of the queues that it takes, of a program in its way, of the ports
 * that it does not get and of the modes that it tries; and what has been cured by serving other
 * interfaces, too. */
static bool needs_no_line(const struct iface_finding *finding, const struct server_config *c,
	const struct link_facts *link)
{
	return !strcmp(finding->topic, "xdp") ||
	       (!strcmp(finding->topic, "queues") && finding->severity == IFACE_SLOW) ||
	       iface_is_of_others(finding) || (!strcmp(finding->topic, "port") && c->beside) ||
	       (!strcmp(finding->topic, "vlan") && vlans_are_served(c, link));
}

/* The same that `udpxdp check` finds: what keeps it from being served ends the start, what makes it
 * slower is said in a line each, and with -v so is the rest. */
static void check_findings(const struct serve_options *o, const struct server_config *all,
	const struct iface_facts *facts)
{
	const struct server_config *c = &o->server;
	struct iface_finding findings[IFACE_FINDINGS_MAX];
	unsigned count = iface_check(facts, findings);

	for (unsigned i = 0; i < count; i++)
		if (iface_prevents(&findings[i], c->mode) &&
			(o->check || strcmp(findings[i].topic, "zerocopy"))) /* tried, not known */
			log_fail(EXIT_INTERFACE, "interface %s: %s; %s", c->iface, findings[i].text,
				findings[i].cure[0] ? findings[i].cure : "use another --mode");
	for (unsigned i = 0; i < count && !o->check; i++) { /* --check prints them all */
		const char *cure = findings[i].cure;

		if (needs_no_line(&findings[i], all, &facts->link))
			continue;
		if (iface_matters(&findings[i], c->mode))
			log_line("interface %s: %s%s%s", c->iface, findings[i].text,
				cure[0] ? "; " : "", cure);
		else
			log_verbose("interface %s: %s%s%s", c->iface, findings[i].text,
				cure[0] ? "; " : "", cure);
	}
}

/* The same frame would come by either. */
static void check_pair(const struct link_facts *a, const struct link_facts *b)
{
	if (a->ifindex == b->ifindex)
		log_fail(EXIT_USAGE, "option --iface: %s is named twice; name it once", a->name);
	if (a->master == b->ifindex)
		log_fail(EXIT_INTERFACE,
			"interface %s: it is a member of %s, and both would be served: what comes "
			"by "
			"one comes by the other; serve one of them",
			a->name, b->name);
}

/* The interfaces behind the first one. */
static void check_others(const struct serve_options *o, struct iface_facts facts[INTERFACES_MAX])
{
	static struct serve_options one;
	struct server_config *c = (struct server_config *)&o->server;

	for (unsigned i = 0; i < c->more_count; i++) {
		struct iface_facts *other = &facts[i + 1];

		one = *o;
		one.server.iface = c->more[i].iface;
		check_iface_name(one.server.iface);
		find_interface(&one.server, other);
		c->more[i].ifindex = one.server.ifindex;
		for (unsigned n = 0; n <= i; n++) {
			check_pair(&facts[n].link, &other->link);
			check_pair(&other->link, &facts[n].link);
		}
		if (c->mode == XDP_MODE_SOCKETS)
			continue;
		check_free(&one.server);
		check_findings(&one, c, other);
	}
}

void serve_check(struct serve_options *o, struct iface_facts facts[INTERFACES_MAX])
{
	struct server_config *c = &o->server;

	check_options(o);
	check_privileges(c);
	if (!c->iface) {
		c->iface = SERVER_ANY_INTERFACE;
		return;
	}
	find_interface(c, facts);
	check_others(o, facts);
	if (c->mode == XDP_MODE_SOCKETS)
		return;
	check_free(c);
	check_findings(o, c, facts);
}
