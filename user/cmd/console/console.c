/* SPDX-License-Identifier: MIT */
/* `udpxdp broadcast` and `udpxdp chat`: the consoles of a running server. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/console/session.h"
#include "cli/verbs.h"
#include "server/control_protocol.h"
#include "base/log.h"
#include "base/parse.h"
#include "udpxdp/datagram.h"

#define PEER_TEXT_MAX 64

struct config {
	const char *iface, *control, *service;
	uint64_t wait_ns;
};

/* To a person. */
static void say_what_to_do(struct session *session, const char *text)
{
	if (lines_interactive(session_lines(session)))
		printf("(%s; Ctrl-D ends)\n", text);
}

/* ---- broadcast ------------------------------------------------------------------------ */

static void announce(struct session *session, const char *text, uint64_t wait_ns)
{
	const char *line;
	size_t len;

	if (text) {
		session_request(session, CONTROL_ANNOUNCE_WORD, text, strlen(text));
		session_expect_reply(session, wait_ns);
		if (!session_settle(session, 0))
			session_leave(session, EXIT_RUNTIME);
		return;
	}
	say_what_to_do(session, "each line is announced to the network, replies are shown");
	while ((line = lines_read(session_lines(session), "announce> ", &len)))
		if (len) {
			session_request(session, CONTROL_ANNOUNCE_WORD, line, len);
			session_expect_reply(session, wait_ns);
		}
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
		log_line("peer '%s': %s; use an address or a name that resolves", name,
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
	uint16_t port;

	if (!parse_port(text, &port)) {
		log_line("port '%s': invalid port; expected 1 to 65535", text);
		return false;
	}
	snprintf(peer->port, sizeof(peer->port), "%u", port);
	return true;
}

/* Asks until what is said makes sense; nobody can be asked again in a pipe. */
static bool ask(struct session *session, const char *prompt, struct peer *peer,
	bool (*set)(struct peer *peer, const char *text))
{
	const char *line;
	size_t len;

	while ((line = lines_read(session_lines(session), prompt, &len))) {
		char *text = strndup(line, len);
		bool good = text && len && set(peer, text);

		free(text);
		if (good)
			return true;
		if (len && !lines_interactive(session_lines(session)))
			session_leave(session, EXIT_RUNTIME);
	}
	return false;
}

static bool ask_peer(struct session *session, struct peer *peer)
{
	return ask(session, "peer address: ", peer, set_addr) &&
	       ask(session, "peer port: ", peer, set_port);
}

/* Sends lines to a peer. Returns false at the end of the input, true at an empty line. */
static bool talk(struct session *session, const struct peer *peer)
{
	char prompt[PEER_TEXT_MAX], say[PEER_TEXT_MAX];
	const char *line;
	size_t len;

	snprintf(prompt, sizeof(prompt), strchr(peer->addr, ':') ? "[%s]:%s> " : "%s:%s> ",
		peer->addr, peer->port);
	snprintf(say, sizeof(say), CONTROL_SAY_WORD " %s %s", peer->addr, peer->port);
	while ((line = lines_read(session_lines(session), prompt, &len)) && len)
		session_request(session, say, line, len);
	return line;
}

/* named: the first peer was named on the command line. */
static void chat(struct session *session, struct peer *peer, bool named)
{
	say_what_to_do(session, "each line goes to the peer, an empty one asks for another");
	if (!named && !ask_peer(session, peer))
		return;
	while (talk(session, peer))
		if (!ask_peer(session, peer))
			return;
}

/* ---- the verbs ------------------------------------------------------------------------ */

static int run(const struct verb *verb, int argc, char **argv)
{
	struct config config = {};
	int first = options_parse(verb, &config, argc, argv);
	bool is_chat = verb == &chat_verb, named = first < argc, well = true;
	struct session *session;
	struct peer peer;

	if (is_chat && argc - first == 1)
		log_fail(EXIT_USAGE, "chat: PEER without PORT; give both, or neither to be asked");
	if (is_chat && named && !set_port(&peer, argv[first + 1]))
		return EXIT_USAGE;
	if (is_chat && named && !set_addr(&peer, argv[first]))
		return EXIT_RUNTIME;
	session = session_open(config.control, config.iface,
		config.service ? config.service : verb->name, verb->name);
	if (is_chat)
		chat(session, &peer, named);
	else
		announce(session, argv[first], config.wait_ns);
	if (!lines_interactive(session_lines(session)) || (!is_chat && named))
		well = session_settle(session, config.wait_ns);
	session_leave(session, well ? EXIT_CLEAN : EXIT_RUNTIME);
}

static const struct udpxdp_option options[] = {
	{.name = "interface",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, iface)},
	{.name = "iface",
		.letter = 'i',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, iface),
		.arg = "IFACE",
		.help = "use the server on this interface"},
	{.name = "control",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, control),
		.arg = "PATH",
		.help = "the server's control socket (default: the only one in " CONTROL_DIR ")"},
	{.name = "service",
		.letter = 's',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, service),
		.arg = "NAME[:PORT]",
		.help = "the service to use, if the server runs several"},
	{.name = "wait",
		.kind = UDPXDP_OPTION_SECONDS,
		.offset = offsetof(struct config, wait_ns),
		.arg = "SEC",
		.fallback = "1",
		.help = "how long to wait at the end for late messages",
		.max = 86400000},
	{},
};

const struct verb broadcast_verb = {
	.name = "broadcast",
	.operands = "[TEXT]",
	.max_operands = 1,
	.summary = "Announce a text to the network, print the replies.",
	.options = options,
	.notes = "Without TEXT, each line typed or read from standard input is announced. A reply "
		 "is\n"
		 "printed as ADDR:PORT TEXT. The exit status is 1 if the server refused anything.",
	.run = run,
};

const struct verb chat_verb = {
	.name = "chat",
	.operands = "[PEER PORT]",
	.max_operands = 2,
	.summary = "Chat with a peer from the server's chat port.",
	.options = options,
	.notes = "Without PEER and PORT they are asked for. Each line typed or read from standard "
		 "input\n"
		 "is sent; an empty one asks for another peer. Messages that arrive are printed "
		 "as\n"
		 "ADDR:PORT TEXT. In a pipe, the exit status is 1 if the server refused anything.",
	.run = run,
};
