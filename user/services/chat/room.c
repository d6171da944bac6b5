/* SPDX-License-Identifier: MIT */
#include "services/chat/room.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "services/chat/say.h"

#define NEWS_RATE 2 /* a second: of hosts that are away, or back */

/* ---- out --------------------------------------------------------------------------------- */

static struct udpxdp_room_event event_of(
	enum udpxdp_room_kind kind, uint64_t time_ns, const char *name, uint32_t len)
{
	struct udpxdp_room_event event = {
		.kind = kind, .time_ns = time_ns, .name_len = len, .text = (const uint8_t *)""};

	memcpy(event.name, name, len);
	return event;
}

_Static_assert(UDPXDP_ROOM_NAME_MAX >= sizeof(((struct member *)0)->name), "any name fits");

void room_say(const struct talk *talk)
{
	const struct udpxdp_datagram *d = talk->d;
	const struct member *speaker = talk->member;
	struct udpxdp_room_event event =
		event_of(UDPXDP_ROOM_SAY, d->time_ns, speaker->name, speaker->name_len);

	event.addr = d->path.peer.addr;
	event.port = d->path.peer.port;
	event.text = d->payload;
	event.len = d->len;
	udpxdp_publish(talk->ctx, &event);
}

/* Who is here is told whole or, later, anew. */
static void tell(struct chat *chat, const struct udpxdp_room_event *event)
{
	struct room *room = &chat->room;

	if (room->behind && event->kind == UDPXDP_ROOM_LEAVE)
		room->told = 0; /* who was last may stand among those that were told */
	if (!room->behind && !udpxdp_publish(chat->ctx, event)) {
		room->behind = true;
		room->told = 0;
	}
}

void room_joined(struct chat *chat, const struct member *member)
{
	const struct udpxdp_room_event event =
		event_of(UDPXDP_ROOM_JOIN, chat->now_ns, member->name, member->name_len);

	tell(chat, &event);
}

void room_left(void *context, const struct member *member)
{
	struct chat *chat = context;
	const struct udpxdp_room_event event =
		event_of(UDPXDP_ROOM_LEAVE, chat->now_ns, member->name, member->name_len);

	tell(chat, &event);
}

void room_renamed(struct chat *chat, const struct member *member, const char *old, uint32_t old_len)
{
	struct udpxdp_room_event event = event_of(UDPXDP_ROOM_NICK, chat->now_ns, old, old_len);

	event.text = (const uint8_t *)member->name;
	event.len = member->name_len;
	if (chat->room.behind)
		chat->room.told = 0;
	tell(chat, &event);
}

void room_tick(struct chat *chat)
{
	struct room *room = &chat->room;
	const struct udpxdp_room_event reset = event_of(UDPXDP_ROOM_RESET, chat->now_ns, "", 0);

	if (!room->behind || (!room->told && !udpxdp_publish(chat->ctx, &reset)))
		return;
	while (room->told < chat->members.count) {
		const struct member *member = members_at(&chat->members, room->told);
		const struct udpxdp_room_event event =
			event_of(UDPXDP_ROOM_JOIN, chat->now_ns, member->name, member->name_len);

		if (!udpxdp_publish(chat->ctx, &event))
			return;
		room->told++;
	}
	room->behind = false;
}

/* ---- what members are shown -------------------------------------------------------------- */

/* Everybody here gets the line, cut to what fits any path, but other rooms: these pass on what they
 * hear. */
static void show_members(struct chat *chat, const char *line, size_t len)
{
	static const struct udpxdp_path longest_headers = {.peer.addr.b = {0xfe, 0x80}};
	const size_t max = udpxdp_send_max(chat->ctx, &longest_headers);
	struct fanout_line *out;

	if (!chat->members.count)
		return;
	if (len > max)
		for (len = max; len && (line[len] & 0xc0) == 0x80;)
			len--; /* no character is cut in two */
	out = fanout_reserve(&chat->fanout, (uint32_t)len);
	if (!out) {
		udpxdp_count_drop(chat->ctx, UDPXDP_DROP_room_lost);
		return;
	}
	*out = (struct fanout_line){
		.len = (uint32_t)len, .joined = chat->members.joins, .not_port = chat->port};
	memcpy(out->text, line, len);
	fanout_add(&chat->fanout, out);
	fanout_run(&chat->fanout, &chat->members, chat->ctx);
}

static struct udpxdp_message message_of(
	const struct chat *chat, const struct udpxdp_room_event *event)
{
	return (struct udpxdp_message){.time_ns = event->time_ns,
		.direction = UDPXDP_RECEIVED,
		.addr = event->addr,
		.port = event->port,
		.text = event->text,
		.len = event->len,
		.place = event->place};
}

/* What the room says of itself, to members and consoles: "* ...". */
__attribute__((format(printf, 3, 4))) static void announce(
	struct chat *chat, const struct udpxdp_room_event *event, const char *format, ...)
{
	struct udpxdp_message message = message_of(chat, event);
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	message.text = (const uint8_t *)line;
	message.len = (uint32_t)len;
	udpxdp_notify(chat->ctx, &message);
	if (event->kind == UDPXDP_ROOM_GAP)
		udpxdp_record(chat->ctx, &message);
	line[len++] = '\n';
	show_members(chat, line, (size_t)len);
}

/* ---- in: who is there -------------------------------------------------------------------- */

static const struct room_host *host_named(const struct room *room, const void *name, size_t len)
{
	for (uint32_t i = 0; i < room->host_count; i++)
		if (room->hosts[i].name_len == len && !memcmp(room->hosts[i].name, name, len))
			return &room->hosts[i];
	return NULL;
}

static struct room_host *find_host(struct room *room, const struct udpxdp_room_event *event)
{
	return (struct room_host *)host_named(room, event->host, event->host_len);
}

bool room_is_name_there(const struct room *room, const uint8_t *name, size_t len)
{
	const uint8_t *at = memrchr(name, '@', len);

	return at && host_named(room, at + 1, len - (size_t)(at + 1 - name));
}

/* A host that comes and goes all the time is not told of each time. */
static bool is_news(struct chat *chat)
{
	if (!budget_has(&chat->room.news, chat->now_ns, 1, NEWS_RATE))
		return false;
	budget_take(&chat->room.news, chat->now_ns, 1, NEWS_RATE);
	return true;
}

/* A place for a host: a new one, or that of one that is away; NULL: none. */
static struct room_host *add_host(struct room *room, const struct udpxdp_room_event *event)
{
	struct room_host *host = NULL;

	if (room->host_count < ROOM_HOSTS)
		host = &room->hosts[room->host_count++];
	for (uint32_t i = 0; !host && i < ROOM_HOSTS; i++)
		if (room->hosts[i].away)
			host = &room->hosts[i];
	if (!host)
		return NULL;
	*host = (struct room_host){.name_len = event->host_len};
	memcpy(host->name, event->host, event->host_len);
	return host;
}

/* The host, its members as the event says. */
static void host_is_there(struct chat *chat, const struct udpxdp_room_event *event)
{
	struct room_host *host = find_host(&chat->room, event);
	size_t len = event->len;

	if (!host)
		host = add_host(&chat->room, event);
	if (!host) {
		udpxdp_count_drop(chat->ctx, UDPXDP_DROP_room_lost);
		return;
	}
	if (host->away && is_news(chat))
		announce(chat, event, "* %.*s is back", (int)event->host_len, event->host);
	host->away = false;
	host->count = event->count;
	if (len > sizeof(host->names))
		for (len = sizeof(host->names); len && event->text[len] != ' ';)
			len--;
	memcpy(host->names, event->text, len);
	host->names_len = (uint32_t)len;
}

static void host_is_away(struct chat *chat, const struct udpxdp_room_event *event)
{
	struct room_host *host = find_host(&chat->room, event);

	if (!host || host->away)
		return;
	host->away = true;
	host->count = host->names_len = 0;
	if (is_news(chat))
		announce(chat, event, "* %.*s is away", (int)event->host_len, event->host);
}

/* ---- in: names --------------------------------------------------------------------------- */

/* NAME~HOST, HOST being this one; false: that is taken, too, or has been tried before. */
static bool tilde_name(const struct chat *chat, const struct member *member, const char *hostname,
	char name[UDPXDP_ADDR_TEXT_MAX], uint32_t *len)
{
	size_t host_len = strcspn(hostname, ".");

	if (memchr(member->name, '~', member->name_len))
		return false;
	if (host_len > sizeof(member->name) - 2 - member->name_len)
		host_len = sizeof(member->name) - 2 - member->name_len;
	memcpy(name, member->name, member->name_len);
	name[member->name_len] = '~';
	memcpy(name + member->name_len + 1, hostname, host_len);
	*len = (uint32_t)(member->name_len + 1 + host_len);
	return host_len && udpxdp_text_is_word((const uint8_t *)name, *len) &&
	       !members_named(&chat->members, (const uint8_t *)name, *len);
}

/* Another host's member has the name by an older claim. Nobody is removed: ours takes another. */
static void give_up_name(struct chat *chat, const struct udpxdp_room_event *event)
{
	struct member *member =
		members_named(&chat->members, (const uint8_t *)event->name, event->name_len);
	char old[UDPXDP_ADDR_TEXT_MAX], name[UDPXDP_ADDR_TEXT_MAX];
	uint32_t old_len, len;

	if (!member || event->name_len > NAME_MAX_LEN || memchr(event->name, ':', event->name_len))
		return; /* it has left, or is called something else by now; an address is claimed by
			 * nobody */
	old_len = member->name_len;
	memcpy(old, member->name, old_len);
	if (!tilde_name(chat, member, udpxdp_hostname(chat->ctx), name, &len))
		len = (uint32_t)udpxdp_addr_port_format(
			name, &member->path.peer.addr, member->path.peer.port);
	memcpy(member->name, name, len);
	member->name_len = len;
	room_renamed(chat, member, old, old_len);
	announce(chat, event, "* %.*s is now %.*s: %.*s@%.*s has the older claim", (int)old_len,
		old, (int)len, name, (int)old_len, old, (int)event->host_len, event->host);
}

/* ---- in: what is said -------------------------------------------------------------------- */

/* May it be passed on at all? Not what a room says of itself, what has passed through too many
 * rooms, nor an echo. */
static bool may_pass(const uint8_t *text, size_t len)
{
	return !is_answer(text, len) && !udpxdp_stamp_starts(text, len) &&
	       chat_count_speakers(text, len) < MAX_SPEAKERS;
}

/* NAME@HOST: TEXT as one line of printing text that ends as the text does. Returns its length. */
static size_t compose(struct chat *chat, const struct udpxdp_room_event *event)
{
	const size_t end = text_line_end(event->text, event->len), len = event->len - end;
	char *line = chat->line;
	size_t used = event->name_len;

	memcpy(line, event->name, used);
	line[used++] = '@';
	memcpy(line + used, event->host, event->host_len);
	used += event->host_len;
	memcpy(line + used, ": ", 2);
	used += 2;
	used += escape_text(line + used, sizeof(chat->line) - used - end, event->text, len);
	memcpy(line + used, event->text + len, end);
	return used + end;
}

/* A host that floods gets what all members here may say together, and costs the others nothing. */
static bool afford(struct chat *chat, const struct udpxdp_room_event *event)
{
	const struct chat_options *o = chat->options;
	struct room_host *host = find_host(&chat->room, event);
	struct room_budget *budget = host ? &host->budget : &chat->room.unknown;

	if (!budget_has(&budget->messages, chat->now_ns, 1, o->room_rate) ||
		!budget_has(&budget->bytes, chat->now_ns, event->len, o->room_bytes)) {
		udpxdp_count_drop(chat->ctx, UDPXDP_DROP_over_budget);
		return false;
	}
	budget_take(&budget->messages, chat->now_ns, 1, o->room_rate);
	budget_take(&budget->bytes, chat->now_ns, event->len, o->room_bytes);
	return true;
}

static void hear(struct chat *chat, const struct udpxdp_room_event *event)
{
	const struct udpxdp_message message = message_of(chat, event);

	if (!may_pass(event->text, event->len)) {
		udpxdp_count_drop(chat->ctx, UDPXDP_DROP_loop);
		return;
	}
	if (event->record && !event->show) /* it was missed: as fast as the bridge has it */
		udpxdp_record(chat->ctx, &message);
	else if (event->record)
		chat_record(chat, chat->ctx, &message);
	if (!event->show || !afford(chat, event))
		return;
	udpxdp_print(chat->ctx, &message);
	udpxdp_notify(chat->ctx, &message);
	show_members(chat, chat->line, compose(chat, event));
}

void room_hear(struct chat *chat, const struct udpxdp_room_event *event)
{
	switch (event->kind) {
	case UDPXDP_ROOM_SAY:
		hear(chat, event);
		break;
	case UDPXDP_ROOM_HOST:
		host_is_there(chat, event);
		break;
	case UDPXDP_ROOM_AWAY:
		host_is_away(chat, event);
		break;
	case UDPXDP_ROOM_CLASH:
		give_up_name(chat, event);
		break;
	case UDPXDP_ROOM_GAP:
		announce(chat, event, "* messages of other hosts may be missing here: %.*s",
			(int)event->len, (const char *)event->text);
		break;
	case UDPXDP_ROOM_PLACE:
		udpxdp_record(chat->ctx, &(struct udpxdp_message){.place = event->place});
		break;
	default:
		break; /* what is told, not heard */
	}
}
