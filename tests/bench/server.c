/* SPDX-License-Identifier: MIT */
/*
 * What udpxdp is measured against: the same echo, stamp included, over kernel sockets.
 *
 *   server recvmmsg ADDR PORT   waits, takes up to 64 datagrams a call, answers with one call
 *   server block ADDR PORT      one recvfrom and one sendto a datagram, waits
 *   server spin ADDR PORT       the same, never sleeps
 *
 * Written to be fast at what it does: the stamp is made once a second and stands in front of
 * the receive buffer, so no payload is copied in user space.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define PAYLOAD_MAX 2048
#define SOCKET_BUFFER (4 << 20)

struct buffer {
	char bytes[64 + PAYLOAD_MAX]; /* the stamp, and right behind it what is received */
	struct sockaddr_in peer;
};

static struct buffer buffers[BATCH];
static size_t stamp_len;

/* Puts the present second's stamp in front of every buffer. */
static void refresh_stamp(void)
{
	static time_t last;
	time_t now = time(NULL);
	char text[32], stamp[64];

	if (now == last)
		return;
	last = now;
	ctime_r(&now, text);
	text[strcspn(text, "\n")] = '\0';
	stamp_len = (size_t)snprintf(stamp, sizeof(stamp), "【%s】 ", text);
	for (int i = 0; i < BATCH; i++)
		memcpy(buffers[i].bytes, stamp, stamp_len);
}

static int open_socket(const char *addr, const char *port)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = SOCKET_BUFFER;

	inet_pton(AF_INET, addr, &own.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own))) {
		perror("server");
		exit(1);
	}
	puts("ready");
	fflush(stdout);
	return fd;
}

static void __attribute__((noreturn)) serve_batches(int fd)
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iovs[BATCH];

	for (;;) {
		int n, sent = 0;

		refresh_stamp();
		for (int i = 0; i < BATCH; i++) {
			iovs[i] = (struct iovec){buffers[i].bytes + stamp_len, PAYLOAD_MAX};
			msgs[i].msg_hdr = (struct msghdr){
				.msg_name = &buffers[i].peer,
				.msg_namelen = sizeof(buffers[i].peer),
				.msg_iov = &iovs[i],
				.msg_iovlen = 1,
			};
		}
		n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			iovs[i] = (struct iovec){buffers[i].bytes, stamp_len + msgs[i].msg_len};
		while (sent < n) {
			int done = sendmmsg(fd, msgs + sent, (unsigned)(n - sent), 0);

			sent += done > 0 ? done : 1;
		}
	}
}

static void __attribute__((noreturn)) serve_singly(int fd, int flags)
{
	struct buffer *b = buffers;

	for (;;) {
		socklen_t peer_len = sizeof(b->peer);
		ssize_t n;

		refresh_stamp();
		n = recvfrom(fd, b->bytes + stamp_len, PAYLOAD_MAX, flags,
			(struct sockaddr *)&b->peer, &peer_len);
		if (n >= 0)
			sendto(fd, b->bytes, stamp_len + (size_t)n, 0, (struct sockaddr *)&b->peer,
				peer_len);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "recvmmsg"))
		serve_batches(open_socket(argv[2], argv[3]));
	if (argc == 4 && !strcmp(argv[1], "block"))
		serve_singly(open_socket(argv[2], argv[3]), 0);
	if (argc == 4 && !strcmp(argv[1], "spin"))
		serve_singly(open_socket(argv[2], argv[3]), MSG_DONTWAIT);
	fprintf(stderr, "Usage: server recvmmsg|block|spin ADDR PORT\n");
	return 2;
}
