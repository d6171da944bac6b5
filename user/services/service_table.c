/* SPDX-License-Identifier: MIT */
#include "services/service_table.h"

#include <stdarg.h>
#include <stdio.h>

#define SERVICE(name) extern const struct udpxdp_service name##_service;
#include "services/services.def"
#undef SERVICE

const struct udpxdp_service *const service_table[] = {
#define SERVICE(name) &name##_service,
#include "services/services.def"
#undef SERVICE
	NULL,
};

const char *const default_services[] = {
#define SERVICE(name) #name,
#include "services/services.def"
#undef SERVICE
	NULL,
};

/* A piece of a spec, which has no NULs between its parts. */
struct piece {
	const char *text;
	size_t len;
};

#define PIECE(p) (int)(p).len, (p).text

/* The words of an UDPXDP_OPTION_BOOL; the pair that its fallback is of is the one that is shown. */
static const char *const switches[][2] = {{"on", "off"}, {"allow", "refuse"}};

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

/* Takes what stands before the first of the characters in ends, or all. */
static struct piece take(const char **cursor, const char *ends)
{
	struct piece piece = {.text = *cursor, .len = strcspn(*cursor, ends)};

	*cursor += piece.len;
	return piece;
}

static bool piece_is(struct piece piece, const char *word)
{
	return strlen(word) == piece.len && !memcmp(piece.text, word, piece.len);
}

static bool read_number(struct piece piece, uint32_t min, uint32_t max, uint32_t *number)
{
	uint64_t value = 0;

	for (size_t i = 0; i < piece.len; i++) {
		if (piece.text[i] < '0' || piece.text[i] > '9' || value > UINT32_MAX)
			return false;
		value = value * 10 + (uint64_t)(piece.text[i] - '0');
	}
	if (!piece.len || value < min || value > max)
		return false;
	*number = (uint32_t)value;
	return true;
}

static int find_class(
	const struct udpxdp_service **service, struct piece name, const struct complaint *complaint)
{
	char known[128] = "";
	size_t used = 0;

	for (unsigned i = 0; service_table[i]; i++) {
		*service = service_table[i];
		if (piece_is(name, (*service)->name))
			return 0;
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
				i ? ", " : "", (*service)->name);
	}
	return complain(
		complaint, "no service is called \"%.*s\": there are %s", PIECE(name), known);
}

static int unknown_option(
	const struct udpxdp_service *service, struct piece key, const struct complaint *complaint)
{
	char known[256] = "";
	size_t used = 0;

	for (const struct udpxdp_option *o = service->options; o && o->key; o++)
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
				used ? ", " : "", o->key);
	return complain(complaint, "%s has no option \"%.*s\": it has %s", service->name,
		PIECE(key), used ? known : "none");
}

static const struct udpxdp_option *find_option(
	const struct udpxdp_service *service, struct piece key)
{
	for (const struct udpxdp_option *o = service->options; o && o->key; o++)
		if (piece_is(key, o->key))
			return o;
	return NULL;
}

static int set_switch(const struct udpxdp_service *service, const struct udpxdp_option *option,
	struct piece value, bool *field, const struct complaint *complaint)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (piece_is(value, switches[i][0]) || piece_is(value, switches[i][1])) {
			*field = piece_is(value, switches[i][0]);
			return 0;
		}
		if (!strcmp(option->fallback, switches[i][0]) ||
			!strcmp(option->fallback, switches[i][1]))
			shown = i;
	}
	return complain(complaint, "%s: %s=%.*s: allowed are %s and %s", service->name, option->key,
		PIECE(value), switches[shown][0], switches[shown][1]);
}

static int set_path(const struct udpxdp_service *service, const struct udpxdp_option *option,
	struct piece value, char *field, const struct complaint *complaint)
{
	if (!value.len || value.len >= option->max)
		return complain(complaint, "%s: %s=%.*s: a path of 1 to %u bytes is needed",
			service->name, option->key, PIECE(value), option->max - 1);
	memcpy(field, value.text, value.len);
	field[value.len] = '\0';
	return 0;
}

static int set_option(struct service_config *config, const struct udpxdp_option *option,
	struct piece value, const struct complaint *complaint)
{
	const struct udpxdp_service *service = config->service;
	void *field = config->options + option->offset;

	switch (option->kind) {
	case UDPXDP_OPTION_BOOL:
		return set_switch(service, option, value, field, complaint);
	case UDPXDP_OPTION_UINT:
		if (read_number(value, option->min, option->max, field))
			return 0;
		return complain(complaint, "%s: %s=%.*s: allowed are the numbers from %u to %u",
			service->name, option->key, PIECE(value), option->min, option->max);
	case UDPXDP_OPTION_PATH:
		return set_path(service, option, value, field, complaint);
	}
	return -1;
}

static bool is_history(const struct udpxdp_service *service, const struct udpxdp_option *option)
{
	return service->has_history && option->kind == UDPXDP_OPTION_PATH &&
	       option->offset == service->history_offset;
}

/* A history file that nobody named stays empty: services_check() may have to choose another. */
static int set_fallbacks(struct service_config *config, const struct complaint *complaint)
{
	const struct udpxdp_service *service = config->service;

	for (const struct udpxdp_option *o = service->options; o && o->key; o++) {
		struct piece value = {.text = o->fallback, .len = strlen(o->fallback)};

		if (!is_history(service, o) && set_option(config, o, value, complaint) < 0)
			return -1;
	}
	return 0;
}

static int read_option(
	struct service_config *config, const char **cursor, const struct complaint *complaint)
{
	struct piece key = take(cursor, "=,"), value;
	const struct udpxdp_option *option = find_option(config->service, key);

	if (!option)
		return unknown_option(config->service, key, complaint);
	if (**cursor != '=')
		return complain(complaint,
			"%s: %s needs a value: write %s=VALUE, for example %s=%s",
			config->service->name, option->key, option->key, option->key,
			option->fallback);
	(*cursor)++;
	value = take(cursor, ",");
	return set_option(config, option, value, complaint);
}

int service_parse(struct service_config *config, const char *spec, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};
	const char *cursor = spec;
	uint32_t port;

	memset(config, 0, sizeof(*config));
	if (find_class(&config->service, take(&cursor, ":,"), &complaint) < 0)
		return -1;
	port = config->service->port;
	if (*cursor == ':') {
		struct piece text;

		cursor++;
		text = take(&cursor, ",");
		if (!read_number(text, 1, UINT16_MAX, &port))
			return complain(&complaint, "%s:%.*s: a port is a number from 1 to 65535",
				config->service->name, PIECE(text));
	}
	config->port = (uint16_t)port;
	if (set_fallbacks(config, &complaint) < 0)
		return -1;
	while (*cursor == ',') {
		cursor++;
		if (read_option(config, &cursor, &complaint) < 0)
			return -1;
	}
	return 0;
}

static const char *history_fallback(const struct udpxdp_service *service)
{
	for (const struct udpxdp_option *o = service->options; o && o->key; o++)
		if (is_history(service, o))
			return o->fallback;
	return "";
}

static char *history_option(const struct service_config *config)
{
	return (char *)config->options + config->service->history_offset;
}

const char *service_history(const struct service_config *config, uint32_t *sync_seconds)
{
	const struct udpxdp_service *service = config->service;
	const char *path;

	if (!service->has_history)
		return NULL;
	path = history_option(config);
	memcpy(sync_seconds, config->options + service->sync_offset, sizeof(*sync_seconds));
	if (!*path)
		path = history_fallback(service);
	return strcmp(path, "off") ? path : NULL;
}

/* The first of the configs before `count` that writes this file, or NULL. */
static const struct service_config *history_owner(
	const struct service_config *configs, unsigned count, const char *path)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t sync;
		const char *other = service_history(&configs[i], &sync);

		if (other && !strcmp(other, path))
			return &configs[i];
	}
	return NULL;
}

/* chat.txt becomes chat-8091.txt. */
static void history_by_port(const struct service_config *config, char path[UDPXDP_PATH_SIZE])
{
	const char *fallback = history_fallback(config->service);
	const char *dot = strrchr(fallback, '.');
	size_t stem = dot ? (size_t)(dot - fallback) : strlen(fallback);

	snprintf(path, UDPXDP_PATH_SIZE, "%.*s-%u%s", (int)stem, fallback, config->port,
		fallback + stem);
}

bool service_history_named(const struct service_config *config)
{
	char unnamed[UDPXDP_PATH_SIZE];

	if (!config->service->has_history || !*history_option(config))
		return false;
	history_by_port(config, unnamed);
	return strcmp(history_option(config), unnamed);
}

int services_check(struct service_config *configs, unsigned count, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};

	for (unsigned i = 0; i < count; i++) {
		const struct service_config *owner;
		const char *path;
		uint32_t sync;

		for (unsigned j = 0; j < i; j++)
			if (configs[j].port == configs[i].port)
				return complain(&complaint,
					"%s and %s both want port %u: a port has one "
					"service; give one of them another, as in %s:%u",
					configs[j].service->name, configs[i].service->name,
					configs[i].port, configs[i].service->name,
					configs[i].port < UINT16_MAX ? configs[i].port + 1
								     : UINT16_MAX - 1);
		path = service_history(&configs[i], &sync);
		if (!path)
			continue;
		if (!*history_option(&configs[i]) && history_owner(configs, i, path)) {
			history_by_port(&configs[i], history_option(&configs[i]));
			path = service_history(&configs[i], &sync);
		}
		owner = history_owner(configs, i, path);
		if (owner)
			return complain(&complaint,
				"%s:%u and %s:%u both write %s: a history has one writer; "
				"give one of them another file with history=PATH",
				owner->service->name, owner->port, configs[i].service->name,
				configs[i].port, path);
	}
	return 0;
}

void services_seed(struct service_config *configs, unsigned count, const struct udpxdp_seed *seed)
{
	for (unsigned i = 0; i < count; i++) {
		struct udpxdp_seed share = *seed;

		if (!configs[i].service->has_seed)
			continue;
		share.key[0] ^= configs[i].port; /* rooms do not know each other's words */
		memcpy(configs[i].options + configs[i].service->seed_offset, &share, sizeof(share));
	}
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
