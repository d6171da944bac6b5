/* SPDX-License-Identifier: MIT */
#include "cmd/bench/stamp_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/bench/socket.h"
#include "udpxdp/datagram.h"

#define IDLE_NS 50000000
#define AT_ONCE 64 /* packets that were late leave together, before answers are looked at */

struct run {
	const struct load_config *config;
	struct stamp_result *result;
	struct stamp_session *session;
	uint8_t *packet, *answer;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	int fd, failure;
};

/* Packets leave with a TTL of 255 (RFC 5357, 4.1.2); answers come with the kernel's time. */
static int open_socket(struct run *run)
{
	const bool ipv4 = run->config->server.ss_family == AF_INET;
	const int on = 1, ttl = 255;

	run->fd = bench_socket(&run->config->server, run->config->server_len);
	return run->fd < 0 || setsockopt(run->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
			       setsockopt(run->fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
				       ipv4 ? IP_TTL : IPV6_UNICAST_HOPS, &ttl, sizeof(ttl))
		       ? -1
		       : 0;
}

static int open_run(struct run *run)
{
	const struct load_config *config = run->config;
	const uint64_t memory =
		config->rate * (config->timeout_ns / (UDPXDP_NSEC_PER_SEC / 1000) + 1000) / 1000;
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)(clock_ns() ^ (uint64_t)getpid() << 16);
	run->packet = malloc(config->size);
	run->answer = malloc(config->size + 1); /* one more, to see what is too long */
	if (!run->packet || !run->answer ||
		stamp_open(
			run->session, config->size, memory < 1u << 22 ? memory : 1u << 22, random))
		return -1;
	return open_socket(run);
}

static void fail(struct run *run)
{
	if (errno == ECONNREFUSED)
		run->result->refused++;
	else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		run->failure = errno;
}

static void send_one(struct run *run)
{
	const uint64_t now_ns = clock_realtime_ns();

	stamp_compose(run->session, now_ns, run->result->synchronized, run->packet);
	if (send(run->fd, run->packet, run->config->size, 0) < 0)
		fail(run);
	else
		stamp_sent(run->session, now_ns);
}

static uint64_t kernel_time(struct msghdr *message)
{
	struct timespec time;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&time, CMSG_DATA(c), sizeof(time));
			return (uint64_t)time.tv_sec * UDPXDP_NSEC_PER_SEC + (uint64_t)time.tv_nsec;
		}
	return clock_realtime_ns();
}

/* Takes what there is. */
static void receive_all(struct run *run)
{
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct iovec iov = {run->answer, run->config->size + 1};
	ssize_t len;

	for (;;) {
		struct msghdr message = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};

		len = recvmsg(run->fd, &message, MSG_DONTWAIT);
		if (len < 0)
			break;
		stamp_answer(run->session, run->answer, (size_t)len, kernel_time(&message));
	}
	fail(run);
}

static bool may_send(const struct run *run, uint64_t now_ns)
{
	const struct load_config *config = run->config;

	return !*config->stop &&
	       (!config->duration_ns || now_ns - run->start_ns < config->duration_ns) &&
	       (!config->count || run->session->sent < config->count);
}

static void loop(struct run *run)
{
	const struct load_config *config = run->config;
	struct pollfd poll = {.fd = run->fd, .events = POLLIN};
	uint64_t now_ns = clock_ns(), turn = 0, due_ns = now_ns;
	bool sending = true;

	run->start_ns = now_ns;
	while (!run->failure &&
		(sending || stamp_waits(run->session, clock_realtime_ns() - config->timeout_ns))) {
		struct timespec sleep = clock_timespec(IDLE_NS);

		for (int i = 0; i < AT_ONCE && due_ns <= now_ns; i++) {
			sending = sending && may_send(run, now_ns);
			if (!sending)
				break;
			send_one(run);
			turn++;
			due_ns = run->start_ns + turn / config->rate * UDPXDP_NSEC_PER_SEC +
				 turn % config->rate * UDPXDP_NSEC_PER_SEC / config->rate;
		}
		now_ns = clock_ns();
		run->result->elapsed_ns = now_ns - run->start_ns;
		if (sending && due_ns < now_ns + IDLE_NS)
			sleep = clock_timespec(due_ns > now_ns ? due_ns - now_ns : 0);
		ppoll(&poll, 1, &sleep, NULL);
		receive_all(run);
		now_ns = clock_ns();
	}
	receive_all(run); /* duplicates behind the last answer */
}

int stamp_run(const struct load_config *config, struct stamp_result *result, char *error,
	size_t error_size)
{
	struct run run = {
		.config = config, .result = result, .session = &result->session, .fd = -1};

	*result = (struct stamp_result){.synchronized = clock_is_synchronized()};
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	if (open_run(&run))
		run.failure = errno;
	else
		loop(&run);
	if (run.failure)
		snprintf(error, error_size, "%s", strerror(run.failure));
	if (run.fd >= 0)
		close(run.fd);
	stamp_close(run.session);
	free(run.packet);
	free(run.answer);
	return run.failure ? -1 : 0;
}
