/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cmd/bench/load.h"
#include "cmd/bench/socket.h"
#include "base/clock.h"
#include "udpxdp/datagram.h"

#define BATCH 64            /* datagrams a system call; UDP GSO takes no more in older kernels */
#define GSO_BYTES_MAX 65000 /* in one call, headers of IPv6 to spare */
#define SPIN_NS 200000      /* how long nothing may happen before we sleep */
#define PROGRESS_NS 500000000
#define MEMORY_MIN 4096 /* requests that a flow remembers */
#define MEMORY_MAX (4u << 20)

struct connection {
	struct flow flow;
	int fd;
	unsigned window; /* its share of the closed loop's */
};

struct load {
	const struct load_config *config;
	struct load_result *result;
	struct connection *connections;
	struct pollfd *polls;
	unsigned batch; /* requests a call */
	unsigned turn;  /* open loop: whose turn it is to send */
	uint64_t start_ns, end_ns;
	uint64_t last_event_ns;
	uint64_t next_progress_ns;
	int failure; /* errno that ends the run */

	uint8_t *out, *in; /* batch * size; BATCH * in_size */
	size_t in_size;
	uint64_t times[BATCH];
	struct mmsghdr out_msgs[BATCH], in_msgs[BATCH];
	struct iovec out_iovs[BATCH], in_iovs[BATCH];
};

/* ---- setting up ---------------------------------------------------------------------- */

/* How many requests a flow must remember to tell late answers from duplicates. */
static size_t memory_for(const struct load_config *config, unsigned window)
{
	uint64_t wanted = (1u << 20) / config->flows;

	if (config->rate)
		wanted = (uint64_t)config->rate * 2 / config->flows *
			 (config->timeout_ns / 1000000 + 1) / 1000;
	if (wanted < 8ull * window)
		wanted = 8ull * window;
	if (wanted < MEMORY_MIN)
		wanted = MEMORY_MIN;
	return wanted < MEMORY_MAX ? wanted : MEMORY_MAX;
}

static int open_connection(struct load *load, unsigned i, uint32_t run)
{
	const struct load_config *config = load->config;
	struct connection *c = &load->connections[i];

	c->window = config->window / config->flows + (i < config->window % config->flows);
	c->fd = bench_socket(&config->server, config->server_len);
	if (c->fd < 0)
		return -1;
	if (load->batch > 1 && !bench_socket_segment(c->fd, config->size))
		load->result->gso = false;
	load->polls[i] = (struct pollfd){.fd = c->fd, .events = POLLIN};
	if (flow_open(&c->flow, &load->result->tally, run + i, config->size,
		    memory_for(config, c->window)))
		return -1;
	c->flow.payload = config->payload;
	c->flow.any_answer = config->any_answer;
	return 0;
}

/* Each message has a place of its own in the buffers for the whole run. */
static void prepare_messages(struct load *load)
{
	for (unsigned i = 0; i < BATCH; i++) {
		load->in_iovs[i] = (struct iovec){load->in + i * load->in_size, load->in_size};
		load->in_msgs[i].msg_hdr.msg_iov = &load->in_iovs[i];
		load->in_msgs[i].msg_hdr.msg_iovlen = 1;
		load->out_iovs[i] =
			(struct iovec){load->out + i * load->config->size, load->config->size};
		load->out_msgs[i].msg_hdr.msg_iov = &load->out_iovs[i];
		load->out_msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

static int open_load(struct load *load)
{
	const struct load_config *config = load->config;
	uint32_t run = 0;

	/* An identity of this run's own, so that an older run's answers are not ours. */
	if (getrandom(&run, sizeof(run), GRND_NONBLOCK) < 0)
		run = (uint32_t)getpid();
	load->in_size = config->size + STAMP_ROOM + 1; /* one more, to see what is too long */
	if (config->any_answer)
		load->in_size = REQUEST_MAX;
	load->out = calloc(BATCH, config->size);
	load->in = calloc(BATCH, load->in_size);
	load->connections = calloc(config->flows, sizeof(*load->connections));
	load->polls = calloc(config->flows, sizeof(*load->polls));
	if (!load->out || !load->in || !load->connections || !load->polls)
		return -1;
	prepare_messages(load);
	load->batch = GSO_BYTES_MAX / config->size;
	if (load->batch > BATCH)
		load->batch = BATCH;
	if (!load->batch)
		load->batch = 1;
	load->result->gso = load->batch > 1;
	for (unsigned i = 0; i < config->flows; i++)
		load->connections[i].fd = -1;
	for (unsigned i = 0; i < config->flows; i++)
		if (open_connection(load, i, run))
			return -1;
	return 0;
}

static void close_load(struct load *load)
{
	for (unsigned i = 0; load->connections && i < load->config->flows; i++) {
		struct connection *c = &load->connections[i];

		if (c->fd < 0)
			continue;
		load->result->overflowed += bench_socket_overflows(c->fd);
		close(c->fd);
		flow_close(&c->flow);
	}
	free(load->connections);
	free(load->polls);
	free(load->out);
	free(load->in);
}

/* ---- sending ------------------------------------------------------------------------- */

/* The path or the kernel cannot cut what we send: from now on we do it ourselves. */
static void leave_gso(struct load *load)
{
	load->result->gso = false;
	for (unsigned i = 0; i < load->config->flows; i++)
		bench_socket_segment(load->connections[i].fd, 0);
}

static int send_messages(struct load *load, struct connection *c, unsigned n)
{
	if (n == 1)
		return send(c->fd, load->out, load->config->size, 0) < 0 ? -1 : 1;
	if (!load->result->gso)
		return sendmmsg(c->fd, load->out_msgs, n, 0);
	if (send(c->fd, load->out, (size_t)n * load->config->size, 0) >= 0)
		return (int)n;
	if (errno == EINVAL || errno == EMSGSIZE || errno == EIO || errno == EOPNOTSUPP) {
		leave_gso(load);
		return sendmmsg(c->fd, load->out_msgs, n, 0);
	}
	return -1;
}

static void send_failed(struct load *load)
{
	switch (errno) {
	case EAGAIN:
	case ENOBUFS:
	case EINTR:
		load->result->stalled++;
		break;
	case ECONNREFUSED: /* an earlier request's; this one was not sent */
		load->result->refused++;
		break;
	default:
		load->failure = errno;
	}
}

/* Sends the next n (at most batch) requests of a flow, with load->times. Returns how many. */
static unsigned send_requests(struct load *load, struct connection *c, unsigned n)
{
	int sent;

	for (unsigned i = 0; i < n; i++)
		flow_compose(&c->flow, i, load->times[i], load->out + i * load->config->size);
	sent = send_messages(load, c, n);
	if (sent < 0) {
		send_failed(load);
		return 0;
	}
	for (int i = 0; i < sent; i++)
		flow_sent(&c->flow, load->times[i]);
	return (unsigned)sent;
}

static unsigned at_most_count(const struct load *load, uint64_t n)
{
	uint64_t left = load->config->count - load->result->tally.sent;

	if (load->config->count && n > left)
		n = left;
	return n < load->batch ? (unsigned)n : load->batch;
}

/* Closed loop: what was answered or given up makes room for new requests. */
static unsigned refill(struct load *load, struct connection *c, uint64_t now_ns)
{
	unsigned n;

	if (c->flow.outstanding >= c->window)
		return 0;
	n = at_most_count(load, c->window - c->flow.outstanding);
	for (unsigned i = 0; i < n; i++)
		load->times[i] = now_ns;
	return n ? send_requests(load, c, n) : 0;
}

/* When a request should be sent: all of a burst at the time of its first. */
static uint64_t due_ns(const struct load *load, uint64_t request)
{
	uint64_t rate = load->config->rate;

	request -= request % load->config->burst;
	return load->start_ns + request / rate * UDPXDP_NSEC_PER_SEC +
	       request % rate * UDPXDP_NSEC_PER_SEC / rate;
}

/* Open loop: sends a batch of what is due by now; each request keeps its intended time. */
static unsigned send_due(struct load *load, uint64_t now_ns)
{
	struct connection *c = &load->connections[load->turn];
	uint64_t request = load->result->tally.sent;
	unsigned n = at_most_count(load, load->batch), due = 0, sent;

	for (; due < n; due++) {
		load->times[due] = due_ns(load, request + due);
		if (load->times[due] > now_ns)
			break;
	}
	sent = due ? send_requests(load, c, due) : 0;
	if (sent && now_ns - load->times[0] > load->result->behind_ns)
		load->result->behind_ns = now_ns - load->times[0];
	load->turn = (load->turn + 1) % load->config->flows;
	return sent;
}

/* ---- receiving ----------------------------------------------------------------------- */

/* recvmmsg() asks once more than there are answers, which shows in the latency of a single one. */
static int receive_messages(struct load *load, struct connection *c)
{
	ssize_t len;

	if (c->flow.outstanding > 1)
		return recvmmsg(c->fd, load->in_msgs, BATCH, MSG_DONTWAIT, NULL);
	len = recv(c->fd, load->in, load->in_size, MSG_DONTWAIT);
	load->in_msgs[0].msg_len = (unsigned)len;
	return len < 0 ? -1 : 1;
}

/* Takes up to a batch of answers. Returns how many there were, right or not. */
static unsigned receive_answers(struct load *load, struct connection *c)
{
	int n = receive_messages(load, c);
	uint64_t now_ns;

	if (n <= 0) {
		if (n < 0 && errno == ECONNREFUSED)
			load->result->refused++;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			load->failure = errno;
		return 0;
	}
	now_ns = clock_ns();
	for (int i = 0; i < n; i++)
		flow_answer(&c->flow, load->in_iovs[i].iov_base, load->in_msgs[i].msg_len, now_ns);
	load->last_event_ns = now_ns;
	return (unsigned)n;
}

/* ---- the loop ------------------------------------------------------------------------ */

/* Sleeps when nothing has happened for a while and nothing is due soon. */
static void idle(struct load *load, bool sending, uint64_t now_ns)
{
	uint64_t sleep_ns =
		load->config->timeout_ns < PROGRESS_NS / 10 ? SPIN_NS : PROGRESS_NS / 10;
	struct timespec timeout;

	if (now_ns - load->last_event_ns < SPIN_NS)
		return;
	if (sending && load->config->rate) {
		uint64_t due = due_ns(load, load->result->tally.sent);

		if (due < now_ns + SPIN_NS)
			return;
		if (sleep_ns > due - now_ns - SPIN_NS / 2)
			sleep_ns = due - now_ns - SPIN_NS / 2;
	}
	timeout = (struct timespec){.tv_nsec = (long)sleep_ns};
	ppoll(load->polls, load->config->flows, &timeout, NULL);
}

static bool may_send(const struct load *load, uint64_t now_ns)
{
	const struct load_config *config = load->config;

	return !*config->stop &&
	       (!config->duration_ns || now_ns - load->start_ns < config->duration_ns) &&
	       (!config->count || load->result->tally.sent < config->count);
}

static unsigned serve_flows(struct load *load, bool sending, uint64_t now_ns)
{
	const struct load_config *config = load->config;
	unsigned done = 0;

	for (unsigned i = 0; i < config->flows; i++) {
		struct connection *c = &load->connections[i];

		done += receive_answers(load, c);
		if (now_ns > config->timeout_ns)
			flow_give_up(&c->flow, now_ns - config->timeout_ns);
		if (sending && !config->rate)
			done += refill(load, c, clock_ns());
	}
	if (sending && config->rate)
		done += send_due(load, now_ns);
	return done;
}

static bool any_outstanding(const struct load *load)
{
	for (unsigned i = 0; i < load->config->flows; i++)
		if (load->connections[i].flow.outstanding)
			return true;
	return false;
}

static void run(struct load *load)
{
	uint64_t now_ns = clock_ns();
	bool sending = true;

	load->start_ns = load->last_event_ns = load->end_ns = now_ns;
	load->next_progress_ns = now_ns + PROGRESS_NS;
	while (!load->failure && (sending || any_outstanding(load))) {
		sending = sending && may_send(load, now_ns);
		if (serve_flows(load, sending, now_ns)) {
			load->last_event_ns = clock_ns();
			load->end_ns = load->last_event_ns;
		} else {
			idle(load, sending, now_ns);
		}
		now_ns = clock_ns();
		if (load->config->progress && now_ns >= load->next_progress_ns) {
			load->config->progress(&load->result->tally, now_ns - load->start_ns);
			load->next_progress_ns = now_ns + PROGRESS_NS;
		}
	}
	load->result->elapsed_ns = load->end_ns - load->start_ns;
	for (unsigned i = 0; i < load->config->flows; i++) /* duplicates behind the last answer */
		while (receive_answers(load, &load->connections[i]))
			;
}

int bench_load_run(const struct load_config *config, struct load_result *result, char *error,
	size_t error_size)
{
	struct load load = {.config = config, .result = result};
	int failure = 0;

	memset(result, 0, sizeof(*result));
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	if (open_load(&load)) {
		failure = errno;
	} else {
		run(&load);
		failure = load.failure;
	}
	close_load(&load);
	if (failure)
		snprintf(error, error_size, "%s", strerror(failure));
	return failure ? -1 : 0;
}
