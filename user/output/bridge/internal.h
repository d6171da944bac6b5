/* SPDX-License-Identifier: MIT */
/* What the files of the bridge share. All of it is the bridge's thread's, but for the queues and
 * the counters. */
#ifndef UDPXDP_BRIDGE_INTERNAL_H
#define UDPXDP_BRIDGE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "output/record_queue.h"
#include "output/bridge/bridge.h"
#include "output/bridge/message.h"

#define ROOM_TTL_S 10         /* of presence: a host that is silent so long is away */
#define ROOM_PRESENCE_MS 3000 /* between two of them */
#define ROOM_HOSTS_MAX 128
#define ROOM_SIZE 48          /* of what a room is called there, with a NUL */
#define ROOM_NICK_TTL_S 86400 /* of a claim, which is renewed long before */

/* ---- the link: link.c, which alone includes libnats -------------------------------- */

struct link;

enum link_result {
	LINK_OK,
	LINK_NOTHING, /* nothing came in time; there is no such key; the key is taken */
	LINK_REFUSED, /* by the server, which is there */
	LINK_LOST,    /* and is to be closed */
};

enum link_kind { LINK_LINES, LINK_PRESENCE, LINK_CLAIM };

/* Something that came: data is lent until the next call. */
struct link_message {
	enum link_kind kind;
	const char *key; /* what its subject ends with: a host, or a name in hex */
	const char *data;
	size_t len;
	bool deleted;      /* the key was */
	uint64_t sequence; /* of lines */
};

/* What the stream is at this time. */
struct link_stream {
	uint64_t epoch, first, last;
};

struct link_secrets {
	char *jwt, *seed;      /* of a .creds file */
	char *user, *password; /* or these */
	char *token;           /* or this */
};

/* Reads a .creds file, or a line USER:PASSWORD or TOKEN. Returns 0, or -1 with one line in error.
 * Either way link_secrets_free() frees, and wipes, what there is. */
int link_secrets_read(struct link_secrets *secrets, const char *path, char *error, size_t size);
void link_secrets_free(struct link_secrets *secrets);

/* Looks the servers' names up once, which loads what the C library needs for that. */
void link_look_up(const char *servers);

/* What there is to say of a server that is not there, be it at first or suddenly. */
#define LINK_UNREACHABLE "the server cannot be reached; check nats= and that nats-server runs"

/* Connects, finds or makes stream and buckets. name: what the room is called there; too_small:
 * counts how often a cluster was for three copies of all. Returns NULL with one line in error. */
struct link *link_open(const struct service_room *room, const char *name, const char *hostname,
	const struct link_secrets *secrets, unsigned *too_small, struct link_stream *stream,
	char *error, size_t size);

/* From this sequence on. */
enum link_result link_listen(struct link *link, uint64_t from);

/* Waits at most so long for something to come. */
enum link_result link_next(struct link *link, unsigned wait_ms, struct link_message *message);

/* Has the stream store lines; an id that it has already changes nothing. LINK_REFUSED, as while a
 * cluster has no leader: with one line in error. LINK_NOTHING: never, it is too long. */
enum link_result link_publish(
	struct link *link, const char *data, const char *id, char *error, size_t size);

/* Does the server still know what we listen to? It may have lost that with the stream, or with
 * another server of its cluster. */
enum link_result link_check(struct link *link);

/* Presence of this host; data NULL: it goes. */
enum link_result link_set_presence(struct link *link, const char *data);
/* Is this host there? LINK_NOTHING: no. */
enum link_result link_has_presence(struct link *link, const char *host);

/* The claim of a key: made, which is LINK_NOTHING where there is one already; read; overwritten, if
 * it still is what was read; deleted. */
enum link_result link_claim(struct link *link, const char *key, const char *data);
enum link_result link_read_claim(
	struct link *link, const char *key, struct room_claim *claim, uint64_t *revision);
enum link_result link_take_claim(
	struct link *link, const char *key, const char *data, uint64_t revision);
void link_drop_claim(struct link *link, const char *key);

void link_close(struct link *link);

/* ---- this host's members: members.c ------------------------------------------------- */

enum claim_state {
	CLAIM_NONE,   /* an address, or a name that has been lost */
	CLAIM_WANTED, /* to be claimed */
	CLAIM_HELD,
};

struct local_member {
	uint32_t len;
	enum claim_state state;
	uint64_t claimed_ns;
	char name[UDPXDP_ROOM_NAME_MAX];
};

struct local_members {
	void *tree; /* of tsearch(3) */
	uint32_t count, wanted;
};

/* What an event of JOIN, LEAVE, NICK or RESET changes. gone: a name whose claim is to be dropped,
 * if *gone_len is not 0 then. Returns whether anything changed. */
bool local_members_apply(struct local_members *members, const struct udpxdp_room_event *event,
	char gone[UDPXDP_ROOM_NAME_MAX], uint32_t *gone_len);

struct local_member *local_members_find(
	const struct local_members *members, const char *name, uint32_t len);

/* Has all claims made again. */
void local_members_want_all(struct local_members *members);
void local_member_set(
	struct local_members *members, struct local_member *member, enum claim_state state);

/* Some member whose name is to be claimed, or NULL. */
struct local_member *local_members_wanted(const struct local_members *members);
/* Some member who holds a claim, or NULL. */
struct local_member *local_members_held(const struct local_members *members);

/* The first names, as many as fit. Returns their length. */
uint32_t local_members_names(const struct local_members *members, char *names, size_t size);

/* ---- the bridge -------------------------------------------------------------------------- */

struct remote_host {
	char name[UDPXDP_ROOM_HOST_MAX + 1];
	uint64_t boot, number; /* of the last message of lines */
	uint64_t seen_ms;      /* its presence */
	int64_t ahead_ns;      /* its clock, of ours */
	bool there;
};

struct bridge {
	const struct service_config *config;
	char host[UDPXDP_ROOM_HOST_MAX + 1]; /* ours */
	char label[UDPXDP_NAME_SIZE + 48];
	char room[ROOM_SIZE];
	struct link_secrets secrets;
	struct record_queue *out, *in;
	int doorbell;
	pthread_t thread;
	_Atomic bool stopping;
	_Atomic uint64_t counters[UDPXDP_ROOM_COUNTER_COUNT];

	struct link *link; /* NULL: away */
	bool was_linked;
	unsigned too_small;             /* see link_open() */
	uint64_t retry_at;              /* ms */
	char said[256];                 /* of the trouble, to say it once */
	struct udpxdp_room_place place; /* up to which lines were passed on */
	uint64_t live_from;             /* what the stream had when we came */
	uint64_t skipped;               /* own messages since a line was passed on */

	uint64_t boot, number;
	struct room_lines lines; /* being published */
	bool sent;               /* they were, perhaps without an answer */
	unsigned refusals;       /* of them, by the server */
	uint64_t publish_at;     /* ms */

	struct local_members members;
	bool presence_changed;
	uint64_t presence_at, renew_at, check_at; /* ms */
	struct remote_host hosts[ROOM_HOSTS_MAX];
	unsigned host_count;
	bool said_same_name, said_version;

	struct late_line *late; /* backlog of them, a ring */
	unsigned late_first, late_count;
	uint64_t late_since; /* ms: when the last came */
};

static inline void bridge_count(struct bridge *b, unsigned counter, uint64_t more)
{
	atomic_fetch_add_explicit(&b->counters[counter], more, memory_order_relaxed);
}

/* Passes an event to the worker; waits while the queue is full. */
void bridge_pass(struct bridge *b, const struct udpxdp_room_event *event);

/* hear.c: what comes from the link. */
void bridge_hear(struct bridge *b, const struct link_message *message);
void bridge_begin_hearing(struct bridge *b, const struct link_stream *stream);
/* The lines that are kept to be shown: space for them. Returns 0, or -1 with errno. */
int bridge_make_late(struct bridge *b);
void bridge_free_late(struct bridge *b);
/* Every so often: hosts that are away, late lines to be shown. */
void bridge_hear_nothing(struct bridge *b);

/* claims.c: whose the names are. Returns LINK_LOST or LINK_OK. */
enum link_result bridge_claim_names(struct bridge *b);
void bridge_hear_claim(struct bridge *b, const struct link_message *message);
void bridge_claim_key(const char *name, uint32_t len, char key[2 * UDPXDP_ROOM_NAME_MAX + 1]);

#endif
