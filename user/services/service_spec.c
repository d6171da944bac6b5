/* SPDX-License-Identifier: MIT */
#include "services/service_spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"
#include "base/outfile.h"
#include "base/parse.h"
#include "services/service_table.h"

#define PIECE_SIZE 512 /* more than any name, key or value may have */

#ifdef UDPXDP_NATS
#define BUILT_WITH_NATS true
#else
#define BUILT_WITH_NATS false
#endif

/* A word of which subjects and keys are made. */
static int set_room_name(void *to, const char *text, char *error, size_t size)
{
	struct service_room *room = &((struct service_config *)to)->room;
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!udpxdp_room_is_host_byte((uint8_t)text[i]))
			len = 0;
	if (!len || len >= sizeof(room->name)) {
		snprintf(error, size, "'%s' is not 1 to %zu letters, digits, - and _", text,
			sizeof(room->name) - 1);
		return -1;
	}
	memcpy(room->name, text, len + 1);
	return 0;
}

/* HOST[:PORT] at the end of a URL, behind what logs in. */
static bool is_server(const char *url)
{
	const char *host = strstr(url, "://"), *login, *colon, *rest;
	char port[8];
	uint16_t number;

	if (!host || (strncmp(url, "nats://", 7) && strncmp(url, "tls://", 6)) ||
		strpbrk(url, " \t"))
		return false;
	host += 3;
	login = strrchr(host, '@');
	host = login ? login + 1 : host;
	if (*host == '[' && !(host = strchr(host, ']')))
		return false;
	colon = strchr(host, ':');
	if (!colon)
		return *host;
	rest = colon + 1;
	parse_piece(&rest, "/", port, sizeof(port));
	return colon > host && parse_port(port, &number);
}

/* One more server; what is said of it must not tell a password. */
static int add_nats_server(void *to, const char *text, char *error, size_t size)
{
	struct service_room *room = &((struct service_config *)to)->room;
	size_t used = strlen(room->servers);

	if (!BUILT_WITH_NATS) {
		snprintf(error, size,
			"this udpxdp was built without libnats; install libnats-dev "
			"and build it again");
		return -1;
	}
	if (!is_server(text)) {
		snprintf(error, size,
			"not a server's URL, expected one such as nats://HOST:4222 "
			"or tls://HOST:4222");
		return -1;
	}
	if (used + strlen(text) + 2 > sizeof(room->servers)) {
		snprintf(error, size, "the servers' URLs take more than %zu bytes",
			sizeof(room->servers) - 1);
		return -1;
	}
	snprintf(room->servers + used, sizeof(room->servers) - used, "%s%s", used ? "," : "", text);
	return 0;
}

#define HISTORY_OPTIONS                                                               \
	{.name = "history",                                                           \
		.kind = UDPXDP_OPTION_PATH,                                           \
		.offset = offsetof(struct service_config, history),                   \
		.max = UDPXDP_PATH_SIZE,                                              \
		.help = "the file that keeps every message, or off"},                 \
	{                                                                             \
		.name = "sync", .kind = UDPXDP_OPTION_UINT,                           \
		.offset = offsetof(struct service_config, history_sync), .max = 3600, \
		.fallback = "1",                                                      \
		.help = "sync the history to disk every so many seconds; 0: never"    \
	}

#define ROOM_OPTIONS                                                                     \
	{.name = "nats",                                                                 \
		.kind = UDPXDP_OPTION_CALL,                                              \
		.set = add_nats_server,                                                  \
		.help = "join other hosts by this NATS server with JetStream, as in "    \
			"nats://HOST:4222 or tls://HOST:4222; repeatable"},              \
		{.name = "nats-creds",                                                   \
			.kind = UDPXDP_OPTION_PATH,                                      \
			.offset = offsetof(struct service_config, room.creds),           \
			.max = UDPXDP_PATH_SIZE,                                         \
			.help = "the file of the credentials for it: what NATS calls a " \
				".creds file, or a line USER:PASSWORD or TOKEN"},        \
	{                                                                                \
		.name = "room", .kind = UDPXDP_OPTION_CALL, .set = set_room_name,        \
		.fallback = "lobby", .help = "the name that the hosts' room has there"   \
	}

/* What is missed of a chat is of interest later; of announcements it is not. */
#define BACKLOG_OPTION                                                                \
	{                                                                             \
		.name = "backlog", .kind = UDPXDP_OPTION_UINT,                        \
		.offset = offsetof(struct service_config, room.backlog), .max = 100,  \
		.fallback = "20",                                                     \
		.help = "at most so many lines that were missed are shown to members" \
	}

static const struct udpxdp_option history_options[] = {HISTORY_OPTIONS, {}};
static const struct udpxdp_option room_options[] = {ROOM_OPTIONS, {}};
static const struct udpxdp_option both_options[] = {
	HISTORY_OPTIONS, ROOM_OPTIONS, BACKLOG_OPTION, {}};

const struct udpxdp_option *service_server_options(const struct udpxdp_service *service)
{
	if (service->has_history && service->room)
		return both_options;
	if (service->has_history)
		return history_options;
	return service->room ? room_options : NULL;
}

void service_hide_password(char *text)
{
	for (char *host = text; (host = strstr(host, "://"));) {
		char *at = NULL;

		host += 3;
		for (char *c = host; *c && !strchr(", /'\"", *c); c++)
			if (*c == '@')
				at = c;
		for (char *c = host; at && c < at; c++)
			*c = '*';
	}
}

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
	service_hide_password(complaint->text);
	return -1;
}

/* ---- one spec -------------------------------------------------------------------------- */

static int unknown_service(const char *name, const struct complaint *complaint)
{
	char known[OPTION_WORDS_MAX] = "";

	for (unsigned i = 0; service_table[i]; i++)
		option_list_add(
			known, service_table[i + 1] ? ", " : " or ", service_table[i]->name);
	if (strstr(name, ".so"))
		return complain(complaint,
			"unknown service '%s'; the path of a shared object has a slash, as in ./%s",
			name, name);
	return complain(complaint, "unknown service '%s', expected %s", name, known);
}

static int unknown_option(
	const struct udpxdp_service *service, const char *key, const struct complaint *complaint)
{
	char known[OPTION_WORDS_MAX];

	option_names(service->options, service_server_options(service), known);
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
		row = option_find(service_server_options(service), key);
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
		option_set_fallbacks(service_server_options(service), config, why, sizeof(why)) < 0)
		return complain(complaint, "%s: a default of its own: %s", service->name, why);
	return 0;
}

/* PORT or FIRST-LAST, behind the colon. */
static int read_ports(struct service_config *config, const char **rest, unsigned *last,
	const struct complaint *complaint)
{
	char piece[PIECE_SIZE];
	unsigned first;

	if (!parse_piece(rest, ",", piece, sizeof(piece)) ||
		!parse_range(piece, UINT16_MAX, &first, last) || !first)
		return complain(complaint,
			"%s: invalid port '%s', expected 1 to 65535, or a range such as 5000-5015",
			config->service->name, piece);
	config->port = (uint16_t)first;
	return 0;
}

/* last: of the ports that it names; the first is in *config. */
static int read_spec(struct service_config *config, const char *spec, unsigned *last,
	const struct complaint *complaint)
{
	const char *rest = spec;
	char piece[PIECE_SIZE], why[PIECE_SIZE];

	memset(config, 0, sizeof(*config));
	parse_piece(&rest, ":,", piece, sizeof(piece));
	config->service = service_load(piece, why, sizeof(why));
	if (!config->service)
		return *why ? complain(complaint, "%s", why) : unknown_service(piece, complaint);
	*last = config->port = config->service->port;
	if (*rest == ':') {
		rest++;
		if (read_ports(config, &rest, last, complaint) < 0)
			return -1;
	}
	if (set_fallbacks(config, complaint) < 0)
		return -1;
	while (*rest == ',') {
		rest++;
		if (read_option(config, &rest, complaint) < 0)
			return -1;
	}
	return 0;
}

int service_parse(struct service_config *config, const char *spec, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};
	unsigned last;

	if (read_spec(config, spec, &last, &complaint) < 0)
		return -1;
	if (last != config->port)
		return complain(&complaint, "%s: ports %u-%u: expected one port",
			config->service->name, config->port, last);
	return 0;
}

int services_add(
	struct service_config *configs, unsigned *count, const char *spec, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};
	struct service_config config;
	unsigned last, ports;

	if (read_spec(&config, spec, &last, &complaint) < 0)
		return -1;
	ports = last - config.port + 1;
	if (ports > MAX_SERVICES - *count)
		return complain(&complaint,
			"more than %d services: each port counts as one; name fewer ports",
			MAX_SERVICES);
	while (ports--) {
		configs[(*count)++] = config;
		config.port++;
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

		if (other && outfile_is_same(other, path))
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

/* Two in one room would not hear each other: what a host has said does not come back to it. */
static int check_room(
	const struct service_config *configs, unsigned i, const struct complaint *complaint)
{
	const struct service_config *c = &configs[i];

	if (*c->room.creds && !*c->room.servers)
		return complain(complaint,
			"option --service: %s:%u: nats-creds= without nats=; give both or neither",
			c->service->name, c->port);
	for (unsigned j = 0; j < i && *c->room.servers; j++)
		if (*configs[j].room.servers && configs[j].service == c->service &&
			!strcmp(configs[j].room.name, c->room.name))
			return complain(complaint,
				"room %s: both %s:%u and %s:%u are in it; give one of them another "
				"with room=NAME",
				c->room.name, configs[j].service->name, configs[j].port,
				c->service->name, c->port);
	return 0;
}

int services_check(const struct service_config *configs, unsigned count, char *error, size_t size)
{
	const struct complaint complaint = {.text = error, .size = size};

	for (unsigned i = 0; i < count; i++)
		if (check_port(configs, i, &complaint) < 0 ||
			check_history(configs, i, &complaint) < 0 ||
			check_room(configs, i, &complaint) < 0)
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
