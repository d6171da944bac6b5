/* SPDX-License-Identifier: MIT */
#include "cli/files.h"

#include "base/log.h"
#include "base/outfile.h"
#include "services/service_spec.h"

static void check_history(const struct named_file *file, const struct service_config *owner)
{
	if (owner)
		log_fail(EXIT_USAGE,
			"option %s: %s is also the history of %s:%u; give one of them another file",
			file->option, file->path, owner->service->name, owner->port);
}

static void check_pair(const struct named_file *a, const struct named_file *b)
{
	if (a->path && b->path && (a->written || b->written) && outfile_is_same(a->path, b->path))
		log_fail(EXIT_USAGE,
			"option %s: %s is also what %s names; give one of them another file",
			a->option, a->path, b->option);
}

void files_check(const struct named_file *files, unsigned file_count,
	const struct service_config *services, unsigned service_count)
{
	for (unsigned i = 0; i < file_count; i++) {
		if (files[i].path)
			check_history(&files[i],
				services_history_owner(services, service_count, files[i].path));
		for (unsigned n = i + 1; n < file_count; n++)
			check_pair(&files[i], &files[n]);
	}
}
