/* SPDX-License-Identifier: MIT */
/*
 * A line client for any UDP server, over ordinary kernel sockets: sends a line, waits for the
 * answer, prints it.
 */
#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/client/exchange.h"
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

static void say_failure(const struct exchange *exchange, const struct line *line, int why)
{
	switch (why) {
	case ETIMEDOUT:
		log_line("no answer from %s: none within %g s; check the address, or give a longer "
			 "--timeout",
			exchange->where, (double)exchange->timeout_ns / NSEC_PER_SEC);
		break;
	case ECONNREFUSED:
		log_line("no answer from %s: refused: nothing listens on that UDP port; start the "
			 "server or check the port",
			exchange->where);
		break;
	case EMSGSIZE:
		log_line("a line of %zu bytes: too long for a datagram: at most %d; shorten it",
			line->len, UDPXDP_PAYLOAD_MAX);
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

static void serve_line(struct exchange *exchange, char *text, size_t len, bool terminal)
{
	struct line line = {text, len};
	int why;

	if (len && text[len - 1] == '\n')
		line.len--;
	why = exchange_ask(exchange, &line);
	if (!why) {
		print_answer(exchange, isatty(STDOUT_FILENO));
		return;
	}
	say_failure(exchange, &line, why);
	if (!terminal)
		at_end.status = EXIT_RUNTIME;
}

static void plain_lines(struct exchange *exchange)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&text, &size, stdin)) >= 0)
		serve_line(exchange, text, (size_t)len, false);
	if (ferror(stdin))
		log_fail(EXIT_RUNTIME, "standard input: %m; give another");
	free(text);
}

static char *prompt(EditLine *editor)
{
	static char text[NI_MAXHOST + 16];
	struct exchange *exchange = NULL;

	el_get(editor, EL_CLIENTDATA, &exchange);
	snprintf(text, sizeof(text), "%s> ", exchange->where);
	return text;
}

static void edited_lines(struct exchange *exchange)
{
	EditLine *editor = el_init("udpxdp", stdin, stdout, stderr);
	History *past = history_init();
	HistEvent event;
	const char *text;
	int len;

	if (!editor || !past)
		log_fail(EXIT_RUNTIME, "line editing: out of memory");
	history(past, &event, H_SETSIZE, 1000);
	history(past, &event, H_SETUNIQUE, 1);
	el_set(editor, EL_CLIENTDATA, exchange);
	el_set(editor, EL_PROMPT, prompt);
	el_set(editor, EL_EDITOR, "emacs");
	el_set(editor, EL_HIST, history, past);
	el_source(editor, NULL);
	while ((text = el_gets(editor, &len)) && len > 0) {
		char *copy = strndup(text, (size_t)len);

		if (!copy)
			break;
		if (len > 1)
			history(past, &event, H_ENTER, copy);
		serve_line(exchange, copy, (size_t)len, true);
		free(copy);
	}
	putchar('\n');
	history_end(past);
	el_end(editor);
}

/* ---- the verb ------------------------------------------------------------------------ */

static const struct udpxdp_option options[] = {
	{.name = "timeout",
		.letter = 't',
		.kind = UDPXDP_OPTION_SECONDS,
		.offset = offsetof(struct exchange, timeout_ns),
		.arg = "SEC",
		.fallback = "2",
		.help = "wait for so long for an answer",
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
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	resolve(&exchange, argv[first], first + 1 < argc ? argv[first + 1] : DEFAULT_PORT);
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8"))
		setlocale(LC_CTYPE, "C.UTF-8");
	prepare_end(terminal);
	if (terminal)
		edited_lines(&exchange);
	else
		plain_lines(&exchange);
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
	.notes = "PORT is 8080 unless given. Lines come from the terminal or from standard input; "
		 "a\n"
		 "line is a datagram. When standard input is not a terminal, the exit status is 1 "
		 "if\n"
		 "any line got no answer.",
	.run = run,
};
