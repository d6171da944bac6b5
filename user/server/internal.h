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
#include "server/kernel_sockets.h"
#include "netlink/neighbours.h"
#include "io/capture.h"
#include "xdp/stamps.h"

struct server {
	const struct server_config *config;

	/* The other interfaces: of each, a structure of this kind in which only what an interface
	 * has of its own is used. Of all of them, this one is number `ingress`. */
	struct server *more[INTERFACES_MAX - 1];
	unsigned more_count, ingress;
	unsigned storey;                 /* how many devices it stands on */
	struct server_config own_config; /* of another interface: this one's, but its own names */
	struct udpxdp_host *starting;    /* the first snapshot, until the workers have it */
	struct xsk_sockets_config opening;
	bool gone; /* it is not served any more, others are */

	char hostname[HOST_NAME_MAX + 1];
	uint32_t link_mtu, mtu_max; /* of the interface; what the umem was sized for */
	sd_event *loop;
	struct filter *filter;
	struct service_counters *counters; /* where no filter has them */
	unsigned
		counter_workers; /* for whom the filter's have rows; behind them are the kernel's */
	struct xsk_sockets sockets;
	struct kernel_sockets beside; /* kernel sockets beside XDP */
	struct frame_io *beside_bare[MAX_QUEUES];
	struct frame_io *afxdp[MAX_QUEUES]; /* the sockets (of the kernel, if the mode says so),
					     * which sockets.ios may decorate */
	struct guard *guard;                /* of sockets of the kernel; NULL: nothing is dropped */
	struct capture_file *capture;
	struct printer *printer;
	struct history *histories[MAX_SERVICES];
	struct bridge *bridges[MAX_SERVICES]; /* to other hosts of a room */
	struct workers *workers;
	struct addresses *addresses;
	struct neighbours *neighbours;
	uint64_t neighbours_told; /* the edition of their table that the workers were woken for */
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

/* Opens, attaches and starts everything; the first snapshots are there. Returns the exit status, an
 * error line said; what is there already is for server_stop(). */
int server_start(struct server *server);

/* Says that this failed, by errno, and what to do. Returns the exit status. */
int server_start_failed(const char *what);

#define SERVER_UNTRUSTED_ADVICE                                                               \
	"use a file and directories that belong to root or to you, and that no one else can " \
	"replace"

/* Opens the capture, early; starts history and printer. Return the exit status, an error line said.
 */
int server_open_capture(struct server *server);
int server_open_outputs(struct server *server);

/* Prepares the bridges to other hosts while there are privileges. Returns as above. */
int server_prepare_bridges(struct server *server);

/* Tells the monitor what to remove at the end, and that this was all. Returns 0, or -1 with errno.
 */
int server_seal_monitor(struct server *server);
/* The same with sockets of the kernel and nothing else. */
int server_start_without_xdp(struct server *server);

/* Reads the host's addresses and the state of the interface. Returns NULL with errno. */
struct udpxdp_host *server_read_host(const struct server_config *config, struct link_facts *link);

/* The host as the kernel's sockets beside XDP see it: all addresses are those of one interface,
 * and an announcement is answered from the address of this one. Returns NULL with errno. */
struct udpxdp_host *server_read_kernel_host(const struct udpxdp_host *net);

/* The interface number i of a server, from 0 to its more_count. */
static inline struct server *server_interface(struct server *server, unsigned i)
{
	return i ? server->more[i - 1] : server;
}

/* Takes apart whatever is there, in the reverse order, and says the accounts. */
void server_stop(struct server *server);

/* Loads the filter of an interface, for what is in `opening`. Returns the exit status, a line said.
 */
int server_load_filter(struct server *server);

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

/* A console asks for the counters: their text. */
char *server_on_stats(void *context);

/* Takes some of the workers' events. Returns whether there are more. */
bool server_take_events(struct server *server);

/* The event loop's callbacks that server_start() hooks in. */
int server_on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context);
int server_on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context);
int server_on_events(sd_event_source *source, int fd, uint32_t events, void *context);
int server_on_post(sd_event_source *source, void *context);
int server_on_second(sd_event_source *source, uint64_t usec, void *context);

#define USEC_PER_SEC 1000000u

#endif
