/* SPDX-License-Identifier: MIT */
/* What the hosts of a room tell each other: what is written is read, anything else is not. And the
 * place that a history has in the room. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output/place_file.h"
#include "output/bridge/message.h"

static struct udpxdp_room_event say(const char *name, const char *text, size_t len)
{
	struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_SAY,
		.time_ns = 1795399200123456789,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 4711,
		.name_len = (uint32_t)strlen(name),
		.text = (const uint8_t *)text,
		.len = (uint32_t)len};

	memcpy(event.name, name, event.name_len);
	return event;
}

static void lines_come_back_as_they_were(void **state)
{
	static const char text[] = "a\0b\n\x1b \xe5\xa4\xa7\xe5\xae\xb6 \"\\";
	const struct udpxdp_room_event in[] = {
		say("alice", "hello", 5), say("10.0.0.2:4711", text, sizeof(text) - 1)};
	struct room_lines lines = {.boot = 0x0123456789abcdef, .number = 7}, read;
	uint64_t version;
	char *json;

	for (unsigned i = 0; i < 2; i++)
		assert_true(room_lines_add(&lines, &in[i]));
	json = room_lines_text(&lines);
	assert_non_null(json);
	assert_true(room_lines_read(&read, json, strlen(json), &version));
	assert_int_equal(read.count, 2);
	assert_int_equal(read.number, 7);
	assert_true(read.boot == lines.boot);
	for (unsigned i = 0; i < 2; i++) {
		struct udpxdp_room_event out;

		assert_true(room_lines_get(&read, i, &out));
		assert_int_equal(out.name_len, in[i].name_len);
		assert_memory_equal(out.name, in[i].name, out.name_len);
		assert_int_equal(out.len, in[i].len);
		assert_memory_equal(out.text, in[i].text, out.len);
		assert_true(out.time_ns == in[i].time_ns);
		assert_int_equal(out.port, in[i].port);
		assert_memory_equal(&out.addr, &in[i].addr, sizeof(out.addr));
	}
	free(json);
	room_lines_clear(&lines);
	room_lines_clear(&read);
}

static void what_is_no_text_is_not_sent(void **state)
{
	const struct udpxdp_room_event event = say("alice", "\xff", 1);
	struct room_lines lines = {};

	assert_false(room_lines_add(&lines, &event));
	assert_int_equal(lines.count, 0);
	room_lines_clear(&lines);
}

#define HEAD "{\"v\":1,\"boot\":\"0011223344556677\",\"n\":1,\"says\":["
#define LINE(name, addr, port, time, text)                                                   \
	HEAD "{\"name\":\"" name "\",\"addr\":\"" addr "\",\"port\":" port ",\"time\":" time \
	     ",\"text\":\"" text "\"}]}"

static void what_makes_no_sense_is_not_read(void **state)
{
	static const char *const none[] = {"", "{", "null", "[]", "{}", "{\"v\":1}",
		"{\"v\":\"1\"}", "{\"v\":0,\"boot\":\"0011223344556677\",\"n\":1,\"says\":[]}",
		"{\"v\":2,\"boot\":\"0011223344556677\",\"n\":1,\"says\":[]}",
		"{\"v\":1,\"boot\":\"00112233445566\",\"n\":1,\"says\":[]}",
		"{\"v\":1,\"boot\":\"0011223344556677\",\"n\":-1,\"says\":[]}",
		"{\"v\":1,\"boot\":\"0011223344556677\",\"n\":1,\"says\":{}}"};
	static const char *const bad[] = {HEAD "null]}", HEAD "1]}", HEAD "{}]}",
		LINE("", "10.0.0.1", "1", "1", "x"), LINE("a b", "10.0.0.1", "1", "1", "x"),
		LINE("a\\n", "10.0.0.1", "1", "1", "x"),
		LINE("a\\u202e", "10.0.0.1", "1", "1", "x"),
		LINE("12345678901234567890123456789012345678901234567890123456", "10.0.0.1", "1",
			"1", "x"),
		LINE("a", "10.0.0", "1", "1", "x"), LINE("a", "", "1", "1", "x"),
		LINE("a", "10.0.0.1", "65536", "1", "x"), LINE("a", "10.0.0.1", "-1", "1", "x"),
		LINE("a", "10.0.0.1", "\"1\"", "1", "x"), LINE("a", "10.0.0.1", "1", "-1", "x"),
		LINE("a", "10.0.0.1", "1", "1.5", "x"), LINE("a", "10.0.0.1", "1", "1", "")};
	char *many = malloc(ROOM_MESSAGE_MAX + 100);
	struct udpxdp_room_event event;
	struct room_lines lines;
	uint64_t version;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(room_lines_read(&lines, none[i], strlen(none[i]), &version));
		assert_int_equal(version, strstr(none[i], "\"v\":2") ? 2 : 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(room_lines_read(&lines, bad[i], strlen(bad[i]), &version));
		if (room_lines_get(&lines, 0, &event))
			fail_msg("%s was read", bad[i]);
		room_lines_clear(&lines);
	}
	/* Too many lines. */
	strcpy(many, HEAD "1");
	for (int i = 0; i < ROOM_MESSAGE_LINES; i++)
		strcat(many, ",1");
	strcat(many, "]}");
	assert_false(room_lines_read(&lines, many, strlen(many), &version));
	free(many);
}

static void too_long_a_text_is_not_read(void **state)
{
	static char text[UDPXDP_ROOM_TEXT_MAX + 2];
	struct udpxdp_room_event out;
	struct room_lines lines = {.boot = 1, .number = 1}, read;
	uint64_t version;
	char *json;

	memset(text, 'x', sizeof(text) - 1);
	for (unsigned extra = 0; extra < 2; extra++) {
		const struct udpxdp_room_event event =
			say("alice", text, UDPXDP_ROOM_TEXT_MAX + extra);

		assert_true(room_lines_add(&lines, &event));
	}
	json = room_lines_text(&lines);
	assert_true(room_lines_read(&read, json, strlen(json), &version));
	assert_true(room_lines_get(&read, 0, &out));
	assert_false(room_lines_get(&read, 1, &out));
	free(json);
	room_lines_clear(&lines);
	room_lines_clear(&read);
}

static void presence_and_claims(void **state)
{
	struct room_presence presence = {.boot = 5, .time_ns = 6, .count = 70}, p;
	struct room_claim claim = {.time_ns = 9, .host_len = 5, .host = "hosta"}, c;
	struct room_claim other = {.time_ns = 9, .host_len = 5, .host = "hostb"};
	static const char *const bad[] = {"{\"v\":1,\"host\":\"a.b\",\"time\":1}",
		"{\"v\":1,\"host\":\"\",\"time\":1}", "{\"v\":1,\"host\":\"a\"}", ""};
	char *json;

	presence.names_len = (uint32_t)sprintf(presence.names, "alice 10.0.0.2:4711");
	json = room_presence_text(&presence);
	assert_true(room_presence_read(&p, json, strlen(json)));
	assert_int_equal(p.count, 70);
	assert_int_equal(p.names_len, presence.names_len);
	assert_memory_equal(p.names, presence.names, p.names_len);
	memcpy(strstr(json, "alice "), "al  ce", 6);
	assert_false(room_presence_read(&p, json, strlen(json)));
	free(json);

	json = room_claim_text(&claim);
	assert_true(room_claim_read(&c, json, strlen(json)));
	assert_true(c.time_ns == 9 && c.host_len == 5 && !memcmp(c.host, "hosta", 5));
	free(json);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(room_claim_read(&c, bad[i], strlen(bad[i])));

	assert_true(room_claim_is_older(&claim, &other));
	assert_false(room_claim_is_older(&other, &claim));
	other.time_ns = 8;
	assert_true(room_claim_is_older(&other, &claim));
	assert_false(room_claim_is_older(&claim, &claim));
}

/* ---- the place of a history -------------------------------------------------------------- */

static int open_file(const char *path, int flags)
{
	return open(path, flags, 0600);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");

	fputs(text, file);
	fclose(file);
}

static void a_killed_process_writes_no_line_twice(void **state)
{
	char dir[] = "/tmp/udpxdp-place-XXXXXX", history[64], path[64];
	struct udpxdp_room_place place;
	struct place_file *file;

	assert_non_null(mkdtemp(dir));
	snprintf(history, sizeof(history), "%s/chat.txt", dir);
	snprintf(path, sizeof(path), "%s/chat.txt.room", dir);
	write_text(history, "one\ntwo\n");
	file = place_file_open(path, history, open_file, &place);
	assert_non_null(file);
	assert_int_equal(place.epoch, 0);
	assert_false(place_file_knows(file, "two\n", 4)); /* it has not been said that it is */
	place_file_set(file, &(struct udpxdp_room_place){11, 22, UDPXDP_ROOM_ALL});
	place_file_write(file, 8);
	place_file_close(file);

	/* It wrote more, and was killed before it could say so. */
	write_text(history, "three\nlocal\nfour\nfour\n");
	file = place_file_open(path, history, open_file, &place);
	assert_int_equal(place.epoch, 11);
	assert_int_equal(place.sequence, 22);
	assert_true(place.part == UDPXDP_ROOM_ALL);
	assert_true(place_file_knows(file, "three\n", 6));
	assert_true(place_file_knows(file, "four\n", 5));
	assert_true(place_file_knows(file, "four\n", 5));
	assert_false(place_file_knows(file, "four\n", 5)); /* said a third time */
	assert_false(place_file_knows(file, "local\n", 6));
	place_file_close(file);

	/* The history was rotated. */
	unlink(history);
	write_text(history, "new\n");
	file = place_file_open(path, history, open_file, &place);
	assert_true(place_file_knows(file, "new\n", 4));
	place_file_close(file);
	unlink(history);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back_as_they_were),
		cmocka_unit_test(what_is_no_text_is_not_sent),
		cmocka_unit_test(what_makes_no_sense_is_not_read),
		cmocka_unit_test(too_long_a_text_is_not_read),
		cmocka_unit_test(presence_and_claims),
		cmocka_unit_test(a_killed_process_writes_no_line_twice),
	};

	return cmocka_run_group_tests_name("room_message", tests, NULL, NULL);
}
