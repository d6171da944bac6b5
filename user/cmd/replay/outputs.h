/* SPDX-License-Identifier: MIT */
/*
 * Where the messages of a replay go: printed at once, recorded in a nameless file until the
 * replay has come to its end, and only then appended to the history.
 */
#ifndef UDPXDP_REPLAY_OUTPUTS_H
#define UDPXDP_REPLAY_OUTPUTS_H

#include "io/pcap.h"
#include "udpxdp/service_config.h"

struct replay_outputs;

/* services outlives it. Returns NULL with errno ENOMEM. */
struct replay_outputs *replay_outputs_new(const struct service_config *services, unsigned count);
void replay_outputs_free(struct replay_outputs *outputs);

/* For struct engine_sinks. */
bool replay_print(void *context, unsigned instance, const struct udpxdp_message *message);
bool replay_record(void *context, unsigned instance, const struct udpxdp_message *message);

/* What other hosts of a room are told goes to this file at the end; before the replay begins.
 * Returns 0, or -1 with errno. */
int replay_outputs_tell(struct replay_outputs *outputs, const char *path);

/* For struct engine_sinks. */
bool replay_tell(void *context, unsigned instance, const struct udpxdp_room_event *event);

/* Has everything been taken so far? Returns 0, or -1 with one line in error. */
int replay_outputs_check(struct replay_outputs *outputs, char *error, size_t size);

/* Writes what the other hosts were told, and appends to each history file that somebody named all
 * that its service recorded, or nothing. Returns as above. */
int replay_outputs_keep(struct replay_outputs *outputs, char *error, size_t size);

/* Says how many records of a capture were skipped, and why, unless none was. */
void replay_say_skipped(const char *in, const struct pcap_io_skipped *skipped);

#endif
