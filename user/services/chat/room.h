/* SPDX-License-Identifier: MIT */
/*
 * The chat room's other hosts: who is there, what is told to them, what comes from them. Members
 * of this host come first, at once; the others' are shown as NAME@HOST.
 */
#ifndef UDPXDP_CHAT_ROOM_H
#define UDPXDP_CHAT_ROOM_H

#include "services/budget.h"
#include "udpxdp/service.h"

#define ROOM_HOSTS 128     /* known at a time */
#define ROOM_NAMES_MAX 256 /* bytes of a host's names; an answer to /who holds fewer */

/* What somebody there may say to members here. */
struct room_budget {
	struct budget messages, bytes;
};

struct room_host {
	uint32_t name_len, names_len;
	uint32_t count; /* of its members */
	bool away;
	struct room_budget budget;
	char name[UDPXDP_ROOM_HOST_MAX];
	char names[ROOM_NAMES_MAX]; /* a space between them */
};

struct room {
	bool behind;                /* something could not be told: all of it is to be told anew */
	uint32_t told;              /* of the members, since; 0: nothing */
	struct room_budget unknown; /* of hosts that do not say that they are there */
	struct budget news;         /* who is away, or back */
	uint32_t host_count;
	struct room_host hosts[ROOM_HOSTS];
};

struct chat;
struct member;
struct talk;

/* The other hosts are told. */
void room_say(const struct talk *talk);
void room_joined(struct chat *chat, const struct member *member);
void room_left(void *chat, const struct member *member);
void room_renamed(
	struct chat *chat, const struct member *member, const char *old, uint32_t old_len);

/* Once a second: tells them again what a full queue kept from them. */
void room_tick(struct chat *chat);

/* Is it what a member of another host is called here: NAME@HOST? */
bool room_is_name_there(const struct room *room, const uint8_t *name, size_t len);

/* Something came from there. */
void room_hear(struct chat *chat, const struct udpxdp_room_event *event);

#endif
