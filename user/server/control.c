/* SPDX-License-Identifier: MIT */
#include "server/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "privsep/trusted_path.h"
#include "server/control_request.h"

#define PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)
#define CONSOLES_MAX 64
#define OUTSTANDING_MAX 16 /* requests of one console that wait for their answers */
#define ANSWER_MAX 256
#define SEND_BUFFER (1 << 20) /* how far behind a console may be, in bytes of socket buffer */
#define NOBODY (-1)

/* A console may make so many requests in an interval; the rest stays in its socket till then. */
#define RATE_INTERVAL_USEC 100000
#define RATE_BURST 100

/* Answers leave in the order of the requests, so one that is early waits here. */
struct answer {
	uint64_t ticket;
	bool ready;
	char text[ANSWER_MAX];
};

struct console {
	struct control *control;
	int fd; /* -1: this place is free */
	sd_event_source *source;
	int watched;           /* index of a service, or NOBODY */
	unsigned first, count; /* of the answers, a ring */
	struct answer answers[OUTSTANDING_MAX];
};

struct control {
	struct control_config config;
	struct trusted_path path;
	int fd;
	sd_event_source *source;
	uint64_t requests; /* so far; a ticket is this number times CONSOLES_MAX plus the place */
	struct console consoles[CONSOLES_MAX];
	uint8_t packet[CONTROL_PACKET_MAX];
};

/* ---- answers -------------------------------------------------------------------------- */

static void cut_off(struct console *console)
{
	console->source = sd_event_source_disable_unref(console->source);
	close(console->fd);
	console->fd = -1;
	console->watched = NOBODY;
	console->count = 0;
}

/*
 * A console whose buffer is full does not read: it is cut off. One that has hung up is left
 * alone, since what it asked for before may still lie in the socket; reading finds its end.
 */
static void send_packet(struct console *console, const struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};

	if (sendmsg(console->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		cut_off(console);
}

static void send_answers(struct console *console)
{
	while (console->count && console->answers[console->first].ready) {
		char *text = console->answers[console->first].text;
		struct iovec part = {text, strlen(text)};

		console->first = (console->first + 1) % OUTSTANDING_MAX;
		console->count--;
		send_packet(console, &part, 1);
	}
	if (console->fd >= 0 && console->count < OUTSTANDING_MAX)
		sd_event_source_set_enabled(console->source, SD_EVENT_ON);
}

static void __attribute__((format(printf, 3, 4)))
answer(struct console *console, struct answer *answer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(answer->text, sizeof(answer->text), format, args);
	va_end(args);
	answer->ready = true;
	send_answers(console);
}

void control_answer(struct control *control, uint64_t ticket, const char *error)
{
	struct console *console = &control->consoles[ticket % CONSOLES_MAX];

	for (unsigned i = 0; i < console->count; i++) {
		struct answer *a = &console->answers[(console->first + i) % OUTSTANDING_MAX];

		if (a->ticket != ticket || a->ready)
			continue;
		if (error)
			answer(console, a, CONTROL_ERROR_WORD " %s", error);
		else
			answer(console, a, CONTROL_OK_WORD);
		return;
	}
}

/* ---- requests ------------------------------------------------------------------------- */

static void watch(struct console *console, struct answer *a, int instance)
{
	const struct service_config *service = &console->control->config.services[instance];

	console->watched = instance;
	answer(console, a, CONTROL_OK_WORD " %s:%u", service->service->name, service->port);
}

/* Only one kind of service announces, and only the other speaks to a peer. */
static const char *mismatch(const struct console *console, const struct control_request *request)
{
	const struct udpxdp_service *service;

	if (request->verb == CONTROL_WATCH || request->verb == CONTROL_STATS)
		return NULL;
	if (console->watched == NOBODY)
		return "no service is watched; send watch first";
	service = console->control->config.services[console->watched].service;
	if ((request->verb == CONTROL_ANNOUNCE) == service->wants_broadcast)
		return NULL;
	return service->wants_broadcast ? "that service takes announce, not say"
					: "that service takes say, not announce";
}

/* The counters in as many packets as they take, then the answer. */
static void tell(struct console *console, struct answer *a)
{
	const struct control_config *config = &console->control->config;
	char *text = config->stats(config->context);
	size_t left = text ? strlen(text) : 0;

	if (!text) {
		answer(console, a, CONTROL_ERROR_WORD " reading the counters failed: %s",
			strerror(errno));
		return;
	}
	for (char *at = text; left && console->fd >= 0;) {
		const size_t len = left < UDPXDP_PAYLOAD_MAX ? left : UDPXDP_PAYLOAD_MAX;
		const struct iovec parts[] = {
			{CONTROL_COUNTERS_WORD "\n", sizeof(CONTROL_COUNTERS_WORD)}, {at, len}};

		send_packet(console, parts, 2);
		at += len;
		left -= len;
	}
	free(text);
	if (console->fd >= 0)
		answer(console, a, CONTROL_OK_WORD);
}

static void handle(struct console *console, size_t len)
{
	struct control *control = console->control;
	const struct control_config *config = &control->config;
	struct answer *a = &console->answers[(console->first + console->count++) % OUTSTANDING_MAX];
	struct control_request request;
	const char *error = "the request is too long; shorten it";

	a->ticket = control->requests++ * CONSOLES_MAX + (uint64_t)(console - control->consoles);
	a->ready = false;
	if (len <= sizeof(control->packet))
		error = control_request_read(
			&request, control->packet, len, config->services, config->service_count);
	if (!error)
		error = mismatch(console, &request);
	if (error) {
		answer(console, a, CONTROL_ERROR_WORD " %s", error);
	} else if (request.verb == CONTROL_STATS) {
		tell(console, a);
	} else if (request.verb == CONTROL_WATCH) {
		watch(console, a, request.instance);
	} else {
		config->request(config->context, (unsigned)console->watched, a->ticket,
			request.verb == CONTROL_SAY ? &request.peer : NULL, request.port,
			request.text, request.len);
	}
	if (console->count == OUTSTANDING_MAX) /* an answer lets it go on */
		sd_event_source_set_enabled(console->source, SD_EVENT_OFF);
}

/* One packet a turn: however fast a console writes, the others get theirs. */
static int on_console(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct console *console = context;
	struct control *control = console->control;
	ssize_t len = recv(fd, control->packet, sizeof(control->packet), MSG_DONTWAIT | MSG_TRUNC);

	/* ECONNRESET tells once that it left answers unread; its requests come after that. */
	if (len < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return 0;
	/* Nothing read is an empty packet, unless it has hung up. */
	if (len < 0 || (!len && (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))))
		cut_off(console);
	else
		handle(console, (size_t)len);
	return 0;
}

/* ---- messages ------------------------------------------------------------------------- */

void control_notify(
	struct control *control, unsigned instance, const struct udpxdp_message *message)
{
	char line[CONTROL_LINE_MAX], addr[UDPXDP_ADDR_TEXT_MAX];
	struct iovec parts[2] = {{line, 0}, {(void *)message->text, message->len}};

	udpxdp_addr_format(addr, &message->addr);
	parts[0].iov_len = (size_t)snprintf(line, sizeof(line),
		CONTROL_EVENT_WORD " %s %s %s %u %" PRIu64 "\n",
		message->direction == UDPXDP_RECEIVED ? CONTROL_RECEIVED_WORD : CONTROL_SENT_WORD,
		message->broadcast ? CONTROL_BROADCAST_WORD : CONTROL_UNICAST_WORD, addr,
		message->port, message->time_ns);
	for (unsigned i = 0; i < CONSOLES_MAX; i++)
		if (control->consoles[i].watched == (int)instance)
			send_packet(&control->consoles[i], parts, 2);
}

unsigned control_watchers(const struct control *control)
{
	unsigned watchers = 0;

	for (unsigned i = 0; i < CONSOLES_MAX; i++)
		watchers += control->consoles[i].watched != NOBODY;
	return watchers;
}

/* ---- the socket ----------------------------------------------------------------------- */

static bool admit(struct console *console, int fd)
{
	int size = SEND_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (sd_event_add_io(console->control->config.loop, &console->source, fd,
		    EPOLLIN | EPOLLRDHUP, on_console, console) < 0)
		return false;
	sd_event_source_set_ratelimit(console->source, RATE_INTERVAL_USEC, RATE_BURST);
	console->fd = fd;
	console->first = 0;
	return true;
}

static int on_connect(sd_event_source *source, int listener, uint32_t events, void *context)
{
	static const char full[] = CONTROL_ERROR_WORD " too many consoles; close another one";
	struct control *control = context;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return 0;
	for (unsigned i = 0; i < CONSOLES_MAX; i++)
		if (control->consoles[i].fd < 0) {
			if (!admit(&control->consoles[i], fd))
				close(fd);
			return 0;
		}
	send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	return 0;
}

/* May the place be taken? *stale: when what a server that died left there is removed. Returns 0, or
 * -1 with errno. */
static int find_stale(const struct trusted_path *path, bool *stale)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat status;
	int probe, result;

	*stale = false;
	if (fstatat(path->dir, path->name, &status, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(status.st_mode)) {
		errno = ENOTSOCK;
		return -1;
	}
	probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -1;
	strcpy(addr.sun_path, path->path);
	result = connect(probe, (const struct sockaddr *)&addr, sizeof(addr));
	if (result && errno == ECONNREFUSED) {
		*stale = true;
		result = 0;
	} else if (!result || errno == EAGAIN || errno == EPROTOTYPE) {
		errno = EADDRINUSE; /* it answers, or its queue is full, or it speaks otherwise */
		result = -1;
	}
	KEEP_ERRNO;
	close(probe);
	return result;
}

static int find_directory(const char *path, struct trusted_path *dir)
{
	char copy[PATH_SIZE];

	strcpy(copy, path);
	return trusted_path_init(dir, dirname(copy));
}

static int make_directory(const char *path)
{
	struct trusted_path dir;
	int result;

	if (find_directory(path, &dir))
		return -1;
	/* The root has no name to be made by, and is there. */
	result = dir.name[0] && mkdirat(dir.dir, dir.name, 0755) && errno != EEXIST ? -1 : 0;
	trusted_path_close(&dir);
	return result;
}

/* bind() in the directory that was judged, wherever its path may lead by now: there is no bindat(),
 * and no other thread yet that would mind. */
static int bind_at(int fd, const struct trusted_path *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), error;
	mode_t mask;

	if (here < 0)
		return -1;
	strcpy(addr.sun_path, path->name);
	mask = umask(0777 & ~0660); /* never wider, not even for a moment */
	error = fchdir(path->dir) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
	umask(mask);
	if (fchdir(here) && !error)
		error = errno;
	close(here);
	errno = error;
	return error ? -1 : 0;
}

/* Makes the socket; it refuses connections until listen(). */
static int listen_at(struct control *control, const char *path)
{
	bool stale;
	int error;

	if (make_directory(path) || trusted_path_init(&control->path, path))
		return -1;
	error = find_stale(&control->path, &stale);
	if (stale)
		trusted_path_remove(&control->path);
	control->path.ino = 0; /* what is there now is not ours */
	if (error)
		return -1;
	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0 || bind_at(control->fd, &control->path) ||
		trusted_path_note(&control->path) || listen(control->fd, CONSOLES_MAX))
		return -1;
	return 0;
}

int control_check(const char *path)
{
	struct trusted_path place;
	bool stale;
	int error;

	if (strlen(path) >= PATH_SIZE)
		return ENAMETOOLONG;
	error = trusted_path_init(&place, path) ? errno : 0;
	if (error == ENOENT) /* its directory will be made */
		error = find_directory(path, &place) ? errno : 0;
	else if (!error)
		error = find_stale(&place, &stale) ? errno : 0;
	if (!error && faccessat(place.dir, ".", W_OK | X_OK, 0))
		error = errno;
	trusted_path_close(&place);
	return error;
}

struct control *control_open(const struct control_config *config)
{
	struct control *control;
	int error = 0;

	if (strlen(config->path) >= PATH_SIZE) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	control = calloc(1, sizeof(*control));
	if (!control)
		return NULL;
	control->config = *config;
	control->fd = control->path.dir = -1;
	for (unsigned i = 0; i < CONSOLES_MAX; i++) {
		control->consoles[i].control = control;
		control->consoles[i].fd = -1;
		control->consoles[i].watched = NOBODY;
	}
	if (listen_at(control, config->path))
		error = errno;
	else
		error = -sd_event_add_io(
			config->loop, &control->source, control->fd, EPOLLIN, on_connect, control);
	if (error <= 0) {
		/* When accept() fails for want of descriptors, the loop must not spin on it. */
		sd_event_source_set_ratelimit(control->source, RATE_INTERVAL_USEC, RATE_BURST);
		return control;
	}
	control_close(control);
	errno = error;
	return NULL;
}

void control_close(struct control *control)
{
	for (unsigned i = 0; i < CONSOLES_MAX; i++)
		if (control->consoles[i].fd >= 0)
			cut_off(&control->consoles[i]);
	sd_event_source_disable_unref(control->source);
	if (control->fd >= 0)
		close(control->fd);
	trusted_path_remove(&control->path); /* unless another server has put its own in place */
	trusted_path_close(&control->path);
	free(control);
}
