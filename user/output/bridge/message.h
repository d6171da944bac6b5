/* SPDX-License-Identifier: MIT */
/*
 * What the hosts of a room tell each other, as JSON with a version, and not as headers of NATS: one
 * message carries many lines, a newer version may add members that an older one passes over, and
 * jansson checks that all of it is UTF-8. What is read is a stranger's: whatever it is, a function
 * here returns false or something that is within its limits. Pure, but for memory.
 *
 *   lines     {"v":1,"boot":"HEX","n":7,"says":[{"name":"alice","addr":"10.0.0.2","port":4711,
 *             "time":1795399200000000000,"text":"hello"},…]}
 *   presence  {"v":1,"boot":"HEX","time":…,"count":2,"names":"alice bob"}
 *   claim     {"v":1,"host":"hosta","time":…}
 */
#ifndef UDPXDP_ROOM_MESSAGE_H
#define UDPXDP_ROOM_MESSAGE_H

#include "udpxdp/room.h"

#define ROOM_MESSAGE_LINES 256       /* the most in a message */
#define ROOM_NAMES_SIZE 256          /* of a host's names */
#define ROOM_MESSAGE_MAX (512 << 10) /* bytes of a message that is read */

struct json_t; /* jansson's */

/* Lines, as they are put together. */
struct room_lines {
	uint64_t boot;   /* random: which life of the host */
	uint64_t number; /* of the message in that, from 1 */
	unsigned count;
	size_t bytes; /* about */
	struct json_t *says;
};

/* false: out of memory, or it is no SAY that a reader would take. */
bool room_lines_add(struct room_lines *lines, const struct udpxdp_room_event *say);

/* The message, for free(); NULL: out of memory. The lines are kept. */
char *room_lines_text(const struct room_lines *lines);
void room_lines_clear(struct room_lines *lines);

/* Reads a message of lines; false: it is none, or of a version that is not known (*version then
 * says which, else 0). room_lines_clear() it. */
bool room_lines_read(struct room_lines *lines, const char *data, size_t len, uint64_t *version);

/* The i-th line: kind, time, addr, port, name and text, which is lent by the lines. false: it is no
 * line that anybody may be shown. */
bool room_lines_get(const struct room_lines *lines, unsigned i, struct udpxdp_room_event *event);

/* The same of a line that stands by itself. */
bool room_line_read(const struct json_t *line, struct udpxdp_room_event *event);

/* May a host be called so? */
bool room_is_host(const char *name, size_t len);

/* Are these names of members, a space between them, and not too many? */
bool room_are_names(const char *text, size_t len);

struct room_presence {
	uint64_t boot, time_ns;
	uint32_t count;
	uint32_t names_len;
	char names[ROOM_NAMES_SIZE]; /* a space between them */
};

char *room_presence_text(const struct room_presence *presence);
bool room_presence_read(struct room_presence *presence, const char *data, size_t len);

struct room_claim {
	uint64_t time_ns;
	uint32_t host_len;
	char host[UDPXDP_ROOM_HOST_MAX];
};

char *room_claim_text(const struct room_claim *claim);
bool room_claim_read(struct room_claim *claim, const char *data, size_t len);

/* Is this claim the older one? Of two of the same time that of the host first in the alphabet. */
bool room_claim_is_older(const struct room_claim *claim, const struct room_claim *than);

#endif
