/* SPDX-License-Identifier: MIT */
#include "xdp/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/keep_errno.h"

static bool is_bpffs(const char *path)
{
	struct statfs s;

	return !statfs(path, &s) && s.f_type == BPF_FS_MAGIC;
}

int pins_mount_bpffs(void)
{
	if (is_bpffs(BPFFS))
		return 0;
	return mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
}

/*
 * An open directory says by its locks that somebody lives there, and stops saying so with the
 * process. flock() lets one in; the read lock of the open file description, the only kind of it
 * that a directory takes, lets others ask without taking anything: see pins_alive().
 */
static int lock_dir(int dir)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	if (flock(dir, LOCK_EX | LOCK_NB) < 0) {
		errno = errno == EWOULDBLOCK ? EBUSY : errno;
		return -1;
	}
	return fcntl(dir, F_OFD_SETLK, &lock);
}

bool pins_alive(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool alive = dir >= 0 && !fcntl(dir, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;

	if (dir >= 0)
		close(dir);
	return alive;
}

/* Outside bpffs it leaves nothing behind. */
static int make_dir(const char *path)
{
	struct stat found;

	if (mkdir(path, 0755) < 0) {
		if (errno != EEXIST || lstat(path, &found) < 0)
			return -1;
		/* bpffs may be writable by everybody: do not be led astray there. */
		if (S_ISDIR(found.st_mode) && (!found.st_uid || found.st_uid == geteuid()))
			return 0;
		errno = EPERM;
		return -1;
	}
	if (is_bpffs(path))
		return 0;
	rmdir(path);
	errno = ENOTSUP;
	return -1;
}

/* Makes the directories of a path. */
static int make_dirs(const char *dir)
{
	char path[sizeof(((struct pins *)0)->dir)];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!strncmp(dir, BPFFS "/", sizeof(BPFFS)) && pins_mount_bpffs() < 0)
		return -1;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (make_dir(path) < 0)
			return -1;
		*slash = '/';
	}
	if (make_dir(path) < 0)
		return -1;
	if (!is_bpffs(path)) {
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}

bool pins_path(const struct pins *pins, unsigned i, char path[PIN_PATH_SIZE])
{
	if (!pins->dir[0] || i > pins->count + 1)
		return false;
	if (i < pins->count)
		snprintf(path, PIN_PATH_SIZE, "%s/%s", pins->dir, pins->pins[i].name);
	else /* the parent goes only when no other instance is there */
		snprintf(path, PIN_PATH_SIZE, "%s", i == pins->count ? pins->dir : PIN_ROOT);
	return true;
}

static void remove_first(const struct pins *pins, unsigned count)
{
	char path[PIN_PATH_SIZE];

	for (unsigned i = 0; i < count && pins_path(pins, i, path); i++)
		if (unlink(path) < 0)
			rmdir(path);
}

void pins_remove(struct pins *pins)
{
	remove_first(pins, pins->count + 2);
	if (pins->lock >= 0)
		close(pins->lock);
	pins->lock = -1;
	pins->dir[0] = '\0';
}

int pins_make(struct pins *pins, const char *dir, const struct pin *maps, unsigned count)
{
	if (make_dirs(dir) < 0)
		return -1;
	pins->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0)
		return -1;
	if (lock_dir(pins->lock) < 0) {
		KEEP_ERRNO;
		close(pins->lock);
		pins->lock = -1;
		return -1;
	}
	snprintf(pins->dir, sizeof(pins->dir), "%s", dir);
	pins->pins = maps;
	pins->count = count;
	remove_first(pins, count);
	for (unsigned i = 0; i < count; i++) {
		char path[PIN_PATH_SIZE];

		pins_path(pins, i, path);
		if (!bpf_obj_pin(maps[i].map, path))
			continue;
		KEEP_ERRNO;
		pins_remove(pins);
		return -1;
	}
	return 0;
}
