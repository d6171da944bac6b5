/* SPDX-License-Identifier: MIT */
/* What the filter answers by itself: it is told to, given its stamps, and watched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "services/service_spec.h"
#include "udpxdp/datagram.h"
#include "netlink/ethtool_ioctl.h"

#define PUBLISH_USEC 250000 /* how late a clock that was set is noticed */
#define TOGETHER_NS 20000   /* apart that two readings of clocks may be */
#define WATCH_SECONDS 5

/* How the filter is asked to answer for this service: PORT_ANSWERED and so on, or 0. */
static uint8_t asked(const struct service_config *c)
{
	return c->service->driver ? c->service->driver(c->options) : 0;
}

bool server_asks_for_answers(const struct server_config *c)
{
	for (unsigned i = 0; i < c->service_count; i++)
		if (asked(&c->services[i]))
			return true;
	return false;
}

/* Reads both clocks at one moment, unless the thread is held up again and again. */
static void publish(struct server *s)
{
	uint64_t before = 0, realtime = 0, after = 0;

	for (int i = 0; i < 8 && (!i || after - before > TOGETHER_NS); i++) {
		before = clock_ns();
		realtime = clock_realtime_ns();
		after = clock_ns();
	}
	stamps_publish(
		&s->stamps, &filter_answers(s->filter)->stamps, (before + after) / 2, realtime);
}

static int on_quarter(sd_event_source *source, uint64_t usec, void *context)
{
	publish(context);
	sd_event_source_set_time_relative(source, PUBLISH_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void server_set_answers_mtu(struct server *s, uint32_t mtu)
{
	struct filter_answers *answers = filter_answers(s->filter);

	if (answers)
		__atomic_store_n(&answers->mtu, mtu, __ATOMIC_RELAXED);
}

static void say_started(const struct server *s)
{
	const struct server_config *c = s->config;
	struct service_config answered[MAX_SERVICES];
	char text[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];
	unsigned count = 0;

	for (unsigned i = 0; i < c->service_count; i++)
		if (asked(&c->services[i]))
			answered[count++] = c->services[i];
	services_text(answered, count, text, sizeof(text));
	log_line("answering in the driver: %s; these answers are not printed or captured", text);
	if (ethtool_driver_is(c->ifindex, "veth"))
		log_line("%s is a veth: answers of the driver are lost unless the other end has an "
			 "XDP program too; attach one there, XDP_PASS is enough",
			s->iface);
}

int server_start_answers(struct server *s)
{
	const struct server_config *c = s->config;
	const char *why = NULL;
	int error;

	if (!server_asks_for_answers(c))
		return EXIT_CLEAN;
	if (s->sockets.mode == XDP_MODE_SKB)
		why = "skb mode cannot send answers whole";
	else if (!filter_answers(s->filter))
		why = filter_refused(s->filter);
	if (why) {
		log_line("not answering in the driver: %s%s; AF_XDP answers instead",
			s->sockets.mode == XDP_MODE_SKB ? "" : "the kernel refuses the program: ",
			why);
		return EXIT_CLEAN;
	}
	publish(s);
	error = sd_event_add_time_relative(
		s->loop, NULL, CLOCK_MONOTONIC, PUBLISH_USEC, 1000, on_quarter, s);
	if (error < 0) {
		errno = -error;
		return server_start_failed("answering in the driver");
	}
	s->answering = true;
	s->tx_errors = ethtool_tx_errors(c->ifindex);
	for (unsigned i = 0; i < c->service_count; i++)
		if (asked(&c->services[i]))
			filter_answer_port(s->filter, c->services[i].port,
				asked(&c->services[i]) |
					(s->beside.services >> i & 1 ? PORT_SOCKET : 0));
	say_started(s);
	return EXIT_CLEAN;
}

/* Some drivers ask their hardware for statistics, so not each time. */
void server_watch_answers(struct server *s)
{
	uint64_t errors;

	if (!s->answering || s->said_tx_errors || ++s->watch_seconds % WATCH_SECONDS)
		return;
	errors = ethtool_tx_errors(s->config->ifindex);
	if (errors <= s->tx_errors)
		return;
	s->said_tx_errors = true;
	log_line("%s: %llu answers of the driver were not sent, by the interface's statistics; %s",
		s->iface, (unsigned long long)(errors - s->tx_errors),
		ethtool_driver_is(s->config->ifindex, "veth")
			? "attach an XDP program to the other end"
			: "see ethtool -S, or leave answer=driver out");
}
