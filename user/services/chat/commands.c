/* SPDX-License-Identifier: MIT */
#include "services/chat/commands.h"

#include "services/chat/answer.h"

static bool text_is(struct text text, const char *word)
{
	return text.len == strlen(word) && !memcmp(text.bytes, word, text.len);
}

static void set_name(const struct talk *talk, struct text name)
{
	struct members *members = &talk->chat->members;
	struct member *speaker = talk->member;
	const struct member *other;
	char old[sizeof(speaker->name)];
	uint32_t old_len = speaker->name_len;

	if (name.len > NAME_MAX_LEN || !udpxdp_text_is_word(name.bytes, name.len) ||
		memchr(name.bytes, ':', name.len) || strchr("/*", name.bytes[0])) {
		chat_answer(talk,
			"* a name has 1 to %d bytes, prints, has no spaces or colons and "
			"does not begin with / or *",
			NAME_MAX_LEN);
		return;
	}
	other = members_named(members, name.bytes, name.len);
	if ((other && other != speaker) ||
		room_is_name_there(&talk->chat->room, name.bytes, name.len)) {
		chat_answer(talk, "* the name %.*s is taken", (int)name.len, name.bytes);
		return;
	}
	memcpy(old, speaker->name, old_len);
	memcpy(speaker->name, name.bytes, name.len);
	speaker->name_len = (uint32_t)name.len;
	room_renamed(talk->chat, speaker, old, old_len);
	chat_answer(talk, "* you are now %.*s", (int)name.len, name.bytes);
}

/* Names, as many as an answer holds. */
struct names {
	char text[ANSWER_MAX - sizeof(" … and 4294967296 more\n")];
	size_t used;
	uint32_t shown;
};

/* NAME or NAME@HOST (host_len 0: none); false: it does not fit. */
static bool names_add(
	struct names *names, const char *name, size_t len, const char *host, size_t host_len)
{
	size_t room = sizeof(names->text) - names->used - sizeof("* 4294967296 here:");

	if (len + host_len + 3 > room)
		return false;
	if (names->shown++)
		names->text[names->used++] = ',';
	names->text[names->used++] = ' ';
	memcpy(names->text + names->used, name, len);
	names->used += len;
	if (host_len) {
		names->text[names->used++] = '@';
		memcpy(names->text + names->used, host, host_len);
		names->used += host_len;
	}
	return true;
}

/* The members of another host, whose names have a space between them. */
static bool names_add_host(struct names *names, const struct room_host *host)
{
	const char *name = host->names, *end = host->names + host->names_len;

	while (name < end) {
		const char *space = memchr(name, ' ', (size_t)(end - name));
		const char *name_end = space ? space : end;

		if (!names_add(names, name, (size_t)(name_end - name), host->name, host->name_len))
			return false;
		name = name_end + 1;
	}
	return true;
}

static void tell_who(const struct talk *talk)
{
	const struct members *members = &talk->chat->members;
	const struct room *room = &talk->chat->room;
	struct names names = {};
	uint32_t count = members->count;
	bool fits = true;

	for (uint32_t i = 0; i < members->count && fits; i++) {
		const struct member *member = members_at(members, i);

		fits = names_add(&names, member->name, member->name_len, "", 0);
	}
	for (uint32_t i = 0; i < room->host_count; i++) {
		count += room->hosts[i].count;
		fits = fits && names_add_host(&names, &room->hosts[i]);
	}
	if (names.shown < count)
		chat_answer(talk, "* %u here:%.*s … and %u more", count, (int)names.used,
			names.text, count - names.shown);
	else
		chat_answer(talk, "* %u here:%.*s", count, (int)names.used, names.text);
}

void chat_run_command(const struct talk *talk)
{
	struct text line = trimmed(talk->d);
	const uint8_t *space = memchr(line.bytes, ' ', line.len);
	struct text word = {line.bytes, space ? (size_t)(space - line.bytes) : line.len};
	struct text rest = {line.bytes + word.len, line.len - word.len};

	while (rest.len && *rest.bytes == ' ')
		rest.bytes++, rest.len--;

	if (text_is(word, "/nick")) {
		set_name(talk, rest);
	} else if (text_is(word, "/who")) {
		tell_who(talk);
	} else if (text_is(word, "/quit")) {
		members_leave(&talk->chat->members, talk->member);
		chat_answer(talk, "* bye");
	} else if (text_is(word, "/help")) {
		chat_answer(talk, "* /nick NAME: take a name; /who: who is here; /quit: leave; "
				  "anything else goes to everybody here");
	} else {
		chat_answer(talk, "* no such command: there are /nick, /who, /quit and /help");
	}
}
