/* SPDX-License-Identifier: MIT */
/*
 * The other hosts of a room in a replay: what they say is read from a file, what they are told goes
 * to one. Both are JSON, an event a line:
 *
 *   {"at":NS,"kind":"say","host":"hostb","name":"bob","addr":"10.9.9.9","port":4711,"text":"hello"}
 *   {"at":NS,"kind":"host","host":"hostb","count":2,"names":"bob carol"}
 *   {"at":NS,"kind":"away","host":"hostb"}
 *   {"at":NS,"kind":"clash","host":"hostb","name":"ann"}
 *   {"at":NS,"kind":"gap","text":"why"}
 *
 * at is the time, in nanoseconds since the epoch, and never goes back. "service":PORT says whose
 * room it is; without it, that of the first service that has one. Of say, "time":NS is when it was
 * said there, and "missed":true one that comes late. They are told say, join, leave, nick and
 * reset.
 */
#ifndef UDPXDP_REPLAY_ROOM_H
#define UDPXDP_REPLAY_ROOM_H

#include <stdio.h>

#include "engine/engine.h"

struct replay_room;

/* Reads all of it, for these services; path NULL: there is nothing. Returns NULL with one line in
 * error. */
struct replay_room *replay_room_read(const char *path, const struct service_config *services,
	unsigned count, char *error, size_t size);

/* When the next event comes; false: there are no more. */
bool replay_room_peek(const struct replay_room *room, uint64_t *time_ns);

/* Gives it to its service. */
void replay_room_come(struct replay_room *room, struct engine *engine);

void replay_room_free(struct replay_room *room);

/* Writes what a service tells them as a line. Returns 0, or -1 with errno. */
int replay_room_tell(
	FILE *to, const struct service_config *service, const struct udpxdp_room_event *event);

#endif
