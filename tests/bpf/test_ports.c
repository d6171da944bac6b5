/* SPDX-License-Identifier: MIT */
/*
 * The port is the filter: all 65,536 of them, over IPv4 and IPv6, and counters that are exact
 * however many CPUs count.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "harness.h"

/* As many as there can be; the ends, neighbours, and ports whose bytes are swapped. */
static const uint16_t served[MAX_SERVICES] = {1, 7, 53, 255, 256, 257, 511, 512, 1023, 1024, 4711,
	8080, 8086, 8090, 0x3500, 0x7fff, 0x8000, 0x8001, 0x901f, 0x961f, 0x9a1f, 40000, 40001,
	40003, 50000, 60000, 65279, 65280, 65281, 65533, 65534, 65535};

static struct udpxdp_bpf *filter;

static int set_up(void **state)
{
	(void)state;
	filter = probe_load(NULL);
	if (!filter) {
		perror("# loading the filter");
		return -1;
	}
	probe_local(filter, "10.0.0.1", UDPXDP_LOCAL_UNICAST);
	probe_local(filter, "2001:db8::1", UDPXDP_LOCAL_UNICAST);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	udpxdp_bpf__destroy(filter);
	return 0;
}

static bool is_served(uint32_t port)
{
	for (unsigned i = 0; i < MAX_SERVICES; i++)
		if (served[i] == port)
			return true;
	return false;
}

static const struct fixture *fixture_named(const char *name)
{
	for (size_t i = 0; i < fixture_count; i++)
		if (!strcmp(fixtures[i].name, name))
			return &fixtures[i];
	fail_msg("no fixture %s", name);
	return NULL;
}

/* Every destination port once; returns with each port's and each verdict's count checked. */
static void sweep(const char *name)
{
	const struct fixture *f = fixture_named(name);
	const struct verdict_row no_socket = probe_verdict(filter, FRAME_NO_SOCKET);
	const struct verdict_row not_served = probe_verdict(filter, FRAME_NOT_SERVED);
	struct verdict_row now;
	uint8_t frame[FRAME_MAX];

	for (unsigned i = 0; i < MAX_SERVICES; i++)
		probe_serve(filter, served[i], false);
	memcpy(frame, f->frame, f->len);
	for (uint32_t port = 0; port < 65536; port++) {
		const uint64_t before = probe_verdict(filter, FRAME_NO_SOCKET).frames;

		frame[f->payload - 6] = port >> 8;
		frame[f->payload - 5] = port & 0xff;
		if (probe_run(filter, NULL, frame, f->len) != XDP_PASS ||
			probe_verdict(filter, FRAME_NO_SOCKET).frames - before != is_served(port)) {
			hexdump(frame, f->len);
			fail_msg("port %u is taken for %s", port,
				is_served(port) ? "unserved" : "served");
		}
	}
	now = probe_verdict(filter, FRAME_NO_SOCKET);
	assert_int_equal(now.frames - no_socket.frames, MAX_SERVICES);
	assert_int_equal(now.bytes - no_socket.bytes, MAX_SERVICES * f->len);
	now = probe_verdict(filter, FRAME_NOT_SERVED);
	assert_int_equal(now.frames - not_served.frames, 65536 - MAX_SERVICES);
	assert_int_equal(now.bytes - not_served.bytes, (65536 - MAX_SERVICES) * f->len);
	for (unsigned i = 0; i < MAX_SERVICES; i++) {
		const struct port_counters row = probe_port(filter, served[i]);

		assert_int_equal(row.rx_packets, 1);
		assert_int_equal(row.rx_bytes, f->len);
		assert_int_equal(row.passed, 1);
		assert_int_equal(row.redirected, 0);
	}
}

static void test_all_ports_ipv4(void **state)
{
	(void)state;
	sweep("ipv4");
}

static void test_all_ports_ipv4_options_qinq(void **state)
{
	(void)state;
	sweep("ipv4_qinq_options");
}

static void test_all_ports_ipv6(void **state)
{
	(void)state;
	sweep("ipv6");
}

/* Presence of the key is the filter, at any moment. */
static void test_port_comes_and_goes(void **state)
{
	const struct fixture *f = fixture_named("ipv4");
	const struct verdict_row was = probe_verdict(filter, FRAME_NOT_SERVED);

	(void)state;
	probe_serve(filter, 8080, false);
	probe_run(filter, NULL, f->frame, f->len);
	assert_int_equal(probe_verdict(filter, FRAME_NOT_SERVED).frames, was.frames);
	probe_unserve(filter, 8080);
	probe_run(filter, NULL, f->frame, f->len);
	assert_int_equal(probe_verdict(filter, FRAME_NOT_SERVED).frames, was.frames + 1);
	probe_serve(filter, 8080, false);
	probe_run(filter, NULL, f->frame, f->len);
	assert_int_equal(probe_verdict(filter, FRAME_NOT_SERVED).frames, was.frames + 1);
	assert_int_equal(probe_port(filter, 8080).rx_packets, 1);
}

#define RUNS 100000

static void *count_on_cpu(void *cpu)
{
	const struct fixture *f = fixture_named("ipv4");
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->frame, .data_size_in = f->len,
		.repeat = RUNS);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((intptr_t)cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		return (void *)1;
	return (void *)(intptr_t)bpf_prog_test_run_opts(probe_program(filter), &opts);
}

/* All CPUs count one port at once, and nothing is lost. */
static void test_per_cpu_sums(void **state)
{
	const struct fixture *f = fixture_named("ipv4");
	const struct verdict_row was = probe_verdict(filter, FRAME_NO_SOCKET);
	struct verdict_row now;
	struct port_counters row;
	pthread_t threads[CPU_SETSIZE];
	cpu_set_t set;
	unsigned cpus = 0;
	void *result;

	(void)state;
	probe_serve(filter, 8080, false);
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (intptr_t cpu = 0; cpu < CPU_SETSIZE && cpus < 8; cpu++)
		if (CPU_ISSET(cpu, &set))
			assert_int_equal(
				pthread_create(&threads[cpus++], NULL, count_on_cpu, (void *)cpu),
				0);
	for (unsigned i = 0; i < cpus; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	printf("# %u CPUs\n", cpus);
	row = probe_port(filter, 8080);
	now = probe_verdict(filter, FRAME_NO_SOCKET);
	assert_int_equal(row.rx_packets, cpus * RUNS);
	assert_int_equal(row.rx_bytes, (uint64_t)cpus * RUNS * f->len);
	assert_int_equal(row.passed, cpus * RUNS);
	assert_int_equal(now.frames - was.frames, cpus * RUNS);
	assert_int_equal(now.bytes - was.bytes, (uint64_t)cpus * RUNS * f->len);
}

/* Too short to be a frame: the grammar refuses it by itself, and the filter, should the kernel let
 * us try (new ones do not), leaves it to the stack. */
static void test_runts(void **state)
{
	struct frame_info info = {};
	int action;

	(void)state;
	for (uint32_t len = 0; len < 14; len++) {
		uint8_t *frame = exact_copy(fixtures[0].frame, len);

		assert_int_equal(frame_classify(frame, frame + len, len, &info), FRAME_MALFORMED);
		free(frame);
		action = probe_run(filter, NULL, fixtures[0].frame, len);
		assert_true(action == -EINVAL || action == XDP_PASS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_ports_ipv4),
		cmocka_unit_test(test_all_ports_ipv4_options_qinq),
		cmocka_unit_test(test_all_ports_ipv6),
		cmocka_unit_test(test_port_comes_and_goes),
		cmocka_unit_test(test_per_cpu_sums),
		cmocka_unit_test(test_runts),
	};

	need_root();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
