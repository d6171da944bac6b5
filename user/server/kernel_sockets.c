/* SPDX-License-Identifier: MIT */
#include "server/kernel_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "base/log.h"
#include "server/internal.h"

#define LOOPBACK_IFINDEX 1

struct binding {
	int fds[KERNEL_SOCKETS_MAX];
	unsigned count;
	enum sockets_sharing sharing;
	bool timed; /* each datagram; beside XDP that would cost what comes by it */
};

/* Always the exit status. */
static int bind_failed(uint16_t port, int error)
{
	switch (error) {
	case EADDRINUSE:
		log_line("UDP port %u is in use: another program has it; stop that one, or give "
			 "another port with --service NAME:PORT",
			port);
		return EXIT_BUSY;
	case EACCES:
	case EPERM:
		log_line("UDP port %u: not permitted: %s; %s", port,
			port < 1024 ? "ports below 1024 need CAP_NET_BIND_SERVICE"
				    : strerror(error),
			"give another port with --service NAME:PORT");
		return EXIT_PERMISSION;
	case EMFILE:
	case ENFILE:
		log_line("UDP port %u: opening a socket failed: %s; give fewer --queues", port,
			strerror(error));
		return EXIT_RUNTIME;
	default:
		log_line(
			"UDP port %u: opening a socket failed: %s; check that the interface exists",
			port, strerror(error));
		return EXIT_RUNTIME;
	}
}

/* Returns 0, or -1 with errno. */
static int bind_port(struct binding *b, uint16_t port, const char *iface)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (unsigned i = 0; i < 2; i++) {
		int fd = sockets_bind(families[i], port, iface, b->sharing);

		if (fd >= 0 && b->timed)
			sockets_note_times(fd);
		if (fd >= 0)
			b->fds[b->count++] = fd;
		else if (families[i] == AF_INET || errno != EAFNOSUPPORT) /* a host without IPv6 */
			return -1;
	}
	return 0;
}

/* The interfaces that are heard, lo last. Returns their number. */
static unsigned list_interfaces(
	const struct server_config *c, const char *ifaces[INTERFACES_MAX + 1])
{
	unsigned count = 0;
	bool lo = false;

	ifaces[count++] = c->ifindex ? c->iface : NULL;
	for (unsigned i = 0; i < c->more_count; i++)
		ifaces[count++] = c->more[i].iface;
	for (unsigned i = 0; i < count; i++)
		lo |= !ifaces[i] || !strcmp(ifaces[i], "lo");
	if (!lo)
		ifaces[count++] = "lo";
	return count;
}

/* Of one interface, and with the first of lo, unless that is one of them. */
static int bind_ports(
	struct binding *b, const struct server_config *c, unsigned ingress, unsigned worker)
{
	const char *all[INTERFACES_MAX + 1];
	const char *ifaces[2] = {c->ifindex ? c->iface : NULL, "lo"};
	const unsigned count = !ingress && list_interfaces(c, all) > c->more_count + 1 ? 2 : 1;
	int status = EXIT_CLEAN;

	for (unsigned i = 0; i < c->service_count && !status; i++)
		for (unsigned n = 0; n < count && !status; n++)
			if ((!worker || !c->services[i].service->single) &&
				bind_port(b, c->services[i].port, ifaces[n]))
				status = bind_failed(c->services[i].port, errno);
	return status;
}

static void close_down_to(struct binding *b, unsigned count)
{
	while (b->count > count)
		close(b->fds[--b->count]);
}

int kernel_sockets_open(struct frame_io **io, const struct server_config *config, unsigned ingress,
	unsigned worker, int doorbell)
{
	struct binding b = {.sharing = worker ? SOCKETS_NEXT : SOCKETS_FIRST, .timed = true};
	int status = bind_ports(&b, config, ingress, worker);

	if (!status) {
		*io = sockets_open(b.fds, b.count, doorbell);
		if (*io)
			return EXIT_CLEAN;
		log_line("opening the sockets failed: %s; give fewer --queues", strerror(errno));
		status = EXIT_RUNTIME;
	}
	close_down_to(&b, 0);
	return status;
}

/* ---- beside XDP ----------------------------------------------------------------------- */

/* What comes by the wire is served as ever. */
static void say_alone(const struct service_config *service)
{
	if (errno == EADDRINUSE)
		log_line("UDP port %u is in use: another program has it, and gets nothing from "
			 "what is served: %s is served by XDP alone; stop that one, or give "
			 "another port with --service NAME:PORT",
			service->port, service->service->name);
	else
		log_line("no kernel socket on UDP port %u: %s; XDP alone serves %s: no client on "
			 "this host and no fragment is answered",
			service->port, strerror(errno), service->service->name);
}

static void bind_beside(struct binding *b, struct kernel_sockets *k, const struct server_config *c)
{
	const char *ifaces[INTERFACES_MAX + 1];
	const unsigned count = list_interfaces(c, ifaces);

	for (unsigned i = 0; i < c->service_count; i++) {
		const unsigned before = b->count;
		unsigned n = 0;

		while (n < count && !bind_port(b, c->services[i].port, ifaces[n]))
			n++;
		if (n == count) {
			k->services |= 1u << i;
			continue;
		}
		say_alone(&c->services[i]);
		close_down_to(b, before);
	}
}

int kernel_sockets_open_beside(
	struct kernel_sockets *k, const struct server_config *config, unsigned workers)
{
	struct binding b = {.sharing = SOCKETS_SOLE};

	bind_beside(&b, k, config);
	if (!b.count)
		return EXIT_CLEAN;
	k->ios[0] = sockets_open(b.fds, b.count, -1);
	if (!k->ios[0]) {
		close_down_to(&b, 0);
		return server_start_failed("opening the sockets of the kernel");
	}
	for (k->count = 1; k->count < workers; k->count++) {
		k->ios[k->count] = sockets_open_sender(b.fds, b.count);
		if (!k->ios[k->count])
			return server_start_failed("opening the sockets of the kernel");
	}
	return EXIT_CLEAN;
}

void kernel_sockets_close(struct kernel_sockets *k)
{
	for (; k->count; k->count--) { /* whoever borrows the sockets first */
		struct frame_io *io = k->ios[k->count - 1];

		io->ops->close(io);
	}
}

static bool is_loopback(const struct udpxdp_addr *a)
{
	static const struct udpxdp_addr ipv6 = {.b = {[15] = 1}};

	return udpxdp_addr_is_ipv4(a) ? a->b[12] == 127 : udpxdp_addr_equal(a, &ipv6);
}

/* The kernel takes what is sent to an address of an interface for arrived by that one. */
bool kernel_sockets_path_here(struct udpxdp_path *path, const struct udpxdp_host *net,
	const struct udpxdp_addr *peer, unsigned ingress)
{
	uint32_t ifindex = is_loopback(peer) ? LOOPBACK_IFINDEX : 0;

	for (uint32_t i = 0; i < net->count; i++)
		if (net->addrs[i].on_iface && udpxdp_addr_equal(&net->addrs[i].addr, peer))
			ifindex = net->ifindex;
	if (!ifindex)
		return false;
	*path = (struct udpxdp_path){
		.local.addr = *peer, .peer.addr = *peer, .ingress = (uint8_t)ingress};
	sockets_set_ifindex(&path->peer, ifindex);
	return true;
}

/* ---- paths ---------------------------------------------------------------------------- */

/* A socket that is connected, and sends nothing, knows the address that the route gives it. */
bool kernel_sockets_path(struct udpxdp_path *path, const struct udpxdp_addr *peer, unsigned ifindex)
{
	const bool ipv4 = udpxdp_addr_is_ipv4(peer);
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} name = {};
	socklen_t len = ipv4 ? sizeof(name.ipv4) : sizeof(name.ipv6);
	int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (ipv4) {
		name.ipv4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(9)};
		memcpy(&name.ipv4.sin_addr, peer->b + 12, 4);
	} else {
		name.ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_scope_id = ifindex};
		memcpy(&name.ipv6.sin6_addr, peer->b, 16);
	}
	if (connect(fd, &name.any, len) || getsockname(fd, &name.any, &len)) {
		KEEP_ERRNO;
		close(fd);
		return false;
	}
	close(fd);
	*path = (struct udpxdp_path){.peer.addr = *peer};
	sockets_set_ifindex(&path->peer, ifindex);
	if (ipv4) {
		path->local.addr = udpxdp_addr_ipv4(0, 0, 0, 0);
		memcpy(path->local.addr.b + 12, &name.ipv4.sin_addr, 4);
	} else {
		memcpy(path->local.addr.b, &name.ipv6.sin6_addr, 16);
	}
	return true;
}

void kernel_sockets_say_account(const struct frame_io *io, unsigned worker)
{
	struct sockets_account a;

	sockets_account(io, &a);
	log_verbose("frames queue=%u free=%u slots=%u lent=%u out=%u of=%u %s", worker, a.free,
		a.slots, a.lent, a.out, SOCKETS_BUFFERS,
		a.free + a.slots + a.lent + a.out == SOCKETS_BUFFERS ? "balanced" : "NOT BALANCED");
	log_verbose("kernel queue=%u rx_dropped=%llu rx_errors=%llu tx_errors=%llu", worker,
		(unsigned long long)a.rx_dropped, (unsigned long long)a.rx_errors,
		(unsigned long long)a.tx_errors);
}

void kernel_sockets_say_account_beside(const struct frame_io *io, unsigned worker)
{
	struct sockets_account a;

	sockets_account(io, &a);
	log_verbose("sockets worker=%u free=%u slots=%u lent=%u out=%u of=%u %s rx_dropped=%llu "
		    "rx_errors=%llu tx_errors=%llu",
		worker, a.free, a.slots, a.lent, a.out, SOCKETS_BUFFERS,
		a.free + a.slots + a.lent + a.out == SOCKETS_BUFFERS ? "balanced" : "NOT BALANCED",
		(unsigned long long)a.rx_dropped, (unsigned long long)a.rx_errors,
		(unsigned long long)a.tx_errors);
}
