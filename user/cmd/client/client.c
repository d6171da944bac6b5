/* SPDX-License-Identifier: MIT */
/*
 * A line client for any UDP server, over ordinary kernel sockets: sends a line, waits for the
 * answer, prints it.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/client/exchange.h"
#include "cli/lines.h"
#include "cli/verbs.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/parse.h"

#define DEFAULT_PORT "8080"

/* ---- ending -------------------------------------------------------------------------- */

static struct {
	bool terminal;
	struct termios modes;
	volatile sig_atomic_t status;
} at_end;

static void end_by_signal(int signal)
{
	if (at_end.terminal) {
		tcsetattr(STDIN_FILENO, TCSANOW, &at_end.modes);
		if (write(STDOUT_FILENO, "\n", 1) < 0)
			_exit(EXIT_RUNTIME);
	}
	_exit(at_end.status);
}

static void prepare_end(bool terminal)
{
	struct sigaction action = {.sa_handler = end_by_signal};

	at_end.terminal = terminal && !tcgetattr(STDIN_FILENO, &at_end.modes);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- lines in, answers out ----------------------------------------------------------- */

static void report_failure(const struct exchange *exchange, size_t len, int why)
{
	switch (why) {
	case ETIMEDOUT:
		log_line("no answer from %s: none within %g s; check the address, or give a longer "
			 "--timeout",
			exchange->where, (double)exchange->timeout_ns / UDPXDP_NSEC_PER_SEC);
		break;
	case ECONNREFUSED:
		log_line("no answer from %s: refused: nothing listens on that UDP port; start the "
			 "server or check the port",
			exchange->where);
		break;
	case EMSGSIZE:
		log_line("a line of %zu bytes: too long for a datagram: at most %d; shorten it",
			len, UDPXDP_PAYLOAD_MAX);
		break;
	default:
		log_line("%s: %s; check the address and the network", exchange->where,
			strerror(why));
	}
}

static void print_answer(const struct exchange *exchange, bool terminal)
{
	static char safe[ESCAPE_TEXT_MAX(sizeof(exchange->answer))];
	const uint8_t *text = exchange->answer;
	size_t len = exchange->answer_len;

	if (len && text[len - 1] == '\n')
		len--;
	if (terminal)
		fwrite(safe, 1, escape_text(safe, sizeof(safe), text, len), stdout);
	else
		fwrite(text, 1, len, stdout);
	putchar('\n');
	if (fflush(stdout))
		log_fail_output();
}

/* Returns whether it was answered. */
static bool serve_line(struct exchange *exchange, const struct line *line, size_t length)
{
	int why = exchange_ask(exchange, line);

	if (why)
		report_failure(exchange, length, why);
	else
		print_answer(exchange, isatty(STDOUT_FILENO));
	return !why;
}

/* Nothing else is looked at meanwhile. */
static void await_input(void *context)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	poll(&input, 1, -1);
}

static void serve_lines(struct exchange *exchange)
{
	struct lines *lines = lines_open(await_input, NULL);
	char prompt[sizeof(exchange->where) + 2];
	struct line line;

	snprintf(prompt, sizeof(prompt), "%s> ", exchange->where);
	while ((line.text = lines_read(lines, prompt, &line.len)))
		if (!serve_line(exchange, &line, lines_length(lines)) && !lines_interactive(lines))
			at_end.status = EXIT_RUNTIME;
	if (lines_failed(lines))
		at_end.status = EXIT_RUNTIME;
	lines_close(lines);
}

/* ---- the verb ------------------------------------------------------------------------ */

static const struct udpxdp_option options[] = {
	{.name = "timeout",
		.letter = 't',
		.kind = UDPXDP_OPTION_SECONDS,
		.offset = offsetof(struct exchange, timeout_ns),
		.arg = "SEC",
		.fallback = "2",
		.help = "how long to wait for an answer",
		.min = 1,
		.max = 86400000},
	{},
};

static void resolve(struct exchange *exchange, const char *host, const char *port)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV,
	};
	uint16_t number;
	int error;

	if (!parse_port(port, &number))
		log_fail(EXIT_USAGE,
			"PORT '%s': not a number from 1 to 65535; see udpxdp client --help", port);
	error = getaddrinfo(host, port, &hints, &exchange->addresses);
	if (error)
		log_fail(EXIT_RUNTIME, "host '%s': %s; give an address or a name that resolves",
			host, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	exchange->address = exchange->addresses;
	snprintf(exchange->where, sizeof(exchange->where), strchr(host, ':') ? "[%s]:%u" : "%s:%u",
		host, number);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static struct exchange exchange = {.fd = -1};
	int first = options_parse(verb, &exchange, argc, argv);

	resolve(&exchange, argv[first], first + 1 < argc ? argv[first + 1] : DEFAULT_PORT);
	prepare_end(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	serve_lines(&exchange);
	exchange_close(&exchange);
	freeaddrinfo(exchange.addresses);
	return at_end.status;
}

const struct verb client_verb = {
	.name = "client",
	.operands = "HOST [PORT]",
	.min_operands = 1,
	.max_operands = 2,
	.summary = "Send lines to a UDP server and print its answers.",
	.options = options,
	.notes = "PORT is 8080 by default. Lines come from the terminal or from standard input; "
		 "a\n"
		 "line is a datagram. When standard input is not a terminal, the exit status is 1 "
		 "if\n"
		 "any line got no answer.",
	.run = run,
};
