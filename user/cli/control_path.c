/* SPDX-License-Identifier: MIT */
#include "cli/control_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privsep/root.h"
#include "server/control_protocol.h"

bool control_path_own_dir(char dir[CONTROL_DIR_SIZE])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat status;

	return !root_is_ours() && runtime && runtime[0] == '/' && !stat(runtime, &status) &&
	       S_ISDIR(status.st_mode) &&
	       snprintf(dir, CONTROL_DIR_SIZE, "%s/udpxdp", runtime) < CONTROL_DIR_SIZE;
}

void control_path_default(char path[CONTROL_PATH_SIZE], const char *name)
{
	char own[CONTROL_DIR_SIZE];
	const char *dir = CONTROL_DIR;

	if (access(CONTROL_DIR, W_OK) && control_path_own_dir(own))
		dir = own;
	snprintf(path, CONTROL_PATH_SIZE, "%s/%s" CONTROL_SUFFIX, dir, name);
}
