/* SPDX-License-Identifier: MIT */
#include "io/sockets_internal.h"

#include <errno.h>

#define SEGMENTS_MAX 64 /* of one message: UDP_MAX_SEGMENTS of the kernels before 6.9 */

/* A call that found no room now, as opposed to one that never will. */
static bool is_back_pressure(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* ---- the queue ------------------------------------------------------------------------ */

static struct udp_socket *find_socket(struct sockets *s, const struct sockets_flow *flow)
{
	const bool ipv6 = !udpxdp_addr_is_ipv4(&flow->peer);

	for (unsigned i = 0; i < s->count; i++) {
		struct udp_socket *k = &s->sockets[i];

		if (k->port == flow->local_port && k->ipv6 == ipv6 &&
			(!k->ifindex || !flow->ifindex || k->ifindex == flow->ifindex))
			return k;
	}
	return NULL;
}

static bool joins(const struct train *t, const struct sockets_flow *flow, uint32_t len)
{
	return !t->closed && len && len <= t->segment && t->count < SEGMENTS_MAX &&
	       t->bytes + len <= UDPXDP_PAYLOAD_MAX && !memcmp(&t->flow, flow, sizeof(*flow));
}

static struct train *append_train(
	struct sockets *s, struct udp_socket *k, const struct sockets_flow *flow, uint32_t len)
{
	/* Cannot fail: there are as many trains as frames that may be on their way. */
	const uint16_t number = s->free_trains[--s->free_train_count];
	struct train *t = &s->trains[number];

	*t = (struct train){.flow = *flow, .segment = len, .next = NONE, .closed = !len};
	if (k->first == NONE)
		k->first = number;
	else
		s->trains[k->last].next = number;
	k->last = number;
	return t;
}

static void enqueue(struct sockets *s, struct udp_socket *k, const struct sockets_flow *flow,
	uint16_t buffer, uint8_t *payload, uint32_t len)
{
	struct train *t = k->first == NONE ? NULL : &s->trains[k->last];

	s->outgoing[buffer] = (struct outgoing){.payload = payload, .len = len, .next = NONE};
	if (t && joins(t, flow, len)) {
		s->outgoing[t->last].next = buffer;
	} else {
		t = append_train(s, k, flow, len);
		t->first = buffer;
	}
	t->last = buffer;
	t->count++;
	t->bytes += len;
	t->closed |= len < t->segment;
}

/* Takes the first buffers of the first train off the queue. */
static void dequeue(struct sockets *s, struct udp_socket *k, unsigned count)
{
	struct train *t = &s->trains[k->first];

	s->out -= count;
	for (; count; count--) {
		s->free[s->free_count++] = t->first;
		t->first = s->outgoing[t->first].next;
		t->count--;
	}
	if (!t->count) {
		s->free_trains[s->free_train_count++] = k->first;
		k->first = t->next;
	}
}

/* ---- to the kernel -------------------------------------------------------------------- */

/* Makes messages of what a socket has queued, in order. Returns their number. */
static unsigned compose(struct sockets *s, const struct udp_socket *k)
{
	unsigned n = 0, piece = 0;

	for (uint16_t number = k->first; number != NONE; number = s->trains[number].next) {
		const struct train *t = &s->trains[number];
		const bool whole = t->count > 1 && !t->apart && t->segment <= k->segment_max;
		uint16_t buffer = t->first;

		for (unsigned left = t->count; left && n < FRAME_BATCH; n++) {
			struct msghdr *m = &s->messages[n].msg_hdr;

			s->taken[n] = whole ? left : 1;
			m->msg_iov = &s->pieces[piece];
			m->msg_iovlen = s->taken[n];
			sockets_write_message(
				m, &s->names[n], s->controls[n], &t->flow, whole ? t->segment : 0);
			for (unsigned i = 0; i < s->taken[n]; i++) {
				const struct outgoing *o = &s->outgoing[buffer];

				s->pieces[piece++] = (struct iovec){o->payload, o->len};
				buffer = o->next;
			}
			left -= s->taken[n];
		}
	}
	return n;
}

/*
 * What the kernel does not take in one piece (its segments do not fit the route's MTU, the device
 * computes no checksums) it may take apart; what it then does not take, it never will.
 */
static void refused(struct sockets *s, struct udp_socket *k)
{
	if (s->taken[0] > 1) {
		s->trains[k->first].apart = true;
		return;
	}
	s->tx_errors++;
	dequeue(s, k, 1);
}

static void transmit(struct sockets *s, struct udp_socket *k)
{
	while (k->first != NONE) {
		const struct train *t = &s->trains[k->first];
		unsigned n = compose(s, k);
		int done = sendmmsg(k->fd, s->messages, n, MSG_DONTWAIT);

		if (done < 0 && is_back_pressure(errno))
			return;
		if (done < 0) {
			refused(s, k);
			continue;
		}
		if (t->apart && t->segment <= k->segment_max)
			k->segment_max = t->segment - 1;
		for (int i = 0; i < done; i++)
			dequeue(s, k, s->taken[i]);
	}
}

void sockets_flush(struct frame_io *io)
{
	struct sockets *s = sockets_of(io);

	for (unsigned i = 0; s->out && i < s->count; i++)
		if (s->sockets[i].first != NONE)
			transmit(s, &s->sockets[i]);
}

/* ---- frames --------------------------------------------------------------------------- */

static bool have_room(struct sockets *s)
{
	if (s->out == SOCKETS_OUT)
		sockets_flush(&s->io);
	return s->out < SOCKETS_OUT;
}

bool sockets_allocate(struct frame_io *io, struct frame *frame)
{
	struct sockets *s = sockets_of(io);
	uint16_t buffer;

	if (!have_room(s) || !s->free_count)
		return false;
	s->out++;
	buffer = s->free[--s->free_count];
	*frame = (struct frame){
		.data = sockets_payload(s, buffer) - PAYLOAD_AT,
		.cookie = buffer,
	};
	return true;
}

bool sockets_send(struct frame_io *io, const struct frame *frame)
{
	struct sockets *s = sockets_of(io);
	struct udp_socket *k = NULL;
	struct sockets_flow flow;
	uint8_t *payload;
	uint32_t len;

	if (frame->is_rx) {
		if (!have_room(s))
			return false;
		s->out++;
		s->lent--;
	}
	if (sockets_read_frame(&flow, frame, &payload, &len))
		k = find_socket(s, &flow);
	if (k) {
		enqueue(s, k, &flow, frame->cookie, payload, len);
	} else { /* nobody here sends such frames */
		s->tx_errors++;
		s->out--;
		s->free[s->free_count++] = frame->cookie;
	}
	return true;
}
