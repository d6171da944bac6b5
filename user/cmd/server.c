/* SPDX-License-Identifier: MIT */
#include "cmd/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "host/addresses.h"
#include "host/control.h"
#include "host/keeper.h"
#include "host/log.h"
#include "host/neighbours.h"
#include "host/sandbox.h"
#include "io/capture.h"
#include "services/registry.h"

#define DRAIN_MS 200
#define USEC_PER_SEC 1000000u

/* What this server asked of the neighbours, until they answer. */
struct errand {
	struct server *server;
	unsigned instance;
	uint64_t ticket;
	uint16_t port;
	uint32_t len;
	uint8_t text[];
};

struct server {
	const struct server_config *config;
	char hostname[256];
	uint32_t mtu_max; /* what the umem was sized for */
	sd_event *loop;
	struct filter *filter;
	struct sockets sockets;
	struct frame_io *afxdp[MAX_QUEUES]; /* the sockets themselves; sockets.ios may decorate them */
	struct capture_file *capture;
	struct printer *printer;
	struct history *histories[MAX_SERVICES];
	struct workers *workers;
	struct addresses *addresses;
	struct neighbours *neighbours;
	struct control *control;
	int notice_bell;
	const struct local_net *net; /* as the filter knows it; owned by workers */
	bool was_up;
};

/* ---- addresses ------------------------------------------------------------------------ */

static void set_address(struct server *s, const struct ip_addr *addr, uint32_t flags)
{
	if (filter_set_address(s->filter, addr, flags) < 0)
		log_line("an address cannot be served: %s; the filter knows %d at most",
				strerror(errno), MAX_LOCAL_ADDRS);
}

static bool is_unspecified(const struct ip_addr *a)
{
	return !a->w[0] && !a->w[1] && !a->w[2] && !a->w[3];
}

/* Brings the filter from one snapshot (NULL: nothing) to another. New ones come first, so that no
 * address that stays is ever missing. */
static void update_filter(struct server *s, const struct local_net *old, const struct local_net *net)
{
	const struct ip_addr everybody = ip_addr_ipv4(255, 255, 255, 255);

	set_address(s, &everybody, LOCAL_BROADCAST);
	for (uint32_t i = 0; i < net->count; i++) {
		const struct local_addr *a = &net->addrs[i];

		if (a->on_iface && !is_unspecified(&a->broadcast))
			set_address(s, &a->broadcast, LOCAL_BROADCAST);
	}
	for (uint32_t i = 0; i < net->count; i++)
		set_address(s, &net->addrs[i].addr, LOCAL_UNICAST);
	for (uint32_t i = 0; old && i < old->count; i++) {
		const struct local_addr *a = &old->addrs[i];

		if (!local_net_has(net, &a->addr) && !local_net_is_broadcast(net, &a->addr))
			filter_clear_address(s->filter, &a->addr);
		if (!is_unspecified(&a->broadcast) && !local_net_has(net, &a->broadcast) &&
				!local_net_is_broadcast(net, &a->broadcast))
			filter_clear_address(s->filter, &a->broadcast);
	}
}

static void limit_mtu(struct server *s, struct local_net *net)
{
	if (net->mtu <= s->mtu_max)
		return;
	if (!s->net || s->net->mtu != s->mtu_max)
		log_line("%s has an MTU of %u now: frames beyond %u are not served; restart udpxdp "
			 "to size its umem anew",
				s->config->iface, net->mtu, s->mtu_max);
	net->mtu = s->mtu_max;
}

static void on_addresses(void *context)
{
	struct server *s = context;
	bool up;
	struct local_net *net = addresses_read(s->config->ifindex, &up);

	if (!net) {
		if (errno == ENODEV) {
			log_line("%s is gone: the interface was removed; start udpxdp again when it "
				 "is back",
					s->config->iface);
			sd_event_exit(s->loop, EXIT_RUNTIME);
		}
		return;
	}
	if (up != s->was_up)
		log_verbose("%s is %s", s->config->iface, up ? "up" : "down");
	s->was_up = up;
	limit_mtu(s, net);
	update_filter(s, s->net, net);
	s->net = net;
	workers_set_net(s->workers, net);
}

/* ---- consoles ------------------------------------------------------------------------- */

static void send_order(struct server *s, unsigned instance, uint64_t ticket,
		const struct path *path, const uint8_t *text, uint32_t len)
{
	if (len > COMMAND_TEXT_MAX)
		control_answer(s->control, ticket, "the text is too long");
	else if (!workers_command(s->workers, instance, ticket, path, text, len))
		control_answer(s->control, ticket, "the server is busy; try again");
}

static void on_resolved(void *context, const struct path *path, const char *error)
{
	struct errand *e = context;

	if (path) {
		struct path to = *path;

		to.peer.port = e->port;
		to.local.port = e->server->config->services[e->instance].port;
		send_order(e->server, e->instance, e->ticket, &to, e->text, e->len);
	} else if (e->server->control) {
		control_answer(e->server->control, e->ticket, error);
	}
	free(e);
}

static void on_request(void *context, unsigned instance, uint64_t ticket,
		const struct ip_addr *peer, uint16_t port, const uint8_t *text, uint32_t len)
{
	struct server *s = context;
	struct errand *e;

	if (!s->config->services[instance].class->command) {
		control_answer(s->control, ticket, "this service has no console");
		return;
	}
	if (!peer) {
		send_order(s, instance, ticket, NULL, text, len);
		return;
	}
	e = malloc(sizeof(*e) + len);
	if (!e) {
		control_answer(s->control, ticket, strerror(ENOMEM));
		return;
	}
	*e = (struct errand){.server = s,
			.instance = instance,
			.ticket = ticket,
			.port = port,
			.len = len};
	memcpy(e->text, text, len);
	neighbours_resolve(s->neighbours, peer, on_resolved, e);
}

static void take_notices(struct server *s)
{
	struct notice *n;

	while ((n = workers_notice(s->workers))) {
		if (n->kind == NOTICE_ANSWER)
			control_answer(s->control, n->ticket, n->error);
		else
			control_notify(s->control, n->instance, &n->message);
		workers_notice_done(s->workers);
	}
	workers_set_watched(s->workers, control_watchers(s->control) != 0);
}

static int on_notices(sd_event_source *source, int fd, uint32_t events, void *context)
{
	uint64_t rings;

	if (read(fd, &rings, sizeof(rings)) == sizeof(rings))
		take_notices(context);
	return 0;
}

/* Consoles come and go between notices: look before the loop sleeps. */
static int on_prepare(sd_event_source *source, void *context)
{
	take_notices(context);
	return 0;
}

/* ---- signals and the end -------------------------------------------------------------- */

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	return sd_event_exit(sd_event_source_get_event(source), EXIT_CLEAN);
}

static int on_reopen(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct server *s = context;

	for (unsigned i = 0; i < s->config->service_count; i++)
		if (s->histories[i])
			history_reopen(s->histories[i]);
	if (s->capture)
		capture_reopen(s->capture);
	return 0;
}

/* Once a second. */
static int on_second(sd_event_source *source, uint64_t usec, void *context)
{
	struct server *s = context;

	if (s->capture)
		capture_tend(s->capture);
	sd_event_source_set_time_relative(source, USEC_PER_SEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The accounting that -v prints: where every frame of every queue is. */
static void say_accounts(struct server *s)
{
	for (unsigned i = 0; i < s->sockets.count; i++) {
		struct afxdp_account a;

		afxdp_drain(s->afxdp[i], DRAIN_MS);
		afxdp_account(s->afxdp[i], &a);
		log_verbose("frames queue=%u fill=%u rx=%u held=%u of=%u free=%u tx=%u "
			    "completion=%u of=%u %s",
				s->sockets.first + i, a.fill, a.rx, a.held, RX_FRAMES, a.free, a.tx,
				a.completion, TX_FRAMES,
				a.fill + a.rx + a.held == RX_FRAMES &&
						a.free + a.tx + a.completion == TX_FRAMES
						? "balanced"
						: "NOT BALANCED");
		log_verbose("kernel queue=%u rx_ring_full=%llu rx_dropped=%llu rx_invalid=%llu "
			    "tx_invalid=%llu fill_empty=%llu tx_errors=%llu",
				s->sockets.first + i, (unsigned long long)a.rx_ring_full,
				(unsigned long long)a.rx_dropped, (unsigned long long)a.rx_invalid,
				(unsigned long long)a.tx_invalid, (unsigned long long)a.fill_empty,
				(unsigned long long)a.tx_errors);
	}
}

static void stop(struct server *s)
{
	if (s->filter)
		filter_detach(s->filter);
	if (s->workers) {
		workers_stop(s->workers);
		say_accounts(s);
	}
	addresses_close(s->addresses);
	if (s->neighbours)
		neighbours_close(s->neighbours);
	if (s->workers && s->control)
		take_notices(s);
	if (s->control)
		control_close(s->control);
	for (unsigned i = 0; i < s->config->service_count; i++)
		if (s->histories[i])
			history_stop(s->histories[i]);
	if (s->printer)
		printer_stop(s->printer);
	workers_free(s->workers);
	sockets_close(&s->sockets);
	if (s->capture && capture_close(s->capture) < 0)
		log_line("%s is not complete: %s", s->config->capture, strerror(errno));
	filter_close(s->filter);
	keeper_stop();
	if (s->notice_bell >= 0)
		close(s->notice_bell);
	sd_event_unref(s->loop);
}

/* ---- the start ------------------------------------------------------------------------ */

static int failed(const char *what, const char *advice)
{
	log_line("%s failed: %s; %s", what, strerror(errno), advice);
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
		error = sd_event_add_signal(s->loop, NULL, stops[i], on_stop, s);
	if (error >= 0)
		error = sd_event_add_signal(s->loop, NULL, SIGHUP, on_reopen, s);
	s->notice_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (error >= 0)
		error = sd_event_add_io(s->loop, NULL, s->notice_bell, EPOLLIN, on_notices, s);
	if (error >= 0)
		return EXIT_CLEAN;
	errno = -error;
	return failed("making the event loop", "is the system out of memory?");
}

static int load_filter(struct server *s, unsigned workers, enum mode *mode)
{
	const struct server_config *c = s->config;
	struct filter_settings settings = {
			.ifindex = c->ifindex,
			.counter_rows = workers * c->service_count,
			.generic = c->mode == MODE_SKB,
			.limit_interval = c->limit_interval,
			.limit_burst = c->limit_burst,
			.rules = c->rule_count != 0,
			.default_deny = c->default_deny,
	};
	char error[256];
	bool generic;

	if (c->dispatcher)
		s->filter = filter_load_dispatched(&settings, &generic, error, sizeof(error));
	else
		s->filter = filter_load(&settings, error, sizeof(error));
	if (!s->filter && c->dispatcher && errno == EOPNOTSUPP) {
		log_line("attaching through the dispatcher failed: the kernel refuses programs of "
			 "type EXT, which libxdp needs for it; use --attach link");
		return EXIT_INTERFACE;
	}
	if (!s->filter) {
		log_line("loading the filter failed: %s; see udpxdp -vv for the kernel's reasons",
				error);
		return errno == EPERM || errno == EACCES ? EXIT_PERMISSION : EXIT_INTERFACE;
	}
	if (c->dispatcher)
		*mode = generic ? MODE_SKB : *mode; /* it is attached already */
	for (unsigned i = 0; i < c->service_count; i++)
		if (filter_serve_port(s->filter, c->services[i].port,
				    c->services[i].class->wants_broadcast) < 0)
			return failed("filling the filter's maps", "see udpxdp -vv");
	for (unsigned i = 0; i < c->rule_count; i++)
		if (filter_set_rule(s->filter, &c->rules[i].key, c->rules[i].verdict) < 0)
			return failed("filling the filter's maps", "see udpxdp -vv");
	if (!filter_pin(s->filter, c->pin_dir))
		return EXIT_CLEAN;
	if (errno == EBUSY) {
		log_line("%s is in use: another udpxdp counts there; stop it or give another "
			 "--pin-dir",
				c->pin_dir);
		return EXIT_BUSY;
	}
	log_line("counters are not pinned in %s: %s; mount bpffs there to read them with bpftool",
			c->pin_dir, strerror(errno));
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
			.request = on_request,
	};

	s->control = control_open(&config);
	if (s->control)
		return EXIT_CLEAN;
	if (errno == EADDRINUSE) {
		log_line("%s is in use: another udpxdp answers there; stop it or give another "
			 "--control",
				s->config->control);
		return EXIT_BUSY;
	}
	log_line("making %s failed: %s; give another --control", s->config->control,
			strerror(errno));
	return EXIT_RUNTIME;
}

static int open_capture(struct server *s)
{
	char error[256];

	if (!s->config->capture)
		return EXIT_CLEAN;
	s->capture = capture_open(s->config->capture, keeper_open, error, sizeof(error));
	if (s->capture)
		return EXIT_CLEAN;
	log_line("writing a capture failed: %s; give another --write", error);
	return EXIT_RUNTIME;
}

/* What the keeper may open again, and what it removes at the end. */
static int instruct_keeper(const struct server *s)
{
	const struct server_config *c = s->config;
	uint32_t sync;
	int error = 0;

	for (unsigned i = 0; i < c->service_count && !error; i++) {
		const char *path = service_history(&c->services[i], &sync);

		error = path ? keeper_register(path) : 0;
	}
	if (c->capture && !error)
		error = keeper_register(c->capture);
	if (!error)
		error = keeper_remove_at_end(c->control);
	for (unsigned i = 0; i < FILTER_PINS && !error; i++) {
		char path[FILTER_PIN_PATH];

		if (filter_pin_path(s->filter, i, path))
			error = keeper_remove_at_end(path);
	}
	keeper_seal();
	return error;
}

/* Everything that needs a privilege is open now. */
static int enter_sandbox(struct server *s)
{
	char error[256];

	if (s->config->no_sandbox) {
		log_line("NO SANDBOX: serving with all privileges, as --no-sandbox asks; for "
			 "debugging only");
		return EXIT_CLEAN;
	}
	if (instruct_keeper(s) < 0)
		return failed("preparing the sandbox", "give shorter paths");
	if (!sandbox_enter(s->config->user, error, sizeof(error)))
		return EXIT_CLEAN;
	log_line("entering the sandbox failed: %s; give another --user, or --no-sandbox to serve "
		 "without",
			error);
	return EXIT_RUNTIME;
}

static int open_outputs(struct server *s, unsigned workers)
{
	const struct server_config *c = s->config;

	for (unsigned i = 0; i < c->service_count; i++) {
		uint32_t sync;
		const char *path = service_history(&c->services[i], &sync);

		if (path && !(s->histories[i] = history_start(path, sync)))
			return failed("starting the history", "is the system out of memory?");
	}
	if (!c->quiet && !(s->printer = printer_start(c->services, c->service_count,
					  workers, STDOUT_FILENO)))
		return failed("starting the printer", "is the system out of memory?");
	return EXIT_CLEAN;
}

static int decorate(struct server *s)
{
	for (unsigned i = 0; i < s->sockets.count; i++) {
		struct frame_io *io = s->sockets.ios[i];

		s->afxdp[i] = io;
		if (s->capture && !(io = capture_wrap(io, s->capture)))
			return failed("starting the capture", "is the system out of memory?");
		s->sockets.ios[i] = io;
	}
	return EXIT_CLEAN;
}

static int start_workers(struct server *s, struct local_net *net)
{
	const struct server_config *c = s->config;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int cpus[MAX_QUEUES];
	struct workers_config config = {
			.count = s->sockets.count,
			.ios = s->sockets.ios,
			.doorbells = s->sockets.doorbells,
			.cpus = cpus,
			.wait = c->wait,
			.services = c->services,
			.service_count = c->service_count,
			.counters = filter_counters(s->filter),
			.hostname = s->hostname,
			.net = net,
			.printer = s->printer,
			.notice_bell = s->notice_bell,
			.enter = sandbox_enter_data_path,
	};

	for (unsigned i = 0; i < config.count; i++) {
		cpus[i] = -1;
		if (c->cpu_count)
			cpus[i] = c->cpus[i % c->cpu_count];
		else if (config.count > 1 && config.count <= online)
			cpus[i] = i;
	}
	/* Two workers on one CPU that spin only steal each other's time. */
	if (config.wait == WAIT_ADAPTIVE && config.count > online)
		config.wait = WAIT_BLOCK;
	memcpy(config.histories, s->histories, sizeof(config.histories));
	s->workers = workers_start(&config);
	return s->workers ? EXIT_CLEAN
			  : failed("starting the workers", "is the system out of memory?");
}

static int watch_host(struct server *s)
{
	int error;

	s->addresses = addresses_watch(s->loop, on_addresses, s);
	s->neighbours = neighbours_open(s->loop, s->config->ifindex);
	if (!s->addresses || !s->neighbours)
		return failed("listening to rtnetlink", "see udpxdp -vv");
	error = sd_event_add_post(s->loop, NULL, on_prepare, s);
	if (error >= 0)
		error = sd_event_add_time_relative(s->loop, NULL, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
				on_second, s);
	if (error >= 0)
		return EXIT_CLEAN;
	errno = -error;
	return failed("making the event loop", "is the system out of memory?");
}

static int start(struct server *s, struct local_net **net)
{
	const struct server_config *c = s->config;
	struct sockets_config sockets = {
			.iface = c->iface,
			.ifindex = c->ifindex,
			.first = c->first_queue,
			.last = c->last_queue,
			.mtu = (*net)->mtu,
			.mode = c->mode,
			.busy_poll = c->busy_poll,
	};
	bool exact;
	unsigned queues = sockets_count_queues(c->iface, &exact);
	int status;

	if (exact && c->first_queue >= queues) {
		log_line("queue %u does not exist: %s has %u; give other --queues",
				c->first_queue, c->iface, queues);
		return EXIT_INTERFACE;
	}
	if (queues > MAX_QUEUES)
		queues = MAX_QUEUES;
	s->mtu_max = (*net)->mtu;
	if (!c->no_sandbox && sandbox_changes_user() && keeper_start() < 0)
		return failed("starting the keeper", "is the system out of memory?");
	if ((status = make_loop(s)) || (status = open_control(s)) ||
			(status = load_filter(s, queues, &sockets.mode)) ||
			(status = open_capture(s)))
		return status;
	update_filter(s, NULL, *net);
	if ((status = sockets_open(&s->sockets, &sockets, s->filter)) || (status = decorate(s)) ||
			(status = watch_host(s)) || (status = enter_sandbox(s)) ||
			(status = open_outputs(s, s->sockets.count)) ||
			(status = start_workers(s, *net)))
		return status;
	s->net = *net;
	*net = NULL;
	return EXIT_CLEAN;
}

static void say_ready(const struct server *s)
{
	char services[MAX_SERVICES * (SERVICE_NAME_SIZE + 7)];

	services_text(s->config->services, s->config->service_count, services, sizeof(services));
	log_line("ready iface=%s mode=%s queues=%u services=%s", s->config->iface,
			mode_name(s->sockets.mode), s->sockets.count, services);
	sd_notify(0, "READY=1");
}

int server_run(const struct server_config *config)
{
	struct server *s = calloc(1, sizeof(*s));
	struct local_net *net = addresses_read(config->ifindex, s ? &s->was_up : NULL);
	int status = EXIT_RUNTIME;

	if (!s || !net) {
		status = errno == ENODEV || errno == ENOTSUP ? EXIT_INTERFACE : EXIT_RUNTIME;
		log_line("reading the addresses of %s failed: %s; is it an Ethernet interface?",
				config->iface, strerror(errno));
		free(s);
		free(net);
		return status;
	}
	s->config = config;
	s->notice_bell = -1;
	gethostname(s->hostname, sizeof(s->hostname) - 1);
	if (net->mtu > AFXDP_MTU_MAX) {
		log_line("%s has an MTU of %u: a umem chunk takes %u at most; lower it with ip link "
			 "set %s mtu %u",
				config->iface, net->mtu, AFXDP_MTU_MAX, config->iface,
				AFXDP_MTU_MAX);
		status = EXIT_INTERFACE;
	} else {
		status = start(s, &net);
	}
	if (!status) {
		say_ready(s);
		status = sd_event_loop(s->loop);
		if (status < 0) {
			errno = -status;
			status = failed("the event loop", "see udpxdp -vv");
		}
		sd_notify(0, "STOPPING=1");
	}
	stop(s);
	free(net);
	free(s);
	return status;
}
