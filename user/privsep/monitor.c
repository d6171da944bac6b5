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
#include "privsep/trusted_path.h"

struct path_list {
	struct trusted_path paths[MONITOR_PATHS];
	unsigned count;
};

enum request_kind {
	REQUEST_REGISTER,
	REQUEST_REMOVE_AT_END,
	REQUEST_SEAL,
	REQUEST_OPEN,
	REQUEST_RESOLVE,
	REQUEST_END
};

struct request {
	enum request_kind kind;
	int flags;               /* of REQUEST_OPEN */
	int ifindex;             /* of REQUEST_RESOLVE */
	struct udpxdp_addr addr; /* of the same */
	char path[PATH_MAX];
};

static struct path_list to_open; /* the monitor's; or ours, where there is none */
static struct monitor_resolver resolver;
static int channel = -1; /* to the monitor */
static pid_t monitor;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- paths ----------------------------------------------------------------------------- */

static struct trusted_path *find(struct path_list *list, const char *path)
{
	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->paths[i].path, path))
			return &list->paths[i];
	return NULL;
}

/* Returns 0 or an errno. A directory that is not there yet may be there later. */
static int add(struct path_list *list, const char *path)
{
	struct trusted_path *t = &list->paths[list->count];

	if (list->count == MONITOR_PATHS)
		return ENOSPC;
	if (trusted_path_init(t, path) && errno != ENOENT)
		return errno;
	list->count++;
	return 0;
}

/* The same for a file to be written: standard output and error are files, too. */
static int add_output(const char *path)
{
	struct trusted_path *t = &to_open.paths[to_open.count];
	int error = add(&to_open, path);
	struct stat status;

	for (unsigned i = 0; !error && i + 1 < to_open.count; i++)
		if (trusted_path_equal(&to_open.paths[i], t))
			error = EEXIST;
	for (int fd = STDOUT_FILENO; !error && fd <= STDERR_FILENO; fd++)
		if (!fstat(fd, &status) && S_ISREG(status.st_mode) && trusted_path_is(t, &status))
			error = EEXIST;
	if (error == EEXIST) {
		trusted_path_close(t);
		to_open.count--;
	}
	return error;
}

/* Returns a descriptor or -1 with errno. */
static int open_registered(const char *path, int flags)
{
	const int allowed =
		O_ACCMODE | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
	struct trusted_path *t = find(&to_open, path);

	if (t && !(flags & ~allowed))
		return trusted_path_open(t, flags);
	errno = EPERM;
	return -1;
}

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

static void remove_all(struct path_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		trusted_path_remove(&list->paths[i]);
}

/* Returns 0 or an errno. */
static int resolve(const struct request *r)
{
	if (!resolver.use)
		return EPERM;
	return resolver.use(r->ifindex, &r->addr) ? errno : 0;
}

static void handle(int socket, const struct request *r, struct path_list *to_remove)
{
	static bool sealed;
	int fd;

	switch (r->kind) {
	case REQUEST_REGISTER:
		answer(socket, -1, sealed ? EPERM : add_output(r->path));
		break;
	case REQUEST_REMOVE_AT_END:
		answer(socket, -1, sealed ? EPERM : add(to_remove, r->path));
		break;
	case REQUEST_SEAL:
		sealed = true;
		answer(socket, -1, 0);
		break;
	case REQUEST_OPEN:
		fd = open_registered(r->path, r->flags);
		answer(socket, fd, fd < 0 ? errno : 0);
		break;
	case REQUEST_RESOLVE:
		answer(socket, -1, resolve(r));
		break;
	case REQUEST_END:
		remove_all(to_remove);
		_exit(0);
	}
}

/* Of what it inherited it keeps standard output and error, to know which files they are; else a
 * pipe or a lock would seem to be held. Its socket becomes standard input. */
static int close_inherited(int socket)
{
	struct stat status;

	if (dup2(socket, STDIN_FILENO) < 0)
		_exit(1);
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &status) || !S_ISREG(status.st_mode))
			dup2(STDIN_FILENO, fd);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	return STDIN_FILENO;
}

/* A server that ends without a word has crashed: what it leaves is for its successor, which may
 * be starting right now. */
static void __attribute__((noreturn)) run_monitor(int socket)
{
	static struct path_list to_remove;
	static struct request r;

	prctl(PR_SET_NAME, "udpxdp/monitor");
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	socket = close_inherited(socket);
	if (resolver.open && resolver.open())
		resolver.use = NULL;
	sandbox_enter_monitor(resolver.use);
	while (recv(socket, &r, sizeof(r), 0) == sizeof(r)) {
		r.path[sizeof(r.path) - 1] = '\0';
		handle(socket, &r, &to_remove);
	}
	_exit(0);
}

/* ---- the server's side ---------------------------------------------------------------- */

int monitor_start(const struct monitor_resolver *how)
{
	int pair[2];

	if (how)
		resolver = *how;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	monitor = fork();
	if (!monitor)
		run_monitor(pair[1]);
	close(pair[1]);
	if (monitor < 0) {
		close(pair[0]);
		return -1;
	}
	channel = pair[0];
	return 0;
}

/* Sends a request, under the lock. Returns a descriptor, or -1 with errno; errno 0 when none was
 * asked for. */
static int exchange(const struct request *r)
{
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

	if (send(channel, r, sizeof(*r), MSG_NOSIGNAL) == sizeof(*r) &&
		recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == sizeof(error) && !error &&
		message.msg_controllen >= sizeof(control.align))
		memcpy(&fd, CMSG_DATA(&control.align), sizeof(fd));
	if (!error && fd < 0 && message.msg_flags & MSG_CTRUNC)
		error = EMFILE; /* it came, but there was no room for it */
	errno = error;
	return fd;
}

static struct request request; /* under the lock */

static int ask(enum request_kind kind, const char *path, int flags)
{
	int fd;

	if (strlen(path) >= sizeof(request.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	pthread_mutex_lock(&lock);
	request.kind = kind;
	request.flags = flags;
	strcpy(request.path, path);
	fd = exchange(&request);
	pthread_mutex_unlock(&lock);
	return fd;
}

int monitor_resolve(int ifindex, const struct udpxdp_addr *addr)
{
	if (channel < 0) {
		errno = ENOTCONN;
		return -1;
	}
	pthread_mutex_lock(&lock);
	request.kind = REQUEST_RESOLVE;
	request.ifindex = ifindex;
	request.addr = *addr;
	exchange(&request);
	pthread_mutex_unlock(&lock);
	return errno ? -1 : 0;
}

int monitor_register(const char *path)
{
	if (channel >= 0)
		ask(REQUEST_REGISTER, path, 0);
	else
		errno = add_output(path);
	return errno ? -1 : 0;
}

int monitor_remove_at_end(const char *path)
{
	if (channel < 0)
		return 0;
	ask(REQUEST_REMOVE_AT_END, path, 0);
	return errno ? -1 : 0;
}

void monitor_seal(void)
{
	if (channel >= 0)
		ask(REQUEST_SEAL, "", 0);
}

int monitor_open(const char *path, int flags)
{
	struct trusted_path t;
	int fd;

	if (channel >= 0)
		return ask(REQUEST_OPEN, path, flags);
	if (find(&to_open, path))
		return open_registered(path, flags);
	if (trusted_path_init(&t, path))
		return -1;
	fd = trusted_path_open(&t, flags);
	trusted_path_close(&t);
	return fd;
}

void monitor_stop(void)
{
	static const struct request end = {.kind = REQUEST_END};

	if (channel < 0)
		return;
	send(channel, &end, sizeof(end), MSG_NOSIGNAL);
	close(channel);
	channel = -1;
	waitpid(monitor, NULL, 0);
}
