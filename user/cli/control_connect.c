/* SPDX-License-Identifier: MIT */
#include "cli/control_path.h"
#include "cli/control_connect.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/control_protocol.h"
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
		log_fail(EXIT_RUNTIME, "control socket: %m");
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
			"control socket %s: no server is listening; start one with "
			"'udpxdp --iface IFACE', or use --control PATH",
			path);
	case EACCES:
	case EPERM:
		log_fail(EXIT_PERMISSION,
			"control socket %s: permission denied; run as root or as a member of its "
			"group",
			path);
	default:
		log_fail(EXIT_RUNTIME,
			"control socket %s: %s; use --control PATH for a running server's socket",
			path, strerror(error));
	}
}

/* Those of the machine, and this user's own. For globfree(). */
static glob_t list_sockets(void)
{
	char dir[CONTROL_DIR_SIZE], own[CONTROL_PATH_SIZE];
	glob_t names = {};

	glob(CONTROL_DIR "/*" CONTROL_SUFFIX, 0, NULL, &names);
	if (control_path_own_dir(dir)) {
		snprintf(own, sizeof(own), "%s/*" CONTROL_SUFFIX, dir);
		glob(own, names.gl_pathc ? GLOB_APPEND : 0, NULL, &names);
	}
	return names;
}

/* What a server that died has left behind does not count. Returns -1 with errno; without a path in
 * *addr: there is none. */
static int connect_only(struct sockaddr_un *addr)
{
	char list[LIST_SIZE] = "", only[sizeof(addr->sun_path)] = "";
	unsigned found = 0;
	int error = 0;
	glob_t names = list_sockets();

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
	addr->sun_path[0] = '\0';
	errno = ENOENT;
	if (!found)
		return -1;
	if (found > 1)
		log_fail(EXIT_USAGE,
			"several servers are running: %s; choose one with --iface IFACE", list);
	errno = error;
	strcpy(addr->sun_path, only);
	return error ? -1 : connect_to(only, addr);
}

/* A server of one's own comes before that of the machine. */
static int connect_by_iface(const char *iface, struct sockaddr_un *addr)
{
	char dir[CONTROL_DIR_SIZE], path[CONTROL_DIR_SIZE + 256];
	int fd;

	if (control_path_own_dir(dir)) {
		snprintf(path, sizeof(path), "%s/%s" CONTROL_SUFFIX, dir, iface);
		fd = connect_to(path, addr);
		if (fd >= 0 || (errno != ENOENT && errno != ECONNREFUSED))
			return fd;
	}
	snprintf(path, sizeof(path), CONTROL_DIR "/%s" CONTROL_SUFFIX, iface);
	return connect_to(path, addr);
}

int control_connect(const char *control, const char *iface, struct sockaddr_un *addr)
{
	int fd;

	if (!control && !iface)
		fd = connect_only(addr);
	else
		fd = control ? connect_to(control, addr) : connect_by_iface(iface, addr);
	if (fd < 0 && !control && !addr->sun_path[0])
		log_fail(EXIT_RUNTIME,
			"no server is running: no socket in " CONTROL_DIR " answers; start one "
			"with 'udpxdp --iface IFACE', or use --control PATH");
	if (fd < 0)
		refuse(control ? control : addr->sun_path, errno);
	return fd;
}

int control_try(const char *iface)
{
	struct sockaddr_un addr;

	return iface ? connect_by_iface(iface, &addr) : connect_only(&addr);
}

int control_find(bool (*is_it)(int control, const char *name), const char *name)
{
	glob_t names = list_sockets();
	struct sockaddr_un addr;
	int fd = -1;

	for (size_t i = 0; i < names.gl_pathc && fd < 0; i++) {
		fd = connect_to(names.gl_pathv[i], &addr);
		if (fd < 0 || is_it(fd, name))
			continue;
		close(fd);
		fd = -1;
	}
	globfree(&names);
	return fd;
}

void control_check_refused(const char *iface)
{
	struct sockaddr_un addr;
	int fd = iface ? connect_by_iface(iface, &addr) : connect_only(&addr);

	if (fd >= 0)
		close(fd);
	else if (errno == EACCES || errno == EPERM)
		refuse(addr.sun_path, errno);
}
