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
	struct member *speaker = talk->speaker;
	const struct member *other;

	if (name.len > NAME_MAX_LEN || !udpxdp_text_is_word(name.bytes, name.len) ||
		memchr(name.bytes, ':', name.len) || strchr("/*", name.bytes[0])) {
		chat_answer(talk,
			"* a name has 1 to %d bytes, prints, has no spaces or colons and "
			"does not begin with / or *",
			NAME_MAX_LEN);
		return;
	}
	other = members_named(members, name.bytes, name.len);
	if (other && other != speaker) {
		chat_answer(talk, "* the name %.*s is taken", (int)name.len, name.bytes);
		return;
	}
	memcpy(speaker->name, name.bytes, name.len);
	speaker->name_len = (uint32_t)name.len;
	chat_answer(talk, "* you are now %.*s", (int)name.len, name.bytes);
}

static void tell_who(const struct talk *talk)
{
	const struct members *members = &talk->chat->members;
	char text[ANSWER_MAX - sizeof(" … and 65536 more\n")];
	size_t used = 0;
	uint32_t i;

	for (i = 0; i < members->count; i++) {
		const struct member *member = members_at(members, i);
		size_t room = sizeof(text) - used - sizeof("* 65536 here:");

		if (member->name_len + 2 > room)
			break;
		if (i)
			text[used++] = ',';
		text[used++] = ' ';
		memcpy(text + used, member->name, member->name_len);
		used += member->name_len;
	}
	if (i < members->count)
		chat_answer(talk, "* %u here:%.*s … and %u more", members->count, (int)used, text,
			members->count - i);
	else
		chat_answer(talk, "* %u here:%.*s", members->count, (int)used, text);
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
		members_leave(&talk->chat->members, talk->speaker);
		chat_answer(talk, "* bye");
	} else if (text_is(word, "/help")) {
		chat_answer(talk, "* /nick NAME: take a name; /who: who is here; /quit: leave; "
				  "anything else goes to everybody here");
	} else {
		chat_answer(talk, "* no such command: there are /nick, /who, /quit and /help");
	}
}
