/* SPDX-License-Identifier: MIT */
/*
 * The guard rails: --allow, --deny and --rules (longest match, the default, how they are
 * replaced), --limit (burst, then rate, of hosts, networks, sites and all), and what they count.
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
	probe_local(filter, "10.0.0.1", UDPXDP_LOCAL_UNICAST);
	probe_local(filter, "2001:db8::1", UDPXDP_LOCAL_UNICAST);
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
	const struct filter_config config = {.rules = 1};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	probe_rule(filter, "::/0", RULE_DENY);
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
	const struct filter_config config = {.rules = 1};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	probe_rule(filter, "::/0", RULE_DENY);
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

static struct filter *load_settings(void)
{
	const struct udpxdp_addr here4 = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 1}};
	const struct udpxdp_addr here6 = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	const struct filter_settings settings = {.counter_rows = 1, .rules = true};
	char error[256];
	struct filter *filter = filter_load(&settings, error, sizeof(error));

	assert_non_null(filter);
	filter_set_own_mac(filter, packet_mac(probe_mac));
	assert_int_equal(
		filter_set_address(filter, &here4, UDPXDP_LOCAL_UNICAST, UDPXDP_VLAN_ALL), 0);
	assert_int_equal(
		filter_set_address(filter, &here6, UDPXDP_LOCAL_UNICAST, UDPXDP_VLAN_ALL), 0);
	assert_int_equal(filter_serve_port(filter, 8080, false), 0);
	return filter;
}

static struct rule_set *read_rules(const char *text)
{
	char error[256];
	struct rule_set *set = rule_set_new(NULL, 0, text, strlen(text), error, sizeof(error));

	assert_non_null(set);
	return set;
}

/* As the server loads it, a rule for ::/0 is one for IPv6 alone. */
static void test_rule_for_all_of_ipv6(void **state)
{
	(void)state;
	for (unsigned deny = 0; deny < 2; deny++) {
		struct filter *filter = load_settings();
		struct rule_set *set = read_rules(deny ? "deny ::/0" : "allow ::/0");

		assert_int_equal(filter_set_rules(filter, set), 0);
		assert_int_equal(action_of("ipv6"), deny ? XDP_DROP : XDP_PASS);
		assert_int_equal(action_of("ipv4"), deny ? XDP_PASS : XDP_DROP);
		rule_set_free(set);
		filter_close(filter);
	}
}

/* Those that replace others are all there is: none of before is left, whichever trie is asked. */
static void test_rules_are_replaced(void **state)
{
	static const struct {
		const char *text;
		int ipv4, ipv6;
	} turns[] = {
		{"deny 10.0.0.0/24\n", XDP_DROP, XDP_PASS},
		{"allow 10.0.0.2\n", XDP_PASS, XDP_DROP},
		{"", XDP_PASS, XDP_PASS},
		{"deny 2001:db8::/64\ndeny 10.0.0.0/8\nallow 10.0.0.0/30", XDP_PASS, XDP_DROP},
		{"allow 192.0.2.0/24", XDP_DROP, XDP_DROP},
		{"", XDP_PASS, XDP_PASS},
	};
	struct filter *filter = load_settings();

	(void)state;
	for (unsigned i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		struct rule_set *set = read_rules(turns[i].text);

		assert_int_equal(filter_set_rules(filter, set), 0);
		assert_int_equal(action_of("ipv4"), turns[i].ipv4);
		assert_int_equal(action_of("ipv6"), turns[i].ipv6);
		rule_set_free(set);
	}
	filter_close(filter);
}

/* A hundred thousand, of each of which either neighbour is another. */
static void test_many_rules(void **state)
{
	struct filter *filter = load_settings();
	char *text = malloc(100000 * 32), *end = text;
	struct rule_set *set;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		end += sprintf(end, "%s 10.%u.%u.%u/31\n", i % 2 ? "deny" : "allow", i / 32768,
			i / 128 % 256, i * 2 % 256);
	set = read_rules(text);
	assert_int_equal(rule_set_count(set), 100000);
	assert_int_equal(filter_set_rules(filter, set), 0);
	assert_int_equal(action_of("ipv4"), XDP_DROP); /* 10.0.0.2/31 */
	assert_int_equal(action_of("ipv6"), XDP_DROP); /* no allow */
	rule_set_free(set);
	set = read_rules("");
	assert_int_equal(filter_set_rules(filter, set), 0);
	assert_int_equal(filter_set_rules(filter, set), 0); /* empties the large one */
	assert_int_equal(action_of("ipv4"), XDP_PASS);
	rule_set_free(set);
	free(text);
	filter_close(filter);
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

/* The bucket is as deep as it is said to be, and each host has one. */
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
	for (i = 0; i < 5; i++)
		IN("10.0.0.3");
	OVER("10.0.0.3");
	IN("10.0.1.2");
	for (i = 0; i < 5; i++)
		IN("2001:db8:0:7::2");
	OVER("2001:db8:0:7::2");
	IN("2001:db8:0:7::3");
	IN("2001:db8:0:7:ffff:ffff:ffff:ffff");
	udpxdp_bpf__destroy(filter);
}

/* How many of `count` from as many sources are let in; the number goes where the # is. */
static unsigned rotate(const struct udpxdp_bpf *filter, const char *pattern, unsigned count)
{
	char source[64];
	unsigned in = 0;

	for (unsigned i = 0; i < count; i++) {
		snprintf(source, sizeof(source), pattern, i);
		in += let_in(filter, source, FRAME_RATE_LIMITED);
	}
	return in;
}

/* Who rotates through a prefix is held by it; what that leaves to others is what it did not get. */
static void test_prefixes(void **state)
{
	static const struct {
		const char *pattern;
		unsigned count, in;
	} cases[] = {
		{"10.1.1.%u", 200, 10 * LIMIT_NET_FACTOR},
		{"10.2.%u.7", 256, 256},
		{"10.2.%u.8", 256, 10 * LIMIT_SITE_FACTOR - 256},
		{"10.2.%u.9", 256, 0},
		{"10.%u.3.7", 256, 255}, /* all but 10.2 */
		{"2001:db8:1:1::%x", 1000, 10 * LIMIT_NET_FACTOR},
		{"2001:db8:2:%x::1", 4000, 10 * LIMIT_SITE_FACTOR},
		{"2001:db8:3%03x::1", 1000, 1000},
	};
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 9 * HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rotate(filter, cases[i].pattern, cases[i].count), cases[i].in);
	udpxdp_bpf__destroy(filter);
}

/* A host that floods has its share of the network's and no more, so its neighbours have theirs. */
static void test_a_quiet_neighbour(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 9 * HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);
	unsigned flood = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned j = 0; j < 50; j++)
			flood += let_in(filter, "10.0.0.2", FRAME_RATE_LIMITED);
		IN("10.0.0.3");
		IN("2001:db8::9");
	}
	assert_int_equal(flood, 10);
	udpxdp_bpf__destroy(filter);
}

/* All sources together, whether each has a limit or not. */
static void test_total(void **state)
{
	for (unsigned limited = 0; limited < 2; limited++) {
		const struct filter_config config = {
			.limit_interval = limited ? HOUR : 0,
			.total_interval = HOUR,
			.total_burst = 99 * HOUR,
		};
		struct udpxdp_bpf *filter = open_filter(&config);

		(void)state;
		assert_int_equal(rotate(filter, "10.%u.0.1", 60), 60);
		if (limited) /* what a host's limit refuses is not charged to all */
			assert_int_equal(rotate(filter, "10.%u.0.1", 60), 0);
		assert_int_equal(rotate(filter, "2001:db8:%x::1", 60), 40);
		assert_int_equal(rotate(filter, "11.%u.0.1", 60), 0);
		udpxdp_bpf__destroy(filter);
	}
}

static void test_burst_of_one(void **state)
{
	const struct filter_config config = {.limit_interval = HOUR};
	struct udpxdp_bpf *filter = open_filter(&config);

	(void)state;
	IN("10.0.0.2");
	OVER("10.0.0.2");
	IN("10.0.0.3");
	OVER("10.0.0.3");
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
	const struct udpxdp_addr net = {.b = {[10] = 0xff, 0xff, 10, 0, 0, 2}};
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
	const struct filter_config config = {.limit_interval = HOUR, .limit_burst = 0};
	struct udpxdp_bpf *filter = open_filter(&config);
	const uint32_t sources = 3 * bpf_map__max_entries(filter->maps.source_limits);
	const struct fixture *f = fixtures;
	uint8_t frame[FRAME_MAX];

	(void)state;
	while (strcmp(f->name, "ipv6"))
		f++;
	memcpy(frame, f->frame, f->len);
	for (uint32_t i = 0; i < sources; i++) {
		frame[22] = 0x30 + (i >> 16); /* of a site of its own */
		frame[23] = i >> 8;
		frame[24] = i;
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
		cmocka_unit_test(test_rules_are_replaced),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_rules_are_not_asked),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_a_quiet_neighbour),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_burst_of_one),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_what_costs_nothing),
		cmocka_unit_test(test_more_sources_than_room),
	};

	need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
