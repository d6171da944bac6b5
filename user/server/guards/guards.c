/* SPDX-License-Identifier: MIT */
#include "server/guards/guards.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "base/log.h"
#include "privsep/monitor.h"

#define FILE_MAX (64 << 20) /* bytes: more than there can be rules */

/* All of the file, to be freed. Returns NULL with errno. */
static char *read_file(const char *path, size_t *len)
{
	const int fd = monitor_open(path, O_RDONLY | O_NONBLOCK);
	struct stat status;
	char *text = NULL;
	ssize_t n = 1;

	if (fd < 0)
		return NULL;
	errno = EINVAL;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode)) {
		errno = EFBIG;
		text = status.st_size <= FILE_MAX ? malloc((size_t)status.st_size + 1) : NULL;
	}
	for (*len = 0; text && n > 0 && *len < (size_t)status.st_size; *len += (size_t)n) {
		n = read(fd, text + *len, (size_t)status.st_size - *len);
		if (n < 0) {
			free(text);
			text = NULL;
			break;
		}
	}
	close(fd);
	return text;
}

/* NULL with one line in error. */
static struct rule_set *read_rules(const struct server_config *c, char *error, size_t size)
{
	struct rule_set *set;
	char wrong[128];
	char *text = NULL;
	size_t len = 0;

	if (c->rules_file && !(text = read_file(c->rules_file, &len))) {
		snprintf(error, size, "%s: %s", c->rules_file,
			errno == EINVAL ? "not a regular file" : strerror(errno));
		return NULL;
	}
	set = rule_set_new(c->rules, c->rule_count, text, len, wrong, sizeof(wrong));
	free(text);
	if (!set)
		snprintf(error, size, "%s%s%s", c->rules_file ? c->rules_file : "rules",
			wrong[0] >= '0' && wrong[0] <= '9' ? ":" : ": ", wrong);
	return set;
}

static bool has_rules(const struct server_config *c)
{
	return c->rules_file || c->rule_count;
}

/* The file becomes one that the monitor opens. */
static int read_first(const struct server_config *c, struct rule_set **set)
{
	char error[PATH_MAX + 256];

	if (c->rules_file && monitor_register(c->rules_file)) {
		log_line("option --rules: %s: %s; %s", c->rules_file,
			errno == EEXIST ? "an output is the same file" : strerror(errno),
			errno == EPERM ? SERVER_UNTRUSTED_ADVICE : "use another file");
		return EXIT_USAGE;
	}
	*set = read_rules(c, error, sizeof(error));
	if (*set)
		return EXIT_CLEAN;
	log_line("option --rules: %s; mend the file or use another", error);
	return EXIT_USAGE;
}

int guards_check(const struct server_config *c, char *text, size_t size)
{
	struct rule_set *set = NULL;
	int status = has_rules(c) ? read_first(c, &set) : EXIT_CLEAN;

	text[0] = '\0';
	if (!set)
		return status;
	if (c->rules_file)
		snprintf(text, size, "%zu of %s, ", rule_set_count(set) - c->rule_count,
			c->rules_file);
	snprintf(text + strlen(text), size - strlen(text),
		"%u of --allow and --deny; others are %s", c->rule_count,
		rule_set_denies_others(set) ? "dropped" : "served");
	rule_set_free(set);
	return EXIT_CLEAN;
}

/* The set is taken. Returns 0, or -1 with errno and the rules before still in force. */
static int put_in_force(struct server *s, struct rule_set *set)
{
	for (unsigned i = 0; i <= s->more_count; i++) {
		struct filter *filter = server_interface(s, i)->filter;

		if (filter && filter_set_rules(filter, set)) {
			KEEP_ERRNO;

			rule_set_free(set);
			return -1;
		}
	}
	if (s->guard)
		guard_set_rules(s->guard, set);
	else
		rule_set_free(set);
	return 0;
}

int guards_start(struct server *s)
{
	const struct server_config *c = s->config;
	const struct filter_config config = {
		.limit_interval = c->limit.interval,
		.limit_burst = c->limit.burst,
		.total_interval = c->total.interval,
		.total_burst = c->total.burst,
	};
	struct rule_set *set = NULL;
	int status = has_rules(c) ? read_first(c, &set) : EXIT_CLEAN;

	if (status)
		return status;
	if ((!s->filter || c->beside) && (set || config.limit_interval || config.total_interval) &&
		!(s->guard = guard_new(&config))) {
		rule_set_free(set);
		return server_start_failed("making the guard rails");
	}
	return set && put_in_force(s, set) ? server_start_failed("filling the filter's rules")
					   : EXIT_CLEAN;
}

void guards_reload(struct server *s)
{
	const struct server_config *c = s->config;
	char error[PATH_MAX + 256];
	struct rule_set *set;
	size_t count;

	if (!c->rules_file)
		return;
	set = read_rules(c, error, sizeof(error));
	if (!set) {
		log_line("reading the rules failed: %s; those before stay in force", error);
		return;
	}
	count = rule_set_count(set);
	if (put_in_force(s, set))
		log_line("replacing the rules failed: %s; those before stay in force",
			strerror(errno));
	else
		log_line("%s: %zu rules in force, with those of the command line", c->rules_file,
			count);
}
