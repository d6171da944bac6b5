/* SPDX-License-Identifier: MIT */
/*
 * The consoles of a running server: they speak the protocol of host/control.h. One thread, one
 * poll(): whatever is awaited (a line, an answer, the end of --wait), what arrives is shown.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cmd/console_lines.h"
#include "cmd/console_socket.h"
#include "cmd/verbs.h"
#include "engine/escape.h"
#include "host/control.h"
#include "host/log.h"

#define IN_FLIGHT_MAX 8 /* requests that are sent before the first is answered */
#define ANSWER_PATIENCE_NS (10 * NSEC_PER_SEC) /* the server itself needs at most three seconds */
#define DRAIN_MAX 64 /* packets shown before anything else is looked at */
#define FOREVER UINT64_MAX
#define PEER_TEXT_MAX 64

struct config {
	const char *iface, *control, *service;
	uint64_t wait_ns;
};

struct console {
	struct config config;
	const char *verb;
	int fd, signals;
	struct sockaddr_un addr;
	struct lines *lines;
	unsigned in_flight; /* requests without an answer */
	bool refused;       /* one of them was */
	char packet[CONTROL_PACKET_MAX];
	char shown[TEXT_SAFE_MAX(DATAGRAM_PAYLOAD_MAX)];
};

static void __attribute__((noreturn)) leave(struct console *console, int status)
{
	if (console->lines)
		lines_close(console->lines);
	exit(status);
}

static void __attribute__((noreturn)) server_gone(struct console *console)
{
	if (console->lines)
		lines_hide(console->lines);
	log_line("the server at %s has gone, or has cut this console off; start the console again",
			console->addr.sun_path);
	leave(console, EXIT_RUNTIME);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- what the server says ------------------------------------------------------------- */

/* event recv|sent unicast|broadcast ADDR PORT TIME_NS\nTEXT */
static void show_event(struct console *console, const char *text, size_t len)
{
	char direction[5], kind[10], addr[INET6_ADDRSTRLEN];
	size_t shown;
	unsigned port;

	if (sscanf(console->packet, "event %4s %9s %45s %u", direction, kind, addr, &port) != 4)
		return;
	/* What this host or another announces is no answer to anybody here. */
	if (strcmp(direction, "recv") || strcmp(kind, "unicast"))
		return;
	if (len && text[len - 1] == '\n')
		len--;
	shown = text_safe(console->shown, sizeof(console->shown), (const uint8_t *)text, len);
	lines_hide(console->lines);
	printf(strchr(addr, ':') ? "[%s]:%u " : "%s:%u ", addr, port);
	fwrite(console->shown, 1, shown, stdout);
	putchar('\n');
}

static void show_packet(struct console *console, size_t len)
{
	char *newline = memchr(console->packet, '\n', len);

	if (!newline)
		newline = console->packet + len;
	*newline = '\0';
	if (!strncmp(console->packet, "event ", 6)) {
		size_t before = (size_t)(newline - console->packet) + 1;

		show_event(console, newline + 1, len > before ? len - before : 0);
		return;
	}
	if (console->in_flight)
		console->in_flight--;
	if (!strncmp(console->packet, "error ", 6)) {
		console->refused = true;
		lines_hide(console->lines);
		fflush(stdout);
		log_line("%s: %s", console->verb, console->packet + 6);
	}
}

/* Shows what has arrived, above the line being typed. Never waits. */
static void show_arrived(struct console *console)
{
	bool gone = false;

	for (unsigned i = 0; i < DRAIN_MAX && !gone; i++) {
		ssize_t len = recv(console->fd, console->packet, sizeof(console->packet) - 1,
				MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		gone = len <= 0;
		if (!gone)
			show_packet(console, (size_t)len);
	}
	if (fflush(stdout))
		fail_output();
	if (gone)
		server_gone(console);
	lines_show(console->lines);
}

/* ---- waiting -------------------------------------------------------------------------- */

static void take_signal(struct console *console)
{
	struct signalfd_siginfo info;

	if (read(console->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		lines_resize(console->lines);
		break;
	case SIGTSTP:
		lines_suspend(console->lines);
		kill(getpid(), SIGSTOP);
		lines_resume(console->lines);
		break;
	default: /* Ctrl-C, SIGTERM */
		leave(console, EXIT_CLEAN);
	}
}

/*
 * Waits until one of events holds for fd (-1: for nothing of the kind) or the deadline has
 * passed, and deals with signals and the server meanwhile: once. Returns whether fd is ready.
 */
static bool turn(struct console *console, int fd, short events, uint64_t deadline)
{
	struct pollfd polled[] = {
		{.fd = fd, .events = events},
		{.fd = console->fd, .events = POLLIN},
		{.fd = console->signals, .events = POLLIN},
	};
	uint64_t now = now_ns(), left = deadline > now ? deadline - now : 0;
	struct timespec wait = {(time_t)(left / NSEC_PER_SEC), (long)(left % NSEC_PER_SEC)};

	if (ppoll(polled, 3, deadline == FOREVER ? NULL : &wait, NULL) < 0) {
		if (errno == EINTR)
			return false;
		fail(EXIT_RUNTIME, "console: poll: %s", strerror(errno));
	}
	if (polled[2].revents)
		take_signal(console);
	if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
		show_arrived(console);
	return polled[0].revents;
}

static void await_input(void *context)
{
	while (!turn(context, STDIN_FILENO, POLLIN, FOREVER))
		;
}

/* Until at most so many requests are without an answer. */
static void await_answers(struct console *console, unsigned most)
{
	uint64_t deadline = now_ns() + ANSWER_PATIENCE_NS;

	while (console->in_flight > most) {
		unsigned before = console->in_flight;

		turn(console, -1, 0, deadline);
		if (console->in_flight < before)
			deadline = now_ns() + ANSWER_PATIENCE_NS;
		else if (now_ns() >= deadline) {
			log_line("the server at %s does not answer: no word for %llu s; is it stopped?",
					console->addr.sun_path, ANSWER_PATIENCE_NS / NSEC_PER_SEC);
			leave(console, EXIT_RUNTIME);
		}
	}
}

/* After the last request: its answer, and what others say to it within --wait. */
static void await_last(struct console *console)
{
	uint64_t deadline;

	await_answers(console, 0);
	deadline = now_ns() + console->config.wait_ns;
	while (now_ns() < deadline)
		turn(console, -1, 0, deadline);
}

/* ---- requests ------------------------------------------------------------------------- */

/* line is the first line of the request; text (NULL: none) what stands behind it. */
static void request(struct console *console, const char *line, const char *text, size_t len)
{
	struct iovec parts[] = {
		{(void *)line, strlen(line)}, {(void *)"\n", 1}, {(void *)text, len}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = text ? 3 : 1};

	if (len > DATAGRAM_PAYLOAD_MAX) {
		log_line("%s: not sent: a line longer than %d bytes; shorten it", console->verb,
				DATAGRAM_PAYLOAD_MAX);
		console->refused = true;
		return;
	}
	await_answers(console, IN_FLIGHT_MAX - 1);
	while (sendmsg(console->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			turn(console, console->fd, POLLOUT, FOREVER);
		else if (errno != EINTR)
			server_gone(console);
	}
	console->in_flight++;
}

static void watch(struct console *console)
{
	char line[PEER_TEXT_MAX];
	const char *service = console->config.service ? console->config.service : console->verb;

	if (strlen(service) > 32)
		fail(EXIT_USAGE, "service '%s': no such name; see udpxdp %s --help", service,
				console->verb);
	snprintf(line, sizeof(line), "watch %s", service);
	request(console, line, NULL, 0);
	await_answers(console, 0);
	if (console->refused)
		leave(console, EXIT_RUNTIME);
}

/* ---- broadcast ------------------------------------------------------------------------ */

static void announce(struct console *console, const char *text)
{
	const char *line;
	size_t len;

	if (text) {
		request(console, "announce", text, strlen(text));
		await_answers(console, 0);
		if (console->refused)
			leave(console, EXIT_RUNTIME);
		return;
	}
	while ((line = lines_read(console->lines, "announce> ", &len)))
		if (len)
			request(console, "announce", line, len);
}

/* ---- chat ----------------------------------------------------------------------------- */

struct peer {
	char addr[INET6_ADDRSTRLEN], port[6];
};

/* An address, or a name that the host resolves. Says what is wrong with it. */
static bool set_addr(struct peer *peer, const char *name)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found;
	int error = getaddrinfo(name, NULL, &hints, &found);

	if (error) {
		log_line("peer '%s': %s; give an address or a name that resolves", name,
				error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return false;
	}
	if (found->ai_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)found->ai_addr)->sin6_addr, peer->addr,
				sizeof(peer->addr));
	else
		inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, peer->addr,
				sizeof(peer->addr));
	freeaddrinfo(found);
	return true;
}

static bool set_port(struct peer *peer, const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !port || port > UINT16_MAX) {
		log_line("port '%s': not a number from 1 to 65535; give one", text);
		return false;
	}
	snprintf(peer->port, sizeof(peer->port), "%lu", port);
	return true;
}

/* Asks until what is said makes sense; nobody can be asked again in a pipe. */
static bool ask(struct console *console, const char *prompt, struct peer *peer,
		bool (*set)(struct peer *peer, const char *text))
{
	const char *line;
	size_t len;

	while ((line = lines_read(console->lines, prompt, &len))) {
		char *text = strndup(line, len);
		bool good = text && len && set(peer, text);

		free(text);
		if (good)
			return true;
		if (len && !lines_interactive(console->lines))
			leave(console, EXIT_RUNTIME);
	}
	return false;
}

static bool ask_peer(struct console *console, struct peer *peer)
{
	return ask(console, "peer address: ", peer, set_addr) &&
	       ask(console, "peer port: ", peer, set_port);
}

/* Sends lines to a peer. Returns false at the end of the input, true at an empty line. */
static bool talk(struct console *console, const struct peer *peer)
{
	char prompt[PEER_TEXT_MAX], say[PEER_TEXT_MAX];
	const char *line;
	size_t len;

	snprintf(prompt, sizeof(prompt), strchr(peer->addr, ':') ? "[%s]:%s> " : "%s:%s> ",
			peer->addr, peer->port);
	snprintf(say, sizeof(say), "say %s %s", peer->addr, peer->port);
	while ((line = lines_read(console->lines, prompt, &len)) && len)
		request(console, say, line, len);
	return line;
}

/* named: the first peer was named on the command line. */
static void chat(struct console *console, struct peer *peer, bool named)
{
	if (!named && !ask_peer(console, peer))
		return;
	while (talk(console, peer))
		if (!ask_peer(console, peer))
			return;
}

/* ---- the verbs ------------------------------------------------------------------------ */

static void take_signals(struct console *console)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	console->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (console->signals < 0)
		fail(EXIT_RUNTIME, "console: signalfd: %s", strerror(errno));
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static struct console console = {.config = {.wait_ns = NSEC_PER_SEC}};
	int first = options_parse(verb, &console.config, argc, argv);
	bool is_chat = verb == &chat_verb, named = first < argc, waits;
	struct peer peer;

	console.verb = verb->name;
	if (is_chat && argc - first == 1)
		fail(EXIT_USAGE, "chat: a peer without a port; give PEER PORT, or neither to be asked");
	if (is_chat && named && !set_port(&peer, argv[first + 1]))
		return EXIT_USAGE;
	if (is_chat && named && !set_addr(&peer, argv[first]))
		return EXIT_RUNTIME;
	console.fd = console_connect(console.config.control, console.config.iface, &console.addr);
	take_signals(&console);
	console.lines = lines_open(await_input, &console);
	watch(&console);
	if (is_chat)
		chat(&console, &peer, named);
	else
		announce(&console, argv[first]);
	waits = !lines_interactive(console.lines) || (!is_chat && named);
	if (waits)
		await_last(&console);
	leave(&console, waits && console.refused ? EXIT_RUNTIME : EXIT_CLEAN);
}

static const struct option_row options[] = {
	{"iface", .alias = "interface", .letter = 'i', .kind = OPT_STRING,
			.offset = offsetof(struct config, iface), .arg = "IFACE",
			.help = "the console of the server on this interface"},
	{"control", .kind = OPT_STRING, .offset = offsetof(struct config, control), .arg = "PATH",
			.help = "its control socket (default: the only one in " CONTROL_DIR ")"},
	{"service", .letter = 's', .kind = OPT_STRING, .offset = offsetof(struct config, service),
			.arg = "NAME[:PORT]", .help = "which, when the server runs several of them"},
	{"wait", .kind = OPT_SECONDS, .offset = offsetof(struct config, wait_ns), .arg = "SEC",
			.help = "wait so long for what still arrives at the end (default 1)",
			.max = 86400000},
	{},
};

const struct verb broadcast_verb = {
	.name = "broadcast",
	.operands = "[TEXT]",
	.max_operands = 1,
	.summary = "Announce a text to the local network and print the replies.",
	.options = options,
	.notes = "Without TEXT, each line typed or read from standard input is announced. A reply is\n"
		 "printed as ADDR:PORT TEXT. The exit status is 1 if the server refused anything.",
	.run = run,
};

const struct verb chat_verb = {
	.name = "chat",
	.operands = "[PEER PORT]",
	.max_operands = 2,
	.summary = "Chat with a peer from the server's chat port.",
	.options = options,
	.notes = "Without PEER and PORT they are asked for. Each line typed or read from standard input\n"
		 "is sent; an empty one asks for another peer. What arrives meanwhile is printed as\n"
		 "ADDR:PORT TEXT. In a pipe, the exit status is 1 if the server refused anything.",
	.run = run,
};
