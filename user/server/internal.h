/* SPDX-License-Identifier: MIT */
/* What the parts of the server share: server.c runs it, start.c puts it together,
 * host.c follows the host, consoles.c answers the
 * consoles, outputs.c has the files. */
#ifndef UDPXDP_SERVER_INTERNAL_H
#define UDPXDP_SERVER_INTERNAL_H

#include <limits.h>
#include <systemd/sd-event.h>

#include "server/server.h"
#include "server/watchdog.h"
#include "netlink/addresses.h"
#include "server/control.h"
#include "netlink/neighbours.h"
#include "io/capture.h"
#include "xdp/stamps.h"

struct server {
	const struct server_config *config;
	char hostname[HOST_NAME_MAX + 1];
	uint32_t mtu_max; /* what the umem was sized for */
	sd_event *loop;
	struct filter *filter;
	struct service_counters *counters; /* where no filter has them */
	struct xsk_sockets sockets;
	struct frame_io *afxdp[MAX_QUEUES]; /* the sockets (of the kernel, if the mode says so),
					     * which sockets.ios may decorate */
	struct guard *guard;                /* of sockets of the kernel; NULL: nothing is dropped */
	struct capture_file *capture;
	struct printer *printer;
	struct history *histories[MAX_SERVICES];
	struct workers *workers;
	struct addresses *addresses;
	struct neighbours *neighbours;
	struct control *control;
	struct watchdog watchdog;
	int event_fd;
	const struct udpxdp_host *net; /* as the filter knows it; owned by workers */
	char iface[IF_NAMESIZE];       /* its name now: it may be renamed while it is served */
	bool was_up, said_no_ipv4, said_full;
	bool stale;               /* the addresses could not be read when they changed last */
	bool mtu_beyond;          /* what the umem was sized for */
	struct xsk_queues queues; /* of the interface, as known last */

	bool answering; /* the filter, by itself */
	struct stamps stamps;
	uint64_t tx_errors; /* of the interface, before it answered */
	bool said_tx_errors;
	unsigned watch_seconds;
};

/* Opens, attaches and starts everything; *net is taken. Returns the exit status, an error line
 * said; what is there already is for server_stop(). */
int server_start(struct server *server, struct udpxdp_host **net);

/* Says that this failed, by errno, and what to do. Returns the exit status. */
int server_start_failed(const char *what);

#define SERVER_UNTRUSTED_ADVICE                                                               \
	"use a file and directories that belong to root or to you, and that no one else can " \
	"replace"

/* Registers what is written while the server runs, then what is removed at its end; opens the
 * capture, early; starts history and printer. Each returns the exit status, an error line said. */
int server_register_outputs(const struct server *server);
int server_open_capture(struct server *server);
int server_open_outputs(struct server *server);

/* Tells the monitor what to remove at the end, and that this was all. Returns 0, or -1 with errno.
 */
int server_seal_monitor(const struct server *server);
/* The same with sockets of the kernel and nothing else. */
int server_start_without_xdp(struct server *server, struct udpxdp_host **net);

/* Reads the host's addresses and the state of the interface. Returns NULL with errno. */
struct udpxdp_host *server_read_host(const struct server_config *config, struct link_facts *link);

/* Takes apart whatever is there, in the reverse order, and says the accounts. */
void server_stop(struct server *server);

/* Brings the filter from one snapshot (NULL: nothing) to another. */
void server_update_filter(
	struct server *server, const struct udpxdp_host *old, const struct udpxdp_host *net);

static inline bool server_is_up(const struct link_facts *link)
{
	return link->up && link->carrier;
}

/* Once a second: is the interface still as it was? */
void server_periodic(struct server *server);

/* Does any service ask for answers of the filter's own? */
bool server_asks_for_answers(const struct server_config *config);

/* Has the filter answer by itself, where that is asked and possible; says so, or why not. Returns
 * the exit status. */
int server_start_answers(struct server *server);

/* From now on answers are at most so many bytes of an IP packet. */
void server_set_answers_mtu(struct server *server, uint32_t mtu);

/* Once a second: do its answers leave? */
void server_watch_answers(struct server *server);

/* The host's addresses or the interface may have changed. */
void server_on_addresses(void *context);

/* Says so, once, when a service wants an IPv4 address of the interface and there is none. */
void server_check_ipv4(struct server *server, const struct udpxdp_host *net);

/* A console's request. */
void server_on_request(void *context, unsigned instance, uint64_t ticket,
	const struct udpxdp_addr *peer, uint16_t port, const uint8_t *text, uint32_t len);

/* Takes some of what the workers tell. Returns whether there is more. */
bool server_take_events(struct server *server);

/* The event loop's callbacks that server_start() hooks in. */
int server_on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context);
int server_on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context);
int server_on_events(sd_event_source *source, int fd, uint32_t events, void *context);
int server_on_post(sd_event_source *source, void *context);
int server_on_second(sd_event_source *source, uint64_t usec, void *context);

#define USEC_PER_SEC 1000000u

#endif
