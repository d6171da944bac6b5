/* SPDX-License-Identifier: MIT */
#include "cmd/replay/room.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output/bridge/message.h"
#include "udpxdp/service.h"

static const char *const kinds[] = {
	[UDPXDP_ROOM_SAY] = "say",
	[UDPXDP_ROOM_JOIN] = "join",
	[UDPXDP_ROOM_LEAVE] = "leave",
	[UDPXDP_ROOM_NICK] = "nick",
	[UDPXDP_ROOM_RESET] = "reset",
	[UDPXDP_ROOM_HOST] = "host",
	[UDPXDP_ROOM_AWAY] = "away",
	[UDPXDP_ROOM_CLASH] = "clash",
	[UDPXDP_ROOM_GAP] = "gap",
};

struct entry {
	uint64_t time_ns;
	unsigned instance;
	struct udpxdp_room_event event;
	json_t *json; /* what the text is lent by */
};

struct replay_room {
	const struct service_config *services;
	unsigned service_count;
	struct entry *entries;
	size_t count, next;
};

/* ---- reading ----------------------------------------------------------------------------- */

/* Always false, for the caller to return. */
__attribute__((format(printf, 3, 4))) static bool refuse(
	char *error, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return false;
}

static bool get_number(const json_t *json, const char *key, uint64_t max, uint64_t *value)
{
	const json_t *number = json_object_get(json, key);
	const json_int_t v = json_integer_value(number);

	*value = (uint64_t)v;
	return json_is_integer(number) && v >= 0 && (uint64_t)v <= max;
}

static bool get_kind(const json_t *json, enum udpxdp_room_kind *kind)
{
	const char *word = json_string_value(json_object_get(json, "kind"));

	for (unsigned i = 0; word && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, kinds[i])) {
			*kind = i;
			return i == UDPXDP_ROOM_SAY || i >= UDPXDP_ROOM_HOST;
		}
	return false;
}

static bool get_host(const json_t *json, struct udpxdp_room_event *event)
{
	const json_t *host = json_object_get(json, "host");

	if (!json_is_string(host) ||
		!room_is_host(json_string_value(host), json_string_length(host)))
		return false;
	event->host_len = (uint32_t)json_string_length(host);
	memcpy(event->host, json_string_value(host), event->host_len);
	return true;
}

static bool get_name(const json_t *json, struct udpxdp_room_event *event)
{
	const json_t *name = json_object_get(json, "name");
	const size_t len = json_string_length(name);

	if (!len || len >= sizeof(event->name) ||
		!udpxdp_text_is_word((const uint8_t *)json_string_value(name), len))
		return false;
	event->name_len = (uint32_t)len;
	memcpy(event->name, json_string_value(name), len);
	return true;
}

static bool get_text(const json_t *json, const char *key, struct udpxdp_room_event *event)
{
	const json_t *text = json_object_get(json, key);

	event->text = (const uint8_t *)json_string_value(text);
	event->len = (uint32_t)json_string_length(text);
	return json_is_string(text) && event->len <= UDPXDP_ROOM_TEXT_MAX;
}

static bool read_say(json_t *json, uint64_t at, struct udpxdp_room_event *event)
{
	const bool missed = json_is_true(json_object_get(json, "missed"));

	if (!json_object_get(json, "time"))
		json_object_set_new(json, "time", json_integer((json_int_t)at));
	if (!room_line_read(json, event))
		return false;
	event->record = true;
	event->show = !missed;
	return true;
}

static bool read_event(json_t *json, uint64_t at, struct udpxdp_room_event *event)
{
	const enum udpxdp_room_kind kind = event->kind;
	uint64_t count = 0;

	event->time_ns = at;
	event->text = (const uint8_t *)"";
	switch (kind) {
	case UDPXDP_ROOM_SAY:
		return read_say(json, at, event) && get_host(json, event);
	case UDPXDP_ROOM_HOST:
		if (!get_host(json, event) || !get_number(json, "count", 1 << 20, &count) ||
			!get_text(json, "names", event) ||
			!room_are_names((const char *)event->text, event->len))
			return false;
		event->count = (uint32_t)count;
		return true;
	case UDPXDP_ROOM_CLASH:
		return get_host(json, event) && get_name(json, event);
	case UDPXDP_ROOM_GAP:
		return get_text(json, "text", event) && event->len;
	default:
		return get_host(json, event);
	}
}

/* Whose room it is. */
static bool find_service(const struct replay_room *room, const json_t *json, unsigned *instance)
{
	const bool any = !json_object_get(json, "service");
	uint64_t port = 0;

	if (!any && !get_number(json, "service", UINT16_MAX, &port))
		return false;
	for (*instance = 0; *instance < room->service_count; (*instance)++)
		if (room->services[*instance].service->room &&
			(any || room->services[*instance].port == port))
			return true;
	return false;
}

/* Takes the line's JSON, whatever it is. */
static bool add_entry(struct replay_room *room, json_t *json, char *error, size_t size)
{
	struct entry *entry = &room->entries[room->count];
	const uint64_t before = room->count ? entry[-1].time_ns : 0;

	*entry = (struct entry){.json = json};
	room->count++;
	if (!json)
		return refuse(error, size, "no JSON object");
	if (!get_number(json, "at", INT64_MAX, &entry->time_ns))
		return refuse(error, size, "at is no number of nanoseconds");
	if (entry->time_ns < before)
		return refuse(error, size, "at goes back");
	if (!find_service(room, json, &entry->instance))
		return refuse(error, size, "no such service that has a room");
	if (!get_kind(json, &entry->event.kind))
		return refuse(error, size, "kind is none of say, host, away, clash and gap");
	if (!read_event(json, entry->time_ns, &entry->event))
		return refuse(error, size,
			"not what another host can say: a member is missing, or "
			"beyond its limits");
	return true;
}

static bool grow(struct replay_room *room)
{
	struct entry *entries;

	if (room->count & (room->count - 1)) /* not a power of two: not full */
		return true;
	entries = reallocarray(room->entries, room->count ? 2 * room->count : 1, sizeof(*entries));
	room->entries = entries ? entries : room->entries;
	return entries;
}

static bool read_lines(
	struct replay_room *room, FILE *file, const char *path, char *error, size_t size)
{
	char *line = NULL, why[128];
	size_t space = 0, number = 0;
	bool good = true;
	ssize_t len;

	while (good && (len = getline(&line, &space, file)) >= 0) {
		number++;
		if (strspn(line, " \t\r\n") == (size_t)len)
			continue;
		good = grow(room);
		if (!good)
			snprintf(why, sizeof(why), "out of memory");
		else
			good = add_entry(room,
				json_loadb(line, (size_t)len, JSON_REJECT_DUPLICATES, NULL), why,
				sizeof(why));
	}
	free(line);
	if (!good)
		snprintf(error, size, "%s:%zu: %s; correct the file", path, number, why);
	else if (ferror(file))
		good = refuse(error, size, "cannot read %s: %s; give another file", path,
			strerror(errno));
	return good;
}

struct replay_room *replay_room_read(const char *path, const struct service_config *services,
	unsigned count, char *error, size_t size)
{
	struct replay_room *room = calloc(1, sizeof(*room));
	FILE *file = NULL;
	bool good = room;

	if (!room) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	room->services = services;
	room->service_count = count;
	if (path && !(file = fopen(path, "re")))
		good = refuse(error, size, "cannot read %s: %s; give another file", path,
			strerror(errno));
	if (file) {
		good = read_lines(room, file, path, error, size);
		fclose(file);
	}
	if (good)
		return room;
	replay_room_free(room);
	return NULL;
}

void replay_room_free(struct replay_room *room)
{
	for (size_t i = 0; room && i < room->count; i++)
		json_decref(room->entries[i].json);
	if (room)
		free(room->entries);
	free(room);
}

/* ---- playing ----------------------------------------------------------------------------- */

bool replay_room_peek(const struct replay_room *room, uint64_t *time_ns)
{
	if (room->next == room->count)
		return false;
	*time_ns = room->entries[room->next].time_ns;
	return true;
}

void replay_room_come(struct replay_room *room, struct engine *engine)
{
	const struct entry *entry = &room->entries[room->next++];

	engine_room(engine, entry->instance, &entry->event, entry->time_ns);
	engine_flush(engine);
}

int replay_room_tell(
	FILE *to, const struct service_config *service, const struct udpxdp_room_event *event)
{
	json_t *json = json_pack("{s:I, s:i, s:s}", "at", (json_int_t)event->time_ns, "service",
		(int)service->port, "kind", kinds[event->kind]);
	char addr[UDPXDP_ADDR_TEXT_MAX];
	int status = json ? 0 : -1;

	if (event->name_len)
		status |= json_object_set_new(
			json, "name", json_stringn(event->name, event->name_len));
	if (event->kind == UDPXDP_ROOM_SAY) {
		udpxdp_addr_format(addr, &event->addr);
		status |= json_object_set_new(json, "addr", json_string(addr)) |
			  json_object_set_new(json, "port", json_integer(event->port));
	}
	if (event->len)
		status |= json_object_set_new(
			json, "text", json_stringn((const char *)event->text, event->len));
	errno = ENOMEM;
	if (!status) {
		errno = 0;
		status = json_dumpf(json, to, JSON_COMPACT) || putc('\n', to) == EOF ? -1 : 0;
	}
	json_decref(json);
	return status;
}
