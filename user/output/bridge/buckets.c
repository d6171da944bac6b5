/* SPDX-License-Identifier: MIT */
/* What is kept at the room's server under keys: who is there, whose a name is. */
#ifdef UDPXDP_NATS

#include <stdio.h>

#include "output/bridge/link.h"

enum link_result link_set_presence(struct link *link, const char *data)
{
	natsStatus status = data ? kvStore_PutString(NULL, link->presence, link->presence_key, data)
				 : kvStore_Delete(link->presence, link->presence_key);

	return status == NATS_OK ? LINK_OK : LINK_LOST;
}

enum link_result link_has_presence(struct link *link, const char *host)
{
	char key[SUBJECT_SIZE];
	kvEntry *entry = NULL;
	natsStatus status;

	snprintf(key, sizeof(key), "%s.%s", link->room, host);
	status = kvStore_Get(&entry, link->presence, key);
	kvEntry_Destroy(entry);
	return result_of(status, 0);
}

static void set_nick_key(const struct link *link, const char *key, char full[SUBJECT_SIZE])
{
	snprintf(full, SUBJECT_SIZE, "%s.%s", link->room, key);
}

enum link_result link_claim(struct link *link, const char *key, const char *data)
{
	char full[SUBJECT_SIZE];
	natsStatus status;

	set_nick_key(link, key, full);
	status = kvStore_CreateString(NULL, link->nicks, full, data);
	if (status == NATS_OK)
		return LINK_OK;
	return status == NATS_TIMEOUT || natsConnection_IsClosed(link->connection) ? LINK_LOST
										   : LINK_NOTHING;
}

enum link_result link_read_claim(
	struct link *link, const char *key, struct room_claim *claim, uint64_t *revision)
{
	char full[SUBJECT_SIZE];
	kvEntry *entry = NULL;
	enum link_result result;

	set_nick_key(link, key, full);
	result = result_of(kvStore_Get(&entry, link->nicks, full), 0);
	if (result == LINK_OK) {
		*revision = kvEntry_Revision(entry);
		if (!room_claim_read(claim, kvEntry_Value(entry), (size_t)kvEntry_ValueLen(entry)))
			result = LINK_REFUSED;
	}
	kvEntry_Destroy(entry);
	return result;
}

enum link_result link_take_claim(
	struct link *link, const char *key, const char *data, uint64_t revision)
{
	char full[SUBJECT_SIZE];
	natsStatus status;

	set_nick_key(link, key, full);
	status = kvStore_UpdateString(NULL, link->nicks, full, data, revision);
	if (status == NATS_OK)
		return LINK_OK;
	return status == NATS_TIMEOUT || natsConnection_IsClosed(link->connection) ? LINK_LOST
										   : LINK_NOTHING;
}

void link_drop_claim(struct link *link, const char *key)
{
	char full[SUBJECT_SIZE];

	set_nick_key(link, key, full);
	kvStore_Delete(link->nicks, full);
}

#endif
