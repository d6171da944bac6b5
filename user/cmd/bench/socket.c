/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "cmd/bench/socket.h"

#define BUFFER_SIZE (4 << 20)

/* Room for bursts, as much as this user may have. */
static void widen(int fd)
{
	int size = BUFFER_SIZE;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int bench_socket(const struct sockaddr_storage *server, socklen_t len)
{
	int fd = socket(server->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	widen(fd);
	if (connect(fd, (const struct sockaddr *)server, len)) {
		KEEP_ERRNO;

		close(fd);
		return -1;
	}
	return fd;
}

bool bench_socket_segment(int fd, unsigned size)
{
	int value = (int)size;

	return !setsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, sizeof(value));
}

uint64_t bench_socket_overflows(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len))
		return 0;
	return info[SK_MEMINFO_DROPS];
}
