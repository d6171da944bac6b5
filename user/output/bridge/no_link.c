/* SPDX-License-Identifier: MIT */
/* The link where there is no libnats: nobody gets so far, because nats= is refused. */
#ifndef UDPXDP_NATS

#include <stdio.h>

#include "output/bridge/internal.h"

struct link *link_open(const struct service_room *room, const char *name, const char *hostname,
	const struct link_secrets *secrets, unsigned *too_small, struct link_stream *stream,
	char *error, size_t size)
{
	snprintf(error, size, "built without libnats");
	return NULL;
}

enum link_result link_listen(struct link *link, uint64_t from)
{
	return LINK_LOST;
}

enum link_result link_next(struct link *link, unsigned wait_ms, struct link_message *message)
{
	return LINK_LOST;
}

enum link_result link_publish(
	struct link *link, const char *data, const char *id, char *error, size_t size)
{
	return LINK_LOST;
}

enum link_result link_check(struct link *link)
{
	return LINK_LOST;
}

enum link_result link_set_presence(struct link *link, const char *data)
{
	return LINK_LOST;
}

enum link_result link_has_presence(struct link *link, const char *host)
{
	return LINK_LOST;
}

enum link_result link_claim(struct link *link, const char *key, const char *data)
{
	return LINK_LOST;
}

enum link_result link_read_claim(
	struct link *link, const char *key, struct room_claim *claim, uint64_t *revision)
{
	return LINK_LOST;
}

enum link_result link_take_claim(
	struct link *link, const char *key, const char *data, uint64_t revision)
{
	return LINK_LOST;
}

void link_drop_claim(struct link *link, const char *key)
{
}

void link_close(struct link *link)
{
}

#endif
