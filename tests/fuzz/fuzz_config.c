/* SPDX-License-Identifier: MIT */
/* A configuration file of serve: read as --config reads it. */
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cmd/serve/options.h"
#include "cli/verbs.h"
#include "fuzz/accounting_io.h"
#include "services/service_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_error(const char *error, size_t size)
{
	require(memchr(error, '\0', size) && *error, error, size);
	require(!strchr(error, '\n'), error, strlen(error));
}

/* Whatever was set, and however often, is in its bounds. */
static void judge_options(struct serve_options *o)
{
	struct server_config *c = &o->server;
	char error[256];

	require(c->service_count <= MAX_SERVICES && c->rule_count <= MAX_RULES, NULL, 0);
	require(c->first_queue <= c->last_queue && c->last_queue < MAX_QUEUES, NULL, 0);
	require(c->cpu_count <= MAX_QUEUES && c->busy_poll <= 10000, NULL, 0);
	require(c->limit.burst < UINT64_MAX / 2 && c->limit.interval <= 1000000000, NULL, 0);
	for (unsigned i = 0; i < c->cpu_count; i++)
		require(c->cpus[i] >= 0 && c->cpus[i] < 1024, NULL, 0);
	for (unsigned i = 0; i < c->rule_count; i++)
		require(c->rules[i].key.prefix_len <= 128 &&
				(c->rules[i].verdict == RULE_ALLOW ||
					c->rules[i].verdict == RULE_DENY),
			NULL, 0);
	services_name_histories(c->services, c->service_count);
	if (services_check(c->services, c->service_count, error, sizeof(error)))
		judge_error(error, sizeof(error));
}

static int set(void *options, const char *name, const char *value, char *error, size_t size)
{
	require(*name && (!value || *value), name, strlen(name));
	return options_set(&serve_verb, options, name, value, error, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct serve_options options;
	char *text = malloc(size + 1), error[256] = "";
	unsigned line, lines = 1;

	memset(&options, 0, sizeof(options));
	options_set_defaults(&serve_verb, &options);
	if (size)
		memcpy(text, data, size);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	line = config_parse(text, size, set, &options, error, sizeof(error));
	require(line <= lines, data, size);
	if (line)
		judge_error(error, sizeof(error));
	else
		judge_options(&options);
	free(text);
	return 0;
}
