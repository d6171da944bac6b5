/* SPDX-License-Identifier: MIT */
/*
 * relay ADDR PORT: what udpxdp's chat is measured against: the same room over a kernel socket.
 * Whoever speaks is a member; each message goes to all others as `ADDR:PORT: text`, with one
 * sendmmsg call for as many members as it takes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MEMBERS_MAX 1024 /* what one call takes */
#define TEXT_MAX 2048

static struct sockaddr_in members[MEMBERS_MAX];
static unsigned member_count;

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

/* Where the speaker stands among the members; a new one is added. */
static unsigned find(const struct sockaddr_in *speaker)
{
	unsigned i = 0;

	while (i < member_count && !same(&members[i], speaker))
		i++;
	if (i == member_count && member_count < MEMBERS_MAX)
		members[member_count++] = *speaker;
	return i;
}

static void relay(int fd, unsigned speaker, struct iovec text)
{
	static struct mmsghdr msgs[MEMBERS_MAX];
	unsigned n = 0, sent = 0;

	for (unsigned i = 0; i < member_count; i++) {
		if (i == speaker)
			continue;
		msgs[n++].msg_hdr = (struct msghdr){
			.msg_name = &members[i],
			.msg_namelen = sizeof(members[i]),
			.msg_iov = &text,
			.msg_iovlen = 1,
		};
	}
	while (sent < n) {
		int done = sendmmsg(fd, msgs + sent, n - sent, 0);

		sent += done > 0 ? (unsigned)done : 1;
	}
}

static void __attribute__((noreturn)) serve(int fd)
{
	char in[TEXT_MAX], out[TEXT_MAX + 64];

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len);
		char addr[INET_ADDRSTRLEN];
		int prefix;

		if (n < 0)
			continue;
		inet_ntop(AF_INET, &from.sin_addr, addr, sizeof(addr));
		prefix = snprintf(out, sizeof(out), "%s:%u: ", addr, ntohs(from.sin_port));
		memcpy(out + prefix, in, (size_t)n);
		relay(fd, find(&from), (struct iovec){out, (size_t)(prefix + n)});
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;

	if (argc != 3) {
		fprintf(stderr, "Usage: relay ADDR PORT\n");
		return 2;
	}
	inet_pton(AF_INET, argv[1], &own.sin_addr);
	own.sin_port = htons((uint16_t)atoi(argv[2]));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own))) {
		perror("relay");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	serve(fd);
}
