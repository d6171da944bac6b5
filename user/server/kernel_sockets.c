/* SPDX-License-Identifier: MIT */
#include "server/kernel_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define FDS_MAX (MAX_SERVICES * 2 * 2) /* two families, two interfaces */

struct binding {
	int fds[FDS_MAX];
	unsigned count;
	enum sockets_sharing sharing;
};

/* Always the exit status. */
static int say_failure(uint16_t port, int error)
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
			port < 1024 ? "ports below 1024 take CAP_NET_BIND_SERVICE"
				    : strerror(error),
			"give another port with --service NAME:PORT");
		return EXIT_PERMISSION;
	case EMFILE:
	case ENFILE:
		log_line("UDP port %u: opening a socket failed: %s; give fewer --queues", port,
			strerror(error));
		return EXIT_RUNTIME;
	default:
		log_line("UDP port %u: opening a socket failed: %s; is the interface still there?",
			port, strerror(error));
		return EXIT_RUNTIME;
	}
}

static int bind_port(struct binding *b, uint16_t port, const char *iface)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (unsigned i = 0; i < 2; i++) {
		int fd = sockets_bind(families[i], port, iface, b->sharing);

		if (fd >= 0)
			b->fds[b->count++] = fd;
		else if (families[i] == AF_INET || errno != EAFNOSUPPORT) /* a host without IPv6 */
			return say_failure(port, errno);
	}
	return EXIT_CLEAN;
}

static int bind_ports(struct binding *b, const struct server_config *c, unsigned worker)
{
	const char *const ifaces[] = {c->ifindex ? c->iface : NULL, "lo"};
	const unsigned count = c->ifindex && strcmp(c->iface, "lo") ? 2 : 1;
	int status = EXIT_CLEAN;

	for (unsigned i = 0; i < c->service_count && !status; i++)
		for (unsigned n = 0; n < count && !status; n++)
			if (!worker || !c->services[i].service->single)
				status = bind_port(b, c->services[i].port, ifaces[n]);
	return status;
}

int kernel_sockets_open(
	struct frame_io **io, const struct server_config *config, unsigned worker, int doorbell)
{
	struct binding b = {.sharing = worker ? SOCKETS_NEXT : SOCKETS_FIRST};
	int status = bind_ports(&b, config, worker);

	if (!status) {
		*io = sockets_open(b.fds, b.count, doorbell);
		if (*io)
			return EXIT_CLEAN;
		log_line("opening the sockets failed: %s; give fewer --queues", strerror(errno));
		status = EXIT_RUNTIME;
	}
	while (b.count)
		close(b.fds[--b.count]);
	return status;
}

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
	int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;
	bool found;

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
	found = !connect(fd, &name.any, len) && !getsockname(fd, &name.any, &len);
	saved = errno;
	close(fd);
	errno = saved;
	if (!found)
		return false;
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
