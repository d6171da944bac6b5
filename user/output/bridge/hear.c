/* SPDX-License-Identifier: MIT */
/* What comes from the other hosts, which are strangers: checked, counted, passed to the worker. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "output/bridge/internal.h"

#define LATE_NS (5 * (int64_t)UDPXDP_NSEC_PER_SEC) /* a line older than that was missed */
#define LATE_PACE_MS 50                            /* between two such lines, as members see them */
#define LATE_OVER_MS 300                           /* without another, it is over */
#define SKIPPED_MAX 256

struct late_line {
	struct udpxdp_room_event event;
	uint8_t *text;
};

/* ---- hosts ------------------------------------------------------------------------------- */

static bool is_host(const char *name)
{
	return room_is_host(name, strlen(name));
}

/* The host's record, made if it has none; NULL: there are too many. */
static struct remote_host *host_of(struct bridge *b, const char *name)
{
	struct remote_host *host = NULL;

	for (unsigned i = 0; i < b->host_count; i++)
		if (!strcmp(b->hosts[i].name, name))
			return &b->hosts[i];
	if (b->host_count < ROOM_HOSTS_MAX)
		host = &b->hosts[b->host_count++];
	for (unsigned i = 0; !host && i < ROOM_HOSTS_MAX; i++)
		if (!b->hosts[i].there)
			host = &b->hosts[i];
	if (!host)
		return NULL;
	*host = (struct remote_host){};
	strcpy(host->name, name);
	return host;
}

static void set_host(struct udpxdp_room_event *event, const char *name)
{
	event->host_len = (uint32_t)strlen(name);
	memcpy(event->host, name, event->host_len);
}

static void host_goes(struct bridge *b, struct remote_host *host)
{
	struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_AWAY};

	if (!host->there)
		return;
	host->there = false;
	set_host(&event, host->name);
	bridge_pass(b, &event);
}

static void hear_own_presence(struct bridge *b, const struct room_presence *presence)
{
	if (presence->boot == b->boot || b->said_same_name)
		return;
	b->said_same_name = true;
	log_line("%s: another udpxdp in it calls itself %s, too: they do not hear each other; give "
		 "one of the hosts another name",
		b->label, b->host);
}

static void hear_presence(struct bridge *b, const struct link_message *message)
{
	struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_HOST};
	struct room_presence presence;
	struct remote_host *host;

	if (!strcmp(message->key, b->host)) {
		if (room_presence_read(&presence, message->data, message->len))
			hear_own_presence(b, &presence);
		return;
	}
	host = is_host(message->key) ? host_of(b, message->key) : NULL;
	if (!host)
		return;
	if (message->deleted) {
		host_goes(b, host);
		return;
	}
	if (!room_presence_read(&presence, message->data, message->len))
		return;
	if (!host->there)
		b->presence_changed = true; /* it does not know us, either */
	host->there = true;
	host->seen_ms = clock_ms();
	host->ahead_ns = (int64_t)(presence.time_ns - clock_realtime_ns());
	set_host(&event, host->name);
	event.count = presence.count;
	event.text = (const uint8_t *)presence.names;
	event.len = presence.names_len;
	bridge_pass(b, &event);
}

/* ---- late lines -------------------------------------------------------------------------- */

/* They are in the history already; of the last ones members are told. */
static void keep_late(struct bridge *b, const struct udpxdp_room_event *event)
{
	const unsigned most = b->config->room.backlog;
	struct late_line *line;

	b->late_since = clock_ms();
	if (!most)
		return;
	if (b->late_count == most) {
		free(b->late[b->late_first].text);
		b->late_first = (b->late_first + 1) % most;
		b->late_count--;
	}
	line = &b->late[(b->late_first + b->late_count) % most];
	line->event = *event;
	line->text = malloc(event->len);
	if (!line->text)
		return;
	memcpy(line->text, event->text, event->len);
	b->late_count++;
}

static void show_late(struct bridge *b)
{
	while (b->late_count) {
		struct late_line *line = &b->late[b->late_first];

		line->event.text = line->text;
		line->event.record = false;
		line->event.show = true;
		bridge_pass(b, &line->event);
		free(line->text);
		b->late_first = (b->late_first + 1) % b->config->room.backlog;
		b->late_count--;
		if (!atomic_load(&b->stopping))
			thread_sleep_ms(LATE_PACE_MS);
	}
}

int bridge_make_late(struct bridge *b)
{
	b->late = calloc(b->config->room.backlog + 1, sizeof(*b->late));
	return b->late ? 0 : -1;
}

void bridge_free_late(struct bridge *b)
{
	for (; b->late && b->late_count; b->late_count--)
		free(b->late[b->late_first++ % b->config->room.backlog].text);
	free(b->late);
}

/* ---- lines ------------------------------------------------------------------------------- */

/* Nothing of it is for us, but we are past it. */
static void step_over(struct bridge *b, uint64_t sequence)
{
	const struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_PLACE, .place = b->place};

	if (++b->skipped % SKIPPED_MAX == 0)
		bridge_pass(b, &event);
}

static bool is_late(const struct bridge *b, const struct remote_host *host,
	const struct udpxdp_room_event *line, uint64_t sequence)
{
	int64_t age = (int64_t)(clock_realtime_ns() - line->time_ns) + host->ahead_ns;

	return sequence <= b->live_from || age > LATE_NS;
}

static void pass_lines(struct bridge *b, const struct remote_host *host,
	const struct room_lines *lines, uint64_t sequence, unsigned done)
{
	struct udpxdp_room_event event;

	for (unsigned i = done; i < lines->count; i++) {
		if (!room_lines_get(lines, i, &event))
			continue;
		set_host(&event, host->name);
		event.record = true;
		event.place = (struct udpxdp_room_place){.epoch = b->place.epoch,
			.sequence = sequence,
			.part = i + 1 == lines->count ? UDPXDP_ROOM_ALL : i + 1};
		event.show = !is_late(b, host, &event, sequence);
		if (event.show)
			show_late(b);
		else
			keep_late(b, &event);
		bridge_pass(b, &event);
		bridge_count(b, UDPXDP_ROOM_received, 1);
	}
}

/* Sent again, because what was said of its arrival got lost. */
static bool is_duplicate(struct remote_host *host, const struct room_lines *lines)
{
	bool again = host->boot == lines->boot && lines->number <= host->number;

	if (!again) {
		host->boot = lines->boot;
		host->number = lines->number;
	}
	return again;
}

static void hear_message(struct bridge *b, const struct link_message *message, unsigned done)
{
	struct remote_host *host = is_host(message->key) ? host_of(b, message->key) : NULL;
	struct room_lines lines;
	uint64_t version;

	if (!host) {
		bridge_count(b, UDPXDP_ROOM_ignored, 1);
		return;
	}
	if (!room_lines_read(&lines, message->data, message->len, &version)) {
		bridge_count(b, UDPXDP_ROOM_ignored, 1);
		if (version && !b->said_version)
			log_line("%s: %s speaks version %ju of the room, which is newer: it is not "
				 "heard; update udpxdp here",
				b->label, host->name, (uintmax_t)version);
		b->said_version |= version != 0;
	} else if (is_duplicate(host, &lines)) {
		bridge_count(b, UDPXDP_ROOM_duplicates, lines.count);
	} else {
		pass_lines(b, host, &lines, message->sequence, done);
	}
	room_lines_clear(&lines);
}

static void hear_lines(struct bridge *b, const struct link_message *message)
{
	unsigned done = 0;

	if (message->sequence == b->place.sequence)
		done = b->place.part;
	if (message->sequence < b->place.sequence || done == UDPXDP_ROOM_ALL) {
		bridge_count(b, UDPXDP_ROOM_duplicates, 1);
		return;
	}
	b->place.sequence = message->sequence;
	b->place.part = UDPXDP_ROOM_ALL;
	if (strcmp(message->key, b->host))
		hear_message(b, message, done);
	step_over(b, message->sequence);
}

void bridge_hear(struct bridge *b, const struct link_message *message)
{
	switch (message->kind) {
	case LINK_LINES:
		hear_lines(b, message);
		break;
	case LINK_PRESENCE:
		hear_presence(b, message);
		break;
	case LINK_CLAIM:
		bridge_hear_claim(b, message);
		break;
	}
}

/* ---- time -------------------------------------------------------------------------------- */

static void say_gap(struct bridge *b, const char *why)
{
	const struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_GAP,
		.time_ns = clock_realtime_ns(),
		.place = b->place,
		.text = (const uint8_t *)why,
		.len = (uint32_t)strlen(why)};

	bridge_pass(b, &event);
}

void bridge_begin_hearing(struct bridge *b, const struct link_stream *stream)
{
	struct udpxdp_room_place *place = &b->place;
	const struct udpxdp_room_place known = *place;

	b->live_from = stream->last;
	if (!known.epoch) { /* the first time: what was said before is not for us */
		*place = (struct udpxdp_room_place){stream->epoch, stream->last, UDPXDP_ROOM_ALL};
		bridge_pass(
			b, &(struct udpxdp_room_event){.kind = UDPXDP_ROOM_PLACE, .place = *place});
	} else if (known.epoch != stream->epoch || known.sequence > stream->last) {
		*place = (struct udpxdp_room_place){stream->epoch, 0, UDPXDP_ROOM_ALL};
		say_gap(b, "the server has made the room's stream anew");
	} else if (known.sequence + 1 < stream->first) {
		*place = (struct udpxdp_room_place){
			stream->epoch, stream->first - 1, UDPXDP_ROOM_ALL};
		say_gap(b, "the server has kept no more of them");
	}
}

void bridge_hear_nothing(struct bridge *b)
{
	const uint64_t now = clock_ms();

	for (unsigned i = 0; i < b->host_count; i++)
		if (b->hosts[i].there && now - b->hosts[i].seen_ms > ROOM_TTL_S * 1000)
			host_goes(b, &b->hosts[i]);
	if (b->late_count && now - b->late_since > LATE_OVER_MS)
		show_late(b);
}
