/* SPDX-License-Identifier: MIT */
/* Counters: sums over CPUs and workers, rates, and the three ways of writing them out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/stats/print.h"
#include "udpxdp/datagram.h"

#define AT(reason) [TRAFFIC_VALUES + UDPXDP_DROP_##reason]

static struct port_total ports[] = {{80, {1, 64, 1, 0}}, {8080, {30, 2000, 20, 7, 3}}};

/* Two workers with echo, one of them with chat; echo serves two ports. */
static struct service_total services[] = {
	{"echo", 8080, 0, {10, 9, 100, 90, AT(bad_udp_checksum) = 1}, {}},
	{"chat", 8090, 0, {5, 12, 50, 120}, {}},
	{"echo", 80, 0, {1, 1, 0, 30}, {}},
	{"echo", 8080, 1, {20, 17, 200, 170, AT(bad_udp_checksum) = 1, AT(loop) = 2}, {}},
	{"echo", 80, 1, {0, 0, 0, 0}, {}},
	{"echo", 80, COUNTERS_DRIVER, {4, 3, 40, 60, AT(loop) = 1}, {}},
};

static const struct counters now = {
	.time_ns = 5 * UDPXDP_NSEC_PER_SEC,
	.ports = ports,
	.port_count = 2,
	.services = services,
	.service_count = 6,
	.verdicts = {[FRAME_REDIRECTED] = {21, 1500}, [FRAME_NOT_IP] = {4, 240}},
};

static struct port_total earlier_ports[] = {{8080, {10, 1000, 20, 0}}};

static struct service_total earlier_services[] = {
	{"echo", 8080, 0, {4, 4, 40, 40, AT(bad_udp_checksum) = 1}, {}},
	{"echo", 8080, 1, {4, 4, 40, 40}, {}},
};

static const struct counters earlier = {
	.time_ns = 3 * UDPXDP_NSEC_PER_SEC,
	.ports = earlier_ports,
	.port_count = 1,
	.services = earlier_services,
	.service_count = 2,
	.verdicts = {[FRAME_REDIRECTED] = {1, 500}, [FRAME_NOT_IP] = {4, 240}},
};

static void sums_over_cpus(void **state)
{
	/* Three CPUs, rows of three words of which the last two count, as in struct verdict_row. */
	const uint64_t values[] = {7, 1, 10, 7, 2, 20, 7, 3, UINT64_MAX};
	uint64_t sums[2] = {99, 99};

	counters_sum(sums, 2, values + 1, 3, 3);
	assert_true(sums[0] == 6);
	assert_true(sums[1] == 29); /* wraps, as a counter does */
	counters_sum(sums, 2, values + 1, 3, 1);
	assert_true(sums[0] == 1 && sums[1] == 10);
	counters_sum(sums, 2, values, 3, 0);
	assert_true(sums[0] == 0 && sums[1] == 0);
}

static void sums_over_workers(void **state)
{
	struct service_total totals[6];

	assert_int_equal(counters_by_service(&now, totals), 3);
	assert_string_equal(totals[0].service, "echo");
	assert_int_equal(totals[0].port, 8080);
	assert_int_equal(totals[0].values[0], 30);
	assert_int_equal(totals[0].values[3], 260);
	assert_int_equal(totals[0].values[TRAFFIC_VALUES + UDPXDP_DROP_bad_udp_checksum], 2);
	assert_int_equal(totals[0].values[TRAFFIC_VALUES + UDPXDP_DROP_loop], 2);
	assert_string_equal(totals[1].service, "chat");
	assert_int_equal(totals[1].values[1], 12);
	assert_int_equal(totals[2].port, 80);
	assert_int_equal(totals[2].values[0], 5); /* one of a worker, four of the driver */
	assert_int_equal(counters_by_service(&(struct counters){}, totals), 0);
}

static void a_rate_is_what_was_added_a_second(void **state)
{
	assert_true(stats_rate(110, 10, 2) == 50);
	assert_true(stats_rate(10, 10, 2) == 0);
	assert_true(stats_rate(10, 110, 2) == 5); /* began anew */
	assert_true(stats_rate(10, 0, 0) == 0);
	assert_true(stats_rate(UINT64_MAX, 0, 1) > 1.8e19);
}

typedef void printer(FILE *out, const struct stats_view *view);

static char *print_with(printer *print, const struct stats_view *view)
{
	char *text;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	print(file, view);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void prints(printer *print, const struct stats_view *view, const char *expected)
{
	char *text = print_with(print, view);

	assert_string_equal(text, expected);
	free(text);
}

static void table_shows_what_has_counted(void **state)
{
	prints(stats_print_table, &(struct stats_view){.iface = "eth0", .now = &now},
		"eth0\n"
		"\n"
		"port  rx_packets  rx_bytes  redirected  passed  answered\n"
		"80             1        64           1       0         0\n"
		"8080          30      2000          20       7         3\n"
		"\n"
		"verdict     frames  bytes\n"
		"redirected      21   1500  redirected to a socket of udpxdp\n"
		"not_ip           4    240  neither IPv4 nor IPv6, or more than two VLAN tags\n"
		"\n"
		"service    rx  tx  rx_bytes  tx_bytes  dropped\n"
		"echo:8080  30  26       300       260        4\n"
		"chat:8090   5  12        50       120        0\n"
		"echo:80     5   4        40        90        1\n"
		"\n"
		"dropped by  reason            datagrams\n"
		"echo:8080   bad_udp_checksum          2  the UDP checksum is wrong, or absent "
		"in IPv6\n"
		"echo:8080   loop                      2  answering could start a loop between "
		"services\n"
		"echo:80     loop                      1  answering could start a loop between "
		"services\n");
}

static void table_shows_rates_between_two_readings(void **state)
{
	const struct counters quiet = {.time_ns = 1, .port_count = 0};

	prints(stats_print_table,
		&(struct stats_view){.iface = "eth0", .now = &now, .before = &earlier},
		"eth0\n"
		"\n"
		"port  rx_packets    /s  rx_bytes     /s  redirected   /s  passed   /s  answered   "
		"/s\n"
		"80             1   0.5        64   32.0           1  0.5       0  0.0         0  "
		"0.0\n"
		"8080          30  10.0      2000  500.0          20  0.0       7  3.5         3  "
		"1.5\n"
		"\n"
		"verdict     frames    /s  bytes     /s\n"
		"redirected      21  10.0   1500  500.0  redirected to a socket of udpxdp\n"
		"not_ip           4   0.0    240    0.0  neither IPv4 nor IPv6, or more than "
		"two VLAN tags\n"
		"\n"
		"service    rx    /s  tx   /s  rx_bytes     /s  tx_bytes    /s  dropped   /s\n"
		"echo:8080  30  11.0  26  9.0       300  110.0       260  90.0        4  1.5\n"
		"chat:8090   5   2.5  12  6.0        50   25.0       120  60.0        0  0.0\n"
		"echo:80     5   2.5   4  2.0        40   20.0        90  45.0        1  0.5\n"
		"\n"
		"dropped by  reason            datagrams   /s\n"
		"echo:8080   bad_udp_checksum          2  0.5  the UDP checksum is wrong, or "
		"absent in IPv6\n"
		"echo:8080   loop                      2  1.0  answering could start a loop "
		"between services\n"
		"echo:80     loop                      1  0.5  answering could start a loop "
		"between services\n");
	prints(stats_print_table, &(struct stats_view){.iface = "x", .now = &quiet},
		"x\n\nport  rx_packets  rx_bytes  redirected  passed  answered\n\n"
		"verdict  frames  bytes\n\nservice  rx  tx  rx_bytes  tx_bytes  dropped\n");
}

static unsigned lines_in(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void table_of_all_shows_every_reason(void **state)
{
	char *text = print_with(
		stats_print_table, &(struct stats_view){.iface = "eth0", .now = &now, .all = true});

	/* Headings and empty lines; ports, verdicts, services, and each reason of each. */
	assert_int_equal(lines_in(text), 9 + 2 + FRAME_VERDICT_COUNT + 3 + 3 * UDPXDP_DROP_COUNT);
	assert_non_null(strstr(text, "\nfragment "));
	assert_non_null(strstr(text, "\nchat:8090   print_lost "));
	free(text);
}

static json_t *json_of(const struct stats_view *view, unsigned lines)
{
	json_t *root;
	char *text;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	assert_int_equal(stats_print_json(file, view), 0);
	assert_int_equal(fclose(file), 0);
	if (lines)
		assert_int_equal(lines_in(text), lines);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static void same_json(json_t *actual, const char *expected)
{
	json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
	char *text = json_dumps(actual, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(10));

	assert_non_null(wanted);
	if (!json_equal(actual, wanted))
		fail_msg("%s instead of %s", text, expected);
	json_decref(wanted);
	free(text);
}

static void json_has_every_counter(void **state)
{
	json_t *root = json_of(&(struct stats_view){.iface = "eth0", .now = &now}, 0);
	json_t *list, *echo, *worker;

	assert_int_equal(json_object_size(root), 4);
	same_json(json_object_get(root, "iface"), "\"eth0\"");
	same_json(json_object_get(root, "ports"),
		"[{\"port\":80,\"rx_packets\":1,\"rx_bytes\":64,\"redirected\":1,\"passed\":0,"
		"\"answered\":0},"
		"{\"port\":8080,\"rx_packets\":30,\"rx_bytes\":2000,\"redirected\":20,"
		"\"passed\":7,\"answered\":3}]");
	assert_int_equal(json_object_size(json_object_get(root, "verdicts")), FRAME_VERDICT_COUNT);
	same_json(json_object_get(json_object_get(root, "verdicts"), "redirected"),
		"{\"frames\":21,\"bytes\":1500}");
	same_json(json_object_get(json_object_get(root, "verdicts"), "fragment"),
		"{\"frames\":0,\"bytes\":0}");

	list = json_object_get(root, "services");
	assert_int_equal(json_array_size(list), 3);
	echo = json_array_get(list, 0);
	same_json(json_object_get(echo, "service"), "\"echo\"");
	same_json(json_object_get(echo, "port"), "8080");
	same_json(json_object_get(echo, "rx"), "30");
	same_json(json_object_get(echo, "tx"), "26");
	same_json(json_object_get(echo, "rx_bytes"), "300");
	same_json(json_object_get(echo, "tx_bytes"), "260");
	assert_int_equal(json_object_size(json_object_get(echo, "drops")), UDPXDP_DROP_COUNT);
	same_json(json_object_get(json_object_get(echo, "drops"), "loop"), "2");
	same_json(json_object_get(json_object_get(echo, "drops"), "room_full"), "0");
	assert_int_equal(json_array_size(json_object_get(echo, "workers")), 2);
	worker = json_array_get(json_object_get(echo, "workers"), 1);
	same_json(json_object_get(worker, "worker"), "1");
	same_json(json_object_get(worker, "rx"), "20");
	same_json(json_object_get(json_object_get(worker, "drops"), "bad_udp_checksum"), "1");
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "workers")), 1);
	worker = json_array_get(json_object_get(json_array_get(list, 2), "workers"), 2);
	same_json(json_object_get(worker, "worker"), "\"driver\"");
	same_json(json_object_get(worker, "tx"), "3");
	json_decref(root);
}

static void json_has_rates_between_two_readings(void **state)
{
	const struct stats_view view = {
		.iface = "quote\" and \\", .now = &now, .before = &earlier, .compact = true};
	json_t *root = json_of(&view, 1);
	json_t *echo = json_array_get(json_object_get(root, "services"), 0);

	same_json(json_object_get(root, "iface"), "\"quote\\\" and \\\\\"");
	same_json(json_object_get(root, "seconds"), "2.0");
	same_json(json_object_get(json_array_get(json_object_get(root, "ports"), 1), "rates"),
		"{\"rx_packets\":10.0,\"rx_bytes\":500.0,\"redirected\":0.0,\"passed\":3.5,"
		"\"answered\":1.5}");
	same_json(json_object_get(json_object_get(root, "verdicts"), "redirected"),
		"{\"frames\":21,\"bytes\":1500,\"rates\":{\"frames\":10.0,\"bytes\":500.0}}");
	same_json(json_object_get(echo, "rates"),
		"{\"rx\":11.0,\"tx\":9.0,\"rx_bytes\":110.0,\"tx_bytes\":90.0}");
	same_json(json_object_get(json_array_get(json_object_get(echo, "workers"), 1), "rates"),
		"{\"rx\":8.0,\"tx\":6.5,\"rx_bytes\":80.0,\"tx_bytes\":65.0}");
	json_decref(root);
}

static void has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line %s", line);
}

/* Every sample follows the HELP and TYPE of its family, and no family comes twice. */
static void prometheus_explains_each_family_once(void **state)
{
	char *text = print_with(
		stats_print_prometheus, &(struct stats_view){.iface = "a\"b\\c\nd", .now = &now});
	char family[128] = "", seen[4096] = "", *save;

#define ETH "{iface=\"a\\\"b\\\\c\\nd\","
	has_line(text, "# TYPE udpxdp_port_rx_packets_total counter");
	has_line(text, "udpxdp_port_rx_packets_total" ETH "port=\"8080\"} 30");
	has_line(text, "udpxdp_port_passed_total" ETH "port=\"8080\"} 7");
	has_line(text, "udpxdp_port_answered_total" ETH "port=\"8080\"} 3");
	has_line(text, "udpxdp_frames_total" ETH "reason=\"redirected\"} 21");
	has_line(text, "udpxdp_frame_bytes_total" ETH "reason=\"not_ip\"} 240");
	has_line(text, "udpxdp_frames_total" ETH "reason=\"fragment\"} 0");
	has_line(text, "udpxdp_service_rx_datagrams_total" ETH
		       "service=\"echo\",port=\"8080\",worker=\"1\"} 20");
	has_line(text, "udpxdp_service_tx_bytes_total" ETH
		       "service=\"chat\",port=\"8090\",worker=\"0\"} 120");
	has_line(text, "udpxdp_service_drops_total" ETH
		       "service=\"echo\",port=\"8080\",worker=\"1\",reason=\"loop\"} 2");
	has_line(text, "udpxdp_service_tx_datagrams_total" ETH
		       "service=\"echo\",port=\"80\",worker=\"driver\"} 3");
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[128], type[32];

		if (sscanf(line, "# HELP %127s", name) == 1) {
			assert_null(strstr(seen, name));
			strcat(strcat(seen, name), " ");
			strcpy(family, name);
			assert_true(strlen(line) > strlen("# HELP  ") + strlen(name));
			assert_string_equal(name + strlen(name) - 6, "_total");
		} else if (sscanf(line, "# TYPE %127s %31s", name, type) == 2) {
			assert_string_equal(name, family);
			assert_string_equal(type, "counter");
		} else {
			assert_memory_equal(line, family, strlen(family));
			assert_int_equal(line[strlen(family)], '{');
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_over_cpus),
		cmocka_unit_test(sums_over_workers),
		cmocka_unit_test(a_rate_is_what_was_added_a_second),
		cmocka_unit_test(table_shows_what_has_counted),
		cmocka_unit_test(table_shows_rates_between_two_readings),
		cmocka_unit_test(table_of_all_shows_every_reason),
		cmocka_unit_test(json_has_every_counter),
		cmocka_unit_test(json_has_rates_between_two_readings),
		cmocka_unit_test(prometheus_explains_each_family_once),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
