/* SPDX-License-Identifier: MIT */
/* `-s NAME[:PORT][,KEY=VALUE...]`: what is read, and what is said when it cannot be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "services/service_table.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct service_config parsed(const char *spec)
{
	struct service_config config;
	char error[256];

	if (service_parse(&config, spec, error, sizeof(error)) < 0)
		fail_msg("%s: %s", spec, error);
	return config;
}

static const struct udpxdp_option *option(const struct udpxdp_service *service, const char *key)
{
	for (const struct udpxdp_option *o = service->options; o && o->key; o++)
		if (!strcmp(o->key, key))
			return o;
	fail_msg("%s has no option %s", service->name, key);
	return NULL;
}

static bool get_switch(const struct service_config *config, const char *key)
{
	return *(const bool *)(config->options + option(config->service, key)->offset);
}

static uint32_t get_number(const struct service_config *config, const char *key)
{
	return *(const uint32_t *)(config->options + option(config->service, key)->offset);
}

static const char *history(const struct service_config *config)
{
	uint32_t sync;

	return service_history(config, &sync);
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

static void each_option_has_a_default_a_help_and_a_place(void **state)
{
	for (unsigned i = 0; service_table[i]; i++) {
		const struct udpxdp_service *service = service_table[i];
		struct service_config config = parsed(service->name);

		assert_string_equal(default_services[i], service->name);
		assert_true(strlen(service->name) < UDPXDP_NAME_SIZE);
		assert_int_equal(config.port, service->port);
		assert_ptr_equal(config.service, service);
		for (const struct udpxdp_option *o = service->options; o && o->key; o++) {
			assert_non_null(o->fallback);
			assert_non_null(o->help);
			assert_true(o->offset < UDPXDP_OPTIONS_SIZE);
		}
	}
	assert_null(default_services[3]);
}

static void options_not_given_have_their_defaults(void **state)
{
	struct service_config echo = parsed("echo"), broadcast = parsed("broadcast");
	struct service_config chat = parsed("chat");
	uint32_t sync = 99;

	assert_int_equal(echo.port, 8080);
	assert_int_equal(broadcast.port, 8086);
	assert_int_equal(chat.port, 8090);
	assert_true(get_switch(&echo, "stamp"));
	assert_false(get_switch(&echo, "loops"));
	assert_true(get_switch(&broadcast, "answer"));
	assert_int_equal(get_number(&chat, "members"), 1024);
	assert_int_equal(get_number(&chat, "idle"), 300);
	assert_true(get_switch(&chat, "challenge"));
	assert_string_equal(service_history(&chat, &sync), "chat.txt");
	assert_int_equal(sync, 1);
	assert_null(service_history(&echo, &sync));
	assert_null(service_history(&broadcast, &sync));
}

static void options_given_are_set(void **state)
{
	struct service_config echo = parsed("echo:7,stamp=off,loops=allow");
	struct service_config chat =
		parsed("chat:65535,members=65536,idle=1,history=/var/a b:c=d.txt,sync=0");
	uint32_t sync;

	assert_int_equal(echo.port, 7);
	assert_false(get_switch(&echo, "stamp"));
	assert_true(get_switch(&echo, "loops"));
	assert_int_equal(chat.port, 65535);
	assert_int_equal(get_number(&chat, "members"), 65536);
	assert_int_equal(get_number(&chat, "idle"), 1);
	assert_string_equal(service_history(&chat, &sync), "/var/a b:c=d.txt");
	assert_int_equal(sync, 0);
	chat = parsed("chat,history=off,members=00007,members=8");
	assert_null(history(&chat));
	assert_int_equal(get_number(&chat, "members"), 8);
}

static void what_is_wrong_is_said(void **state)
{
	struct service_config longest;
	char spec[400], error[400];

	expect_error("", "no service is called \"\": there are echo, broadcast, chat");
	expect_error("Echo", "no service is called \"Echo\": there are echo, broadcast, chat");
	expect_error("ech", "no service is called \"ech\": there are echo, broadcast, chat");
	expect_error("a\nb", "no service is called \"a b\": there are echo, broadcast, chat");
	expect_error("echo:", "echo:: a port is a number from 1 to 65535");
	expect_error("echo:0", "echo:0: a port is a number from 1 to 65535");
	expect_error("echo:65536", "echo:65536: a port is a number from 1 to 65535");
	expect_error("echo:-1", "echo:-1: a port is a number from 1 to 65535");
	expect_error("echo: 1", "echo: 1: a port is a number from 1 to 65535");
	expect_error("echo:1x,stamp=off", "echo:1x: a port is a number from 1 to 65535");
	expect_error("echo:18446744073709551617",
		"echo:18446744073709551617: a port is a number from 1 to 65535");
	expect_error("echo,", "echo has no option \"\": it has stamp, loops");
	expect_error("broadcast,loops=off", "broadcast has no option \"loops\": it has answer");
	expect_error("echo,stamp=yes", "echo: stamp=yes: allowed are on and off");
	expect_error("echo,loops=maybe", "echo: loops=maybe: allowed are allow and refuse");
	expect_error("echo,stamp", "echo: stamp needs a value: write stamp=VALUE, for example "
				   "stamp=on");
	expect_error("chat,members=0", "chat: members=0: allowed are the numbers from 1 to 65536");
	expect_error("chat,members=65537",
		"chat: members=65537: allowed are the numbers from 1 to 65536");
	expect_error("chat,idle=", "chat: idle=: allowed are the numbers from 1 to 86400");
	expect_error("chat,sync=4294967297",
		"chat: sync=4294967297: allowed are the numbers from 0 to 3600");
	expect_error("chat,history=", "chat: history=: a path of 1 to 255 bytes is needed");
	expect_error("chat,seed=1", "chat has no option \"seed\": it has members, idle, "
				    "challenge, history, sync");

	memset(spec, 'p', sizeof(spec));
	memcpy(spec, "chat,history=", 13);
	spec[13 + 255] = '\0';
	longest = parsed(spec);
	assert_string_equal(history(&longest), spec + 13);
	spec[13 + 255] = 'p';
	spec[13 + 256] = '\0';
	assert_int_equal(service_parse(&longest, spec, error, sizeof(error)), -1);
}

static void an_error_is_cut_to_its_room(void **state)
{
	struct service_config config;
	char error[16];

	memset(error, 'x', sizeof(error));
	assert_int_equal(service_parse(&config, "nothing", error, 10), -1);
	assert_string_equal(error, "no servic");
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
	assert_string_equal(error, "echo and broadcast both want port 7000: a port has one "
				   "service; give one of them another, as in broadcast:7001");
}

static void rooms_keep_separate_files(void **state)
{
	struct service_config configs[] = {parsed("chat"), parsed("chat:8091"),
		parsed("chat:8092,history=off"), parsed("chat:8093,history=/tmp/x"),
		parsed("chat:8094")};
	char error[256];

	assert_int_equal(services_check(configs, COUNT(configs), error, sizeof(error)), 0);
	assert_string_equal(history(&configs[0]), "chat.txt");
	assert_string_equal(history(&configs[1]), "chat-8091.txt");
	assert_null(history(&configs[2]));
	assert_string_equal(history(&configs[3]), "/tmp/x");
	assert_string_equal(history(&configs[4]), "chat-8094.txt");
	for (unsigned i = 0; i < COUNT(configs); i++)
		assert_int_equal(service_history_named(&configs[i]), i == 2 || i == 3);
}

static void a_history_has_one_writer(void **state)
{
	struct service_config named[] = {parsed("chat,history=a"), parsed("chat:8091,history=a")};
	struct service_config standard[] = {parsed("chat"), parsed("chat:8091,history=chat.txt")};
	struct service_config taken[] = {
		parsed("chat:1,history=chat-3.txt"), parsed("chat:2"), parsed("chat:3")};
	char error[256];

	assert_int_equal(services_check(named, 2, error, sizeof(error)), -1);
	assert_string_equal(error, "chat:8090 and chat:8091 both write a: a history has one "
				   "writer; give one of them another file with history=PATH");
	assert_int_equal(services_check(standard, 2, error, sizeof(error)), -1);
	assert_int_equal(services_check(taken, 3, error, sizeof(error)), -1);
}

static void services_are_listed_by_name_and_port(void **state)
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

static void each_service_with_a_seed_gets_its_own(void **state)
{
	struct service_config configs[] = {parsed("echo"), parsed("chat"), parsed("chat:1")};
	const struct service_config before[] = {configs[0], configs[1], configs[2]};
	const struct udpxdp_seed seed = {{1, 2}};
	size_t offset = configs[1].service->seed_offset;

	services_seed(configs, COUNT(configs), &seed);
	assert_memory_equal(configs[0].options, before[0].options, UDPXDP_OPTIONS_SIZE);
	assert_memory_not_equal(
		configs[1].options + offset, before[1].options + offset, sizeof(seed));
	assert_memory_not_equal(
		configs[1].options + offset, configs[2].options + offset, sizeof(seed));
	memcpy(configs[1].options + offset, &(struct udpxdp_seed){0}, sizeof(seed));
	assert_memory_equal(configs[1].options, before[1].options, UDPXDP_OPTIONS_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_has_a_default_a_help_and_a_place),
		cmocka_unit_test(options_not_given_have_their_defaults),
		cmocka_unit_test(options_given_are_set),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(an_error_is_cut_to_its_room),
		cmocka_unit_test(a_port_has_one_service),
		cmocka_unit_test(rooms_keep_separate_files),
		cmocka_unit_test(a_history_has_one_writer),
		cmocka_unit_test(services_are_listed_by_name_and_port),
		cmocka_unit_test(each_service_with_a_seed_gets_its_own),
	};

	return cmocka_run_group_tests_name("service_table", tests, NULL, NULL);
}
