/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "output/message_queue.h"
#include "output/message_text.h"

/* 2026-11-23 01:00:00.123456789 UTC */
#define THEN (1795395600ull * UDPXDP_NSEC_PER_SEC + 123456789)

static struct udpxdp_message message(
	const char *text, enum udpxdp_direction direction, uint64_t time_ns)
{
	return (struct udpxdp_message){
		.time_ns = time_ns,
		.direction = direction,
		.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
		.port = 4711,
		.len = (uint32_t)strlen(text),
		.text = (const uint8_t *)text,
	};
}

static struct udpxdp_message from_ipv6(struct udpxdp_message m)
{
	m.addr = (struct udpxdp_addr){.b = {0xfe, 0x80, [15] = 1}};
	m.port = 8090;
	return m;
}

static void check_printed(const struct udpxdp_message *m, const char *service, const char *want)
{
	char line[MESSAGE_TEXT_LINE_MAX + 1];

	line[message_text_line(line, MESSAGE_TEXT_LINE_MAX, service, m)] = '\0';
	assert_string_equal(line, want);
}

static void check_history(const struct udpxdp_message *m, const char *want)
{
	static char line[MESSAGE_TEXT_HISTORY_MAX + 1];

	line[message_text_history(line, MESSAGE_TEXT_HISTORY_MAX, m)] = '\0';
	assert_string_equal(line, want);
}

static void set_zone(const char *zone)
{
	struct udpxdp_message other = message("", UDPXDP_RECEIVED, 0);
	char line[MESSAGE_TEXT_LINE_MAX];

	setenv("TZ", zone, 1);
	tzset();
	message_text_line(line, sizeof(line), "", &other); /* another second: nothing is kept */
}

static void a_printed_line_has_time_service_direction_peer_and_text(void **state)
{
	struct udpxdp_message m = message("hello", UDPXDP_RECEIVED, THEN);

	set_zone("CET-1");
	check_printed(
		&m, "echo", "2026-11-23T02:00:00.123456+01:00 echo recv 10.0.0.2:4711 \"hello\"\n");
	m = from_ipv6(message("", UDPXDP_SENT, THEN + 1000));
	check_printed(&m, "chat:9000",
		"2026-11-23T02:00:00.123457+01:00 chat:9000 send [fe80::1]:8090 \"\"\n");
	m = message("a\"b\\c\n\x1b[31m\xff", UDPXDP_RECEIVED, THEN + UDPXDP_NSEC_PER_SEC);
	check_printed(&m, "chat",
		"2026-11-23T02:00:01.123456+01:00 chat recv 10.0.0.2:4711 "
		"\"a\\\"b\\\\c\\n\\x1b[31m\\xff\"\n");
}

static void a_time_has_the_offset_of_its_zone(void **state)
{
	struct udpxdp_message m = message("x", UDPXDP_RECEIVED, THEN);

	set_zone("UTC");
	check_printed(
		&m, "echo", "2026-11-23T01:00:00.123456+00:00 echo recv 10.0.0.2:4711 \"x\"\n");
	set_zone("NST3:30"); /* behind Greenwich, and not by whole hours */
	check_printed(
		&m, "echo", "2026-11-22T21:30:00.123456-03:30 echo recv 10.0.0.2:4711 \"x\"\n");
	set_zone("<+0545>-5:45");
	check_printed(
		&m, "echo", "2026-11-23T06:45:00.123456+05:45 echo recv 10.0.0.2:4711 \"x\"\n");
}

/* The change to winter time in the middle of a run: 2026-10-25 01:00 UTC in central Europe. */
static void a_change_of_the_clocks_is_followed(void **state)
{
	uint64_t change = 1792890000ull * UDPXDP_NSEC_PER_SEC;
	struct udpxdp_message before = message("x", UDPXDP_RECEIVED, change - 1);
	struct udpxdp_message after = message("x", UDPXDP_RECEIVED, change);

	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	check_printed(&before, "echo",
		"2026-10-25T02:59:59.999999+02:00 echo recv 10.0.0.2:4711 \"x\"\n");
	check_printed(
		&after, "echo", "2026-10-25T02:00:00.000000+01:00 echo recv 10.0.0.2:4711 \"x\"\n");
	check_printed(&before, "echo",
		"2026-10-25T02:59:59.999999+02:00 echo recv 10.0.0.2:4711 \"x\"\n");
}

static void a_printed_line_is_cut_and_marked(void **state)
{
	char *text = malloc(UDPXDP_PAYLOAD_MAX + 1), line[2 * MESSAGE_TEXT_LINE_MAX];
	struct udpxdp_message m = message("", UDPXDP_RECEIVED, THEN);
	size_t len;

	assert_non_null(text);
	memset(text, 'x', UDPXDP_PAYLOAD_MAX);
	m.text = (const uint8_t *)text;
	set_zone("UTC");

	m.len = UDPXDP_PAYLOAD_MAX;
	len = message_text_line(line, sizeof(line), "echo", &m);
	assert_int_equal(len, MESSAGE_TEXT_LINE_MAX);
	assert_memory_equal(line + len - 6, "x\u2026\"\n", 6);

	/* the longest that still fits stands whole */
	m.len = (uint32_t)(len - strlen("2026-11-23T01:00:00.123456+00:00 echo recv "
					"10.0.0.2:4711 \"\"\n"));
	len = message_text_line(line, sizeof(line), "echo", &m);
	assert_int_equal(len, MESSAGE_TEXT_LINE_MAX);
	assert_memory_equal(line + len - 4, "xx\"\n", 4);
	m.len++;
	len = message_text_line(line, sizeof(line), "echo", &m);
	assert_memory_equal(line + len - 6, "x\u2026\"\n", 6);
	free(text);
}

static const struct udpxdp_service chat = {.name = "chat", .port = 8090};
static const struct service_config chat_9000 = {.service = &chat, .port = 9000};

static void a_json_line_has_the_same(void **state)
{
	struct udpxdp_message m = message("hello", UDPXDP_RECEIVED, THEN);
	char line[MESSAGE_TEXT_LINE_MAX + 1];

	set_zone("CET-1");
	line[message_text_json(line, MESSAGE_TEXT_LINE_MAX, &chat_9000, &m)] = '\0';
	assert_string_equal(line,
		"{\"time\":\"2026-11-23T02:00:00.123456+01:00\",\"service\":\"chat\","
		"\"port\":9000,\"direction\":\"recv\",\"peer\":\"10.0.0.2\","
		"\"peer_port\":4711,\"text\":\"hello\"}\n");
	m = from_ipv6(message("\xff\"\n\u5f20", UDPXDP_SENT, THEN));
	line[message_text_json(line, MESSAGE_TEXT_LINE_MAX, &chat_9000, &m)] = '\0';
	assert_string_equal(line,
		"{\"time\":\"2026-11-23T02:00:00.123456+01:00\",\"service\":\"chat\","
		"\"port\":9000,\"direction\":\"send\",\"peer\":\"fe80::1\","
		"\"peer_port\":8090,\"text\":\"\\ufffd\\\"\\n\u5f20\"}\n");
}

/* Another's reader takes every line, whatever the bytes and however many of them. */
static void a_json_line_is_valid_whatever_the_bytes(void **state)
{
	static uint8_t text[UDPXDP_PAYLOAD_MAX];
	char line[MESSAGE_TEXT_LINE_MAX];
	struct udpxdp_message m = message("", UDPXDP_RECEIVED, THEN);
	uint32_t random = 1;

	m.text = text;
	for (unsigned round = 0; round < 3000; round++) {
		const char *service, *peer, *said;
		json_error_t error;
		size_t len, said_len;
		json_t *object;
		int port, peer_port;

		m.len = round % 600 ? round * 3 : UDPXDP_PAYLOAD_MAX;
		for (uint32_t i = 0; i < m.len; i++) {
			random = random * 1664525 + 1013904223;
			text[i] = (uint8_t)(random >> 24) & (round & 1 ? 0xff : 0x3f);
		}
		len = message_text_json(line, sizeof(line), &chat_9000, &m);
		assert_true(len <= MESSAGE_TEXT_LINE_MAX);
		assert_int_equal(line[len - 1], '\n');
		assert_null(memchr(line, '\n', len - 1));
		object = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
		assert_non_null(object);
		assert_int_equal(json_unpack(object, "{s:s, s:i, s:s, s:i, s:s%, s:s, s:s!}",
					 "service", &service, "port", &port, "peer", &peer,
					 "peer_port", &peer_port, "text", &said, &said_len, "time",
					 &(const char *){NULL}, "direction", &(const char *){NULL}),
			0);
		assert_string_equal(service, "chat");
		assert_int_equal(port, 9000);
		assert_string_equal(peer, "10.0.0.2");
		assert_int_equal(peer_port, 4711);
		if (!(round & 1) && m.len < 600) { /* ASCII, and none of it was cut */
			assert_int_equal(said_len, m.len);
			assert_memory_equal(said, text, m.len);
		} else if (m.len > MESSAGE_TEXT_LINE_MAX) {
			assert_memory_equal(said + said_len - 3, "\u2026", 3);
		}
		json_decref(object);
	}
}

static void a_history_line_is_what_it_was_in_the_tutorial(void **state)
{
	struct udpxdp_message m = message("hello", UDPXDP_RECEIVED, THEN);

	set_zone("CET-1");
	check_history(
		&m, "【Mon Nov 23 02:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:hello\n");
	m = message("hello yourself", UDPXDP_SENT, THEN + UDPXDP_NSEC_PER_SEC);
	check_history(&m,
		"【Mon Nov 23 02:00:01 2026】向【('10.0.0.2', 4711)】发送数据:hello yourself\n");
	m = from_ipv6(message("你好 \"\\", UDPXDP_RECEIVED, THEN));
	check_history(
		&m, "【Mon Nov 23 02:00:00 2026】收到【('fe80::1', 8090)】发送的数据:你好 \"\\\n");
	m = message("two\nlines\r\n\x1b[0m\x7f", UDPXDP_SENT, THEN);
	check_history(&m, "【Mon Nov 23 02:00:00 2026】向【('10.0.0.2', 4711)】发送数据:"
			  "two\\nlines\\r\\n\\x1b[0m\\x7f\n");
}

static void a_history_line_is_never_cut(void **state)
{
	uint8_t *text = malloc(UDPXDP_PAYLOAD_MAX);
	char *line = malloc(MESSAGE_TEXT_HISTORY_MAX);
	struct udpxdp_message m = from_ipv6(message("", UDPXDP_RECEIVED, THEN));
	size_t len, end;

	assert_non_null(text);
	assert_non_null(line);
	memset(text, 0x1b, UDPXDP_PAYLOAD_MAX);
	m.text = text;
	m.len = UDPXDP_PAYLOAD_MAX;
	m.addr = (struct udpxdp_addr){.b = {0xfe, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	m.port = 65535;
	len = message_text_history(line, MESSAGE_TEXT_HISTORY_MAX, &m);
	end = 4 * (size_t)UDPXDP_PAYLOAD_MAX + 1;
	assert_true(len > end);
	assert_memory_equal(line + len - end - 1, ":\\x1b", 5);
	assert_memory_equal(line + len - 5, "\\x1b\n", 5);
	free(text);
	free(line);
}

static void a_label_has_the_port_where_two_bear_the_name(void **state)
{
	static const struct udpxdp_service echo = {.name = "echo"},
					   broadcast = {.name = "broadcast"};
	const struct service_config services[] = {
		{.service = &echo, .port = 8080},
		{.service = &broadcast, .port = 65535},
		{.service = &echo, .port = 9},
	};
	char label[MESSAGE_TEXT_LABEL_MAX];

	message_text_label(label, services, 3, 0);
	assert_string_equal(label, "echo:8080");
	message_text_label(label, services, 3, 1);
	assert_string_equal(label, "broadcast");
	message_text_label(label, services, 3, 2);
	assert_string_equal(label, "echo:9");
	message_text_label(label, services, 2, 0);
	assert_string_equal(label, "echo");
}

/* Every length around the edges of cells goes through whole, until the queue is full; a message
 * that has no room leaves nothing behind. */
static void messages_of_every_length_pass_whole_or_not_at_all(void **state)
{
	struct message_queue *queue = message_queue_new(15, 2000);
	uint8_t text[4000];

	assert_non_null(queue);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31 >> 3);
	for (uint32_t len = 0; len <= sizeof(text); len++) {
		struct udpxdp_message m = message("", UDPXDP_SENT, THEN + len);
		uint32_t kept = len < 2000 ? len : 2000;
		const struct udpxdp_message *got;
		unsigned instance, count = 0;

		m.text = text;
		m.len = len;
		while (message_queue_put(queue, count, &m))
			count++;
		assert_in_range(count, 1, 15);
		for (unsigned i = 0; i < count; i++) {
			got = message_queue_get(queue, &instance);
			assert_non_null(got);
			assert_int_equal(instance, i);
			assert_int_equal(got->len, kept);
			assert_memory_equal(got->text, text, kept);
			assert_int_equal(got->time_ns, m.time_ns);
			assert_int_equal(got->direction, UDPXDP_SENT);
			assert_true(udpxdp_addr_equal(&got->addr, &m.addr));
			assert_int_equal(got->port, 4711);
		}
		assert_null(message_queue_get(queue, &instance));
	}
	message_queue_free(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_printed_line_has_time_service_direction_peer_and_text),
		cmocka_unit_test(a_time_has_the_offset_of_its_zone),
		cmocka_unit_test(a_change_of_the_clocks_is_followed),
		cmocka_unit_test(a_printed_line_is_cut_and_marked),
		cmocka_unit_test(a_json_line_has_the_same),
		cmocka_unit_test(a_json_line_is_valid_whatever_the_bytes),
		cmocka_unit_test(a_history_line_is_what_it_was_in_the_tutorial),
		cmocka_unit_test(a_history_line_is_never_cut),
		cmocka_unit_test(a_label_has_the_port_where_two_bear_the_name),
		cmocka_unit_test(messages_of_every_length_pass_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
