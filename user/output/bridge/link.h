/* SPDX-License-Identifier: MIT */
/* What the two files that know libnats share: link.c has connection and stream, buckets.c the rest.
 */
#ifndef UDPXDP_LINK_H
#define UDPXDP_LINK_H

#include <nats/nats.h>

#include "output/bridge/internal.h"

#define SUBJECT_SIZE 256

struct link {
	natsConnection *connection;
	jsCtx *js;
	kvStore *presence, *nicks;
	natsSubscription *subscriptions[LINK_CLAIM + 1]; /* by kind */
	natsMsg *message;                                /* got last */
	int copies; /* that the server, or its cluster, has of the stream */
	char room[ROOM_SIZE], subject[SUBJECT_SIZE], presence_key[SUBJECT_SIZE];
};

/* code: what JetStream says of it, 0 if it was not asked. */
static inline enum link_result result_of(natsStatus status, jsErrCode code)
{
	if (status == NATS_OK)
		return LINK_OK;
	if (status == NATS_NOT_FOUND)
		return LINK_NOTHING;
	return code ? LINK_REFUSED : LINK_LOST;
}

#endif
