/* SPDX-License-Identifier: MIT */
/* The bridge's thread: what it does in turn, and its ends at the worker. */
#include "output/bridge/bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "output/bridge/internal.h"

#define CELLS 65535 /* 16 MiB: as many lines of a few words wait for a server that is away */
#define CELL_SIZE 256
#define LINES_BYTES (64 << 10) /* of a message, about */
#define RETRY_MS 1000          /* between two attempts to connect */
#define WAIT_MS 5              /* for something to come, before the queue is looked at again */
#define AT_ONCE 256            /* of what comes, before the same */
#define CHECK_MS 3000          /* between two questions whether the server knows us */
#define REFUSALS 3             /* of a message, before it is said */
#define GOODBYE_MS 1000

/* ---- the worker's ends ------------------------------------------------------------------- */

bool bridge_put(struct bridge *b, const struct udpxdp_room_event *event)
{
	return record_queue_put(b->out, event, event->text, event->len);
}

static bool take(struct record_queue *queue, struct udpxdp_room_event *event)
{
	const uint8_t *text;
	uint32_t len;

	if (!record_queue_get(queue, event, &text, &len))
		return false;
	event->text = text;
	event->len = len;
	return true;
}

bool bridge_take(struct bridge *b, struct udpxdp_room_event *event)
{
	return take(b->in, event);
}

void bridge_counters(const struct bridge *b, uint64_t values[UDPXDP_ROOM_COUNTER_COUNT])
{
	for (unsigned i = 0; i < UDPXDP_ROOM_COUNTER_COUNT; i++)
		values[i] = atomic_load_explicit(&b->counters[i], memory_order_relaxed);
}

static void ring(const struct bridge *b)
{
	const uint64_t one = 1;

	if (b->doorbell >= 0 && write(b->doorbell, &one, sizeof(one)) < 0)
		return; /* it has been rung often enough */
}

void bridge_pass(struct bridge *b, const struct udpxdp_room_event *event)
{
	const uint8_t *text = event->text ? event->text : (const uint8_t *)"";

	while (!record_queue_put(b->in, event, text, event->len)) {
		if (atomic_load(&b->stopping))
			return; /* nobody takes it; the history does not have its place, either */
		ring(b);
		thread_sleep_ms(1);
	}
}

/* ---- the link ---------------------------------------------------------------------------- */

#define RETRYING "; this host's room goes on, trying again every second"

/* Once, until it is something else. */
static void say(struct bridge *b, const char *text)
{
	if (strcmp(b->said, text)) {
		snprintf(b->said, sizeof(b->said), "%s", text);
		log_line("%s: %s", b->label, text);
	}
}

static void lose_link(struct bridge *b)
{
	link_close(b->link);
	b->link = NULL;
	b->retry_at = clock_ms() + RETRY_MS;
	atomic_store(&b->counters[UDPXDP_ROOM_state], UDPXDP_ROOM_IS_AWAY);
	say(b, LINK_UNREACHABLE RETRYING);
}

static void open_link(struct bridge *b)
{
	static const char cure[] = RETRYING;
	struct link_stream stream;
	char error[sizeof(b->said)];
	size_t len;

	b->link = link_open(&b->config->room, b->room, b->host, &b->secrets, &b->too_small, &stream,
		error, sizeof(error) - sizeof(cure));
	if (!b->link) {
		len = strlen(error);
		memcpy(error + len, cure, sizeof(cure));
		say(b, error);
		b->retry_at = clock_ms() + RETRY_MS;
		return;
	}
	bridge_begin_hearing(b, &stream);
	if (link_listen(b->link, b->place.sequence + (b->place.part == UDPXDP_ROOM_ALL)) !=
		LINK_OK) {
		lose_link(b);
		return;
	}
	say(b, "connected");
	atomic_store(&b->counters[UDPXDP_ROOM_state], UDPXDP_ROOM_CONNECTED);
	bridge_count(b, UDPXDP_ROOM_reconnects, b->was_linked);
	b->was_linked = true;
	local_members_want_all(&b->members);
	b->presence_changed = true;
	b->presence_at = 0;
	b->publish_at = 0;
	b->check_at = clock_ms() + CHECK_MS;
}

/* ---- out --------------------------------------------------------------------------------- */

/* Takes from the queue: lines, until a message is full, and who is here. A message that was sent
 * stays as it is: the server may have it already, by its number. */
static void gather(struct bridge *b)
{
	struct udpxdp_room_event event;

	while (!b->sent && b->lines.count < ROOM_MESSAGE_LINES && b->lines.bytes < LINES_BYTES &&
		take(b->out, &event)) {
		char gone[UDPXDP_ROOM_NAME_MAX], key[2 * UDPXDP_ROOM_NAME_MAX + 1];
		uint32_t gone_len;

		if (event.kind == UDPXDP_ROOM_SAY) {
			if (!room_lines_add(&b->lines, &event))
				bridge_count(b, UDPXDP_ROOM_ignored, 1);
			continue;
		}
		b->presence_changed |= local_members_apply(&b->members, &event, gone, &gone_len);
		if (gone_len) {
			bridge_claim_key(gone, gone_len, key);
			link_drop_claim(b->link, key);
		}
	}
}

/* The lines that are being published have been, or never will be. */
static void end_lines(struct bridge *b, unsigned counter)
{
	bridge_count(b, counter, b->lines.count);
	b->number++;
	b->sent = false;
	room_lines_clear(&b->lines);
}

/* One message is under way at a time: what a speaker says stays in order. What the server refuses,
 * as one does whose disk is full or which looks for a leader, is tried again. */
static enum link_result publish(struct bridge *b)
{
	enum link_result result = LINK_NOTHING;
	char id[UDPXDP_ROOM_HOST_MAX + 48], error[sizeof(b->said)];
	char *text;

	if (!b->lines.count)
		return LINK_OK;
	if (clock_ms() < b->publish_at)
		return LINK_REFUSED;
	b->lines.boot = b->boot;
	b->lines.number = b->number + 1;
	snprintf(id, sizeof(id), "%s-%016jx-%ju", b->host, (uintmax_t)b->boot,
		(uintmax_t)b->lines.number);
	text = room_lines_text(&b->lines);
	b->sent = true;
	if (text)
		result = link_publish(b->link, text, id, error, sizeof(error) - sizeof(RETRYING));
	free(text);
	if (result == LINK_REFUSED) {
		b->publish_at = clock_ms() + RETRY_MS;
		if (++b->refusals == REFUSALS)
			say(b, strcat(error, RETRYING));
	}
	if (result == LINK_REFUSED || result == LINK_LOST)
		return result;
	if (b->refusals >= REFUSALS)
		say(b, "what is said here is stored again");
	b->refusals = 0;
	end_lines(b, result == LINK_OK ? UDPXDP_ROOM_published : UDPXDP_ROOM_ignored);
	return LINK_OK;
}

static enum link_result check(struct bridge *b)
{
	if (clock_ms() < b->check_at)
		return LINK_OK;
	b->check_at = clock_ms() + CHECK_MS;
	return link_check(b->link);
}

static enum link_result show_presence(struct bridge *b)
{
	struct room_presence presence = {.boot = b->boot, .time_ns = clock_realtime_ns()};
	const uint64_t now = clock_ms();
	enum link_result result = LINK_OK;
	char *text;

	if (b->renew_at < now) {
		if (b->renew_at)
			local_members_want_all(&b->members);
		b->renew_at = now + ROOM_NICK_TTL_S * 1000ull / 3;
	}
	/* A change is told soon, but several within a fifth of a second are told at once. */
	if (now < b->presence_at &&
		!(b->presence_changed && now + ROOM_PRESENCE_MS - 200 >= b->presence_at))
		return LINK_OK;
	presence.count = b->members.count;
	presence.names_len =
		local_members_names(&b->members, presence.names, sizeof(presence.names));
	text = room_presence_text(&presence);
	if (text)
		result = link_set_presence(b->link, text);
	free(text);
	b->presence_at = now + ROOM_PRESENCE_MS;
	b->presence_changed = false;
	return result;
}

/* ---- the thread -------------------------------------------------------------------------- */

/* What has come; waits a little when there is nothing. */
static enum link_result listen_a_while(struct bridge *b)
{
	enum link_result result = LINK_OK;
	struct link_message message;

	for (int i = 0; i < AT_ONCE && result == LINK_OK; i++) {
		result = link_next(b->link, i ? 0 : WAIT_MS, &message);
		if (result == LINK_OK)
			bridge_hear(b, &message);
	}
	ring(b);
	return result;
}

static void serve_link(struct bridge *b)
{
	gather(b);
	if (publish(b) == LINK_LOST || bridge_claim_names(b) == LINK_LOST ||
		show_presence(b) == LINK_LOST || check(b) == LINK_LOST ||
		listen_a_while(b) == LINK_LOST)
		lose_link(b);
}

/* What is queued leaves, and the others need not wait to see that we are gone. */
static void say_goodbye(struct bridge *b)
{
	const uint64_t end = clock_ms() + GOODBYE_MS;
	struct local_member *member;
	char key[2 * UDPXDP_ROOM_NAME_MAX + 1];

	do
		gather(b);
	while (b->lines.count && publish(b) == LINK_OK && clock_ms() < end);
	link_set_presence(b->link, NULL);
	while (clock_ms() < end && (member = local_members_held(&b->members))) {
		bridge_claim_key(member->name, member->len, key);
		link_drop_claim(b->link, key);
		local_member_set(&b->members, member, CLAIM_NONE);
	}
}

static void *run(void *arg)
{
	struct bridge *b = arg;

	while (!atomic_load(&b->stopping)) {
		if (!b->link && clock_ms() >= b->retry_at)
			open_link(b);
		if (b->link)
			serve_link(b);
		else
			thread_sleep_ms(20);
		bridge_hear_nothing(b);
	}
	if (b->link) {
		say_goodbye(b);
		link_close(b->link);
	}
	return NULL;
}

/* ---- the whole --------------------------------------------------------------------------- */

static void bridge_free(struct bridge *b)
{
	struct udpxdp_room_event reset = {.kind = UDPXDP_ROOM_RESET};
	uint32_t none;

	link_secrets_free(&b->secrets);
	local_members_apply(&b->members, &reset, reset.name, &none);
	room_lines_clear(&b->lines);
	record_queue_free(b->out);
	record_queue_free(b->in);
	bridge_free_late(b);
	free(b);
}

/* What may stand in a subject: what else a name has becomes a '-'. */
static void set_host(struct bridge *b, const char *hostname)
{
	snprintf(b->host, sizeof(b->host), "%.*s", (int)strcspn(hostname, "."), hostname);
	for (char *c = b->host; *c; c++)
		if (!udpxdp_room_is_host_byte((uint8_t)*c))
			*c = '-';
	if (!*b->host)
		strcpy(b->host, "-");
}

/* A chat's room is called as it is; those of other services are other rooms, whatever their names.
 */
static void set_room(struct bridge *b)
{
	const struct service_config *config = b->config;

	snprintf(b->room, sizeof(b->room), "%s%s%s",
		config->service->has_history ? "" : config->service->name,
		config->service->has_history ? "" : ".", config->room.name);
}

struct bridge *bridge_new(
	const struct service_config *config, const char *hostname, char *error, size_t size)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b) {
		snprintf(error, size, "%s; free some memory", strerror(errno));
		return NULL;
	}
	b->config = config;
	b->doorbell = -1;
	b->counters[UDPXDP_ROOM_state] = UDPXDP_ROOM_IS_AWAY;
	set_host(b, hostname);
	set_room(b);
	snprintf(b->label, sizeof(b->label), "room %s of %s:%u", config->room.name,
		config->service->name, config->port);
	b->out = record_queue_new(
		CELLS, CELL_SIZE, sizeof(struct udpxdp_room_event), UDPXDP_ROOM_TEXT_MAX);
	b->in = record_queue_new(
		CELLS / 4, CELL_SIZE, sizeof(struct udpxdp_room_event), UDPXDP_ROOM_TEXT_MAX);
	if (!b->out || !b->in || bridge_make_late(b) < 0 ||
		getrandom(&b->boot, sizeof(b->boot), 0) != sizeof(b->boot)) {
		snprintf(error, size, "%s; free some memory", strerror(errno));
	} else if (!*config->room.creds ||
		   !link_secrets_read(&b->secrets, config->room.creds, error, size)) {
		link_look_up(config->room.servers);
		return b;
	}
	bridge_free(b);
	return NULL;
}

int bridge_start(struct bridge *b, const struct udpxdp_room_place *place, int doorbell)
{
	b->place = *place;
	b->doorbell = doorbell;
	errno = thread_start(&b->thread, "room", run, b);
	return errno ? -1 : 0;
}

void bridge_stop(struct bridge *b)
{
	if (!b)
		return;
	atomic_store(&b->stopping, true);
	if (b->thread)
		pthread_join(b->thread, NULL);
	bridge_free(b);
}
