/* SPDX-License-Identifier: MIT */
#include "io/afxdp.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "base/clock.h"
#include "base/keep_errno.h"

/* Newer than the headers of Debian 12. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

#define KERNEL_HEADROOM 256 /* XDP_PACKET_HEADROOM: where the kernel puts a frame in its chunk */
#define HUGE_PAGE (2u << 20)

struct afxdp {
	struct frame_io io;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons rx, completion;
	struct xsk_socket *socket;
	struct xsk_umem *umem;
	uint8_t *area;
	size_t area_size;
	uint32_t chunk;
	int fd, doorbell;
	bool zerocopy;
	bool is_down;       /* or gone: the last wakeup failed */
	bool busy_poll;     /* the kernel polls the driver when it is called, and not otherwise */
	uint32_t held;      /* lent to the engine */
	uint32_t queued;    /* in the tx ring, not yet shown to the kernel */
	uint32_t in_flight; /* TX frames from send() until they are reaped */
	uint32_t free_count, refill_count;
	uint64_t tx_errors;
	uint64_t refill[FRAME_BATCH]; /* on their way back to the fill ring */
	uint64_t free[TX_FRAMES];
};

_Static_assert(KERNEL_HEADROOM >= FRAME_HEADROOM, "answers in place grow into the headroom");

static struct afxdp *self(const struct frame_io *io)
{
	return (struct afxdp *)io;
}

static uint64_t chunk_of(const struct afxdp *x, uint64_t addr)
{
	return addr & ~(uint64_t)(x->chunk - 1);
}

/* Frames that the kernel has yet to take from the tx ring. */
static uint32_t unsent(const struct afxdp *x)
{
	return *x->tx.producer - __atomic_load_n(x->tx.consumer, __ATOMIC_ACQUIRE);
}

static void complete_tx(struct afxdp *x)
{
	uint32_t index, n = xsk_ring_cons__peek(&x->completion, TX_FRAMES, &index);

	for (uint32_t i = 0; i < n; i++)
		x->free[x->free_count++] =
			chunk_of(x, *xsk_ring_cons__comp_addr(&x->completion, index + i));
	if (n)
		xsk_ring_cons__release(&x->completion, n);
	x->in_flight -= n;
}

/*
 * Shows queued frames to the kernel and wakes it. In copy mode one sendto() takes a bounded
 * number of frames and says EAGAIN while some remain; no progress means back-pressure, and the
 * rest goes with a later tx_wakeup.
 */
static void tx_wakeup(struct afxdp *x)
{
	uint32_t left;

	xsk_ring_prod__submit(&x->tx, x->queued);
	x->queued = 0;
	while ((left = unsent(x)) && xsk_ring_prod__needs_wakeup(&x->tx)) {
		const bool was_down = x->is_down;

		x->is_down = false;
		if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			break;
		if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) {
			x->is_down = true;
			x->tx_errors += !was_down;
			break;
		}
		if (unsent(x) == left)
			break;
	}
}

static int at_most(int longest_ms, int timeout_ms)
{
	return timeout_ms < 0 || timeout_ms > longest_ms ? longest_ms : timeout_ms;
}

/* How long it may sleep: not long with something to send, unless that cannot be sent. */
static int longest_sleep(struct afxdp *x, int timeout_ms)
{
	if (!unsent(x))
		return timeout_ms;
	if (x->is_down)
		tx_wakeup(x);
	return at_most(x->is_down ? FRAME_BROKEN_MS : 1, timeout_ms);
}

static bool have_free(struct afxdp *x)
{
	if (x->free_count)
		return true;
	tx_wakeup(x);
	complete_tx(x);
	return x->free_count != 0;
}

/* The other CPU has just written the headers; an answer begins in the line in front of them. */
static void fetch_ahead(const uint8_t *data)
{
	for (int line = -1; line <= 1; line++)
		__builtin_prefetch(data + line * 64, 1);
}

static int receive(struct frame_io *io, struct frame *frames, int max)
{
	struct afxdp *x = self(io);
	uint32_t index, n = xsk_ring_cons__peek(&x->rx, max, &index);
	uint64_t now;

	if (!n) {
		if (unsent(x) &&
			!x->is_down) /* who spins comes neither to flush() nor to wait() now */
			tx_wakeup(x);
		if (x->busy_poll || xsk_ring_prod__needs_wakeup(&x->fill))
			recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		return 0;
	}
	now = clock_realtime_ns();
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&x->rx, index + i);
		uint64_t base = chunk_of(x, desc->addr);

		frames[i] = (struct frame){
			.data = x->area + desc->addr,
			.len = desc->len,
			.time_ns = now,
			.cookie = base,
			.is_rx = true,
		};
		fetch_ahead(frames[i].data);
	}
	xsk_ring_cons__release(&x->rx, n);
	x->held += n;
	return n;
}

static void release(struct frame_io *io, const struct frame *frame)
{
	struct afxdp *x = self(io);

	x->refill[x->refill_count++] = frame->cookie;
}

static bool allocate(struct frame_io *io, struct frame *frame)
{
	struct afxdp *x = self(io);
	uint64_t base;

	if (!have_free(x))
		return false;
	base = x->free[--x->free_count];
	*frame = (struct frame){.data = x->area + base, .cookie = base};
	return true;
}

static bool send_frame(struct frame_io *io, const struct frame *frame)
{
	struct afxdp *x = self(io);
	struct xdp_desc *desc;
	uint32_t index = 0;

	if (frame->is_rx) {
		if (!have_free(x))
			return false;
		/* The frame changes sides; a free one takes its place. */
		x->refill[x->refill_count++] = x->free[--x->free_count];
	}
	/* Cannot fail: the ring has a place for every TX frame. */
	xsk_ring_prod__reserve(&x->tx, 1, &index);
	desc = xsk_ring_prod__tx_desc(&x->tx, index);
	desc->addr = frame->data - x->area;
	desc->len = frame->len;
	desc->options = 0;
	x->queued++;
	x->in_flight++;
	return true;
}

static void flush(struct frame_io *io)
{
	struct afxdp *x = self(io);
	uint32_t index = 0;

	if (x->refill_count) {
		/* Cannot fail: the ring has a place for every RX frame. */
		xsk_ring_prod__reserve(&x->fill, x->refill_count, &index);
		for (uint32_t i = 0; i < x->refill_count; i++)
			*xsk_ring_prod__fill_addr(&x->fill, index + i) = x->refill[i];
		xsk_ring_prod__submit(&x->fill, x->refill_count);
		x->held -= x->refill_count;
		x->refill_count = 0;
	}
	if (x->in_flight) {
		tx_wakeup(x);
		complete_tx(x);
	}
}

static int wait_for_frames(struct frame_io *io, int timeout_ms)
{
	struct afxdp *x = self(io);
	struct pollfd fds[] = {
		{.fd = x->fd, .events = POLLIN},
		{.fd = x->doorbell, .events = POLLIN},
	};
	uint64_t rings;

	if (poll(fds, 2, longest_sleep(x, timeout_ms)) < 0 && errno != EINTR)
		return -1;
	if (fds[1].revents & POLLIN && read(x->doorbell, &rings, sizeof(rings)) < 0 &&
		errno != EAGAIN)
		return -1;
	if (x->in_flight) {
		tx_wakeup(x);
		complete_tx(x);
	}
	/* It is gone: the event loop watches it; do not spin meanwhile. */
	if (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL))
		poll(&fds[1], 1, at_most(FRAME_BROKEN_MS, timeout_ms));
	return 0;
}

static int descriptor(struct frame_io *io, int *timeout_ms)
{
	struct afxdp *x = self(io);

	*timeout_ms = longest_sleep(x, *timeout_ms);
	return x->fd;
}

/* Leaves errno as it is. */
static void free_socket(struct afxdp *x)
{
	KEEP_ERRNO;

	if (x->socket)
		xsk_socket__delete(x->socket);
	if (x->umem)
		xsk_umem__delete(x->umem);
	if (x->area)
		munmap(x->area, x->area_size);
	free(x);
}

static int close_socket(struct frame_io *io)
{
	free_socket(self(io));
	return 0;
}

static const struct frame_io_ops afxdp_ops = {
	.receive = receive,
	.release = release,
	.allocate = allocate,
	.send = send_frame,
	.flush = flush,
	.wait = wait_for_frames,
	.descriptor = descriptor,
	.close = close_socket,
};

static int map_area(struct afxdp *x)
{
	size_t size = (size_t)x->chunk * (RX_FRAMES + TX_FRAMES);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *area;

	x->area_size = (size + HUGE_PAGE - 1) & ~((size_t)HUGE_PAGE - 1);
	area = mmap(NULL, x->area_size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (area == MAP_FAILED)
		area = mmap(NULL, x->area_size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (area == MAP_FAILED)
		return -1;
	x->area = area;
	return 0;
}

static int make_umem(struct afxdp *x)
{
	struct xsk_umem_config config = {
		.fill_size = RX_FRAMES,
		.comp_size = TX_FRAMES,
		.frame_size = x->chunk,
	};
	int error = xsk_umem__create(&x->umem, x->area,
		(uint64_t)x->chunk * (RX_FRAMES + TX_FRAMES), &x->fill, &x->completion, &config);

	if (!error)
		return 0;
	errno = -error;
	return -1;
}

static int make_socket(struct afxdp *x, const struct afxdp_config *c)
{
	struct xsk_socket_config config = {
		.rx_size = RX_FRAMES,
		.tx_size = TX_FRAMES,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP | (c->zerocopy ? XDP_ZEROCOPY : XDP_COPY),
	};
	char name[IF_NAMESIZE];
	int error = -ENODEV;

	if (if_indextoname(c->ifindex, name))
		error = xsk_socket__create(
			&x->socket, name, c->queue, x->umem, &x->rx, &x->tx, &config);
	/* Between the look-ups, here and in libxdp, another interface may have got the name. */
	if (!error && (int)if_nametoindex(name) != c->ifindex)
		error = -ENODEV;
	errno = -error;
	return error ? -1 : 0;
}

/* What makes it faster where the kernel knows it; nothing depends on it. */
static void tune(struct afxdp *x, unsigned busy_poll)
{
	int budget = TX_FRAMES, prefer = 1, batch = FRAME_BATCH, usec = busy_poll;

	setsockopt(x->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	if (!busy_poll)
		return;
	setsockopt(x->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, sizeof(prefer));
	setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL, &usec, sizeof(usec));
	setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &batch, sizeof(batch));
}

static void hand_out_frames(struct afxdp *x)
{
	uint32_t index = 0;

	xsk_ring_prod__reserve(&x->fill, RX_FRAMES, &index);
	for (uint32_t i = 0; i < RX_FRAMES; i++)
		*xsk_ring_prod__fill_addr(&x->fill, index + i) = (uint64_t)i * x->chunk;
	xsk_ring_prod__submit(&x->fill, RX_FRAMES);
	for (uint32_t i = 0; i < TX_FRAMES; i++)
		x->free[x->free_count++] = (uint64_t)(RX_FRAMES + i) * x->chunk;
}

struct frame_io *afxdp_open(const struct afxdp_config *config)
{
	struct afxdp *x;

	if (config->mtu > AFXDP_MTU_MAX) {
		errno = EMSGSIZE;
		return NULL;
	}
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->io.ops = &afxdp_ops;
	x->doorbell = config->doorbell;
	x->zerocopy = config->zerocopy;
	x->busy_poll = config->busy_poll;
	x->chunk = afxdp_chunk_size(config->mtu);
	if (map_area(x) < 0 || make_umem(x) < 0)
		goto failed;
	/* Before it is bound: virtio_net takes its first frames in zero copy then or never. */
	hand_out_frames(x);
	if (make_socket(x, config) < 0)
		goto failed;
	x->fd = xsk_socket__fd(x->socket);
	tune(x, config->busy_poll);
	return &x->io;
failed:
	free_socket(x);
	return NULL;
}

int afxdp_fd(const struct frame_io *io)
{
	return self(io)->fd;
}

void afxdp_account(const struct frame_io *io, struct afxdp_account *account)
{
	const struct afxdp *x = self(io);
	struct xdp_statistics s = {};
	socklen_t len = sizeof(s);
	uint32_t completed =
		__atomic_load_n(x->completion.producer, __ATOMIC_ACQUIRE) - *x->completion.consumer;

	getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &s, &len);
	*account = (struct afxdp_account){
		.fill = *x->fill.producer - __atomic_load_n(x->fill.consumer, __ATOMIC_ACQUIRE),
		.rx = __atomic_load_n(x->rx.producer, __ATOMIC_ACQUIRE) - *x->rx.consumer,
		.held = x->held,
		.free = x->free_count,
		.tx = x->in_flight - completed,
		.completion = completed,
		.rx_ring_full = s.rx_ring_full,
		.rx_dropped = s.rx_dropped,
		.rx_invalid = s.rx_invalid_descs,
		.tx_invalid = s.tx_invalid_descs,
		.fill_empty = s.rx_fill_ring_empty_descs,
		.tx_errors = x->tx_errors,
	};
	if (x->zerocopy)
		account->driver = RX_FRAMES - account->fill - account->rx - account->held;
}

void afxdp_drain(struct frame_io *io, int timeout_ms)
{
	struct afxdp *x = self(io);
	uint64_t deadline = clock_realtime_ns() + (uint64_t)timeout_ms * 1000000u;

	for (;;) {
		flush(io);
		if (!x->in_flight || clock_realtime_ns() >= deadline)
			return;
		poll(NULL, 0, 1);
	}
}
