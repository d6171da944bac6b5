/* SPDX-License-Identifier: MIT */
#include "io/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sockets_message.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

#define BUFFER_BYTES (4 << 20) /* of the kernel, for receiving and for sending */

struct setting {
	int level, name, value;
};

/* What a frame's headers and an answer need to know, and whom we hear. */
static const struct setting needed_ipv4[] = {
	{IPPROTO_IP, IP_PKTINFO, 1},
	{SOL_SOCKET, SO_BROADCAST, 1},
	{IPPROTO_IP, IP_TTL, SOCKETS_TTL},
	{},
};
static const struct setting needed_ipv6[] = {
	{IPPROTO_IPV6, IPV6_V6ONLY, 1},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, SOCKETS_TTL},
	{},
};

/* What makes it better where the kernel knows it; nothing depends on it. */
static const struct setting wanted[] = {
	{SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES},
	{SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES},
	{SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES},
	{SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES},
	{SOL_UDP, UDP_GRO, 1},
	{},
};
/* The groups that others joined are not ours. A router may fragment what we send, as it may what
 * leaves by AF_XDP: what has DF set is lost where the path is narrower, until the kernel is told.
 */
static const struct setting wanted_ipv4[] = {
	{IPPROTO_IP, IP_RECVTTL, 1},
	{IPPROTO_IP, IP_RECVTOS, 1},
	{IPPROTO_IP, IP_MULTICAST_ALL, 0},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT},
	{},
};
static const struct setting wanted_ipv6[] = {
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
	{IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0},
	{},
};

/* Returns 0, or -1 with errno and the rest not done. */
static int apply(int fd, const struct setting *settings, bool needed)
{
	for (const struct setting *s = settings; s->name; s++)
		if (setsockopt(fd, s->level, s->name, &s->value, sizeof(s->value)) && needed)
			return -1;
	return 0;
}

static int bind_to_any(int fd, int family, uint16_t port)
{
	struct sockets_name name = {};

	if (family == AF_INET6) {
		name.ipv6 =
			(struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		return bind(fd, &name.any, sizeof(name.ipv6));
	}
	name.ipv4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	return bind(fd, &name.any, sizeof(name.ipv4));
}

static int set_up(
	int fd, int family, uint16_t port, const char *iface, enum sockets_sharing sharing)
{
	const bool ipv4 = family == AF_INET;
	const int on = 1;

	if (apply(fd, ipv4 ? needed_ipv4 : needed_ipv6, true))
		return -1;
	apply(fd, wanted, false);
	apply(fd, ipv4 ? wanted_ipv4 : wanted_ipv6, false);
	if (iface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, iface, strlen(iface)))
		return -1;
	if (sharing == SOCKETS_NEXT && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		return -1;
	if (bind_to_any(fd, family, port))
		return -1;
	/* Bound without it, it has found nobody else, not even one who would share. */
	if (sharing == SOCKETS_FIRST)
		return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	return 0;
}

int sockets_bind(int family, uint16_t port, const char *iface, enum sockets_sharing sharing)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP), saved;

	if (fd < 0 || !set_up(fd, family, port, iface, sharing))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void sockets_note_times(int fd)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}
