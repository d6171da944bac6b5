/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "server/guards/guards.h"
#include "server/internal.h"
#include "server/interfaces/interfaces.h"
#include "server/kernel_sockets.h"
#include "privsep/monitor.h"
#include "base/log.h"
#include "base/thread.h"
#include "services/service_spec.h"

#define DRAIN_MS 200

int server_on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	return sd_event_exit(sd_event_source_get_event(source), EXIT_CLEAN);
}

int server_on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct server *s = context;

	for (unsigned i = 0; i < s->config->service_count; i++)
		if (s->histories[i])
			history_reopen(s->histories[i]);
	if (s->capture)
		capture_reopen(s->capture);
	guards_reload(s);
	return 0;
}

/* Once a second. */
int server_on_second(sd_event_source *source, uint64_t usec, void *context)
{
	struct server *s = context;

	if (s->capture)
		capture_periodic(s->capture);
	server_periodic(s);
	for (unsigned i = 0; i <= s->more_count; i++)
		server_watch_answers(server_interface(s, i));
	watchdog_periodic(&s->watchdog, s->workers, interfaces_workers(s));
	sd_event_source_set_time_relative(source, USEC_PER_SEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* What was sent last is to leave; all queues together have until then. */
static void drain(struct server *s, uint64_t deadline)
{
	uint64_t now;

	for (unsigned i = 0; i < s->sockets.count; i++) {
		now = clock_ms();
		if (s->filter)
			afxdp_drain(s->afxdp[i], now < deadline ? deadline - now : 0);
		else
			sockets_drain(s->afxdp[i], now < deadline ? deadline - now : 0);
		if (i < s->beside.count)
			sockets_drain(s->beside_bare[i], now < deadline ? deadline - now : 0);
	}
}

/* In zero copy what the driver holds is what remains: more than all of them is then wrong. */
static bool is_balanced(const struct afxdp_account *a)
{
	return a->driver <= RX_FRAMES && a->fill + a->rx + a->held + a->driver == RX_FRAMES &&
	       a->free + a->tx + a->completion == TX_FRAMES;
}

/* The accounting that -v prints: where every frame of every queue is. */
static void log_accounts(struct server *s)
{
	for (unsigned i = 0; i < s->sockets.count; i++) {
		struct afxdp_account a;
		char driver[32] = "";

		if (!s->filter) {
			kernel_sockets_say_account(s->afxdp[i], i);
			continue;
		}
		if (i < s->beside.count)
			kernel_sockets_say_account_beside(s->beside_bare[i], i);
		afxdp_account(s->afxdp[i], &a);
		if (s->sockets.mode == XDP_MODE_ZEROCOPY)
			snprintf(driver, sizeof(driver), "driver=%u ", a.driver);
		log_verbose("frames queue=%u fill=%u rx=%u held=%u %sof=%u free=%u tx=%u "
			    "completion=%u of=%u %s",
			s->sockets.first + i, a.fill, a.rx, a.held, driver, RX_FRAMES, a.free, a.tx,
			a.completion, TX_FRAMES, is_balanced(&a) ? "balanced" : "NOT BALANCED");
		log_verbose("kernel queue=%u rx_ring_full=%llu rx_dropped=%llu rx_invalid=%llu "
			    "tx_invalid=%llu fill_empty=%llu tx_errors=%llu",
			s->sockets.first + i, (unsigned long long)a.rx_ring_full,
			(unsigned long long)a.rx_dropped, (unsigned long long)a.rx_invalid,
			(unsigned long long)a.tx_invalid, (unsigned long long)a.fill_empty,
			(unsigned long long)a.tx_errors);
	}
}

void server_stop(struct server *s)
{
	for (unsigned i = 0; i <= s->more_count; i++)
		if (server_interface(s, i)->filter)
			filter_detach(server_interface(s, i)->filter);
	if (s->workers)
		workers_stop(s->workers);
	for (unsigned i = 0; s->workers && i <= s->more_count; i++) {
		drain(server_interface(s, i), clock_ms() + DRAIN_MS);
		log_accounts(server_interface(s, i));
	}
	addresses_close(s->addresses);
	for (unsigned i = 0; i <= s->more_count; i++) {
		struct server *one = server_interface(s, i);

		if (one->neighbours)
			neighbours_close(one->neighbours);
		one->neighbours = NULL;
	}
	while (s->workers && s->control && server_take_events(s))
		;
	for (unsigned i = 0; i < s->config->service_count; i++)
		bridge_stop(s->bridges[i]);
	for (unsigned i = 0; i < s->config->service_count; i++)
		if (s->histories[i])
			history_stop(s->histories[i]);
	if (s->printer)
		printer_stop(s->printer);
	workers_free(s->workers);
	for (unsigned i = 0; i <= s->more_count; i++)
		xsk_sockets_close(&server_interface(s, i)->sockets);
	kernel_sockets_close(&s->beside);
	guard_free(s->guard);
	if (s->capture)
		capture_close(s->capture);
	/* While the control socket listens and the pins are locked, no successor takes their names:
	 * what the monitor removes is ours. */
	monitor_stop();
	if (s->control)
		control_close(s->control);
	for (unsigned i = 0; i <= s->more_count; i++) {
		filter_close(server_interface(s, i)->filter);
		free(server_interface(s, i)->starting);
		free(server_interface(s, i)->counters);
	}
	if (s->event_fd >= 0)
		close(s->event_fd);
	sd_event_unref(s->loop);
}

static void log_ready(struct server *s)
{
	char services[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];
	char ifaces[INTERFACES_MAX * IF_NAMESIZE], modes[INTERFACES_MAX * 12],
		queues[INTERFACES_MAX * 4];
	size_t iface = 0, mode = 0, queue = 0;

	for (unsigned i = 0; i <= s->more_count; i++) {
		const struct server *one = server_interface(s, i);
		const char *comma = i ? "," : "";

		iface +=
			snprintf(ifaces + iface, sizeof(ifaces) - iface, "%s%s", comma, one->iface);
		mode += snprintf(modes + mode, sizeof(modes) - mode, "%s%s", comma,
			xdp_mode_name(one->sockets.mode));
		queue += snprintf(
			queues + queue, sizeof(queues) - queue, "%s%u", comma, one->sockets.count);
	}
	services_text(s->config->services, s->config->service_count, services, sizeof(services));
	log_line("ready iface=%s mode=%s queues=%s sockets=%s services=%s", ifaces, modes, queues,
		s->filter && !s->beside.count ? "off" : "on", services);
	sd_notify(0, "READY=1");
	watchdog_start(&s->watchdog);
}

/* The first snapshot. */
static int read_interface(struct server *s)
{
	const struct server_config *c = s->config;
	struct link_facts link;

	s->starting = server_read_host(c, &link);
	if (!s->starting) {
		int status = errno == ENODEV || errno == ENOTSUP ? EXIT_INTERFACE : EXIT_RUNTIME;

		log_line("reading the addresses of %s failed: %s; use an Ethernet interface",
			c->iface, strerror(errno));
		return status;
	}
	s->starting->ingress = (uint8_t)s->ingress;
	s->was_up = server_is_up(&link);
	s->storey = link_storey(c->ifindex);
	snprintf(s->iface, sizeof(s->iface), "%s", c->ifindex ? link.name : c->iface);
	return EXIT_CLEAN;
}

int server_run(const struct server_config *config)
{
	struct server *s = calloc(1, sizeof(*s));
	int status = EXIT_CLEAN;

	if (!s)
		return server_start_failed("starting");
	s->config = config;
	s->event_fd = -1;
	status = interfaces_make(s);
	for (unsigned i = 0; i <= s->more_count && !status; i++)
		status = read_interface(server_interface(s, i));
	gethostname(s->hostname, sizeof(s->hostname) - 1);
	if (!status)
		status = config->mode == XDP_MODE_SOCKETS ? server_start_without_xdp(s)
							  : server_start(s);
	if (!status) {
		log_ready(s);
		status = sd_event_loop(s->loop);
		if (status < 0) {
			log_line("the event loop failed: %s; restart udpxdp", strerror(-status));
			status = EXIT_RUNTIME;
		}
		sd_notify(0, "STOPPING=1");
	}
	server_stop(s);
	interfaces_free(s);
	free(s);
	return status;
}
