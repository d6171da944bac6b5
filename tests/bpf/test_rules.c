/* SPDX-License-Identifier: MIT */
/*
 * The guard rails: --allow and --deny (longest match, and the default), --limit (burst, then
 * rate, each /24 and /64 by itself), and what they count.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "harness.h"
#include "xdp/filter.h"

#define SECOND 1000000000ull
#define HOUR (3600 * SECOND)

static struct udpxdp_bpf *open_filter(const struct filter_config *config)
{
	struct udpxdp_bpf *filter = probe_load(config);

	assert_non_null(filter);
	probe_local(filter, "10.0.0.1", LOCAL_UNICAST);
	probe_local(filter, "2001:db8::1", LOCAL_UNICAST);
	probe_serve(filter, 8080, false);
	return filter;
}

/*
 * Sends a datagram from this address to the served port; true: it was let in. Whatever is not let
 * in has to be dropped, and counted as reason.
 */
static bool let_in(const struct udpxdp_bpf *filter, const char *source, enum frame_verdict reason)
{
	const bool v6 = strchr(source, ':');
	const struct port_counters was = probe_port(filter, 8080);
	const uint64_t refused = probe_verdict(filter, reason).frames;
	const uint64_t passed = probe_verdict(filter, FRAME_NO_SOCKET).frames;
	const struct fixture *f = fixtures;
	struct port_counters now;
	uint8_t frame[FRAME_MAX];
	bool in;

	while (strcmp(f->name, v6 ? "ipv6" : "ipv4"))
		f++;
	memcpy(frame, f->frame, f->len);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, source, frame + (v6 ? 22 : 26)), 1);
	in = probe_run(filter, NULL, frame, f->len) == XDP_PASS;
	now = probe_port(filter, 8080);
	assert_int_equal(now.rx_packets - was.rx_packets, 1);
	assert_int_equal(now.rx_bytes - was.rx_bytes, f->len);
	assert_int_equal(now.redirected - was.redirected, 0);
	assert_int_equal(now.passed - was.passed, in);
	assert_int_equal(probe_verdict(filter, FRAME_NO_SOCKET).frames - passed, in);
	assert_int_equal(probe_verdict(filter, reason).frames - refused, !in);
	return in;
}

#define ALLOWED(source) assert_true(let_in(filter, source, FRAME_DENIED))
#define REFUSED(source) assert_false(let_in(filter, source, FRAME_DENIED))

static void test_deny(void **state)
{
	const struct filter_config config = {.rules = 1};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	ALLOWED("192.0.2.1");
	probe_rule(filter, "192.0.2.0/24", RULE_DENY);
	probe_rule(filter, "192.0.2.64/26", RULE_ALLOW);
	probe_rule(filter, "192.0.2.65/32", RULE_DENY);
	ALLOWED("192.0.1.255");
	REFUSED("192.0.2.0");
	REFUSED("192.0.2.63");
	ALLOWED("192.0.2.64");
	REFUSED("192.0.2.65");
	ALLOWED("192.0.2.66");
	ALLOWED("192.0.2.127");
	REFUSED("192.0.2.128");
	REFUSED("192.0.2.255");
	ALLOWED("192.0.3.0");
	probe_rule(filter, "2001:db8:1::/48", RULE_DENY);
	probe_rule(filter, "2001:db8:1:2::/64", RULE_ALLOW);
	probe_rule(filter, "2001:db8:1:2::3/128", RULE_DENY);
	ALLOWED("2001:db8::1:1");
	REFUSED("2001:db8:1::1");
	ALLOWED("2001:db8:1:2::2");
	REFUSED("2001:db8:1:2::3");
	REFUSED("2001:db8:1:ffff:ffff:ffff:ffff:ffff");
	ALLOWED("2001:db8:2::1");
	udpxdp_bpf__destroy(filter);
}

static void test_allow_only(void **state)
{
	const struct filter_config config = {.rules = 1, .default_deny = 1};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	REFUSED("10.0.0.2");
	REFUSED("2001:db8::2");
	probe_rule(filter, "10.0.0.0/8", RULE_ALLOW);
	probe_rule(filter, "10.9.0.0/16", RULE_DENY);
	ALLOWED("10.0.0.2");
	ALLOWED("10.8.255.255");
	REFUSED("10.9.0.0");
	REFUSED("11.0.0.0");
	REFUSED("2001:db8::2");
	udpxdp_bpf__destroy(filter);
}

/* The whole of IPv4 lies at ::ffff:0:0/96: a rule for it says nothing of IPv6. */
static void test_all_of_one_family(void **state)
{
	const struct filter_config config = {.rules = 1, .default_deny = 1};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	probe_rule(filter, "0.0.0.0/0", RULE_ALLOW);
	ALLOWED("203.0.113.1");
	REFUSED("2001:db8::2");
	probe_rule(filter, "::/0", RULE_ALLOW);
	probe_rule(filter, "0.0.0.0/0", RULE_DENY);
	REFUSED("203.0.113.1");
	ALLOWED("2001:db8::2");
	udpxdp_bpf__destroy(filter);
}

/* The program of the filter that the server has loaded: the only one this process holds. */
static int program_fd(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char path[64], target[64];
	ssize_t len;
	int fd = -1;

	while (fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%.10s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (strstr(target, "bpf-prog"))
			fd = atoi(entry->d_name);
	}
	closedir(dir);
	return fd;
}

/* What the server's filter does with the first fixture of this name. */
static int action_of(const char *name)
{
	const struct fixture *f = fixtures;
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	while (strcmp(f->name, name))
		f++;
	opts.data_in = f->frame;
	opts.data_size_in = f->len;
	assert_int_equal(bpf_prog_test_run_opts(program_fd(), &opts), 0);
	return opts.retval;
}

/* As the server loads it, a rule for ::/0 is one for IPv6 alone. */
static void test_rule_for_all_of_ipv6(void **state)
{
	const struct udpxdp_addr here4 = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}};
	const struct udpxdp_addr here6 = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	const struct source_rule_key all = {};

	(void)state;
	for (unsigned deny = 0; deny < 2; deny++) {
		const struct filter_settings settings = {
			.counter_rows = 1, .rules = true, .default_deny = !deny};
		char error[256];
		struct filter *filter = filter_load(&settings, error, sizeof(error));

		assert_non_null(filter);
		assert_int_equal(filter_set_address(filter, &here4, LOCAL_UNICAST), 0);
		assert_int_equal(filter_set_address(filter, &here6, LOCAL_UNICAST), 0);
		assert_int_equal(filter_serve_port(filter, 8080, false), 0);
		assert_int_equal(filter_set_rule(filter, &all, deny ? RULE_DENY : RULE_ALLOW), 0);
		assert_int_equal(action_of("ipv6"), deny ? XDP_DROP : XDP_PASS);
		assert_int_equal(action_of("ipv4"), deny ? XDP_PASS : XDP_DROP);
		filter_close(filter);
	}
}

static void test_rules_are_not_asked(void **state)
{
	struct udpxdp_bpf *filter = open_filter(NULL);

	(void)state;
	probe_rule(filter, "10.0.0.0/8", RULE_DENY);
	ALLOWED("10.0.0.2");
	udpxdp_bpf__destroy(filter);
}

#define IN(source) assert_true(let_in(filter, source, FRAME_RATE_LIMITED))
#define OVER(source) assert_false(let_in(filter, source, FRAME_RATE_LIMITED))

/* The bucket is as deep as it is said to be, and each /24 and /64 has one. */
static void test_burst(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 4 * HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++)
		IN("10.0.0.2");
	for (i = 0; i < 100; i++)
		OVER("10.0.0.2");
	OVER("10.0.0.0");
	OVER("10.0.0.255");
	IN("10.0.1.0");
	IN("10.0.1.255");
	IN("9.255.255.255");
	for (i = 0; i < 5; i++)
		IN("2001:db8:0:7::2");
	OVER("2001:db8:0:7::2");
	OVER("2001:db8:0:7:ffff:ffff:ffff:ffff");
	IN("2001:db8:0:8::2");
	IN("2001:db8:0:6:ffff:ffff:ffff:ffff");
	udpxdp_bpf__destroy(filter);
}

static void test_burst_of_one(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	IN("10.0.0.2");
	OVER("10.0.0.2");
	IN("10.0.1.2");
	OVER("10.0.1.2");
	udpxdp_bpf__destroy(filter);
}

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static uint64_t arrival_of(const struct udpxdp_bpf *filter, const struct udpxdp_addr *net)
{
	uint64_t arrival = 0;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(filter->maps.source_limits), net, &arrival), 0);
	return arrival;
}

/*
 * The rate without waiting for it: the map's state is set, and what the filter makes of it is
 * known to within the two readings of the clock around the run.
 */
static void test_rate(void **state)
{
	const struct filter_config config = {
		.limit_interval = 5 * SECOND, .limit_burst = 60 * SECOND};
	const struct udpxdp_addr net = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 0}};
	struct udpxdp_bpf *filter = open_filter(&config);
	const int fd = bpf_map__fd(filter->maps.source_limits);
	uint64_t before, after, arrival;

	(void)state;
	/* First seen: the next is due one interval from now. */
	before = monotonic();
	IN("10.0.0.2");
	after = monotonic();
	arrival = arrival_of(filter, &net);
	assert_in_range(arrival, before + 5 * SECOND, after + 5 * SECOND);

	/* Ahead of its time, but within the burst: due one interval later than it was. */
	IN("10.0.0.2");
	assert_int_equal(arrival_of(filter, &net), arrival + 5 * SECOND);

	/* Long silent: what it saved up is no more than the burst. */
	arrival = 1;
	bpf_map_update_elem(fd, &net, &arrival, BPF_ANY);
	before = monotonic();
	IN("10.0.0.2");
	after = monotonic();
	assert_in_range(arrival_of(filter, &net), before + 5 * SECOND, after + 5 * SECOND);

	/* Within the burst by less than this test could take; then beyond it. Being refused costs
	 * nothing. */
	arrival = monotonic() + 60 * SECOND;
	bpf_map_update_elem(fd, &net, &arrival, BPF_ANY);
	IN("10.0.0.2");
	assert_int_equal(arrival_of(filter, &net), arrival + 5 * SECOND);
	arrival = monotonic() + 120 * SECOND;
	bpf_map_update_elem(fd, &net, &arrival, BPF_ANY);
	OVER("10.0.0.2");
	OVER("10.0.0.2");
	assert_int_equal(arrival_of(filter, &net), arrival);
	udpxdp_bpf__destroy(filter);
}

/* Only what could be answered costs: not what is denied, nor what is for a port unserved. */
static void test_what_costs_nothing(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .rules = 1};
	struct udpxdp_bpf *filter = open_filter(&config);
	uint32_t key[4];

	(void)state;
	probe_rule(filter, "10.0.0.0/24", RULE_DENY);
	REFUSED("10.0.0.2");
	for (size_t i = 0; i < fixture_count; i++)
		if (fixtures[i].verdict == FRAME_NOT_SERVED ||
			fixtures[i].verdict == FRAME_NOT_OURS)
			probe_run(filter, NULL, fixtures[i].frame, fixtures[i].len);
	assert_int_not_equal(
		bpf_map_get_next_key(bpf_map__fd(filter->maps.source_limits), NULL, key), 0);
	IN("10.0.1.2");
	assert_int_equal(
		bpf_map_get_next_key(bpf_map__fd(filter->maps.source_limits), NULL, key), 0);
	udpxdp_bpf__destroy(filter);
}

/* More sources than the table holds push out old ones; none is refused for it. */
static void test_more_sources_than_room(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);
	const uint32_t sources = 3 * bpf_map__max_entries(filter->maps.source_limits);
	const struct fixture *f = fixtures;
	uint8_t frame[FRAME_MAX];

	(void)state;
	memcpy(frame, f->frame, f->len);
	for (uint32_t i = 0; i < sources; i++) {
		frame[26] = 20 + (i >> 16);
		frame[27] = i >> 8;
		frame[28] = i;
		assert_int_equal(probe_run(filter, NULL, frame, f->len), XDP_PASS);
	}
	assert_int_equal(probe_verdict(filter, FRAME_NO_SOCKET).frames, sources);
	assert_int_equal(probe_verdict(filter, FRAME_RATE_LIMITED).frames, 0);
	assert_int_equal(probe_run(filter, NULL, frame, f->len), XDP_DROP);
	udpxdp_bpf__destroy(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny),
		cmocka_unit_test(test_allow_only),
		cmocka_unit_test(test_all_of_one_family),
		cmocka_unit_test(test_rule_for_all_of_ipv6),
		cmocka_unit_test(test_rules_are_not_asked),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_burst_of_one),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_what_costs_nothing),
		cmocka_unit_test(test_more_sources_than_room),
	};

	need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
