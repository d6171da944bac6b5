/* SPDX-License-Identifier: MIT */
#include "output/bridge/message.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "udpxdp/service.h"

#define VERSION 1
#define HEX_SIZE 17 /* of 64 bits, with a NUL */

/* ---- pieces ------------------------------------------------------------------------------ */

static json_t *load(const char *data, size_t len, uint64_t *version)
{
	json_t *root =
		len <= ROOM_MESSAGE_MAX
			? json_loadb(data, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL)
			: NULL;
	json_int_t v = json_integer_value(json_object_get(root, "v"));

	*version = v > VERSION ? (uint64_t)v : 0;
	if (v == VERSION)
		return root;
	json_decref(root);
	return NULL;
}

static char *dump(json_t *root)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	return text;
}

static bool get_number(const json_t *object, const char *key, uint64_t max, uint64_t *value)
{
	const json_t *number = json_object_get(object, key);
	json_int_t v = json_integer_value(number);

	if (!json_is_integer(number) || v < 0 || (uint64_t)v > max)
		return false;
	*value = (uint64_t)v;
	return true;
}

static bool get_boot(const json_t *object, uint64_t *boot)
{
	const char *text = json_string_value(json_object_get(object, "boot"));
	uint8_t bytes[8];
	size_t len;

	if (!text || !parse_hex(text, bytes, sizeof(bytes), &len) || len != sizeof(bytes))
		return false;
	memcpy(boot, bytes, sizeof(bytes));
	return true;
}

static json_t *boot_text(uint64_t boot)
{
	char text[HEX_SIZE];
	uint8_t bytes[8];

	memcpy(bytes, &boot, sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

/* A word of 1 to max bytes; returns its length, or 0. */
static uint32_t get_word(const json_t *object, const char *key, char *to, size_t max)
{
	const json_t *text = json_object_get(object, key);
	size_t len = json_string_length(text);

	if (!len || len > max ||
		!udpxdp_text_is_word((const uint8_t *)json_string_value(text), len))
		return 0;
	memcpy(to, json_string_value(text), len);
	return (uint32_t)len;
}

bool room_is_host(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!udpxdp_room_is_host_byte((uint8_t)name[i]))
			return false;
	return len && len <= UDPXDP_ROOM_HOST_MAX;
}

/* ---- lines ------------------------------------------------------------------------------- */

bool room_lines_add(struct room_lines *lines, const struct udpxdp_room_event *say)
{
	char addr[UDPXDP_ADDR_TEXT_MAX];
	json_t *line;

	if (!lines->says && !(lines->says = json_array()))
		return false;
	udpxdp_addr_format(addr, &say->addr);
	line = json_pack("{s:o*, s:s, s:i, s:I, s:o*}", "name",
		json_stringn(say->name, say->name_len), "addr", addr, "port", (int)say->port,
		"time", (json_int_t)say->time_ns, "text",
		json_stringn((const char *)say->text, say->len));
	if (!json_object_get(line, "text") || json_array_append_new(lines->says, line)) {
		json_decref(line);
		return false;
	}
	lines->count++;
	lines->bytes += say->len + 128;
	return true;
}

char *room_lines_text(const struct room_lines *lines)
{
	return dump(json_pack("{s:i, s:o, s:I, s:O}", "v", VERSION, "boot", boot_text(lines->boot),
		"n", (json_int_t)lines->number, "says", lines->says));
}

void room_lines_clear(struct room_lines *lines)
{
	json_decref(lines->says);
	lines->says = NULL;
	lines->count = 0;
	lines->bytes = 0;
}

bool room_lines_read(struct room_lines *lines, const char *data, size_t len, uint64_t *version)
{
	json_t *root = load(data, len, version);
	json_t *says = json_object_get(root, "says");

	*lines = (struct room_lines){};
	if (get_boot(root, &lines->boot) && get_number(root, "n", INT64_MAX, &lines->number) &&
		json_is_array(says) && json_array_size(says) <= ROOM_MESSAGE_LINES) {
		lines->says = json_incref(says);
		lines->count = (unsigned)json_array_size(says);
	}
	json_decref(root);
	return lines->says;
}

bool room_line_read(const json_t *line, struct udpxdp_room_event *event)
{
	const json_t *text = json_object_get(line, "text");
	const char *addr = json_string_value(json_object_get(line, "addr"));
	uint64_t port;

	*event = (struct udpxdp_room_event){.kind = UDPXDP_ROOM_SAY};
	event->name_len = get_word(line, "name", event->name, sizeof(event->name) - 1);
	if (!event->name_len || !addr || !parse_addr(addr, &event->addr) ||
		!get_number(line, "port", UINT16_MAX, &port) ||
		!get_number(line, "time", INT64_MAX, &event->time_ns))
		return false;
	event->port = (uint16_t)port;
	event->text = (const uint8_t *)json_string_value(text);
	event->len = (uint32_t)json_string_length(text);
	return event->len && event->len <= UDPXDP_ROOM_TEXT_MAX &&
	       udpxdp_text_is_utf8(event->text, event->len);
}

bool room_lines_get(const struct room_lines *lines, unsigned i, struct udpxdp_room_event *event)
{
	return room_line_read(json_array_get(lines->says, i), event);
}

/* ---- presence ---------------------------------------------------------------------------- */

char *room_presence_text(const struct room_presence *p)
{
	return dump(json_pack("{s:i, s:o, s:I, s:I, s:o}", "v", VERSION, "boot", boot_text(p->boot),
		"time", (json_int_t)p->time_ns, "count", (json_int_t)p->count, "names",
		json_stringn(p->names, p->names_len)));
}

bool room_are_names(const char *text, size_t len)
{
	if (len > ROOM_NAMES_SIZE)
		return false;
	while (len) {
		const char *space = memchr(text, ' ', len);
		size_t word = space ? (size_t)(space - text) : len;

		if (!udpxdp_text_is_word((const uint8_t *)text, word))
			return false;
		text += word + (space ? 1 : 0);
		len -= word + (space ? 1 : 0);
	}
	return true;
}

bool room_presence_read(struct room_presence *p, const char *data, size_t len)
{
	uint64_t version, count;
	json_t *root = load(data, len, &version), *names = json_object_get(root, "names");
	bool good = get_boot(root, &p->boot) && get_number(root, "time", INT64_MAX, &p->time_ns) &&
		    get_number(root, "count", 1 << 20, &count) && json_is_string(names) &&
		    room_are_names(json_string_value(names), json_string_length(names));

	if (good) {
		p->count = (uint32_t)count;
		p->names_len = (uint32_t)json_string_length(names);
		memcpy(p->names, json_string_value(names), p->names_len);
	}
	json_decref(root);
	return good;
}

/* ---- claims ------------------------------------------------------------------------------ */

char *room_claim_text(const struct room_claim *claim)
{
	return dump(json_pack("{s:i, s:o, s:I}", "v", VERSION, "host",
		json_stringn(claim->host, claim->host_len), "time", (json_int_t)claim->time_ns));
}

bool room_claim_read(struct room_claim *claim, const char *data, size_t len)
{
	uint64_t version;
	json_t *root = load(data, len, &version);
	bool good = get_number(root, "time", INT64_MAX, &claim->time_ns);

	claim->host_len = get_word(root, "host", claim->host, sizeof(claim->host));
	json_decref(root);
	return good && room_is_host(claim->host, claim->host_len);
}

bool room_claim_is_older(const struct room_claim *claim, const struct room_claim *than)
{
	const uint32_t len = claim->host_len < than->host_len ? claim->host_len : than->host_len;
	int order = memcmp(claim->host, than->host, len);

	if (claim->time_ns != than->time_ns)
		return claim->time_ns < than->time_ns;
	return order ? order < 0 : claim->host_len < than->host_len;
}
