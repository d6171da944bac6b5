/* SPDX-License-Identifier: MIT */
/*
 * The history file: every message of a chat, one line each, appended by a thread of its own
 * from a bounded queue with one producer. Disk trouble costs lines (counted, reported once and
 * once more when it is over), never a packet: about the last megabyte of lines is kept until the
 * file can be written again, which is tried every second. A line is in the file whole or not at
 * all.
 *
 *   【Mon Nov 23 02:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:hello
 *   【Mon Nov 23 02:00:01 2026】向【('10.0.0.2', 4711)】发送数据:hello yourself
 */
#ifndef UDPXDP_HISTORY_H
#define UDPXDP_HISTORY_H

#include "udpxdp/service.h"

struct history;

/* Opens path for appending (created with mode 0640) and starts the thread. A file that cannot be
 * opened now is reported and tried again. sync_seconds: fdatasync that often when something
 * was written; 0: never. Returns NULL with errno only when out of memory or threads. */
struct history *history_start(const char *path, uint32_t sync_seconds);

/*
 * Of a room that spans hosts: keeps in the file `path` up to which place of the room's stream the
 * history has all lines. It is written behind the lines; those that a process that was killed had
 * written beyond it are known again and not written twice. *place is set to what the file says; its
 * epoch is 0 when it says nothing. Call before the producer starts. Returns 0, or -1 with errno.
 */
int history_keep_place(struct history *history, const char *path, struct udpxdp_room_place *place);

/* The producer: queues a copy. Never waits; false: there was no room. */
bool history_put(struct history *history, const struct udpxdp_message *message);

/* Asks for the file to be closed and opened anew under its path (log rotation). Any thread, and
 * a signal handler. What was queued before lands in the old file or the new one, once. */
void history_reopen(struct history *history);

/* How many messages were lost to the disk (not those that history_put() refused). Any thread. */
uint64_t history_lost(const struct history *history);

/* Writes what is queued, syncs, ends the thread. Call when the producer has stopped. */
void history_stop(struct history *history);

#endif
