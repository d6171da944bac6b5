/* SPDX-License-Identifier: MIT */
#include "io/sockets_internal.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/keep_errno.h"

#define DOORBELL UINT32_MAX /* among the numbers of sockets */

/* ---- what a call brings --------------------------------------------------------------- */

/* Returns whether every slot has a buffer. */
static bool fill_slots(struct sockets *s)
{
	for (unsigned i = 0; i < FRAME_BATCH; i++) {
		if (s->slots[i] != NONE)
			continue;
		if (!s->free_count)
			return false;
		s->slots[i] = s->free[--s->free_count];
	}
	return true;
}

/* Makes room for messages spread as k says; the last piece of each takes whatever is left. */
static unsigned make_room(struct sockets *s, const struct udp_socket *k)
{
	unsigned n = FRAME_BATCH / k->spread;

	for (unsigned i = 0; i < n; i++) {
		struct iovec *pieces = &s->pieces[i * k->spread];
		const uint16_t *slots = &s->slots[i * k->spread];

		for (unsigned j = 0; j < k->spread; j++)
			pieces[j] = (struct iovec){sockets_payload(s, slots[j]), k->segment};
		pieces[k->spread - 1].iov_len = PAYLOAD_ROOM;
		s->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &s->names[i],
			.msg_namelen = sizeof(s->names[i]),
			.msg_iov = pieces,
			.msg_iovlen = k->spread,
			.msg_control = s->controls[i],
			.msg_controllen = SOCKETS_CONTROL_SIZE,
		};
	}
	return n;
}

static void add_part(struct sockets *s, unsigned slot, unsigned message, uint32_t len)
{
	s->parts[s->part_count++] = (struct part){.slot = slot, .message = message, .len = len};
}

/* The guess was wrong: brings what lies spread together in the first slot. */
static void gather(const struct sockets *s, const struct udp_socket *k, unsigned slot, uint32_t len)
{
	uint8_t *whole = sockets_payload(s, s->slots[slot]);

	for (uint32_t at = k->segment; at < len; at += k->segment) {
		bool last = at == (k->spread - 1) * k->segment;
		uint32_t n = last || len - at < k->segment ? len - at : k->segment;

		memcpy(whole + at, sockets_payload(s, s->slots[++slot]), n);
		if (last)
			break;
	}
}

/* Finds the datagrams of a message. A train that was spread as it should be needs no copy. */
static void take_message(struct sockets *s, struct udp_socket *k, unsigned message)
{
	const uint32_t segment = s->arrivals[message].segment;
	const unsigned slot = message * k->spread;
	uint32_t len = s->messages[message].msg_len;

	if (k->spread == 1 || (!segment && len <= k->segment)) {
		add_part(s, slot, message, len);
	} else if (segment != k->segment) {
		gather(s, k, slot, len);
		add_part(s, slot, message, len);
	} else {
		for (unsigned i = 0; i < k->spread && len; i++) {
			uint32_t n = i == k->spread - 1 || len < segment ? len : segment;

			add_part(s, slot + i, message, n);
			len -= n;
		}
	}
}

/* What the last message was, the next one may be. */
static void guess_next(struct udp_socket *k, uint32_t segment, uint32_t len)
{
	const bool train = segment && segment < len;
	const uint32_t count = train ? (len + segment - 1) / segment : 1;

	k->segment = train ? segment : PAYLOAD_ROOM;
	k->spread = count < FRAME_BATCH ? count : FRAME_BATCH;
}

/* One call on one socket. Returns whether it brought anything. */
static bool call(struct sockets *s, struct udp_socket *k)
{
	int n = recvmmsg(k->fd, s->messages, make_room(s, k), MSG_DONTWAIT, NULL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		s->rx_errors++; /* such as an ICMP error, which the call has taken off the socket */
	if (n <= 0)
		return false;
	s->part_count = s->next_part = 0;
	for (int i = 0; i < n; i++) {
		sockets_read_message(&s->arrivals[i], &s->messages[i].msg_hdr, k->port);
		if (k->ifindex) /* an answer finds its way back to this socket by it */
			sockets_set_ifindex(&s->arrivals[i].path.local, k->ifindex);
		take_message(s, k, i);
	}
	guess_next(k, s->arrivals[n - 1].segment, s->messages[n - 1].msg_len);
	s->now_ns = clock_realtime_ns();
	return true;
}

/* ---- waiting -------------------------------------------------------------------------- */

/* Finds out, within timeout_ms, which sockets have something. Returns 0, or -1 with errno. */
static int look(struct sockets *s, int timeout_ms)
{
	struct epoll_event events[FRAME_BATCH];
	int n = epoll_wait(s->poll, events, FRAME_BATCH, timeout_ms);
	uint64_t rings;

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	for (int i = 0; i < n; i++)
		if (events[i].data.u32 != DOORBELL)
			s->ready[s->ready_count++] = &s->sockets[events[i].data.u32];
		else if (timeout_ms && read(s->doorbell, &rings, sizeof(rings)) < 0 &&
			 errno != EAGAIN)
			return -1;
	return 0;
}

/* Every socket that has something gets its turn before the first has another. */
static bool refill(struct sockets *s)
{
	if (!fill_slots(s))
		return false;
	if (!s->ready_count)
		look(s, 0);
	while (s->ready_count)
		if (call(s, s->ready[--s->ready_count]))
			return true;
	if (s->out) /* who spins comes neither to flush() nor to wait() now */
		sockets_flush(&s->io);
	return false;
}

static int wait_for_frames(struct frame_io *io, int timeout_ms)
{
	struct sockets *s = sockets_of(io);

	if (s->ready_count || s->next_part < s->part_count)
		return 0;
	if (s->out && (timeout_ms < 0 || timeout_ms > 1))
		timeout_ms = 1;
	if (look(s, timeout_ms) < 0)
		return -1;
	sockets_flush(io);
	return 0;
}

static int descriptor(struct frame_io *io, int *timeout_ms)
{
	const struct sockets *s = sockets_of(io);

	if (s->ready_count || s->next_part < s->part_count)
		*timeout_ms = 0;
	else if (s->out && *timeout_ms > 1)
		*timeout_ms = 1;
	return s->borrowed ? -1 : s->poll;
}

/* ---- frames --------------------------------------------------------------------------- */

/* The next datagram of a train that lies in one slot, in a buffer of its own. */
static uint16_t copy_next(struct sockets *s, struct part *p, uint32_t len)
{
	const uint16_t buffer = s->free[--s->free_count];

	memcpy(sockets_payload(s, buffer), sockets_payload(s, s->slots[p->slot]) + p->at, len);
	p->at += len;
	return buffer;
}

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct sockets *s = sockets_of(io);
	int n = 0;

	if (s->borrowed) {
		sockets_flush(io); /* what found no room */
		return 0;
	}
	if (s->next_part == s->part_count && !refill(s))
		return 0;
	while (n < max && s->next_part < s->part_count) {
		struct part *p = &s->parts[s->next_part];
		const struct sockets_arrival *a = &s->arrivals[p->message];
		uint32_t len = p->len - p->at;
		uint16_t buffer = s->slots[p->slot];
		uint8_t *payload;

		if (a->segment && p->len > a->segment) {
			if (!s->free_count)
				break;
			len = len < a->segment ? len : a->segment;
			buffer = copy_next(s, p, len);
		} else {
			s->slots[p->slot] = NONE;
			p->at = p->len;
		}
		payload = sockets_payload(s, buffer);
		frames[n] = (struct frame){
			.data = sockets_write_headers(a, payload, len),
			.time_ns = a->time_ns ? a->time_ns : s->now_ns,
			.taken_ns = s->now_ns,
			.cookie = buffer,
			.is_rx = true,
			.from_kernel = true,
		};
		frames[n].len = payload + len - frames[n].data;
		s->next_part += p->at == p->len;
		n++;
	}
	s->lent += n;
	return n;
}

static void release(struct frame_io *io, const struct frame *frame)
{
	struct sockets *s = sockets_of(io);

	s->free[s->free_count++] = frame->cookie;
	s->lent--;
}

/* ---- opening and closing -------------------------------------------------------------- */

static void free_sockets(struct sockets *s)
{
	if (s->poll >= 0)
		close(s->poll);
	if (s->area)
		munmap(s->area, (size_t)SOCKETS_BUFFERS * BUFFER_SIZE);
	free(s);
}

static int close_sockets(struct frame_io *io)
{
	struct sockets *s = sockets_of(io);

	for (unsigned i = 0; !s->borrowed && i < s->count; i++)
		close(s->sockets[i].fd);
	free_sockets(s);
	return 0;
}

static const struct frame_io_ops sockets_ops = {
	.receive = receive,
	.release = release,
	.allocate = sockets_allocate,
	.send = sockets_send,
	.flush = sockets_flush,
	.wait = wait_for_frames,
	.descriptor = descriptor,
	.close = close_sockets,
};

static int watch(struct sockets *s, int fd, uint32_t number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};

	return epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &event);
}

static int adopt(struct sockets *s, unsigned number, int fd)
{
	struct udp_socket *k = &s->sockets[number];
	struct sockets_name name = {};
	socklen_t len = sizeof(name), index_len = sizeof(int);
	int ifindex = 0;

	if (getsockname(fd, &name.any, &len) || (!s->borrowed && watch(s, fd, number)))
		return -1;
	getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, &index_len);
	*k = (struct udp_socket){
		.fd = fd,
		.ipv6 = name.any.sa_family == AF_INET6,
		.port = ntohs(name.ipv4.sin_port), /* at the same place in both */
		.ifindex = ifindex,
		.segment = PAYLOAD_ROOM,
		.spread = 1,
		.first = NONE,
		.segment_max = UINT16_MAX,
	};
	return 0;
}

static int set_up(struct sockets *s, const int *fds)
{
	void *area = mmap(NULL, (size_t)SOCKETS_BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return -1;
	s->area = area;
	for (unsigned i = 0; i < SOCKETS_BUFFERS; i++)
		s->free[s->free_count++] = SOCKETS_BUFFERS - 1 - i;
	for (unsigned i = 0; i < SOCKETS_OUT; i++)
		s->free_trains[s->free_train_count++] = i;
	for (unsigned i = 0; i < FRAME_BATCH; i++)
		s->slots[i] = NONE;
	fill_slots(s);
	s->poll = epoll_create1(EPOLL_CLOEXEC);
	if (s->poll < 0 || (s->doorbell >= 0 && watch(s, s->doorbell, DOORBELL)))
		return -1;
	for (unsigned i = 0; i < s->count; i++)
		if (adopt(s, i, fds[i]))
			return -1;
	return 0;
}

static struct frame_io *open_sockets(const int *fds, unsigned count, int doorbell, bool borrowed)
{
	struct sockets *s = calloc(1, sizeof(*s) + count * sizeof(s->sockets[0]));

	if (!s)
		return NULL;
	s->io.ops = &sockets_ops;
	s->poll = -1;
	s->doorbell = doorbell;
	s->count = count;
	s->borrowed = borrowed;
	if (!set_up(s, fds))
		return &s->io;
	KEEP_ERRNO;
	free_sockets(s);
	return NULL;
}

struct frame_io *sockets_open(const int *fds, unsigned count, int doorbell)
{
	return open_sockets(fds, count, doorbell, false);
}

struct frame_io *sockets_open_sender(const int *fds, unsigned count)
{
	return open_sockets(fds, count, -1, true);
}

/* ---- the account ---------------------------------------------------------------------- */

static uint64_t dropped(int fd)
{
	uint32_t values[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(values);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &len);
	return values[SK_MEMINFO_DROPS];
}

void sockets_account(const struct frame_io *io, struct sockets_account *account)
{
	const struct sockets *s = sockets_of(io);

	*account = (struct sockets_account){
		.free = s->free_count,
		.lent = s->lent,
		.out = s->out,
		.rx_errors = s->rx_errors,
		.tx_errors = s->tx_errors,
	};
	for (unsigned i = 0; i < FRAME_BATCH; i++)
		account->slots += s->slots[i] != NONE;
	for (unsigned i = 0; !s->borrowed && i < s->count; i++)
		account->rx_dropped += dropped(s->sockets[i].fd);
}

void sockets_drain(struct frame_io *io, int timeout_ms)
{
	const struct sockets *s = sockets_of(io);
	const uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000u;

	for (;;) {
		sockets_flush(io);
		if (!s->out || clock_ns() >= deadline)
			return;
		poll(NULL, 0, 1);
	}
}
