/* SPDX-License-Identifier: MIT */
/* One thread, one poll(): whatever is awaited, what arrives is shown. */
#include "cmd/console/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/control_connect.h"
#include "base/clock.h"
#include "base/escape.h"
#include "server/control_protocol.h"
#include "base/log.h"

#define IN_FLIGHT_MAX 8 /* requests that are sent before the first is answered */
#define ANSWER_PATIENCE_NS \
	(10 * UDPXDP_NSEC_PER_SEC) /* the server itself needs at most three seconds */
#define DRAIN_MAX 64               /* packets shown before anything else is looked at */
#define FOREVER UINT64_MAX

struct session {
	const char *verb;
	int fd, signals;
	struct sockaddr_un addr;
	struct lines *lines;
	unsigned in_flight; /* requests without an answer */
	bool refused;       /* one of them was */
	uint64_t reply_by;  /* when it is said that nobody replied; FOREVER: none is awaited */
	uint64_t patience_ns;
	char packet[CONTROL_PACKET_MAX];
	char shown[ESCAPE_TEXT_MAX(UDPXDP_PAYLOAD_MAX)];
};

void session_leave(struct session *s, int status)
{
	if (s->lines)
		lines_close(s->lines);
	exit(status);
}

static void __attribute__((noreturn)) server_gone(struct session *s)
{
	if (s->lines)
		lines_hide(s->lines);
	log_line("lost the connection to %s: the server stopped or dropped this console; restart "
		 "the console",
		s->addr.sun_path);
	session_leave(s, EXIT_RUNTIME);
}

/* ---- what the server says ------------------------------------------------------------- */

/* event recv|sent unicast|broadcast ADDR PORT TIME_NS\nTEXT */
static void show_event(struct session *s, const char *text, size_t len)
{
	char direction[5], kind[10], addr[INET6_ADDRSTRLEN];
	size_t shown;
	unsigned port;

	if (sscanf(s->packet, CONTROL_EVENT_WORD " %4s %9s %45s %u", direction, kind, addr,
		    &port) != 4)
		return;
	/* What this host or another announces is no answer to anybody here. */
	if (strcmp(direction, CONTROL_RECEIVED_WORD) || strcmp(kind, CONTROL_UNICAST_WORD))
		return;
	if (len && text[len - 1] == '\n')
		len--;
	s->reply_by = FOREVER;
	shown = escape_text(s->shown, sizeof(s->shown), (const uint8_t *)text, len);
	lines_hide(s->lines);
	printf(strchr(addr, ':') ? "[%s]:%u " : "%s:%u ", addr, port);
	fwrite(s->shown, 1, shown, stdout);
	putchar('\n');
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static void show_packet(struct session *s, size_t len)
{
	char *newline = memchr(s->packet, '\n', len);

	if (!newline)
		newline = s->packet + len;
	*newline = '\0';
	if (starts_with(s->packet, CONTROL_EVENT_WORD " ")) {
		size_t before = (size_t)(newline - s->packet) + 1;

		show_event(s, newline + 1, len > before ? len - before : 0);
		return;
	}
	if (s->in_flight)
		s->in_flight--;
	if (starts_with(s->packet, CONTROL_ERROR_WORD " ")) {
		s->refused = true;
		s->reply_by = FOREVER;
		lines_hide(s->lines);
		fflush(stdout);
		log_line("%s: %s", s->verb, s->packet + sizeof(CONTROL_ERROR_WORD));
	}
}

/* Shows what has arrived, above the line being typed. Never waits. */
static void show_arrived(struct session *s)
{
	bool gone = false;

	for (unsigned i = 0; i < DRAIN_MAX && !gone; i++) {
		ssize_t len = recv(s->fd, s->packet, sizeof(s->packet) - 1, MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		gone = len <= 0;
		if (!gone)
			show_packet(s, (size_t)len);
	}
	if (fflush(stdout))
		log_fail_output();
	if (gone)
		server_gone(s);
	lines_show(s->lines);
}

/* ---- waiting -------------------------------------------------------------------------- */

static void take_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		lines_resize(s->lines);
		break;
	case SIGTSTP:
		lines_suspend(s->lines);
		kill(getpid(), SIGSTOP);
		lines_resume(s->lines);
		break;
	default: /* Ctrl-C, SIGTERM */
		session_leave(s, EXIT_CLEAN);
	}
}

static void say_no_reply(struct session *s)
{
	s->reply_by = FOREVER;
	lines_hide(s->lines);
	log_line("%s: no reply within %g s; use a longer --wait if others are slow", s->verb,
		(double)s->patience_ns / UDPXDP_NSEC_PER_SEC);
	lines_show(s->lines);
}

/*
 * Waits until one of events holds for fd (-1: for nothing of the kind) or the deadline has
 * passed, and deals with signals and the server meanwhile: once. Returns whether fd is ready.
 */
static bool wait_once(struct session *s, int fd, short events, uint64_t deadline)
{
	struct pollfd polled[] = {
		{.fd = fd, .events = events},
		{.fd = s->fd, .events = POLLIN},
		{.fd = s->signals, .events = POLLIN},
	};
	uint64_t now = clock_ns(), first = deadline < s->reply_by ? deadline : s->reply_by;
	struct timespec wait = clock_timespec(first > now ? first - now : 0);

	if (ppoll(polled, 3, first == FOREVER ? NULL : &wait, NULL) < 0) {
		if (errno == EINTR)
			return false;
		log_fail(EXIT_RUNTIME, "console: poll: %s", strerror(errno));
	}
	if (polled[2].revents)
		take_signal(s);
	if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
		show_arrived(s);
	if (clock_ns() >= s->reply_by)
		say_no_reply(s);
	return polled[0].revents;
}

static void await_input(void *context)
{
	while (!wait_once(context, STDIN_FILENO, POLLIN, FOREVER))
		;
}

/* Until at most so many requests are without an answer. */
static void await_answers(struct session *s, unsigned most)
{
	uint64_t deadline = clock_ns() + ANSWER_PATIENCE_NS;

	while (s->in_flight > most) {
		unsigned before = s->in_flight;

		wait_once(s, -1, 0, deadline);
		if (s->in_flight < before)
			deadline = clock_ns() + ANSWER_PATIENCE_NS;
		else if (clock_ns() >= deadline) {
			log_line("no answer from %s for %llu s: the server may be suspended; check "
				 "it "
				 "with ps",
				s->addr.sun_path, ANSWER_PATIENCE_NS / UDPXDP_NSEC_PER_SEC);
			session_leave(s, EXIT_RUNTIME);
		}
	}
}

bool session_settle(struct session *s, uint64_t linger_ns)
{
	uint64_t deadline;

	await_answers(s, 0);
	deadline = clock_ns() + linger_ns;
	while (clock_ns() < deadline)
		wait_once(s, -1, 0, deadline);
	return !s->refused;
}

void session_expect_reply(struct session *s, uint64_t patience_ns)
{
	s->patience_ns = patience_ns;
	s->reply_by = patience_ns ? clock_ns() + patience_ns : FOREVER;
}

/* ---- requests ------------------------------------------------------------------------- */

void session_request(struct session *s, const char *line, const char *text, size_t len)
{
	struct iovec parts[] = {
		{(void *)line, strlen(line)}, {(void *)"\n", 1}, {(void *)text, len}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = text ? 3 : 1};

	if (len > UDPXDP_PAYLOAD_MAX) {
		log_line("%s: line not sent: longer than %d bytes; shorten it", s->verb,
			UDPXDP_PAYLOAD_MAX);
		s->refused = true;
		return;
	}
	await_answers(s, IN_FLIGHT_MAX - 1);
	while (sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			wait_once(s, s->fd, POLLOUT, FOREVER);
		else if (errno != EINTR)
			server_gone(s);
	}
	s->in_flight++;
}

/* ---- the session ---------------------------------------------------------------------- */

static void take_signals(struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		log_fail(EXIT_RUNTIME, "console: signalfd: %s", strerror(errno));
}

struct session *session_open(
	const char *control, const char *iface, const char *service, const char *verb)
{
	static struct session session;
	struct session *s = &session;
	char line[64];

	s->verb = verb;
	s->reply_by = FOREVER;
	s->fd = control_connect(control, iface, &s->addr);
	take_signals(s);
	s->lines = lines_open(await_input, s);
	if (strlen(service) > 32)
		log_fail(EXIT_USAGE, "service '%s': name too long; see udpxdp %s --help", service,
			verb);
	snprintf(line, sizeof(line), CONTROL_WATCH_WORD " %s", service);
	session_request(s, line, NULL, 0);
	if (!session_settle(s, 0))
		session_leave(s, EXIT_RUNTIME);
	return s;
}

struct lines *session_lines(struct session *s)
{
	return s->lines;
}
