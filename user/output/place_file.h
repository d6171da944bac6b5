/* SPDX-License-Identifier: MIT */
/*
 * Up to which place of a room's stream a history has all lines, in a file beside it. It is written
 * behind the lines, with how long the history was then; a process that is killed in between leaves
 * lines beyond that, which are read at the next start, so that none is written twice.
 */
#ifndef UDPXDP_PLACE_FILE_H
#define UDPXDP_PLACE_FILE_H

#include "base/outfile.h"
#include "udpxdp/room.h"

struct place_file;

/* Opens or makes it, sets *place to what it says (epoch 0: nothing), and reads the history's lines
 * beyond. Returns NULL with errno. */
struct place_file *place_file_open(const char *path, const char *history,
	outfile_open_fn *open_file, struct udpxdp_room_place *place);

/* The history's next line, not yet written, comes from there. */
void place_file_set(struct place_file *file, const struct udpxdp_room_place *place);

/* Is this line of the room, of which the next is asked for each time, in the history already? */
bool place_file_knows(struct place_file *file, const char *line, size_t len);

/* All lines are in the history, which is so long now. */
void place_file_write(struct place_file *file, uint64_t history_size);

void place_file_close(struct place_file *file);

#endif
