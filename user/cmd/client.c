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
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cmd/verbs.h"
#include "engine/escape.h"
#include "host/log.h"
#include "udpxdp/datagram.h"

#define DEFAULT_PORT "8080"
#define LATE_MAX 8       /* unanswered lines that are remembered */
#define DRAIN_MAX 4096   /* datagrams thrown away before a line is sent */
#define LATE_SHOWN 256   /* bytes of a late answer that are shown */

struct line {
	char *text;
	size_t len;
};

struct config {
	uint64_t timeout_ns;
};

struct client {
	struct config config;
	char where[NI_MAXHOST + 8]; /* HOST:PORT */
	struct addrinfo *addresses, *address;
	bool proven; /* the address has answered: do not leave it */
	int fd;
	struct line late[LATE_MAX]; /* the last lines without an answer, oldest first */
	unsigned late_count;
	uint8_t answer[DATAGRAM_PAYLOAD_MAX + 1];
	size_t answer_len;
};

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

/* ---- lines that were not answered in time -------------------------------------------- */

static bool ends_with(const struct client *client, const struct line *line)
{
	return line->len <= client->answer_len &&
	       !memcmp(client->answer + client->answer_len - line->len, line->text, line->len);
}

static void forget(struct client *client, unsigned i)
{
	free(client->late[i].text);
	client->late_count--;
	memmove(client->late + i, client->late + i + 1,
			(client->late_count - i) * sizeof(*client->late));
}

static void remember(struct client *client, const struct line *line)
{
	char *copy = malloc(line->len + 1);

	if (!copy)
		return;
	if (client->late_count == LATE_MAX)
		forget(client, 0);
	memcpy(copy, line->text, line->len);
	client->late[client->late_count++] = (struct line){copy, line->len};
}

/*
 * An echo ends with what was sent, stamped or not. So an answer that ends with an earlier line,
 * and not with as much of the present one, comes late. `present` is NULL while no line waits.
 */
static bool is_late(struct client *client, const struct line *present)
{
	size_t best = present && ends_with(client, present) ? present->len + 1 : 0;
	unsigned found = LATE_MAX;

	for (unsigned i = 0; i < client->late_count; i++) {
		if (client->late[i].len >= best && client->late[i].len &&
				ends_with(client, &client->late[i])) {
			best = client->late[i].len + 1;
			found = i;
		}
	}
	if (found == LATE_MAX)
		return false;
	forget(client, found);
	return true;
}

static void say_late(const struct client *client, unsigned count)
{
	size_t shown = client->answer_len < LATE_SHOWN ? client->answer_len : LATE_SHOWN;

	if (count == 1)
		log_line("%s answered an earlier line late: %.*s", client->where, (int)shown,
				(const char *)client->answer);
	else if (count)
		log_line("%s answered earlier lines late, %u datagrams, the last: %.*s",
				client->where, count, (int)shown, (const char *)client->answer);
}

/* ---- one exchange -------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int connect_address(struct client *client)
{
	const struct addrinfo *address = client->address;

	if (client->fd >= 0)
		return 0;
	client->fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return errno;
	if (!connect(client->fd, address->ai_addr, address->ai_addrlen))
		return 0;
	return errno;
}

static void leave_address(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->address = client->address->ai_next;
	if (!client->address)
		client->address = client->addresses;
}

/* Never waits. Returns 0 or an errno; EAGAIN when there is nothing. */
static int receive(struct client *client)
{
	ssize_t len = recv(client->fd, client->answer, sizeof(client->answer), MSG_DONTWAIT);

	if (len < 0)
		return errno;
	client->answer_len = (size_t)len;
	return 0;
}

/* What lies in the socket before a line is sent cannot be an answer to it. Takes ICMP errors
 * about earlier lines away, too. */
static void drain(struct client *client)
{
	unsigned late = 0;

	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		int why = receive(client);

		if (why == EAGAIN)
			break;
		if (why)
			continue;
		late++;
		is_late(client, NULL);
	}
	say_late(client, late);
}

static int send_line(struct client *client, const struct line *line)
{
	/* An ICMP error that came after the draining fails one send and is then gone. */
	for (int attempt = 0;; attempt++) {
		if (send(client->fd, line->text, line->len, 0) >= 0)
			return 0;
		if (errno == EMSGSIZE || attempt)
			return errno;
	}
}

static int await_answer(struct client *client, const struct line *line)
{
	uint64_t deadline = now_ns() + client->config.timeout_ns;

	for (;;) {
		struct pollfd ready = {.fd = client->fd, .events = POLLIN};
		uint64_t now = now_ns();
		uint64_t left = deadline > now ? deadline - now : 0;
		struct timespec wait = {
			.tv_sec = (time_t)(left / NSEC_PER_SEC),
			.tv_nsec = (long)(left % NSEC_PER_SEC),
		};
		int why;

		if (ppoll(&ready, 1, &wait, NULL) < 0 && errno != EINTR)
			return errno;
		why = receive(client);
		if (why && why != EAGAIN)
			return why;
		if (!why && !is_late(client, line))
			return 0;
		if (!why)
			say_late(client, 1);
		else if (!left)
			return ETIMEDOUT;
	}
}

static int exchange(struct client *client, const struct line *line)
{
	int why = connect_address(client);

	if (why)
		return why;
	drain(client);
	why = send_line(client, line);
	return why ? why : await_answer(client, line);
}

/* Returns 0 with the answer in client, or an errno. */
static int ask(struct client *client, const struct line *line)
{
	const struct addrinfo *first = client->address;
	int why;

	do {
		why = exchange(client, line);
		client->proven |= !why;
		if (!why || why == ETIMEDOUT || why == EMSGSIZE || client->proven)
			return why;
		leave_address(client);
	} while (client->address != first);
	return why;
}

/* ---- lines in, answers out ----------------------------------------------------------- */

static void say_failure(const struct client *client, const struct line *line, int why)
{
	switch (why) {
	case ETIMEDOUT:
		log_line("no answer from %s within %g s", client->where,
				(double)client->config.timeout_ns / NSEC_PER_SEC);
		break;
	case ECONNREFUSED:
		log_line("%s: refused: nothing listens on that UDP port; start the server or "
			 "check the port",
				client->where);
		break;
	case EMSGSIZE:
		log_line("a line of %zu bytes: too long for a datagram: at most %d; shorten it",
				line->len, DATAGRAM_PAYLOAD_MAX);
		break;
	default:
		log_line("%s: %s; check the address and the network", client->where,
				strerror(why));
	}
}

static void print_answer(const struct client *client, bool terminal)
{
	static char safe[TEXT_SAFE_MAX(DATAGRAM_PAYLOAD_MAX + 1)];
	const uint8_t *text = client->answer;
	size_t len = client->answer_len;

	if (len && text[len - 1] == '\n')
		len--;
	if (terminal)
		fwrite(safe, 1, text_safe(safe, sizeof(safe), text, len), stdout);
	else
		fwrite(text, 1, len, stdout);
	putchar('\n');
	if (fflush(stdout))
		fail(EXIT_RUNTIME, "standard output: %m");
}

static void serve_line(struct client *client, char *text, size_t len, bool terminal)
{
	struct line line = {text, len};
	int why;

	if (len && text[len - 1] == '\n')
		line.len--;
	why = ask(client, &line);
	if (!why) {
		print_answer(client, isatty(STDOUT_FILENO));
		return;
	}
	say_failure(client, &line, why);
	if (why == ETIMEDOUT)
		remember(client, &line);
	if (!terminal)
		at_end.status = EXIT_RUNTIME;
}

static void plain_lines(struct client *client)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&text, &size, stdin)) >= 0)
		serve_line(client, text, (size_t)len, false);
	if (ferror(stdin))
		fail(EXIT_RUNTIME, "standard input: %m");
	free(text);
}

static char *prompt(EditLine *editor)
{
	static char text[NI_MAXHOST + 16];
	struct client *client = NULL;

	el_get(editor, EL_CLIENTDATA, &client);
	snprintf(text, sizeof(text), "%s> ", client->where);
	return text;
}

static void edited_lines(struct client *client)
{
	EditLine *editor = el_init("udpxdp", stdin, stdout, stderr);
	History *past = history_init();
	HistEvent event;
	const char *text;
	int len;

	if (!editor || !past)
		fail(EXIT_RUNTIME, "line editing: out of memory");
	history(past, &event, H_SETSIZE, 1000);
	history(past, &event, H_SETUNIQUE, 1);
	el_set(editor, EL_CLIENTDATA, client);
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
		serve_line(client, copy, (size_t)len, true);
		free(copy);
	}
	putchar('\n');
	history_end(past);
	el_end(editor);
}

/* ---- the verb ------------------------------------------------------------------------ */

static const struct option_row options[] = {
	{"timeout", .letter = 't', .kind = OPT_SECONDS, .offset = offsetof(struct config, timeout_ns),
			.arg = "SEC", .help = "wait so long for an answer (default 2)", .min = 1,
			.max = 86400000},
	{},
};

static void resolve(struct client *client, const char *host, const char *port)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV,
	};
	char *end;
	unsigned long number = strtoul(port, &end, 10);
	int error;

	if (*port < '0' || *port > '9' || *end || !number || number > 65535)
		fail(EXIT_USAGE, "PORT '%s': not a number from 1 to 65535; see udpxdp client --help",
				port);
	error = getaddrinfo(host, port, &hints, &client->addresses);
	if (error)
		fail(EXIT_RUNTIME, "host '%s': %s; give an address or a name that resolves", host,
				error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	client->address = client->addresses;
	snprintf(client->where, sizeof(client->where), strchr(host, ':') ? "[%s]:%lu" : "%s:%lu",
			host, number);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static struct client client = {.config = {.timeout_ns = 2 * NSEC_PER_SEC}, .fd = -1};
	int first = options_parse(verb, &client.config, argc, argv);
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	resolve(&client, argv[first], first + 1 < argc ? argv[first + 1] : DEFAULT_PORT);
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8"))
		setlocale(LC_CTYPE, "C.UTF-8");
	prepare_end(terminal);
	if (terminal)
		edited_lines(&client);
	else
		plain_lines(&client);
	while (client.late_count)
		forget(&client, 0);
	if (client.fd >= 0)
		close(client.fd);
	freeaddrinfo(client.addresses);
	return at_end.status;
}

const struct verb client_verb = {
	.name = "client",
	.operands = "HOST [PORT]",
	.min_operands = 1,
	.max_operands = 2,
	.summary = "Send lines to a UDP server and print its answers.",
	.options = options,
	.notes = "PORT is 8080 unless given. Lines come from the terminal or from standard input; a\n"
		 "line is a datagram. When standard input is not a terminal, the exit status is 1 if\n"
		 "any line got no answer.",
	.run = run,
};
