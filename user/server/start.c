/* SPDX-License-Identifier: MIT */
/* Puts the server together: load, sockets, maps, attach last; then it gives up its privileges and
 * starts its threads. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/guards/guards.h"
#include "server/internal.h"
#include "server/interfaces/interfaces.h"
#include "server/kernel_sockets.h"
#include "netlink/resolver.h"
#include "privsep/monitor.h"
#include "base/clock.h"
#include "base/log.h"
#include "privsep/sandbox.h"
#include "services/service_spec.h"

static const char *advice(int error)
{
	switch (error) {
	case ENOMEM:
		return "free some memory";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n, LimitNOFILE=)";
	case EAGAIN:
		return "raise the limit of processes (ulimit -u, LimitNPROC=)";
	case ENAMETOOLONG:
		return "use a shorter path";
	default:
		return "see udpxdp -vv for details";
	}
}

int server_start_failed(const char *what)
{
	log_line("%s failed: %s; %s", what, strerror(errno), advice(errno));
	return EXIT_RUNTIME;
}

static int make_loop(struct server *s)
{
	static const int stops[] = {SIGINT, SIGTERM};
	sigset_t set;
	int error;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	error = sd_event_new(&s->loop);
	for (unsigned i = 0; i < 2 && error >= 0; i++)
		error = sd_event_add_signal(s->loop, NULL, stops[i], server_on_signal, s);
	if (error >= 0)
		error = sd_event_add_signal(s->loop, NULL, SIGHUP, server_on_hangup, s);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (error >= 0)
		error = sd_event_add_io(s->loop, NULL, s->event_fd, EPOLLIN, server_on_events, s);
	if (error >= 0)
		return EXIT_CLEAN;
	errno = -error;
	return server_start_failed("making the event loop");
}

static int open_control(struct server *s)
{
	struct control_config config = {
		.loop = s->loop,
		.path = s->config->control,
		.services = s->config->services,
		.service_count = s->config->service_count,
		.context = s,
		.request = server_on_request,
		.stats = server_on_stats,
	};

	s->control = control_open(&config);
	if (s->control)
		return EXIT_CLEAN;
	if (errno == EADDRINUSE) {
		log_line("%s is in use: another udpxdp answers there; stop it or use another "
			 "--control",
			s->config->control);
		return EXIT_BUSY;
	}
	/* Who may not write where it is by default, or has no such place, may serve. */
	if (!s->config->control_asked) {
		log_line("consoles are disabled: making %s failed: %s; use --control for another "
			 "place",
			s->config->control, strerror(errno));
		return EXIT_CLEAN;
	}
	log_line("making %s failed: %s; %s", s->config->control, strerror(errno),
		errno == EPERM ? SERVER_UNTRUSTED_ADVICE : "use another --control");
	return EXIT_RUNTIME;
}

/* Everything that needs a privilege is open now. */
static int enter_sandbox(struct server *s)
{
	char error[256];

	if (s->config->no_sandbox) {
		log_line("NO SANDBOX: serving with all privileges because of --no-sandbox; for "
			 "debugging only");
		return EXIT_CLEAN;
	}
	if (server_seal_monitor(s) < 0)
		return server_start_failed("preparing the sandbox");
	if (!sandbox_enter(s->config->user, s->filter, error, sizeof(error)))
		return EXIT_CLEAN;
	log_line("entering the sandbox failed: %s; use another --user, or --no-sandbox to serve "
		 "without",
		error);
	return EXIT_RUNTIME;
}

/* Of those beside XDP, only worker 0's receives what no filter has seen. */
static int decorate_beside(struct server *s)
{
	const size_t services = s->config->service_count;
	struct service_counters *rows = interfaces_beside_counters(s);

	for (unsigned i = 0; i < s->beside.count; i++) {
		struct frame_io *io = s->beside.ios[i];

		s->beside_bare[i] = io;
		if (s->guard && !i && !(io = guard_wrap(io, s->guard, rows, services)))
			return server_start_failed("making the guard rails");
		s->beside.ios[i] = io;
		if (s->capture && !(io = capture_wrap(io, s->capture)))
			return server_start_failed("starting the capture");
		s->beside.ios[i] = io;
	}
	return EXIT_CLEAN;
}

static int decorate(struct server *s)
{
	const size_t services = s->config->service_count;

	for (unsigned i = 0; i < s->sockets.count; i++) {
		struct frame_io *io = s->sockets.ios[i];

		s->afxdp[i] = io;
		if (s->guard && !s->filter &&
			!(io = guard_wrap(io, s->guard, s->counters + i * services, services)))
			return server_start_failed("making the guard rails");
		s->sockets.ios[i] = io;
		if (s->capture && !(io = capture_wrap(io, s->capture)))
			return server_start_failed("starting the capture");
		s->sockets.ios[i] = io;
	}
	return EXIT_CLEAN;
}

/* Lists the CPUs that we may run on, as taskset or the service manager say; returns their number.
 */
static unsigned list_cpus(int cpus[CPU_SETSIZE])
{
	unsigned count = 0;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		CPU_ZERO(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus[count++] = cpu;
	return count;
}

static int start_workers(struct server *s)
{
	const struct server_config *c = s->config;
	int cpus[MAX_QUEUES], allowed[CPU_SETSIZE];
	unsigned available = list_cpus(allowed);
	struct udpxdp_host *nets[INGRESSES_MAX] = {};
	struct workers_ingress more[INGRESSES_MAX] = {};
	int doorbells[MAX_QUEUES];
	struct workers_config config = {
		.count = interfaces_workers(s),
		.ios = s->sockets.ios,
		.doorbells = doorbells,
		.cpus = cpus,
		.wait = c->wait,
		.coalesce_us = c->coalesce_us,
		.services = c->services,
		.service_count = c->service_count,
		.counters = s->filter ? filter_counters(s->filter) : s->counters,
		.hostname = s->hostname,
		.ingress = s->filter ? c->iface : "sockets",
		.clock_synchronized = clock_is_synchronized(),
		.seed = c->seed,
		.nets = nets,
		.more = more,
		.neighbours = s->neighbours ? neighbours_table(s->neighbours) : NULL,
		.printer = s->printer,
		.event_fd = s->event_fd,
		.enter = sandbox_enter_data_path,
	};

	for (unsigned i = 0; i < config.count; i++) {
		cpus[i] = -1;
		if (c->cpu_count)
			cpus[i] = c->cpus[i % c->cpu_count];
		else if (config.count > 1 && config.count <= available)
			cpus[i] = allowed[i];
	}
	/* Two workers on one CPU that spin only steal each other's time. */
	if (config.wait == WAIT_ADAPTIVE && config.count > available)
		config.wait = WAIT_BLOCK;
	memcpy(config.histories, s->histories, sizeof(config.histories));
	memcpy(config.bridges, s->bridges, sizeof(config.bridges));
	config.more_count = interfaces_ways(s, more, doorbells);
	if (interfaces_snapshots(s, nets))
		return server_start_failed("reading the addresses");
	s->workers = workers_start(&config);
	if (s->workers)
		return EXIT_CLEAN;
	if (s->beside.count)
		free(nets[config.more_count]);
	for (unsigned i = 0; i <= s->more_count; i++)
		server_interface(s, i)->starting = nets[i];
	return server_start_failed("starting the workers");
}

static int open_neighbours(struct server *s)
{
	s->neighbours = neighbours_open(s->loop, s->config->ifindex);
	if (s->neighbours && !s->config->no_sandbox)
		neighbours_resolve_by(s->neighbours, monitor_resolve);
	return s->neighbours ? EXIT_CLEAN : server_start_failed("listening to rtnetlink");
}

static int watch_host(struct server *s)
{
	int error;

	s->addresses = addresses_watch(s->loop, server_on_addresses, s);
	if (!s->addresses)
		return server_start_failed("listening to rtnetlink");
	error = sd_event_add_post(s->loop, NULL, server_on_post, s);
	if (error >= 0)
		error = sd_event_add_time_relative(
			s->loop, NULL, CLOCK_MONOTONIC, USEC_PER_SEC, 0, server_on_second, s);
	if (error >= 0)
		return EXIT_CLEAN;
	errno = -error;
	return server_start_failed("making the event loop");
}

int server_check_queues(const struct server_config *c, struct xsk_queues *queues, unsigned *most)
{
	const bool all = c->last_queue == MAX_QUEUES - 1; /* wherever they end */
	const unsigned asked = all ? c->first_queue : c->last_queue;
	unsigned served;

	*queues = xsk_sockets_count_queues(c->ifindex);
	served = xsk_sockets_served_queues(queues);
	*most = served < MAX_QUEUES ? served : MAX_QUEUES;
	if (!queues->exact)
		return EXIT_CLEAN;
	if (asked >= queues->rx) {
		log_line("queue %u does not exist: %s has %u; use other --queues", asked, c->iface,
			queues->rx);
		return EXIT_INTERFACE;
	}
	if (asked >= served) {
		log_line("queue %u cannot be served: %s has only %u TX queues to answer on; use "
			 "other --queues",
			asked, c->iface, queues->tx);
		return EXIT_INTERFACE;
	}
	if (all && queues->rx > *most)
		log_line("%s has %u RX and %u TX queues: serving %u; frames on the other RX queues "
			 "go to the kernel; change their numbers with ethtool -L",
			c->iface, queues->rx, queues->tx, *most);
	return EXIT_CLEAN;
}

/* A step, for every interface, from below: where a device above it has a program, the kernel
 * attaches none. */
static int for_each(struct server *s, int (*step)(struct server *))
{
	int status = EXIT_CLEAN;

	for (unsigned storey = 0; storey <= LINK_STOREYS_MAX; storey++)
		for (unsigned i = 0; i <= s->more_count && !status; i++)
			if (server_interface(s, i)->storey == storey)
				status = step(server_interface(s, i));
	return status;
}

static int open_kernel_sockets(struct server *s)
{
	const struct server_config *c = s->config;
	const unsigned workers = c->last_queue - c->first_queue + 1;
	int status = EXIT_CLEAN;

	server_check_ipv4(s, s->starting);
	s->counters = aligned_alloc(64, workers * c->service_count * sizeof(*s->counters));
	if (!s->counters)
		return server_start_failed("making the counters");
	memset(s->counters, 0, workers * c->service_count * sizeof(*s->counters));
	s->sockets = (struct xsk_sockets){.mode = XDP_MODE_SOCKETS};
	for (unsigned i = 0; i < workers; i++) {
		s->sockets.doorbells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->sockets.doorbells[i] < 0)
			return server_start_failed("making a doorbell");
		status = kernel_sockets_open(
			&s->sockets.ios[i], c, s->ingress, i, s->sockets.doorbells[i]);
		if (status) {
			close(s->sockets.doorbells[i]);
			return status;
		}
		s->sockets.count++;
	}
	return EXIT_CLEAN;
}

static int open_beside(struct server *s)
{
	int status = s->config->beside ? kernel_sockets_open_beside(
						 &s->beside, s->config, interfaces_workers(s))
				       : EXIT_CLEAN;

	for (unsigned i = 0; i < s->more_count; i++)
		s->more[i]->beside.services = s->beside.services;
	return status ? status : decorate_beside(s);
}

int server_start_without_xdp(struct server *s)
{
	int status;

	if (!s->config->no_sandbox && sandbox_changes_user() && monitor_start(NULL) < 0)
		return server_start_failed("starting the monitor");
	if ((status = make_loop(s)) || (status = open_control(s)) ||
		(status = server_register_outputs(s->config)) ||
		(status = server_open_capture(s)) || (status = for_each(s, open_kernel_sockets)) ||
		(status = guards_start(s)) || (status = interfaces_share(s)) ||
		(status = for_each(s, decorate)) || (status = watch_host(s)) ||
		(status = server_prepare_bridges(s)) || (status = enter_sandbox(s)) ||
		(status = server_open_outputs(s)))
		return status;
	return start_workers(s);
}

/* ---- with XDP: steps for every interface ------------------------------------------ */

static int count_queues(struct server *s)
{
	const struct server_config *c = s->config;

	s->opening = (struct xsk_sockets_config){
		.iface = s->iface,
		.ifindex = c->ifindex,
		.first = c->first_queue,
		.last = c->last_queue,
		.mtu = afxdp_mtu(s->starting->mtu),
		.mode = c->mode,
		.busy_poll = c->busy_poll,
	};
	s->link_mtu = s->starting->mtu;
	s->mtu_max = s->starting->mtu = s->opening.mtu;
	return server_check_queues(c, &s->queues, &s->opening.most);
}

static int open_sockets(struct server *s)
{
	server_check_ipv4(s, s->starting);
	server_update_filter(s, NULL, s->starting);
	return xsk_sockets_open(&s->sockets, &s->opening, s->filter);
}

int server_start(struct server *s)
{
	static const struct monitor_resolver resolver = {resolver_open, resolver_use};
	const struct server_config *c = s->config;
	int status = for_each(s, count_queues);

	if (status)
		return status;
	interfaces_settle_rows(s);
	if (!c->no_sandbox && monitor_start(&resolver) < 0)
		return server_start_failed("starting the monitor");
	if ((status = make_loop(s)) || (status = open_control(s)) ||
		(status = server_register_outputs(c)) || (status = interfaces_share(s)) ||
		(status = for_each(s, server_load_filter)) || (status = guards_start(s)) ||
		(status = server_open_capture(s)) || (status = for_each(s, open_sockets)))
		return status;
	interfaces_share(s);
	if ((status = open_beside(s)) || (status = for_each(s, decorate)) ||
		(status = watch_host(s)) || (status = for_each(s, open_neighbours)) ||
		(status = for_each(s, server_start_answers)) ||
		(status = server_prepare_bridges(s)) || (status = enter_sandbox(s)) ||
		(status = server_open_outputs(s)))
		return status;
	return start_workers(s);
}
