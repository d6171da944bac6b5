/* SPDX-License-Identifier: MIT */
/* `-s NAME[:PORT[-PORT]][,KEY=VALUE...]`: what is read, and what is said when it cannot be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/option.h"
#include "services/service_spec.h"
#include "services/service_table.h"

#define PORTS "1 to 65535, or a range such as 5000-5015"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct service_config parsed(const char *spec)
{
	struct service_config config;
	char error[256];

	if (service_parse(&config, spec, error, sizeof(error)) < 0)
		fail_msg("%s: %s", spec, error);
	return config;
}

static const struct udpxdp_option *option(const struct udpxdp_service *service, const char *name)
{
	const struct udpxdp_option *row = option_find(service->options, name);

	if (!row)
		fail_msg("%s has no option %s", service->name, name);
	return row;
}

static bool get_switch(const struct service_config *config, const char *name)
{
	return *(const bool *)(config->options + option(config->service, name)->offset);
}

static uint32_t get_number(const struct service_config *config, const char *name)
{
	return *(const uint32_t *)(config->options + option(config->service, name)->offset);
}

static void expect_error(const char *spec, const char *expected)
{
	struct service_config config;
	char error[256] = "";

	if (!service_parse(&config, spec, error, sizeof(error)))
		fail_msg("%s was accepted", spec);
	if (strcmp(error, expected))
		fail_msg("%s: \"%s\" instead of \"%s\"", spec, error, expected);
}

/* Whichever are known. */
static void expect_unknown(const char *name)
{
	char expected[256];
	size_t len = (size_t)snprintf(
		expected, sizeof(expected), "unknown service '%s', expected ", name);

	for (unsigned i = 0; service_table[i]; i++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s%s",
			!i                     ? ""
			: service_table[i + 1] ? ", "
					       : " or ",
			service_table[i]->name);
	for (char *c = expected; *c; c++)
		if (*c == '\n')
			*c = ' ';
	expect_error(name, expected);
}

static void tables_are_sound(void **state)
{
	for (unsigned i = 0; service_table[i]; i++) {
		const struct udpxdp_service *service = service_table[i];
		struct service_config config = parsed(service->name);

		char why[200] = "";

		if (service_check(service, why, sizeof(why)))
			fail_msg("%s: %s", service->name, why);
		assert_int_equal(config.port, service->port);
		assert_ptr_equal(config.service, service);
		assert_ptr_equal(service_find(service->name), service);
		for (const struct udpxdp_option *o = service->options; o && o->name; o++) {
			assert_non_null(o->fallback);
			assert_non_null(o->help);
			assert_true(o->offset < UDPXDP_OPTIONS_SIZE);
			assert_true(o->kind != UDPXDP_OPTION_STRING && /* does not last */
				    o->kind != UDPXDP_OPTION_COUNT);   /* takes no value */
		}
	}
	/* Whatever else is known runs when it is named. */
	assert_string_equal(default_services[0], "echo");
	assert_string_equal(default_services[1], "broadcast");
	assert_string_equal(default_services[2], "chat");
	assert_null(default_services[3]);
	assert_null(service_find("nothing"));
}

static void a_name_alone_has_the_defaults(void **state)
{
	struct service_config echo = parsed("echo"), broadcast = parsed("broadcast");
	struct service_config chat = parsed("chat");

	assert_int_equal(echo.port, 8080);
	assert_int_equal(broadcast.port, 8086);
	assert_int_equal(chat.port, 8090);
	assert_true(get_switch(&echo, "stamp"));
	assert_false(get_switch(&echo, "loops"));
	assert_true(get_switch(&broadcast, "answer"));
	assert_int_equal(get_number(&chat, "members"), 1024);
	assert_int_equal(get_number(&chat, "idle"), 300);
	assert_true(get_switch(&chat, "challenge"));
	assert_null(service_history(&chat)); /* nobody has said which */
	services_name_histories(&chat, 1);
	assert_string_equal(service_history(&chat), "chat.txt");
	assert_int_equal(chat.history_sync, 1);
	services_name_histories(&echo, 1);
	assert_null(service_history(&echo));
	assert_null(service_history(&broadcast));
}

static void every_option_is_set(void **state)
{
	struct service_config echo = parsed("echo:7,stamp=off,loops=allow");
	struct service_config chat =
		parsed("chat:65535,members=65536,idle=1,history=/var/a b:c=d.txt,sync=0");

	assert_int_equal(echo.port, 7);
	assert_false(get_switch(&echo, "stamp"));
	assert_true(get_switch(&echo, "loops"));
	assert_int_equal(chat.port, 65535);
	assert_int_equal(get_number(&chat, "members"), 65536);
	assert_int_equal(get_number(&chat, "idle"), 1);
	assert_string_equal(service_history(&chat), "/var/a b:c=d.txt");
	assert_int_equal(chat.history_sync, 0);
	chat = parsed("chat,history=off,members=00007,members=8");
	services_name_histories(&chat, 1);
	assert_null(service_history(&chat));
	assert_int_equal(get_number(&chat, "members"), 8);
}

static void each_error_names_what_is_wrong(void **state)
{
	static const char *const no_servers[] = {"chat,nats=nats://", "chat,nats=nats://:4222",
		"chat,nats=nats://h:", "chat,nats=nats://h:0", "chat,nats=tls://u:p@h:65536",
		"chat,nats=nats://h:99999999", "chat,nats=nats://[::1", "chat,nats=nats://u@"};
	static const char *const servers[] = {"chat,nats=nats://h", "chat,nats=nats://[::1]:4222",
		"chat,nats=tls://u:a/b@h:65535", "chat,nats=nats://token@h:1/"};
	struct service_config longest;
	char spec[400], error[400];

	expect_unknown("");
	expect_unknown("Echo");
	expect_unknown("ech");
	expect_unknown("a\nb");
	expect_error("x.so", "unknown service 'x.so'; the path of a shared object has a slash, as "
			     "in ./x.so");
	expect_error("echo:", "echo: invalid port '', expected " PORTS);
	expect_error("echo:0", "echo: invalid port '0', expected " PORTS);
	expect_error("echo:65536", "echo: invalid port '65536', expected " PORTS);
	expect_error("echo:-1", "echo: invalid port '-1', expected " PORTS);
	expect_error("echo: 1", "echo: invalid port ' 1', expected " PORTS);
	expect_error("echo:1x,stamp=off", "echo: invalid port '1x', expected " PORTS);
	expect_error("echo:18446744073709551617",
		"echo: invalid port '18446744073709551617', expected " PORTS);
	expect_error("echo,", "echo: unknown option '', expected stamp, loops, tos or answer");
	expect_error("broadcast,loops=off",
		"broadcast: unknown option 'loops', expected answer, nats, nats-creds or room");
	expect_error(
		"echo,stamp=maybe", "echo: stamp: invalid boolean 'maybe', expected on or off");
	expect_error("echo,stamp=ON", "echo: stamp: invalid boolean 'ON', expected on or off");
	expect_error("echo,loops=maybe",
		"echo: loops: invalid boolean 'maybe', expected allow or refuse");
	expect_error("echo,stamp", "echo: stamp: requires a value, as in stamp=on");
	expect_error("chat,history", "chat: history: requires a value, as in history=VALUE");
	expect_error("chat,members=0", "chat: members: '0' is not a number from 1 to 65536");
	expect_error(
		"chat,members=65537", "chat: members: '65537' is not a number from 1 to 65536");
	expect_error("chat,idle=", "chat: idle: '' is not a number from 1 to 86400");
	expect_error(
		"chat,sync=4294967297", "chat: sync: '4294967297' is not a number from 0 to 3600");
	expect_error("chat,history=", "chat: history: invalid path '', expected 1 to 255 bytes");
	expect_error("chat,seed=1",
		"chat: unknown option 'seed', expected members, idle, places, rate, bytes, "
		"room-rate, room-bytes, history-bytes, challenge, history, sync, nats, "
		"nats-creds, room or backlog");
	expect_error("chat,room=a.b", "chat: room: 'a.b' is not 1 to 32 letters, digits, - and _");
	expect_error("chat,room=", "chat: room: '' is not 1 to 32 letters, digits, - and _");
	expect_error("chat,backlog=101", "chat: backlog: '101' is not a number from 0 to 100");
#ifdef UDPXDP_NATS
	expect_error("chat,nats=host", "chat: nats: not a server's URL, expected one such as "
				       "nats://HOST:4222 or tls://HOST:4222");
	expect_error("chat,nats=http://u:secret@h",
		"chat: nats: not a server's URL, expected one such "
		"as nats://HOST:4222 or tls://HOST:4222");
	for (size_t i = 0; i < COUNT(no_servers); i++)
		expect_error(no_servers[i],
			"chat: nats: not a server's URL, expected one such as nats://HOST:4222 or "
			"tls://HOST:4222");
	for (size_t i = 0; i < COUNT(servers); i++)
		parsed(servers[i]);
	longest = parsed("chat,nats=nats://a:4222,room=x-1,nats=tls://b,nats-creds=c,backlog=0");
	assert_string_equal(longest.room.servers, "nats://a:4222,tls://b");
	assert_string_equal(longest.room.name, "x-1");
	assert_string_equal(longest.room.creds, "c");
	assert_int_equal(longest.room.backlog, 0);
#else
	expect_error("chat,nats=nats://a",
		"chat: nats: this udpxdp was built without libnats; install "
		"libnats-dev and build it again");
#endif
	longest = parsed("chat");
	assert_string_equal(longest.room.servers, "");
	assert_string_equal(longest.room.name, "lobby");
	assert_int_equal(longest.room.backlog, 20);

	memset(spec, 'p', sizeof(spec));
	memcpy(spec, "chat,history=", 13);
	spec[13 + 255] = '\0';
	longest = parsed(spec);
	assert_string_equal(service_history(&longest), spec + 13);
	spec[13 + 255] = 'p';
	spec[13 + 256] = '\0';
	assert_int_equal(service_parse(&longest, spec, error, sizeof(error)), -1);
}

/* What is longer than any piece may be is refused, not cut. */
static void long_pieces_are_refused(void **state)
{
	static const char *const starts[] = {
		"", "echo:", "chat,", "chat,members=", "chat,history="};
	char spec[2000], error[2000];

	for (unsigned i = 0; i < COUNT(starts); i++) {
		struct service_config config;

		memset(spec, '0', sizeof(spec));
		memcpy(spec, starts[i], strlen(starts[i]));
		strcpy(spec + sizeof(spec) - 2, "1");
		assert_int_equal(service_parse(&config, spec, error, sizeof(error)), -1);
	}
}

static void an_error_is_cut_to_its_buffer(void **state)
{
	struct service_config config;
	char error[16];

	memset(error, 'x', sizeof(error));
	assert_int_equal(service_parse(&config, "nothing", error, 10), -1);
	assert_string_equal(error, "unknown s");
	assert_int_equal(error[10], 'x');
	assert_int_equal(service_parse(&config, "nothing", error, 0), -1);
}

static void a_port_has_one_service(void **state)
{
	struct service_config configs[] = {
		parsed("echo:7000"), parsed("chat"), parsed("broadcast:7000")};
	char error[256];

	assert_int_equal(services_check(configs, 2, error, sizeof(error)), 0);
	assert_int_equal(services_check(configs, 3, error, sizeof(error)), -1);
	assert_string_equal(error, "port 7000: both echo and broadcast are on it; give one of "
				   "them another, as in broadcast:7001");
}

static void rooms_keep_separate_files(void **state)
{
	struct service_config configs[] = {parsed("chat"), parsed("chat:8091"),
		parsed("chat:8092,history=off"), parsed("chat:8093,history=/tmp/x"),
		parsed("chat:8094")};
	char error[256];

	services_name_histories(configs, COUNT(configs));
	assert_int_equal(services_check(configs, COUNT(configs), error, sizeof(error)), 0);
	assert_string_equal(service_history(&configs[0]), "chat.txt");
	assert_string_equal(service_history(&configs[1]), "chat-8091.txt");
	assert_null(service_history(&configs[2]));
	assert_string_equal(service_history(&configs[3]), "/tmp/x");
	assert_string_equal(service_history(&configs[4]), "chat-8094.txt");
}

static void a_history_has_one_service(void **state)
{
	struct service_config named[] = {parsed("chat,history=a"), parsed("chat:8091,history=a")};
	struct service_config standard[] = {parsed("chat"), parsed("chat:8091,history=chat.txt")};
	struct service_config taken[] = {
		parsed("chat:1,history=chat-3.txt"), parsed("chat:2"), parsed("chat:3")};
	char error[256];

	services_name_histories(standard, 2);
	services_name_histories(taken, 3);
	assert_int_equal(services_check(named, 2, error, sizeof(error)), -1);
	assert_string_equal(error, "history a: both chat:8090 and chat:8091 write it; give one "
				   "of them another with history=PATH");
	assert_int_equal(services_check(standard, 2, error, sizeof(error)), -1);
	assert_int_equal(services_check(taken, 3, error, sizeof(error)), -1);
}

/* ---- ranges of ports --------------------------------------------------------------------- */

static void a_range_is_a_service_for_each_port(void **state)
{
	static struct service_config configs[MAX_SERVICES];
	char error[256], text[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];
	unsigned count = 0;

	assert_int_equal(services_add(configs, &count, "chat", error, sizeof(error)), 0);
	assert_int_equal(
		services_add(configs, &count, "echo:5000-5002,stamp=off", error, sizeof(error)), 0);
	assert_int_equal(
		services_add(configs, &count, "echo:65535-65535", error, sizeof(error)), 0);
	services_text(configs, count, text, sizeof(text));
	assert_string_equal(text, "chat:8090,echo:5000,echo:5001,echo:5002,echo:65535");
	for (unsigned i = 1; i < 4; i++)
		assert_false(get_switch(&configs[i], "stamp"));
	assert_int_equal(services_check(configs, count, error, sizeof(error)), 0);
	assert_int_equal(
		services_add(configs, &count, "broadcast:5002-5003", error, sizeof(error)), 0);
	assert_int_equal(services_check(configs, count, error, sizeof(error)), -1);
}

static void a_range_has_its_limit(void **state)
{
	static struct service_config configs[MAX_SERVICES];
	char error[256];
	unsigned count = 0;

	assert_int_equal(services_add(configs, &count, "echo:1-33", error, sizeof(error)), -1);
	assert_string_equal(
		error, "more than 32 services: each port counts as one; name fewer ports");
	assert_int_equal(services_add(configs, &count, "echo:1-65535", error, sizeof(error)), -1);
	assert_int_equal(count, 0);
	assert_int_equal(services_add(configs, &count, "echo:1-32", error, sizeof(error)), 0);
	assert_int_equal(count, 32);
	assert_int_equal(services_add(configs, &count, "echo:33", error, sizeof(error)), -1);
	assert_int_equal(count, 32);
}

static void a_range_is_read_strictly(void **state)
{
	static const char *const ranges[] = {
		"0-5", "5-4", "5-", "-5", "5-65536", "1-2-3", "1 -2", "a-b"};
	static struct service_config configs[MAX_SERVICES];
	char spec[64], error[256], expected[256];

	for (unsigned i = 0; i < COUNT(ranges); i++) {
		unsigned count = 0;

		snprintf(spec, sizeof(spec), "echo:%s", ranges[i]);
		snprintf(expected, sizeof(expected), "echo: invalid port '%s', expected " PORTS,
			ranges[i]);
		assert_int_equal(services_add(configs, &count, spec, error, sizeof(error)), -1);
		assert_string_equal(error, expected);
		assert_int_equal(count, 0);
	}
	expect_error("echo:5000-5001", "echo: ports 5000-5001: expected one port");
}

static void services_as_text_are_cut_to_the_buffer(void **state)
{
	struct service_config configs[] = {parsed("echo"), parsed("chat:1")};
	char text[64];

	services_text(configs, 2, text, sizeof(text));
	assert_string_equal(text, "echo:8080,chat:1");
	services_text(configs, 2, text, 8);
	assert_string_equal(text, "echo:80");
	services_text(configs, 0, text, sizeof(text));
	assert_string_equal(text, "");
}

static void two_of_a_room_are_not_in_one_process(void **state)
{
#ifdef UDPXDP_NATS
	struct service_config configs[] = {parsed("chat,nats=nats://a"),
		parsed("chat:8091,history=off,nats=nats://a"), parsed("broadcast,nats=nats://a")};
	char error[256];

	assert_int_equal(services_check(configs, 3, error, sizeof(error)), -1);
	assert_string_equal(error, "room lobby: both chat:8090 and chat:8091 are in it; give one "
				   "of them another with room=NAME");
	configs[1] = parsed("chat:8091,history=off,nats=nats://a,room=other");
	assert_int_equal(services_check(configs, 3, error, sizeof(error)), 0);
	configs[1] = parsed("chat:8091,history=off");
	assert_int_equal(services_check(configs, 3, error, sizeof(error)), 0);
#else
	skip();
#endif
}

static void passwords_are_hidden(void **state)
{
	static const char *const texts[][2] = {
		{"chat,nats=nats://u:p@h:1,room=x", "chat,nats=nats://***@h:1,room=x"},
		{"chat,nats=tls://u:p@ss@h,nats=nats://h2,nats=nats://tok@h3",
			"chat,nats=tls://******@h,nats=nats://h2,nats=nats://***@h3"},
		{"nats://h/a@b ://", "nats://h/a@b ://"},
		{"", ""},
		{"u:p@h", "u:p@h"},
	};
	char text[128], error[256];
	struct service_config config;

	for (unsigned i = 0; i < COUNT(texts); i++) {
		snprintf(text, sizeof(text), "%s", texts[i][0]);
		service_hide_password(text);
		assert_string_equal(text, texts[i][1]);
	}
	assert_int_equal(
		service_parse(&config, "chat:1nats://u:sesame@h", error, sizeof(error)), -1);
	assert_null(strstr(error, "sesame"));
	assert_int_equal(
		service_parse(&config, "chat,room=nats://u:sesame@h", error, sizeof(error)), -1);
	assert_null(strstr(error, "sesame"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(a_name_alone_has_the_defaults),
		cmocka_unit_test(every_option_is_set),
		cmocka_unit_test(each_error_names_what_is_wrong),
		cmocka_unit_test(long_pieces_are_refused),
		cmocka_unit_test(an_error_is_cut_to_its_buffer),
		cmocka_unit_test(a_port_has_one_service),
		cmocka_unit_test(rooms_keep_separate_files),
		cmocka_unit_test(a_history_has_one_service),
		cmocka_unit_test(a_range_is_a_service_for_each_port),
		cmocka_unit_test(a_range_has_its_limit),
		cmocka_unit_test(a_range_is_read_strictly),
		cmocka_unit_test(services_as_text_are_cut_to_the_buffer),
		cmocka_unit_test(two_of_a_room_are_not_in_one_process),
		cmocka_unit_test(passwords_are_hidden),
	};

	return cmocka_run_group_tests_name("service_spec", tests, NULL, NULL);
}
