/* SPDX-License-Identifier: MIT */
/*
 * A room that spans several hosts: what a service tells the others (udpxdp_publish()), and what
 * comes from them (the room() of struct udpxdp_service). How it travels is the server's business.
 */
#ifndef UDPXDP_ROOM_H
#define UDPXDP_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "datagram.h"

#define UDPXDP_ROOM_NAME_MAX 56   /* bytes of a speaker's name, as it is in a room */
#define UDPXDP_ROOM_HOST_MAX 63   /* bytes of a host's name */
#define UDPXDP_ROOM_TEXT_MAX 4096 /* bytes of a text */

/* The bytes that name a host: what may stand in a subject and be shown anywhere. */
static inline bool udpxdp_room_is_host_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

enum udpxdp_room_kind {
	/* Out and in. */
	UDPXDP_ROOM_SAY, /* somebody says text */
	/* Out. */
	UDPXDP_ROOM_JOIN,  /* name is here */
	UDPXDP_ROOM_LEAVE, /* name has left */
	UDPXDP_ROOM_NICK,  /* name is called text from now on */
	UDPXDP_ROOM_RESET, /* forget who is here: a JOIN of each follows */
	/* In. */
	UDPXDP_ROOM_HOST,  /* host is there: with count members, some of whose names, a space
			    * between them, are in text */
	UDPXDP_ROOM_AWAY,  /* host is away, and its members with it */
	UDPXDP_ROOM_CLASH, /* name is host's by an older claim: ours has to take another */
	UDPXDP_ROOM_GAP,   /* messages are missing here; text says why */
	UDPXDP_ROOM_PLACE, /* all is known up to place */
};

/* A place in the stream of a room's messages. */
struct udpxdp_room_place {
	uint64_t epoch;    /* when the stream was made, which tells it from others; 0: none */
	uint64_t sequence; /* of a message */
	uint32_t part;     /* how many of its lines are done */
};

#define UDPXDP_ROOM_ALL UINT32_MAX /* as a part: all of them */

struct udpxdp_room_event {
	enum udpxdp_room_kind kind;
	bool record, show;       /* of a SAY: in the history; to members and consoles */
	uint64_t time_ns;        /* of a SAY: when it was said */
	struct udpxdp_addr addr; /* of a SAY: the speaker's, there */
	uint16_t port;
	struct udpxdp_room_place place; /* of what is to be recorded */
	uint32_t count;
	uint32_t name_len, host_len;
	char name[UDPXDP_ROOM_NAME_MAX]; /* neither has a NUL at its end */
	char host[UDPXDP_ROOM_HOST_MAX];
	uint32_t len;
	const uint8_t *text; /* lent for the call; UTF-8 */
};

#endif
