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

#include "server/internal.h"
#include "server/kernel_sockets.h"
#include "privsep/monitor.h"
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
	log_line(
		"attaching through the dispatcher failed: the kernel refuses programs of type EXT, "
		"which libxdp needs for it; use --attach link");
	return EXIT_INTERFACE;
}

static int load_filter(struct server *s, unsigned workers, struct xsk_sockets_config *sockets)
{
	const struct server_config *c = s->config;
	struct filter_settings settings = {
		.ifindex = c->ifindex,
		.counter_rows = workers * c->service_count,
		.limit_interval = c->limit_interval,
		.limit_burst = c->limit_burst,
		.rules = c->rule_count != 0,
		.default_deny = c->default_deny,
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
	if (!s->filter) {
		log_line("loading the filter failed: %s; see udpxdp -vv for the kernel's messages",
			error);
		return errno == EPERM || errno == EACCES ? EXIT_PERMISSION : EXIT_INTERFACE;
	}
	for (unsigned i = 0; i < c->service_count; i++)
		if (filter_serve_port(s->filter, c->services[i].port,
			    c->services[i].service->wants_broadcast) < 0)
			return server_start_failed("filling the filter's maps");
	for (unsigned i = 0; i < c->rule_count; i++)
		if (filter_set_rule(s->filter, &c->rules[i].key, c->rules[i].verdict) < 0)
			return server_start_failed("filling the filter's maps");
	if (!filter_pin(s->filter, c->pin_dir))
		return EXIT_CLEAN;
	if (errno == EBUSY) {
		log_line("%s is in use: another udpxdp counts there; stop it or use another "
			 "--pin-dir",
			c->pin_dir);
		return EXIT_BUSY;
	}
	log_line("counters are not pinned in %s: %s; %s", c->pin_dir, strerror(errno),
		errno == EPERM && strchr(c->pin_dir, '.')
			? "a bpf file system takes no dot in a name"
			: "mount bpffs there to read them with bpftool");
	return EXIT_CLEAN;
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
	/* A plain user may not write where it is by default, but may serve. */
	if (!s->config->control_asked && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		log_line("no consoles: making %s failed: %s; use --control to have them",
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

/* Frames that no filter saw. */
static int make_guard(struct server *s)
{
	const struct server_config *c = s->config;
	const struct filter_config config = {
		.limit_interval = c->limit_interval,
		.limit_burst = c->limit_burst,
		.default_deny = c->default_deny,
	};

	if (!c->rule_count && !c->limit_interval)
		return EXIT_CLEAN;
	s->guard = guard_new(&config, c->rules, c->rule_count);
	return s->guard ? EXIT_CLEAN : server_start_failed("making the guard rails");
}

static int decorate(struct server *s)
{
	for (unsigned i = 0; i < s->sockets.count; i++) {
		struct frame_io *io = s->sockets.ios[i];

		s->afxdp[i] = io;
		if (s->guard && !(io = guard_wrap(io, s->guard)))
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

static int start_workers(struct server *s, struct udpxdp_host *net)
{
	const struct server_config *c = s->config;
	int cpus[MAX_QUEUES], allowed[CPU_SETSIZE];
	unsigned available = list_cpus(allowed);
	struct workers_config config = {
		.count = s->sockets.count,
		.ios = s->sockets.ios,
		.doorbells = s->sockets.doorbells,
		.cpus = cpus,
		.wait = c->wait,
		.coalesce_us = c->coalesce_us,
		.services = c->services,
		.service_count = c->service_count,
		.counters = s->filter ? filter_counters(s->filter) : s->counters,
		.hostname = s->hostname,
		.seed = c->seed,
		.net = net,
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
	s->workers = workers_start(&config);
	return s->workers ? EXIT_CLEAN : server_start_failed("starting the workers");
}

static int watch_host(struct server *s)
{
	int error;

	s->addresses = addresses_watch(s->loop, server_on_addresses, s);
	if (s->filter)
		s->neighbours = neighbours_open(s->loop, s->config->ifindex);
	if (!s->addresses || (s->filter && !s->neighbours))
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

	*queues = xsk_queues_count(c->ifindex);
	served = xsk_queues_served(queues);
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

static int open_kernel_sockets(struct server *s)
{
	const struct server_config *c = s->config;
	const unsigned workers = c->last_queue - c->first_queue + 1;
	int status = EXIT_CLEAN;

	s->counters = aligned_alloc(64, workers * c->service_count * sizeof(*s->counters));
	if (!s->counters)
		return server_start_failed("making the counters");
	memset(s->counters, 0, workers * c->service_count * sizeof(*s->counters));
	s->sockets = (struct xsk_sockets){.mode = XDP_MODE_SOCKETS};
	for (unsigned i = 0; i < workers; i++) {
		s->sockets.doorbells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->sockets.doorbells[i] < 0)
			return server_start_failed("making a doorbell");
		status = kernel_sockets_open(&s->sockets.ios[i], c, i, s->sockets.doorbells[i]);
		if (status) {
			close(s->sockets.doorbells[i]);
			return status;
		}
		s->sockets.count++;
	}
	return EXIT_CLEAN;
}

int server_start_without_xdp(struct server *s, struct udpxdp_host **net)
{
	int status;

	if (!s->config->no_sandbox && sandbox_changes_user() && monitor_start() < 0)
		return server_start_failed("starting the monitor");
	server_check_ipv4(s, *net);
	if ((status = make_loop(s)) || (status = open_control(s)) ||
		(status = server_register_outputs(s)) || (status = server_open_capture(s)) ||
		(status = open_kernel_sockets(s)) || (status = make_guard(s)) ||
		(status = decorate(s)) || (status = watch_host(s)) || (status = enter_sandbox(s)) ||
		(status = server_open_outputs(s)) || (status = start_workers(s, *net)))
		return status;
	s->net = *net;
	*net = NULL;
	return EXIT_CLEAN;
}

int server_start(struct server *s, struct udpxdp_host **net)
{
	const struct server_config *c = s->config;
	struct xsk_sockets_config sockets = {
		.iface = s->iface,
		.ifindex = c->ifindex,
		.first = c->first_queue,
		.last = c->last_queue,
		.mtu = (*net)->mtu,
		.mode = c->mode,
		.busy_poll = c->busy_poll,
	};
	int status = server_check_queues(c, &s->queues, &sockets.most);

	if (status)
		return status;
	s->mtu_max = (*net)->mtu;
	if (!c->no_sandbox && sandbox_changes_user() && monitor_start() < 0)
		return server_start_failed("starting the monitor");
	if ((status = make_loop(s)) || (status = open_control(s)) ||
		(status = server_register_outputs(s)) ||
		(status = load_filter(s, sockets.most, &sockets)) ||
		(status = server_open_capture(s)))
		return status;
	server_check_ipv4(s, *net);
	server_update_filter(s, NULL, *net);
	if ((status = xsk_sockets_open(&s->sockets, &sockets, s->filter)) ||
		(status = decorate(s)) || (status = watch_host(s)) ||
		(status = server_start_answers(s)) || (status = enter_sandbox(s)) ||
		(status = server_open_outputs(s)) || (status = start_workers(s, *net)))
		return status;
	s->net = *net;
	*net = NULL;
	return EXIT_CLEAN;
}
