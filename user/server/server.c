/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "server/internal.h"
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
	return 0;
}

/* Once a second. */
int server_on_second(sd_event_source *source, uint64_t usec, void *context)
{
	struct server *s = context;

	if (s->capture)
		capture_periodic(s->capture);
	server_periodic(s);
	server_watch_answers(s);
	watchdog_periodic(&s->watchdog, s->workers, s->sockets.count);
	sd_event_source_set_time_relative(source, USEC_PER_SEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* What was sent last is to leave; all queues together have so long for it. */
static void drain(struct server *s)
{
	uint64_t now, deadline = clock_ms() + DRAIN_MS;

	for (unsigned i = 0; i < s->sockets.count; i++) {
		now = clock_ms();
		if (s->filter)
			afxdp_drain(s->afxdp[i], now < deadline ? deadline - now : 0);
		else
			sockets_drain(s->afxdp[i], now < deadline ? deadline - now : 0);
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
	if (s->filter)
		filter_detach(s->filter);
	if (s->workers) {
		workers_stop(s->workers);
		drain(s);
		log_accounts(s);
	}
	addresses_close(s->addresses);
	if (s->neighbours)
		neighbours_close(s->neighbours);
	while (s->workers && s->control && server_take_events(s))
		;
	for (unsigned i = 0; i < s->config->service_count; i++)
		if (s->histories[i])
			history_stop(s->histories[i]);
	if (s->printer)
		printer_stop(s->printer);
	workers_free(s->workers);
	xsk_sockets_close(&s->sockets);
	guard_free(s->guard);
	if (s->capture)
		capture_close(s->capture);
	/* While the control socket listens and the pins are locked, no successor takes their names:
	 * what the monitor removes is ours. */
	monitor_stop();
	if (s->control)
		control_close(s->control);
	filter_close(s->filter);
	free(s->counters);
	if (s->event_fd >= 0)
		close(s->event_fd);
	sd_event_unref(s->loop);
}

static void log_ready(struct server *s)
{
	char services[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];

	services_text(s->config->services, s->config->service_count, services, sizeof(services));
	log_line("ready iface=%s mode=%s queues=%u sockets=%s services=%s", s->iface,
		xdp_mode_name(s->sockets.mode), s->sockets.count, s->filter ? "off" : "on",
		services);
	sd_notify(0, "READY=1");
	watchdog_start(&s->watchdog);
}

int server_run(const struct server_config *config)
{
	struct server *s = calloc(1, sizeof(*s));
	struct link_facts link;
	struct udpxdp_host *net = server_read_host(config, &link);
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
	s->event_fd = -1;
	s->was_up = server_is_up(&link);
	snprintf(s->iface, sizeof(s->iface), "%s", config->ifindex ? link.name : config->iface);
	gethostname(s->hostname, sizeof(s->hostname) - 1);
	if (config->mode == XDP_MODE_SOCKETS) {
		status = server_start_without_xdp(s, &net);
	} else if (net->mtu > AFXDP_MTU_MAX) {
		log_line(
			"%s has an MTU of %u: a umem chunk takes %u at most; lower it with ip link "
			"set %s mtu %u",
			config->iface, net->mtu, AFXDP_MTU_MAX, config->iface, AFXDP_MTU_MAX);
		status = EXIT_INTERFACE;
	} else {
		status = server_start(s, &net);
	}
	if (!status) {
		log_ready(s);
		status = sd_event_loop(s->loop);
		if (status < 0) {
			log_line("the event loop failed: %s", strerror(-status));
			status = EXIT_RUNTIME;
		}
		sd_notify(0, "STOPPING=1");
	}
	server_stop(s);
	free(net);
	free(s);
	return status;
}
