/* SPDX-License-Identifier: MIT */
/* Frames over the kernel's UDP sockets: real datagrams, on the loopback of a private network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/headers.h"
#include "base/checksum.h"
#include "io/sockets.h"
#include "udpxdp/packet.h"

#define PORT 8080
#define OTHER_PORT 8090
#define SECOND 1000 /* ms: the most that anything may take */

static uint8_t pattern[65536];
static bool no_namespace;

/* ---- the two sides ---- */

struct side {
	int fds[4];
	struct frame_io *io;
	int doorbell;
	struct frame frames[FRAME_BATCH];
};

static int setup(void **state)
{
	struct side *side = calloc(1, sizeof(*side));

	*state = side;
	if (no_namespace)
		return 0;
	side->fds[0] = sockets_bind(AF_INET, PORT, NULL, SOCKETS_SOLE);
	side->fds[1] = sockets_bind(AF_INET6, PORT, NULL, SOCKETS_SOLE);
	side->fds[2] = sockets_bind(AF_INET, OTHER_PORT, NULL, SOCKETS_SOLE);
	side->fds[3] = sockets_bind(AF_INET6, OTHER_PORT, NULL, SOCKETS_SOLE);
	for (unsigned i = 0; i < 4; i++)
		sockets_note_times(side->fds[i]);
	for (int i = 0; i < 4; i++)
		assert_return_code(side->fds[i], errno);
	side->doorbell = eventfd(0, EFD_NONBLOCK);
	side->io = sockets_open(side->fds, 4, side->doorbell);
	assert_non_null(side->io);
	return 0;
}

static void require_balance(struct frame_io *io, unsigned out)
{
	struct sockets_account a;

	sockets_account(io, &a);
	assert_int_equal(a.lent, 0);
	assert_int_equal(a.out, out);
	assert_int_equal(a.free + a.slots + a.out, SOCKETS_BUFFERS);
}

static int teardown(void **state)
{
	struct side *side = *state;

	if (side->io) {
		require_balance(side->io, 0);
		assert_return_code(side->io->ops->close(side->io), errno);
		close(side->doorbell);
	}
	free(side);
	return 0;
}

static void needs_namespace(void)
{
	if (!no_namespace)
		return;
	print_message("SKIP: cannot create a network namespace\n");
	skip();
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	};
	socklen_t len;
};

static struct address address(const char *text, uint16_t port)
{
	struct address a = {};

	if (inet_pton(AF_INET, text, &a.ipv4.sin_addr) == 1) {
		a.ipv4.sin_family = AF_INET;
		a.len = sizeof(a.ipv4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &a.ipv6.sin6_addr), 1);
		a.ipv6.sin6_family = AF_INET6;
		a.len = sizeof(a.ipv6);
	}
	a.ipv4.sin_port = htons(port);
	return a;
}

/* A client at an address, on a port that the kernel chooses. */
static int client(const char *text)
{
	const struct address a = address(text, 0);
	int fd = socket(a.any.sa_family, SOCK_DGRAM, 0), on = 1, size = 8 << 20;
	const struct timeval patience = {.tv_sec = 1};

	assert_return_code(fd, errno);
	assert_return_code(bind(fd, &a.any, a.len), errno);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static uint16_t port_of(int fd)
{
	struct address a = {.len = sizeof(a)};

	assert_return_code(getsockname(fd, &a.any, &a.len), errno);
	return ntohs(a.ipv4.sin_port);
}

static void say(int fd, const char *to, uint16_t port, const void *data, size_t len)
{
	const struct address a = address(to, port);

	assert_int_equal(sendto(fd, data, len, 0, &a.any, a.len), (ssize_t)len);
}

/* One message of so many bytes, which leaves as datagrams of `segment` bytes. */
static void say_train(int fd, const char *to, const void *data, size_t len, uint16_t segment)
{
	const struct address a = address(to, PORT);
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(segment))] = {};
	struct iovec piece = {(void *)data, len};
	struct msghdr m = {
		.msg_name = (void *)&a.any,
		.msg_namelen = a.len,
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	assert_int_equal(sendmsg(fd, &m, 0), (ssize_t)len);
}

static void hear(int fd, const char *from, uint16_t port, const void *data, size_t len)
{
	const struct address expected = address(from, port);
	static uint8_t got[70000];
	struct address a = {.len = sizeof(a)};

	assert_int_equal(recvfrom(fd, got, sizeof(got), 0, &a.any, &a.len), (ssize_t)len);
	assert_memory_equal(got, data, len);
	assert_int_equal(a.ipv4.sin_port, expected.ipv4.sin_port);
	if (a.any.sa_family == AF_INET)
		assert_int_equal(a.ipv4.sin_addr.s_addr, expected.ipv4.sin_addr.s_addr);
	else
		assert_memory_equal(&a.ipv6.sin6_addr, &expected.ipv6.sin6_addr, 16);
}

/* Waits for frames: at least one, at most max. */
static int take(struct side *side, int max)
{
	int n;

	for (int tries = 10; !(n = side->io->ops->receive(side->io, side->frames, max)); tries--) {
		assert_true(tries);
		assert_return_code(side->io->ops->wait(side->io, SECOND), errno);
	}
	assert_true(n > 0 && n <= max);
	return n;
}

static struct frame_info read_frame(const struct frame *f)
{
	struct frame_info info;

	assert_int_equal(frame_classify(f->data, f->data + f->len, f->len, &info), FRAME_UDP);
	assert_int_equal((uintptr_t)f->data % 2, 0);
	assert_true(f->is_rx && f->from_kernel);
	return info;
}

static void require_addr(const struct udpxdp_addr *addr, const char *text)
{
	const struct address a = address(text, 0);
	struct udpxdp_addr expected = udpxdp_addr_ipv4(0, 0, 0, 0);

	if (a.any.sa_family == AF_INET)
		memcpy(expected.b + 12, &a.ipv4.sin_addr, 4);
	else
		memcpy(expected.b, &a.ipv6.sin6_addr, 16);
	assert_memory_equal(addr, &expected, 16);
}

/* Where an answer to a frame goes. */
static struct udpxdp_path back(const struct frame *f, const struct frame_info *info)
{
	struct udpxdp_path path = {
		.local = {.addr = info->dest, .port = info->dest_port},
		.peer = {.addr = info->source, .port = info->source_port},
	};

	memcpy(path.local.mac, f->data, 6);
	memcpy(path.peer.mac, f->data + 6, 6);
	return path;
}

/* Sends a frame back as it came, with a text in front. */
static bool answer(struct side *side, struct frame *f, const char *prefix)
{
	const struct frame_info info = read_frame(f);
	const struct udpxdp_path path = back(f, &info);
	const size_t more = strlen(prefix);
	uint8_t *payload = f->data + info.payload - more, *start = payload - headers_len(&path);
	const uint32_t len = info.payload_len + more;

	memcpy(payload, prefix, more);
	headers_write(start, &path, len, checksum_sum(payload, len));
	f->data = start;
	f->len = payload + len - start;
	return side->io->ops->send(side->io, f);
}

static void send_new(
	struct side *side, const struct udpxdp_path *path, const void *data, size_t len)
{
	struct frame f;

	assert_true(side->io->ops->allocate(side->io, &f));
	assert_true(!f.is_rx && !f.len);
	memcpy(f.data + headers_len(path), data, len);
	headers_write(f.data, path, len, checksum_sum(data, len));
	f.len = headers_len(path) + len;
	assert_true(side->io->ops->send(side->io, &f));
}

/* The path from our port to a client at an IPv4 address. */
static struct udpxdp_path path_to(struct udpxdp_addr addr, uint16_t port)
{
	return (struct udpxdp_path){
		.local = {.addr = udpxdp_addr_ipv4(127, 0, 0, 1), .port = PORT},
		.peer = {.addr = addr, .port = port},
	};
}

/* ---- receiving ---- */

static void lent_ipv4(void **state)
{
	struct side *side = *state;
	int fd, ttl = 9, tos = 0x48;
	struct frame *f = side->frames;
	struct frame_info info;
	struct timespec now;

	needs_namespace();
	fd = client("127.0.0.1");
	setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	say(fd, "127.0.0.5", PORT, "hello", 5);
	assert_int_equal(take(side, FRAME_BATCH), 1);
	info = read_frame(f);
	require_addr(&info.source, "127.0.0.1");
	require_addr(&info.dest, "127.0.0.5");
	assert_int_equal(info.source_port, port_of(fd));
	assert_int_equal(info.dest_port, PORT);
	assert_int_equal(info.payload_len, 5);
	assert_memory_equal(f->data + info.payload, "hello", 5);
	assert_int_equal(f->data[info.l3 + 1], tos);
	assert_int_equal(f->data[info.l3 + 8], ttl);
	assert_int_equal(checksum_sum(f->data + info.l3, 20), 0xffff);
	assert_int_equal(f->data[0] & 1, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec * UDPXDP_NSEC_PER_SEC + now.tv_nsec - f->time_ns, 0,
		UDPXDP_NSEC_PER_SEC);
	memset(f->data - FRAME_HEADROOM, 0x55, FRAME_HEADROOM + f->len);
	side->io->ops->release(side->io, f);
	close(fd);
}

static void lent_ipv6(void **state)
{
	struct side *side = *state;
	int fd, hops = 9, class = 0x48;
	struct frame *f = side->frames;
	struct frame_info info;

	needs_namespace();
	fd = client("::1");
	setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
	say(fd, "::1", OTHER_PORT, "hello", 5);
	assert_int_equal(take(side, FRAME_BATCH), 1);
	info = read_frame(f);
	assert_int_equal(info.version, 6);
	require_addr(&info.source, "::1");
	require_addr(&info.dest, "::1");
	assert_int_equal(info.dest_port, OTHER_PORT);
	assert_int_equal((f->data[info.l3] & 0xf) << 4 | f->data[info.l3 + 1] >> 4, class);
	assert_int_equal(f->data[info.l3 + 7], hops);
	memset(f->data - FRAME_HEADROOM, 0x55, FRAME_HEADROOM + f->len);
	side->io->ops->release(side->io, f);
	close(fd);
}

static void broadcast_known_by_its_mac(void **state)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct side *side = *state;
	struct frame_info info;
	int fd;

	needs_namespace();
	fd = client("127.0.0.1");
	say(fd, "127.255.255.255", PORT, "all", 3);
	assert_int_equal(take(side, FRAME_BATCH), 1);
	info = read_frame(side->frames);
	require_addr(&info.dest, "127.255.255.255");
	assert_memory_equal(side->frames[0].data, everybody, 6);
	side->io->ops->release(side->io, side->frames);
	close(fd);
}

/* Answers everything that comes until `expected` frames have come. */
static void answer_frames(struct side *side, int expected, int max, const char *prefix)
{
	while (expected > 0) {
		int n = take(side, max);

		for (int i = 0; i < n; i++)
			assert_true(answer(side, &side->frames[i], prefix));
		side->io->ops->flush(side->io);
		expected -= n;
	}
	assert_int_equal(expected, 0);
}

static void sizes_answered(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "127.0.0.7", "::1"};
	static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 1472, 1473, 9000, 65506, 65507};
	struct side *side = *state;

	needs_namespace();
	for (int h = 0; h < 3; h++) {
		int fd = client(h == 2 ? "::1" : "127.0.0.1");

		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			say(fd, hosts[h], PORT, pattern, sizes[i]);
			answer_frames(side, 1, FRAME_BATCH, "");
			hear(fd, hosts[h], PORT, pattern, sizes[i]);
		}
		close(fd);
	}
}

/* So that an answer begins at any address. */
static void prefix_grows_into_the_headroom(void **state)
{
	struct side *side = *state;
	int fd;

	needs_namespace();
	fd = client("::1");
	for (int len = 0; len <= 64; len++) {
		char expected[70] = "";

		memset(expected, 'x', len);
		say(fd, "::1", PORT, "hello", 5);
		answer_frames(side, 1, FRAME_BATCH, expected);
		memcpy(expected + len, "hello", 5);
		hear(fd, "::1", PORT, expected, len + 5);
	}
	close(fd);
}

/* Full batches of the longest datagrams, more than the buffers hold at once. */
static void long_batches(void **state)
{
	struct side *side = *state;
	int fd, rounds = 8, size = 64 << 20;

	needs_namespace();
	fd = client("127.0.0.1");
	setsockopt(side->fds[0], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	while (rounds--) {
		for (int i = 0; i < 20; i++)
			say(fd, "127.0.0.1", PORT, pattern + i, 65507);
		answer_frames(side, 20, FRAME_BATCH, "");
		for (int i = 0; i < 20; i++)
			hear(fd, "127.0.0.1", PORT, pattern + i, 65507);
	}
	close(fd);
}

/* Whatever the last train was like, the next is cut into the datagrams it was made of. */
static void trains_cut(void **state)
{
	static const struct {
		unsigned segment, len;
	} trains[] = {
		{64, 640},
		{64, 640},
		{64, 4096},
		{100, 1001},
		{100, 1001},
		{0, 9000},
		{0, 20},
		{1400, 8999},
		{1400, 8999},
		{1400, 60000},
		{64, 64},
		{1, 64},
		{1, 64},
		{1, 40},
		{8000, 65000},
		{8000, 65000},
		{0, 65507},
		{33, 60},
		{33, 33 * 64},
		{33, 33 * 64},
		{0, 33},
		{33, 70},
		{0, 34},
		{33, 70},
		{33, 20},
		{1200, 1200 * 50},
		{1000, 50000},
	};
	struct side *side = *state;

	needs_namespace();
	for (int max = FRAME_BATCH; max; max = max > 7 ? 7 : max > 1 ? 1 : 0) {
		int fd = client("127.0.0.1");

		for (unsigned i = 0; i < sizeof(trains) / sizeof(trains[0]); i++) {
			const uint32_t len = trains[i].len;
			const uint32_t segment = trains[i].segment ? trains[i].segment : len;

			if (trains[i].segment)
				say_train(fd, "127.0.0.1", pattern, len, segment);
			else
				say(fd, "127.0.0.1", PORT, pattern, len);
			answer_frames(side, (len + segment - 1) / segment, max, "");
			for (uint32_t at = 0; at < len; at += segment)
				hear(fd, "127.0.0.1", PORT, pattern + at,
					len - at < segment ? len - at : segment);
		}
		close(fd);
	}
}

/* The same, several at once, so that they lie in one batch of messages. */
static void mixed_trains_cut(void **state)
{
	struct side *side = *state;
	int fd;

	needs_namespace();
	fd = client("::1");
	for (unsigned round = 1; round < 40; round++) {
		unsigned count = 0;

		for (unsigned i = 1; i < 30; i++) {
			const unsigned segment = 1 + i * round % 700, len = i * round * 3 % 9000;

			if (len > segment && len <= segment * 64) {
				say_train(fd, "::1", pattern + i, len, segment);
				count += (len + segment - 1) / segment;
			} else {
				say(fd, "::1", PORT, pattern + i, len);
				count++;
			}
		}
		answer_frames(side, count, FRAME_BATCH, "");
		for (unsigned i = 1; i < 30; i++) {
			const unsigned segment = 1 + i * round % 700, len = i * round * 3 % 9000;
			const unsigned step = len > segment && len <= segment * 64 ? segment : len;
			unsigned at = 0;

			do {
				hear(fd, "::1", PORT, pattern + i + at,
					len - at < step ? len - at : step);
				at += step;
			} while (at < len);
		}
	}
	close(fd);
}

static void every_port_gets_its_turn(void **state)
{
	struct side *side = *state;
	unsigned seen[2] = {}, n;
	int fd;

	needs_namespace();
	fd = client("127.0.0.1");
	for (int i = 0; i < 300; i++) {
		say(fd, "127.0.0.1", PORT, "a", 1);
		say(fd, "127.0.0.1", OTHER_PORT, "b", 1);
	}
	/* Four full batches: neither port has had all of them. */
	for (int batch = 0; batch < 4; batch++) {
		n = take(side, FRAME_BATCH);
		assert_int_equal(n, FRAME_BATCH);
		for (unsigned i = 0; i < n; i++) {
			seen[read_frame(&side->frames[i]).dest_port == OTHER_PORT]++;
			side->io->ops->release(side->io, &side->frames[i]);
		}
	}
	assert_int_equal(seen[0], 2 * FRAME_BATCH);
	assert_int_equal(seen[1], 2 * FRAME_BATCH);
	close(fd);
}

/* ---- sending ---- */

/* The next message at a client that takes trains, which is to hold data: the size of its segments
 * (0: it is a single datagram), its length in *len, its TTL in *ttl. */
static int hear_train(int fd, const void *data, size_t *len, int *ttl)
{
	static uint8_t got[70000];
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct iovec piece = {got, sizeof(got)};
	struct msghdr m = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, 0);
	int segment = 0;

	assert_return_code(n, errno);
	*len = n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
			memcpy(ttl, CMSG_DATA(c), sizeof(*ttl));
	}
	assert_memory_equal(got, data, n);
	return segment;
}

static int train_client(void)
{
	int fd = client("127.0.0.1"), on = 1;

	setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	return fd;
}

static void alike_frames_leave_as_trains(void **state)
{
	static const struct {
		unsigned frames[6];      /* lengths */
		unsigned messages[6][2]; /* length and size of the segments */
	} cases[] = {
		{{100, 100, 100}, {{300, 100}}},
		{{100, 100, 50}, {{250, 100}}},
		{{100, 50, 100}, {{150, 100}, {100, 0}}},
		{{50, 100, 100}, {{50, 0}, {200, 100}}},
		{{100}, {{100, 0}}},
		{{40000, 20000, 5000}, {{60000, 40000}, {5000, 0}}},
	};
	struct side *side = *state;
	struct udpxdp_path path;
	size_t len;
	int fd, ttl;

	needs_namespace();
	fd = train_client();
	path = path_to(udpxdp_addr_ipv4(127, 0, 0, 1), port_of(fd));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned *frame = cases[i].frames;
		unsigned sent = 0, heard = 0;

		for (; *frame; sent += *frame++)
			send_new(side, &path, pattern + sent, *frame);
		side->io->ops->flush(side->io);
		for (unsigned j = 0; heard < sent; j++, heard += len) {
			assert_int_equal(hear_train(fd, pattern + heard, &len, &ttl),
				cases[i].messages[j][1]);
			assert_int_equal(len, cases[i].messages[j][0]);
			assert_int_equal(ttl, 64);
		}
	}
	close(fd);
}

static void ttl_of_a_frame(void **state)
{
	struct side *side = *state;
	struct udpxdp_path path;
	int fd, ttl = 0;
	size_t len;

	needs_namespace();
	fd = train_client();
	path = path_to(udpxdp_addr_ipv4(127, 0, 0, 1), port_of(fd));
	path.ttl = 1;
	send_new(side, &path, pattern, 10);
	path.ttl = 0;
	send_new(side, &path, pattern, 10);
	side->io->ops->flush(side->io);
	assert_int_equal(hear_train(fd, pattern, &len, &ttl), 0);
	assert_int_equal(ttl, 1);
	assert_int_equal(hear_train(fd, pattern, &len, &ttl), 0);
	assert_int_equal(ttl, 64);
	close(fd);
}

static void broadcast_sent(void **state)
{
	const struct address a = address("0.0.0.0", 9999);
	struct side *side = *state;
	struct udpxdp_path path = path_to(udpxdp_addr_ipv4(127, 255, 255, 255), 9999);
	int fd;

	needs_namespace();
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_return_code(bind(fd, &a.any, a.len), errno);
	memset(path.peer.mac, 0xff, 6);
	send_new(side, &path, "all", 3);
	side->io->ops->flush(side->io);
	hear(fd, "127.0.0.1", PORT, "all", 3);
	close(fd);
}

/* Segments that do not fit the route are sent one by one, in order; smaller ones still together. */
static void train_beyond_the_mtu(void **state)
{
	struct side *side = *state;
	struct udpxdp_path path;
	size_t len;
	int fd, ttl;

	needs_namespace();
	fd = train_client();
	path = path_to(udpxdp_addr_ipv4(127, 0, 0, 1), port_of(fd));
	assert_int_equal(system("ip link set lo mtu 1500"), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++)
			send_new(side, &path, pattern + i, 3000);
		side->io->ops->flush(side->io);
		for (int i = 0; i < 5; i++)
			hear(fd, "127.0.0.1", PORT, pattern + i, 3000);
	}
	for (int i = 0; i < 5; i++)
		send_new(side, &path, pattern + i * 1000, 1000);
	side->io->ops->flush(side->io);
	assert_int_equal(hear_train(fd, pattern, &len, &ttl), 1000);
	assert_int_equal(len, 5000);
	assert_int_equal(system("ip link set lo mtu 65536"), 0);
	close(fd);
}

/* A frame that the kernel refuses, or that is none, costs no other. */
static void refused_frames(void **state)
{
	struct side *side = *state;
	struct sockets_account account;
	struct udpxdp_path path, nowhere, from_nobody;
	struct frame f;
	int fd;

	needs_namespace();
	fd = client("127.0.0.1");
	path = path_to(udpxdp_addr_ipv4(127, 0, 0, 1), port_of(fd));
	nowhere = path_to(udpxdp_addr_ipv4(203, 0, 113, 9), 9);
	from_nobody = path;
	from_nobody.local.port = 4711;
	send_new(side, &path, "one", 3);
	for (int i = 0; i < 3; i++)
		send_new(side, &nowhere, "lost", 4);
	send_new(side, &from_nobody, "lost", 4);
	assert_true(side->io->ops->allocate(side->io, &f));
	memset(f.data, 0, 60);
	f.len = 60;
	assert_true(side->io->ops->send(side->io, &f));
	send_new(side, &path, "two", 3);
	side->io->ops->flush(side->io);
	hear(fd, "127.0.0.1", PORT, "one", 3);
	hear(fd, "127.0.0.1", PORT, "two", 3);
	sockets_account(side->io, &account);
	assert_int_equal(account.tx_errors, 5);
	close(fd);
}

/* Nobody answers to ARP, so what is sent there stays in the socket's buffer until the
 * kernel gives up, which it does after three times retrans_time_ms. */
static void back_pressure(void **state)
{
	struct side *side = *state;
	const int small = 1, tx = SOCKETS_OUT;
	struct udpxdp_path path = path_to(udpxdp_addr_ipv4(10, 9, 9, 9), 9);
	struct frame f;
	int fd, sent = 0;

	needs_namespace();
	if (system("ip link add veth0 type veth peer name veth1 && ip link set veth1 up &&"
		   " ip link set veth0 up && ip address add 10.9.9.1/24 dev veth0 &&"
		   " sysctl -qw net.ipv4.neigh.veth0.unres_qlen_bytes=8000000"
		   " net.ipv4.neigh.veth0.retrans_time_ms=600000"))
		fail_msg("no wire");
	setsockopt(side->fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	path.local.addr = udpxdp_addr_ipv4(10, 9, 9, 1);
	while (side->io->ops->allocate(side->io, &f)) {
		uint32_t len = 1000 + sent % 7; /* no two alike: no trains */

		memcpy(f.data + headers_len(&path), pattern, len);
		headers_write(f.data, &path, len, checksum_sum(pattern, len));
		f.len = headers_len(&path) + len;
		assert_true(side->io->ops->send(side->io, &f));
		assert_true(++sent < 1000);
	}
	require_balance(side->io, tx);

	/* What cannot be answered can still be received, and is given back. */
	fd = client("127.0.0.1");
	for (int i = 0; i < 200; i++) {
		say(fd, "127.0.0.1", OTHER_PORT, "hello", 5);
		assert_int_equal(take(side, FRAME_BATCH), 1);
		assert_false(answer(side, side->frames, ""));
		side->io->ops->release(side->io, side->frames);
		side->io->ops->flush(side->io);
	}
	require_balance(side->io, tx);

	/* The neighbour is found: everything goes. */
	assert_int_equal(system("ip neigh replace 10.9.9.9 lladdr 02:00:00:00:00:09 dev veth0"), 0);
	sockets_drain(side->io, SECOND);
	require_balance(side->io, 0);
	say(fd, "127.0.0.1", OTHER_PORT, "hello", 5);
	answer_frames(side, 1, FRAME_BATCH, "");
	hear(fd, "127.0.0.1", OTHER_PORT, "hello", 5);
	assert_int_equal(system("ip link delete veth0"), 0);
	close(fd);
}

/* A closed port sends ICMP errors back; the sockets go on. */
static void icmp_errors(void **state)
{
	struct side *side = *state;
	struct udpxdp_path path = path_to(udpxdp_addr_ipv4(127, 0, 0, 1), 9);
	struct udpxdp_path path6 = path;
	int fd;

	needs_namespace();
	path6.local.addr = path6.peer.addr = (struct udpxdp_addr){.b = {[15] = 1}};
	for (int i = 0; i < 5; i++) {
		send_new(side, &path, "lost", 4);
		send_new(side, &path6, "lost", 4);
		side->io->ops->flush(side->io);
	}
	fd = client("::1");
	say(fd, "::1", PORT, "hello", 5);
	answer_frames(side, 1, FRAME_BATCH, "");
	hear(fd, "::1", PORT, "hello", 5);
	close(fd);
}

/* ---- waiting ---- */

static uint64_t waited_ms(struct side *side, int timeout_ms)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_return_code(side->io->ops->wait(side->io, timeout_ms), errno);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
}

static void waiting(void **state)
{
	struct side *side = *state;
	int fd;

	needs_namespace();
	assert_true(waited_ms(side, 20) >= 19);
	assert_return_code(eventfd_write(side->doorbell, 1), errno);
	assert_true(waited_ms(side, 10 * SECOND) < 5 * SECOND);
	assert_true(waited_ms(side, 20) >= 19); /* it has been answered */

	fd = client("::1");
	say(fd, "::1", OTHER_PORT, "hello", 5);
	assert_true(waited_ms(side, 10 * SECOND) < 5 * SECOND);
	answer_frames(side, 1, FRAME_BATCH, "");
	close(fd);
}

/* ---- who has a port ---- */

static void ports_are_held(void **state)
{
	int first, next, sole;

	needs_namespace();
	assert_int_equal(sockets_bind(AF_INET, PORT, NULL, SOCKETS_SOLE), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(sockets_bind(AF_INET, PORT, NULL, SOCKETS_NEXT), -1);
	assert_int_equal(errno, EADDRINUSE);

	first = sockets_bind(AF_INET, 9000, NULL, SOCKETS_FIRST);
	next = sockets_bind(AF_INET, 9000, NULL, SOCKETS_NEXT);
	assert_return_code(first, errno);
	assert_return_code(next, errno);
	assert_int_equal(sockets_bind(AF_INET, 9000, NULL, SOCKETS_FIRST), -1);
	assert_int_equal(errno, EADDRINUSE);
	sole = sockets_bind(AF_INET, 9000, NULL, SOCKETS_SOLE);
	assert_int_equal(sole, -1);
	close(first);
	close(next);
	assert_int_equal(sockets_bind(AF_INET, 9000, "nowhere", SOCKETS_SOLE), -1);
	assert_int_equal(errno, ENODEV);
}

/* Those who share a port get each peer's datagrams once. */
static void shared_port(void **state)
{
	struct frame_io *io[2];
	struct frame f[FRAME_BATCH];
	unsigned seen[2] = {};
	int fds[2];

	needs_namespace();
	fds[0] = sockets_bind(AF_INET, 9001, NULL, SOCKETS_FIRST);
	fds[1] = sockets_bind(AF_INET, 9001, NULL, SOCKETS_NEXT);
	for (int i = 0; i < 2; i++) {
		io[i] = sockets_open(&fds[i], 1, -1);
		assert_non_null(io[i]);
	}
	for (int i = 0; i < 64; i++) {
		int fd = client("127.0.0.1");

		say(fd, "127.0.0.1", 9001, "hello", 5);
		close(fd);
	}
	for (int i = 0; i < 2; i++) {
		int n;

		while ((n = io[i]->ops->receive(io[i], f, FRAME_BATCH)) > 0) {
			seen[i] += n;
			while (n--)
				io[i]->ops->release(io[i], &f[n]);
		}
		io[i]->ops->close(io[i]);
	}
	assert_int_equal(seen[0] + seen[1], 64);
	assert_true(seen[0] && seen[1]);
}

static void one_interface(void **state)
{
	struct side side = {};
	int fd, in, out;

	needs_namespace();
	in = sockets_bind(AF_INET, 9002, "lo", SOCKETS_SOLE);
	assert_return_code(in, errno);
	out = sockets_bind(AF_INET, 9002, "lo", SOCKETS_SOLE);
	assert_int_equal(out, -1);
	side.io = sockets_open(&in, 1, -1);
	fd = client("127.0.0.1");
	say(fd, "127.0.0.1", 9002, "hello", 5);
	answer_frames(&side, 1, FRAME_BATCH, "");
	hear(fd, "127.0.0.1", 9002, "hello", 5);
	close(fd);
	side.io->ops->close(side.io);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lent_ipv4, setup, teardown),
		cmocka_unit_test_setup_teardown(lent_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(broadcast_known_by_its_mac, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(prefix_grows_into_the_headroom, setup, teardown),
		cmocka_unit_test_setup_teardown(long_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(trains_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(mixed_trains_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(every_port_gets_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(alike_frames_leave_as_trains, setup, teardown),
		cmocka_unit_test_setup_teardown(ttl_of_a_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(broadcast_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(train_beyond_the_mtu, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(back_pressure, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_are_held, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_port, setup, teardown),
		cmocka_unit_test_setup_teardown(one_interface, setup, teardown),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i * 2654435761u >> 13;
	no_namespace = unshare(CLONE_NEWNET) || system("ip link set lo up");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
