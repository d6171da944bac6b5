/* SPDX-License-Identifier: MIT */
#include "cli/control_path.h"
#include "cmd/console/socket.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/control.h"
#include "base/keep_errno.h"
#include "base/log.h"

#define LIST_SIZE 512

/* Returns a socket, or -1 with errno. */
static int connect_to(const char *path, struct sockaddr_un *addr)
{
	int fd;

	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path) >=
		(int)sizeof(addr->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		log_fail(EXIT_RUNTIME, "console: socket: %m");
	if (connect(fd, (struct sockaddr *)addr, sizeof(*addr))) {
		KEEP_ERRNO;

		close(fd);
		return -1;
	}
	return fd;
}

static void __attribute__((noreturn)) refuse(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		log_fail(EXIT_RUNTIME,
			"control socket %s: no server is there; start one with "
			"'udpxdp --iface IFACE', or name its socket with --control PATH",
			path);
	case EACCES:
	case EPERM:
		log_fail(EXIT_PERMISSION,
			"control socket %s: not permitted; become root or a member of its group",
			path);
	default:
		log_fail(EXIT_RUNTIME,
			"control socket %s: %s; name a running server's with --control PATH", path,
			strerror(error));
	}
}

/* What a server that died has left behind does not count. */
static int connect_only(struct sockaddr_un *addr)
{
	char list[LIST_SIZE] = "", only[sizeof(addr->sun_path)] = "";
	char dir[CONTROL_DIR_SIZE], own[CONTROL_PATH_SIZE];
	unsigned found = 0;
	int error = 0;
	glob_t names = {0};

	glob(CONTROL_DIR "/*.sock", 0, NULL, &names);
	if (control_own_dir(dir)) {
		snprintf(own, sizeof(own), "%s/*.sock", dir);
		glob(own, names.gl_pathc ? GLOB_APPEND : 0, NULL, &names);
	}
	for (size_t i = 0; i < names.gl_pathc; i++) {
		const char *path = names.gl_pathv[i];
		int fd = connect_to(path, addr);

		if (fd < 0 && (errno == ECONNREFUSED || errno == ENOENT || errno == ENAMETOOLONG))
			continue;
		error = fd < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
		strcpy(only, path);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			found++ ? ", " : "", path);
	}
	globfree(&names);
	if (!found)
		log_fail(EXIT_RUNTIME,
			"no server is running: none answers in " CONTROL_DIR
			"; start one with 'udpxdp --iface IFACE', or name its socket with "
			"--control PATH");
	if (found > 1)
		log_fail(EXIT_USAGE,
			"several servers are running: %s; say which with --iface IFACE", list);
	if (error)
		refuse(only, error);
	return connect_to(only, addr);
}

/* A server of one's own comes before that of the machine. */
static int connect_by_iface(const char *iface, struct sockaddr_un *addr)
{
	char dir[CONTROL_DIR_SIZE], path[CONTROL_DIR_SIZE + 256];
	int fd;

	if (control_own_dir(dir)) {
		snprintf(path, sizeof(path), "%s/%s.sock", dir, iface);
		fd = connect_to(path, addr);
		if (fd >= 0 || (errno != ENOENT && errno != ECONNREFUSED))
			return fd;
	}
	snprintf(path, sizeof(path), CONTROL_DIR "/%s.sock", iface);
	return connect_to(path, addr);
}

int console_connect(const char *control, const char *iface, struct sockaddr_un *addr)
{
	int fd;

	if (!control && !iface)
		fd = connect_only(addr);
	else
		fd = control ? connect_to(control, addr) : connect_by_iface(iface, addr);
	if (fd < 0)
		refuse(control ? control : addr->sun_path, errno);
	return fd;
}
