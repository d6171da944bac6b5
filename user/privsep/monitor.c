/* SPDX-License-Identifier: MIT */
#include "privsep/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privsep/sandbox.h"

#define FILE_MODE 0640

#define PATH_SIZE 256

struct list {
	char paths[MONITOR_PATHS][PATH_SIZE];
	unsigned count;
};

struct request {
	enum { REGISTER, REMOVE_AT_END, SEAL, OPEN, END } what;
	int flags; /* of OPEN */
	char path[PATH_SIZE];
};

static int channel = -1; /* to the monitor */
static pid_t monitor;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the monitor's side ---------------------------------------------------------------- */

static void answer(int socket, int fd, int error)
{
	struct iovec data = {.iov_base = &error, .iov_len = sizeof(error)};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	sendmsg(socket, &message, MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
}

static int add(struct list *list, const char *path, bool sealed)
{
	if (sealed)
		return EPERM;
	if (list->count == MONITOR_PATHS)
		return ENOSPC;
	strcpy(list->paths[list->count++], path);
	return 0;
}

static void serve_open(int socket, const struct list *list, const struct request *r)
{
	const int allowed = O_ACCMODE | O_APPEND | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK |
			    O_CLOEXEC | O_NOFOLLOW;
	unsigned i = 0;
	int fd;

	while (i < list->count && strcmp(list->paths[i], r->path))
		i++;
	if (i == list->count || r->flags & ~allowed) {
		answer(socket, -1, EPERM);
		return;
	}
	fd = open(r->path, r->flags | O_CLOEXEC, FILE_MODE);
	answer(socket, fd, fd < 0 ? errno : 0);
}

static void remove_all(const struct list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (unlink(list->paths[i]) < 0)
			rmdir(list->paths[i]);
}

/* A server that ends without a word has crashed: what it leaves is for its successor, which may
 * be starting right now. */
static void keep(int socket)
{
	static struct list to_open, to_remove;
	bool sealed = false;
	struct request r = {.what = SEAL};

	prctl(PR_SET_NAME, "udpxdp/monitor");
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	sandbox_enter_monitor();
	while (recv(socket, &r, sizeof(r), 0) == sizeof(r) && r.what != END) {
		r.path[PATH_SIZE - 1] = '\0';
		switch (r.what) {
		case REGISTER:
			answer(socket, -1, add(&to_open, r.path, sealed));
			break;
		case REMOVE_AT_END:
			answer(socket, -1, add(&to_remove, r.path, sealed));
			break;
		case SEAL:
			sealed = true;
			answer(socket, -1, 0);
			break;
		case OPEN:
			serve_open(socket, &to_open, &r);
			break;
		case END:
			break;
		}
		r.what = SEAL; /* should recv() fail now, it is not an END */
	}
	if (r.what == END)
		remove_all(&to_remove);
	_exit(0);
}

/* ---- the server's side ---------------------------------------------------------------- */

int monitor_start(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	monitor = fork();
	if (!monitor) {
		close(pair[0]);
		keep(pair[1]);
	}
	close(pair[1]);
	if (monitor < 0) {
		close(pair[0]);
		return -1;
	}
	channel = pair[0];
	return 0;
}

/* Returns a descriptor, or -1 with errno; errno 0 when none was asked for. */
static int ask(int what, const char *path, int flags)
{
	struct request r = {.what = what, .flags = flags};
	int error = EPIPE, fd = -1;
	struct iovec data = {.iov_base = &error, .iov_len = sizeof(error)};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	if (strlen(path) >= sizeof(r.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(r.path, path);
	pthread_mutex_lock(&lock);
	if (send(channel, &r, sizeof(r), MSG_NOSIGNAL) == sizeof(r) &&
		recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == sizeof(error) && !error &&
		message.msg_controllen >= sizeof(control.align))
		memcpy(&fd, CMSG_DATA(&control.align), sizeof(fd));
	if (!error && fd < 0 && message.msg_flags & MSG_CTRUNC)
		error = EMFILE; /* it came, but there was no room for it */
	pthread_mutex_unlock(&lock);
	errno = error;
	return fd;
}

static int registered(int what, const char *path)
{
	if (channel < 0)
		return 0;
	ask(what, path, 0);
	return errno ? -1 : 0;
}

int monitor_register(const char *path)
{
	return registered(REGISTER, path);
}

int monitor_remove_at_end(const char *path)
{
	return registered(REMOVE_AT_END, path);
}

void monitor_seal(void)
{
	registered(SEAL, "");
}

int monitor_open(const char *path, int flags)
{
	if (channel < 0)
		return open(path, flags | O_CLOEXEC, FILE_MODE);
	return ask(OPEN, path, flags);
}

void monitor_stop(void)
{
	struct request r = {.what = END};

	if (channel < 0)
		return;
	send(channel, &r, sizeof(r), MSG_NOSIGNAL);
	close(channel);
	channel = -1;
	waitpid(monitor, NULL, 0);
}
