/* SPDX-License-Identifier: MIT */
#include "services/service_spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"
#include "base/parse.h"
#include "services/service_table.h"

#define PIECE_SIZE 512 /* more than any name, key or value may have */

const struct udpxdp_option service_history_options[] = {
	{.name = "history",
		.kind = UDPXDP_OPTION_PATH,
		.offset = offsetof(struct service_config, history),
		.max = UDPXDP_PATH_SIZE,
		.help = "the file that keeps every message, or off"},
	{.name = "sync",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct service_config, history_sync),
		.max = 3600,
		.fallback = "1",
		.help = "sync the history to disk every so many seconds; 0: never"},
	{},
};

/* Where the one line goes that says what is wrong. */
struct complaint {
	char *text;
	size_t size;
};

/* Always -1, for the caller to return. */
__attribute__((format(printf, 2, 3))) static int complain(
	const struct complaint *complaint, const char *format, ...)
{
	va_list args;

	if (!complaint->size)
		return -1;
	va_start(args, format);
	vsnprintf(complaint->text, complaint->size, format, args);
	va_end(args);
	for (char *c = complaint->text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return -1;
}

/* ---- one spec -------------------------------------------------------------------------- */

static const struct udpxdp_option *history_options(const struct udpxdp_service *service)
{
	return service->has_history ? service_history_options : NULL;
}

static int unknown_service(const char *name, const struct complaint *complaint)
{
	char known[OPTION_WORDS_MAX] = "";

	for (unsigned i = 0; service_table[i]; i++)
		option_list_add(
			known, service_table[i + 1] ? ", " : " or ", service_table[i]->name);
	return complain(complaint, "unknown service '%s', expected %s", name, known);
}

static int unknown_option(
	const struct udpxdp_service *service, const char *key, const struct complaint *complaint)
{
	char known[OPTION_WORDS_MAX];

	option_names(service->options, history_options(service), known);
	return complain(complaint, "%s: unknown option '%s', expected %s", service->name, key,
		*known ? known : "none");
}

/* KEY=VALUE */
static int read_option(
	struct service_config *config, const char **rest, const struct complaint *complaint)
{
	const struct udpxdp_service *service = config->service;
	const struct udpxdp_option *row;
	void *options = config->options;
	char key[PIECE_SIZE], value[PIECE_SIZE], why[PIECE_SIZE + OPTION_WORDS_MAX];

	parse_piece(rest, "=,", key, sizeof(key));
	row = option_find(service->options, key);
	if (!row) {
		row = option_find(history_options(service), key);
		options = config;
	}
	if (!row)
		return unknown_option(service, key, complaint);
	if (**rest != '=')
		return complain(complaint, "%s: %s: requires a value, as in %s=%s", service->name,
			key, key, row->fallback ? row->fallback : "VALUE");
	(*rest)++;
	if (!parse_piece(rest, ",", value, sizeof(value)))
		return complain(complaint, "%s: %s: value of more than %zu bytes", service->name,
			key, sizeof(value) - 1);
	if (option_set(row, options, value, why, sizeof(why)) < 0)
		return complain(complaint, "%s: %s: %s", service->name, key, why);
	return 0;
}

static int set_fallbacks(struct service_config *config, const struct complaint *complaint)
{
	const struct udpxdp_service *service = config->service;
	char why[OPTION_WORDS_MAX];

	if (option_set_fallbacks(service->options, config->options, why, sizeof(why)) < 0 ||
		option_set_fallbacks(history_options(service), config, why, sizeof(why)) < 0)
		return complain(complaint, "%s: a default of its own: %s", service->name, why);
	return 0;
}

int service_parse(struct service_config *config, const char *spec, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};
	const char *rest = spec;
	char piece[PIECE_SIZE];

	memset(config, 0, sizeof(*config));
	parse_piece(&rest, ":,", piece, sizeof(piece));
	config->service = service_find(piece);
	if (!config->service)
		return unknown_service(piece, &complaint);
	config->port = config->service->port;
	if (*rest == ':') {
		rest++;
		if (!parse_piece(&rest, ",", piece, sizeof(piece)) ||
			!parse_port(piece, &config->port))
			return complain(&complaint, "%s: invalid port '%s', expected 1 to 65535",
				config->service->name, piece);
	}
	if (set_fallbacks(config, &complaint) < 0)
		return -1;
	while (*rest == ',') {
		rest++;
		if (read_option(config, &rest, &complaint) < 0)
			return -1;
	}
	return 0;
}

/* ---- the list -------------------------------------------------------------------------- */

const char *service_history(const struct service_config *config)
{
	return *config->history && strcmp(config->history, "off") ? config->history : NULL;
}

const struct service_config *services_history_owner(
	const struct service_config *configs, unsigned count, const char *path)
{
	for (unsigned i = 0; i < count; i++) {
		const char *other = service_history(&configs[i]);

		if (other && !strcmp(other, path))
			return &configs[i];
	}
	return NULL;
}

void services_name_histories(struct service_config *configs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct service_config *c = &configs[i];

		if (!c->service->has_history || *c->history)
			continue;
		snprintf(c->history, sizeof(c->history), "%s.txt", c->service->name);
		if (services_history_owner(configs, i, c->history))
			snprintf(c->history, sizeof(c->history), "%s-%u.txt", c->service->name,
				c->port);
	}
}

static int check_port(
	const struct service_config *configs, unsigned i, const struct complaint *complaint)
{
	const struct service_config *c = &configs[i];

	for (unsigned j = 0; j < i; j++)
		if (configs[j].port == c->port)
			return complain(complaint,
				"port %u: both %s and %s are on it; give one of them another, as "
				"in %s:%u",
				c->port, configs[j].service->name, c->service->name,
				c->service->name,
				c->port < UINT16_MAX ? c->port + 1 : UINT16_MAX - 1);
	return 0;
}

static int check_history(
	const struct service_config *configs, unsigned i, const struct complaint *complaint)
{
	const char *path = service_history(&configs[i]);
	const struct service_config *owner = path ? services_history_owner(configs, i, path) : NULL;

	if (!owner)
		return 0;
	return complain(complaint,
		"history %s: both %s:%u and %s:%u write it; give one of them another with "
		"history=PATH",
		path, owner->service->name, owner->port, configs[i].service->name, configs[i].port);
}

int services_check(const struct service_config *configs, unsigned count, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};

	for (unsigned i = 0; i < count; i++)
		if (check_port(configs, i, &complaint) < 0 ||
			check_history(configs, i, &complaint) < 0)
			return -1;
	return 0;
}

void services_text(const struct service_config *configs, unsigned count, char *text, size_t size)
{
	size_t used = 0;

	if (size)
		*text = '\0';
	for (unsigned i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s:%u", i ? "," : "",
			configs[i].service->name, configs[i].port);
}
