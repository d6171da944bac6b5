/* SPDX-License-Identifier: MIT */
/*
 * Files that root writes or removes by a path. Whoever may rename a directory or a link on the way
 * decides where the path leads; so each of them has to belong to root or to the user who started
 * udpxdp (with sudo: SUDO_UID), and no directory may be writable by everybody, except one with the
 * sticky bit, such as /tmp, where only its owner can move a thing. The directory is opened once and
 * kept: where its name leads later does not matter. For a process that is not root, who may go
 * nowhere but where it may itself, only the form of the file is looked at.
 */
#ifndef UDPXDP_TRUSTED_PATH_H
#define UDPXDP_TRUSTED_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct trusted_path {
	char path[PATH_MAX];
	const char *name; /* of the file in its directory: the end of path */
	int dir;          /* -1: it is not there yet */
	dev_t dev;        /* of the file that was taken note of; ino 0: none */
	ino_t ino;
};

/*
 * Opens the directory of a path. Returns 0, or -1 with errno: EPERM: somebody else may decide where
 * the path leads; ENAMETOOLONG; ENOENT: the directory is not there, which trusted_path_open()
 * tries again, but then trusts no one but root.
 */
int trusted_path_init(struct trusted_path *t, const char *path);

/* Takes note of the file that is there now, as trusted_path_init() does: it is the one that may be
 * removed. Returns 0, or -1 with errno when there is none. */
int trusted_path_note(struct trusted_path *t);

/*
 * open(2) of the file, with mode 0640 if it is created; never through a link. Returns a descriptor
 * (close-on-exec), or -1 with errno: ELOOP: it is a symbolic link; EMLINK: it has another name
 * besides; EPERM: it is neither root's nor the user's; EINVAL: neither a regular file nor a FIFO.
 */
int trusted_path_open(struct trusted_path *t, int flags);

/* Does the file belong to root, or to the user who started us? */
bool trusted_path_owner(const struct stat *file);

/* Removes the file, or the directory if it is empty, that was taken note of, and no other. */
void trusted_path_remove(struct trusted_path *t);

/* Is that the same file: the same name in the same directory, or the same inode? */
bool trusted_path_equal(const struct trusted_path *a, const struct trusted_path *b);

/* Is it the open file with this state? */
bool trusted_path_is(const struct trusted_path *t, const struct stat *file);

void trusted_path_close(struct trusted_path *t);

#endif
