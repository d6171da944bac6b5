/* SPDX-License-Identifier: MIT */
/* `-s NAME[:PORT][,KEY=VALUE...]`: what is read, and what is said when it cannot be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/option.h"
#include "services/service_spec.h"
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

static void tables_are_sound(void **state)
{
	for (unsigned i = 0; service_table[i]; i++) {
		const struct udpxdp_service *service = service_table[i];
		struct service_config config = parsed(service->name);

		assert_string_equal(default_services[i], service->name);
		assert_true(strlen(service->name) < UDPXDP_NAME_SIZE);
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
	assert_null(default_services[3]);
	assert_null(service_find("nothing"));
}

static void defaults(void **state)
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

static void options(void **state)
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

static void errors(void **state)
{
	struct service_config longest;
	char spec[400], error[400];

	expect_error("", "unknown service '', expected echo, broadcast or chat");
	expect_error("Echo", "unknown service 'Echo', expected echo, broadcast or chat");
	expect_error("ech", "unknown service 'ech', expected echo, broadcast or chat");
	expect_error("a\nb", "unknown service 'a b', expected echo, broadcast or chat");
	expect_error("echo:", "echo: invalid port '', expected 1 to 65535");
	expect_error("echo:0", "echo: invalid port '0', expected 1 to 65535");
	expect_error("echo:65536", "echo: invalid port '65536', expected 1 to 65535");
	expect_error("echo:-1", "echo: invalid port '-1', expected 1 to 65535");
	expect_error("echo: 1", "echo: invalid port ' 1', expected 1 to 65535");
	expect_error("echo:1x,stamp=off", "echo: invalid port '1x', expected 1 to 65535");
	expect_error("echo:18446744073709551617",
		"echo: invalid port '18446744073709551617', expected 1 to 65535");
	expect_error("echo,", "echo: unknown option '', expected stamp, loops or answer");
	expect_error("broadcast,loops=off", "broadcast: unknown option 'loops', expected answer");
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
	expect_error("chat,seed=1", "chat: unknown option 'seed', expected members, idle, "
				    "challenge, history or sync");

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
static void long_pieces(void **state)
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

static void error_is_cut(void **state)
{
	struct service_config config;
	char error[16];

	memset(error, 'x', sizeof(error));
	assert_int_equal(service_parse(&config, "nothing", error, 10), -1);
	assert_string_equal(error, "unknown s");
	assert_int_equal(error[10], 'x');
	assert_int_equal(service_parse(&config, "nothing", error, 0), -1);
}

static void a_port_twice(void **state)
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

static void a_file_twice(void **state)
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

static void as_text(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(defaults),
		cmocka_unit_test(options),
		cmocka_unit_test(errors),
		cmocka_unit_test(long_pieces),
		cmocka_unit_test(error_is_cut),
		cmocka_unit_test(a_port_twice),
		cmocka_unit_test(rooms_keep_separate_files),
		cmocka_unit_test(a_file_twice),
		cmocka_unit_test(as_text),
	};

	return cmocka_run_group_tests_name("service_spec", tests, NULL, NULL);
}
