/* SPDX-License-Identifier: MIT */
#include "services/service_table.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "privsep/trusted_path.h"

/* ---- built in --------------------------------------------------------------------------- */

#define SERVICE(name, when) extern const struct udpxdp_service name##_service;
#include "services/services.def"
#undef SERVICE

const struct udpxdp_service *const service_table[] = {
#define SERVICE(name, when) &name##_service,
#include "services/services.def"
#undef SERVICE
	NULL,
};

const char *const default_services[] = {
#define BY_DEFAULT(name) #name,
#define WHEN_NAMED(name)
#define SERVICE(name, when) when(name)
#include "services/services.def"
#undef SERVICE
	NULL,
};

const struct udpxdp_service *service_find(const char *name)
{
	for (unsigned i = 0; service_table[i]; i++)
		if (!strcmp(service_table[i]->name, name))
			return service_table[i];
	return NULL;
}

/* ---- shared objects --------------------------------------------------------------------- */

/* ../lib/udpxdp of where the program is: /usr/sbin has /usr/lib/udpxdp. */
static bool in_service_dir(const char *name, char path[PATH_MAX])
{
	char program[PATH_MAX / 2], *slash;
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (len < 0)
		return false;
	program[len] = '\0';
	slash = strrchr(program, '/');
	*slash = '\0';
	snprintf(path, PATH_MAX, "%s/../lib/udpxdp/%s.so", program, name);
	return !access(path, F_OK);
}

/* Who may write the file, or put another in its place, decides what this process does. */
static const char *distrust(const char *path)
{
	struct trusted_path way;
	struct stat file;
	int error;

	if (stat(path, &file))
		return strerror(errno);
	if (!S_ISREG(file.st_mode))
		return "not a shared object: not a regular file";
	if (file.st_mode & (S_IWGRP | S_IWOTH))
		return "writable by others; chmod go-w makes it yours";
	if (!trusted_path_owner(&file))
		return "neither root's nor yours; chown makes it so";
	error = trusted_path_init(&way, path) ? errno : 0;
	trusted_path_close(&way);
	return !error           ? NULL
	       : error == EPERM ? "others may write a directory on the way; keep it elsewhere"
				: strerror(error);
}

/* The linker's words without the path, which it puts in front. */
static const char *linker_error(const char *path)
{
	const char *error = dlerror();
	const size_t len = strlen(path);

	if (!error)
		return "";
	return strncmp(error, path, len) || error[len] != ':' ? error : error + len + 2;
}

static const struct udpxdp_service *load(
	const char *name, const char *path, char *error, size_t size)
{
	const struct udpxdp_service *service;
	char real[PATH_MAX], why[256];
	const char *fault = realpath(path, real) ? distrust(real) : strerror(errno);
	void *object;

	if (fault) {
		snprintf(error, size, "%s: %s", name, fault);
		return NULL;
	}
	object = dlopen(real, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		snprintf(error, size, "%s: not a shared object that can be loaded: %s", name,
			linker_error(real));
		return NULL;
	}
	service = dlsym(object, "udpxdp_service");
	if (!service) {
		snprintf(error, size, "%s: not a service: it has no symbol udpxdp_service", name);
		return NULL;
	}
	if (!service_check(service, why, sizeof(why)))
		return service;
	snprintf(error, size, "%s: %s", name, why);
	return NULL;
}

const struct udpxdp_service *service_load(const char *name, char *error, size_t size)
{
	const struct udpxdp_service *service = service_find(name);
	char path[PATH_MAX];

	if (size)
		*error = '\0';
	if (service)
		return service;
	if (strchr(name, '/'))
		return load(name, name, error, size);
	return *name && in_service_dir(name, path) ? load(name, path, error, size) : NULL;
}
