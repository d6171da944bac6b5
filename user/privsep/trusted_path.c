/* SPDX-License-Identifier: MIT */
#include "privsep/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "base/parse.h"
#include "privsep/root.h"

#define FILE_MODE 0640
#define LINKS_MAX 16 /* followed on the way */
#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* ---- whom to trust -------------------------------------------------------------------- */

/* Who started us, behind sudo, too. */
static uid_t invoking_user(void)
{
	const char *text = getuid() ? NULL : getenv("SUDO_UID");
	uint64_t uid;

	return text && parse_uint(text, 0, UINT32_MAX - 1, &uid) ? (uid_t)uid : getuid();
}

static bool is_trusted(uid_t owner, bool root_only)
{
	return !root_is_ours() || !owner || (!root_only && owner == invoking_user());
}

bool trusted_path_owner(const struct stat *file)
{
	return is_trusted(file->st_uid, false);
}

/* In a sticky directory a thing can be moved by its owner alone, and whose that is we look at. */
static bool is_trusted_dir(const struct stat *dir, bool root_only)
{
	return is_trusted(dir->st_uid, root_only) &&
	       (!root_is_ours() || !(dir->st_mode & S_IWOTH) || dir->st_mode & S_ISVTX);
}

/* ---- the way -------------------------------------------------------------------------- */

struct walk {
	char rest[PATH_MAX]; /* of the way, from dir on */
	int dir;
	unsigned links;
	bool root_only;
};

static int step_into(struct walk *w, int next)
{
	struct stat status;

	if (next < 0)
		return -1;
	if (w->dir >= 0)
		close(w->dir);
	w->dir = next;
	if (fstat(next, &status))
		return -1;
	if (is_trusted_dir(&status, w->root_only))
		return 0;
	errno = EPERM;
	return -1;
}

static int start_at(struct walk *w, const char *path)
{
	return step_into(w, open(path[0] == '/' ? "/" : ".", DIR_FLAGS));
}

/* What the link says takes the place of its name. */
static int follow(struct walk *w, int link, const struct stat *status, const char *behind)
{
	char target[PATH_MAX];
	ssize_t len;

	errno = !is_trusted(status->st_uid, w->root_only) ? EPERM : ELOOP;
	if (errno == EPERM || ++w->links > LINKS_MAX)
		return -1;
	len = readlinkat(link, "", target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	if ((size_t)len + strlen(behind) + 2 > sizeof(target)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	target[len] = '/';
	strcpy(target + len + 1, behind);
	strcpy(w->rest, target);
	return target[0] == '/' ? start_at(w, target) : 0;
}

/* Takes the first name of the rest of the way. */
static int step(struct walk *w)
{
	char *name = w->rest + strspn(w->rest, "/");
	char *end = name + strcspn(name, "/");
	char *behind = *end ? end + 1 : end;
	char after[PATH_MAX];
	struct stat status;
	int next, result;

	*end = '\0';
	if (!*name) {
		w->rest[0] = '\0';
		return 0;
	}
	next = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0)
		return -1;
	if (fstat(next, &status)) {
		close(next);
		return -1;
	}
	strcpy(after, behind);
	if (S_ISLNK(status.st_mode)) {
		result = follow(w, next, &status, after);
		close(next);
		return result;
	}
	strcpy(w->rest, after);
	if (S_ISDIR(status.st_mode))
		return step_into(w, next);
	close(next);
	errno = ENOTDIR;
	return -1;
}

/* Opens the directory that holds the file. Returns -1 with errno. */
static int walk_to(const struct trusted_path *t, bool root_only)
{
	struct walk w = {.dir = -1, .root_only = root_only};
	int error;

	memcpy(w.rest, t->path, (size_t)(t->name - t->path));
	error = start_at(&w, t->path);
	while (!error && w.rest[0])
		error = step(&w);
	if (!error)
		return w.dir;
	KEEP_ERRNO;
	if (w.dir >= 0)
		close(w.dir);
	return -1;
}

/* ---- the file ------------------------------------------------------------------------- */

int trusted_path_note(struct trusted_path *t)
{
	struct stat file;

	if (fstatat(t->dir, t->name, &file, AT_SYMLINK_NOFOLLOW))
		return -1;
	t->dev = file.st_dev;
	t->ino = file.st_ino;
	return 0;
}

int trusted_path_init(struct trusted_path *t, const char *path)
{
	const char *slash = strrchr(path, '/');

	t->dir = -1;
	t->ino = 0;
	if (strlen(path) >= sizeof(t->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(t->path, path);
	t->name = t->path + (slash ? slash + 1 - path : 0);
	t->dir = walk_to(t, false);
	if (t->dir < 0)
		return -1;
	trusted_path_note(t);
	return 0;
}

/* A directory that is gone, or was never there, may be there again: but then where its name leads
 * is no longer what the user meant when he started us. */
static bool has_dir(struct trusted_path *t)
{
	struct stat dir;

	if (t->dir >= 0 && !fstat(t->dir, &dir) && !dir.st_nlink)
		trusted_path_close(t);
	if (t->dir < 0)
		t->dir = walk_to(t, true);
	return t->dir >= 0;
}

static int why_not(const struct stat *file)
{
	if (!S_ISREG(file->st_mode) && !S_ISFIFO(file->st_mode))
		return EINVAL;
	if (file->st_nlink > 1)
		return EMLINK;
	return is_trusted(file->st_uid, false) ? 0 : EPERM;
}

int trusted_path_open(struct trusted_path *t, int flags)
{
	struct stat file;
	int fd, error;

	if (!has_dir(t))
		return -1;
	fd = openat(t->dir, t->name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, FILE_MODE);
	if (fd < 0)
		return -1;
	error = fstat(fd, &file) ? errno : why_not(&file);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

void trusted_path_remove(struct trusted_path *t)
{
	struct stat now;

	if (t->dir < 0 || !t->ino || fstatat(t->dir, t->name, &now, AT_SYMLINK_NOFOLLOW) ||
		now.st_dev != t->dev || now.st_ino != t->ino)
		return;
	unlinkat(t->dir, t->name, S_ISDIR(now.st_mode) ? AT_REMOVEDIR : 0);
}

bool trusted_path_is(const struct trusted_path *t, const struct stat *file)
{
	return t->ino && t->ino == file->st_ino && t->dev == file->st_dev;
}

bool trusted_path_equal(const struct trusted_path *a, const struct trusted_path *b)
{
	struct stat a_dir, b_dir;

	if (a->ino && a->ino == b->ino && a->dev == b->dev)
		return true;
	if (a->dir < 0 || b->dir < 0)
		return !strcmp(a->path, b->path);
	return !strcmp(a->name, b->name) && !fstat(a->dir, &a_dir) && !fstat(b->dir, &b_dir) &&
	       a_dir.st_dev == b_dir.st_dev && a_dir.st_ino == b_dir.st_ino;
}

void trusted_path_close(struct trusted_path *t)
{
	if (t->dir >= 0)
		close(t->dir);
	t->dir = -1;
}
