/* SPDX-License-Identifier: MIT */
/*
 * What others see and need: bpftool prints every pinned map by name, and the filter loads with no
 * more privilege than it says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cap-ng.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>
#include <cmocka.h>

#include "harness.h"

static struct udpxdp_bpf *filter;
static char pins[] = "/tmp/udpxdp-pins-XXXXXX";

/* Mounts that only this process and its children see. */
static void own_mounts(void)
{
	if (!unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	printf("1..0 # SKIP cannot unshare mounts: %s (is this a chroot that is not a mount "
	       "point?)\n",
		strerror(errno));
	exit(0);
}

static int set_up(void **state)
{
	(void)state;
	filter = probe_load(&world_config);
	if (!filter || !mkdtemp(pins) || mount("bpf", pins, "bpf", 0, NULL)) {
		perror("# setting up");
		return -1;
	}
	world_apply(filter);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	umount2(pins, MNT_DETACH);
	rmdir(pins);
	udpxdp_bpf__destroy(filter);
	return 0;
}

static json_t *bpftool(const char *options, const struct bpf_map *map, const char *name)
{
	const char *tool = access("/usr/sbin/bpftool", X_OK) ? "bpftool" : "/usr/sbin/bpftool";
	char path[128], command[256];
	json_error_t error;
	json_t *json;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	if (access(path, F_OK))
		assert_int_equal(bpf_obj_pin(bpf_map__fd(map), path), 0);
	snprintf(command, sizeof(command), "%s %s map dump pinned %s", tool, options, path);
	out = popen(command, "r");
	assert_non_null(out);
	json = json_loadf(out, 0, &error);
	assert_int_equal(pclose(out), 0);
	if (!json)
		fail_msg("%s: %s", command, error.text);
	return json;
}

/* An object has exactly these names. */
static void has_names(json_t *object, const char *const *names)
{
	size_t count = 0;

	assert_true(json_is_object(object));
	for (; names[count]; count++)
		if (!json_object_get(object, names[count]))
			fail_msg("no field %s in the dump", names[count]);
	assert_int_equal(json_object_size(object), count);
}

static const char *const port_names[] = {"rx_packets", "rx_bytes", "redirected", "passed",
	"answered", "answered_bytes", "payload_bytes",
#define X(name) #name,
	FILTER_REFUSALS(X)
#undef X
		NULL};
static const char *const counters_verdict_names[] = {
	"reason", "reserved", "frames", "bytes", "iface", NULL};
static const char *const service_names[] = {"service", "port", "worker", "rx", "tx", "rx_bytes",
	"tx_bytes",
#define X(name, text) #name,
	UDPXDP_DROP_REASONS(X) UDPXDP_ROOM_COUNTERS(X)
#undef X
		"own",
	NULL};

/* Adds up one field over the CPUs of a per-CPU row. */
static json_int_t over_cpus(json_t *row, const char *field, const char *const *names)
{
	json_t *values = json_object_get(row, "values"), *cpu;
	json_int_t sum = 0;
	size_t i;

	assert_int_equal(json_array_size(values), libbpf_num_possible_cpus());
	json_array_foreach(values, i, cpu)
	{
		has_names(json_object_get(cpu, "value"), names);
		sum += json_integer_value(json_object_get(json_object_get(cpu, "value"), field));
	}
	return sum;
}

static void test_port_counters_print(void **state)
{
	const struct fixture *f = fixtures;
	json_t *dump, *row;
	bool seen = false;
	size_t i;

	(void)state;
	probe_run(filter, NULL, f->frame, f->len);
	probe_run(filter, NULL, f->frame, f->len);
	dump = bpftool("-j", filter->maps.port_counters, PIN_PORT_COUNTERS);
	assert_int_equal(json_array_size(dump), 3);
	json_array_foreach(dump, i, row)
	{
		row = json_object_get(row, "formatted");
		if (json_integer_value(json_object_get(row, "key")) == 8080) {
			seen = true;
			assert_int_equal(over_cpus(row, "rx_packets", port_names), 2);
			assert_int_equal(over_cpus(row, "rx_bytes", port_names), 2 * f->len);
			assert_int_equal(over_cpus(row, "redirected", port_names), 0);
			assert_int_equal(over_cpus(row, "passed", port_names), 2);
		} else {
			assert_int_equal(over_cpus(row, "rx_packets", port_names), 0);
		}
	}
	assert_true(seen);
	json_decref(dump);

	/* As a person reads it. */
	dump = bpftool("", filter->maps.port_counters, PIN_PORT_COUNTERS);
	over_cpus(json_array_get(dump, 0), "rx_packets", port_names);
	json_decref(dump);
}

static void test_verdicts_print(void **state)
{
	static const char *const reasons[] = {
#define X(name, label, text) #name,
		FRAME_VERDICTS(X)
#undef X
	};
	const int cpus = libbpf_num_possible_cpus();
	struct verdict_row rows[cpus];
	json_t *dump, *row, *cpu;
	size_t i, j;

	(void)state;
	for (uint32_t v = 0; v < FRAME_VERDICT_COUNT; v++) {
		memset(rows, 0, sizeof(rows));
		for (int c = 0; c < cpus; c++)
			rows[c].reason = v;
		bpf_map_update_elem(bpf_map__fd(filter->maps.verdicts), &v, rows, BPF_ANY);
	}
	for (i = 0; i < fixture_count; i++)
		probe_run(filter, NULL, fixtures[i].frame, fixtures[i].len);
	dump = bpftool("-j", filter->maps.verdicts, PIN_VERDICTS);
	assert_int_equal(json_array_size(dump), FRAME_VERDICT_COUNT);
	json_array_foreach(dump, i, row)
	{
		row = json_object_get(row, "formatted");
		assert_int_equal(json_integer_value(json_object_get(row, "key")), i);
		json_array_foreach(json_object_get(row, "values"), j, cpu) assert_string_equal(
			json_string_value(json_object_get(json_object_get(cpu, "value"), "reason")),
			reasons[i]);
		assert_int_equal(over_cpus(row, "frames", counters_verdict_names),
			probe_verdict(filter, i).frames);
		assert_int_equal(over_cpus(row, "bytes", counters_verdict_names),
			probe_verdict(filter, i).bytes);
	}
	json_decref(dump);
}

static void test_service_counters_print(void **state)
{
	const struct service_counters row = {
		.service = "echo", .port = 8080, .rx = 7, .drops = {[UDPXDP_DROP_print_lost] = 9}};
	const uint32_t key = 1;
	json_t *dump, *value;

	(void)state;
	assert_int_equal(bpf_map_update_elem(
				 bpf_map__fd(filter->maps.service_counters), &key, &row, BPF_ANY),
		0);
	dump = bpftool("-j", filter->maps.service_counters, PIN_SERVICE_COUNTERS);
	value = json_object_get(json_object_get(json_array_get(dump, 1), "formatted"), "value");
	has_names(value, service_names);
	assert_int_equal(json_integer_value(json_object_get(value, "port")), 8080);
	assert_int_equal(json_integer_value(json_object_get(value, "rx")), 7);
	assert_int_equal(json_integer_value(json_object_get(value, "print_lost")), 9);
	json_decref(dump);
}

/* Can the filter be loaded by nobody with these capabilities? Returns 0, or the errno. */
static int load_as_nobody(const char *name, const int *caps, size_t count)
{
	const struct filter_config config = {.limit_interval = 1, .rules = 1};
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		libbpf_set_print(NULL);
		capng_clear(CAPNG_SELECT_BOTH);
		for (size_t i = 0; i < count; i++)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, caps[i]);
		if (capng_change_id(65534, 65534, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
			_exit(255);
		_exit(probe_load_program(&config, name) ? 0 : errno);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static void test_least_privilege(void **state)
{
	const int caps[] = {CAP_NET_ADMIN, CAP_BPF, CAP_NET_RAW};

	(void)state;
	if (!probe_has_helper())
		cannot("no bpf_xdp_get_buff_len() (before Linux 5.18)");
	assert_int_equal(load_as_nobody("udpxdp_filter", caps, 3), 0);
	assert_int_equal(load_as_nobody("udpxdp_filter", caps, 2), 0);
	assert_int_not_equal(load_as_nobody("udpxdp_filter", caps, 1), 0);
	assert_int_not_equal(load_as_nobody("udpxdp_filter", &caps[1], 2), 0);
}

/* The program that answers takes no more; where the kernel finds it too long, AF_XDP answers. */
static void test_least_privilege_of_answers(void **state)
{
	const int caps[] = {CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON};

	(void)state;
	if (load_as_nobody("udpxdp_answer_5", caps, 3))
		cannot("the kernel refuses the program that answers");
	if (!probe_has_helper() || load_as_nobody("udpxdp_answer", caps, 2))
		cannot("the kernel refuses the program that answers without CAP_PERFMON");
}

/* Before 5.18 the length is a difference of pointers, which costs one capability more. */
static void test_least_privilege_of_older_kernels(void **state)
{
	const int caps[] = {CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON};

	(void)state;
	assert_int_not_equal(load_as_nobody("udpxdp_filter_5", caps, 2), 0);
	assert_int_equal(load_as_nobody("udpxdp_filter_5", caps, 3), 0);
}

/* Both ways to the length give the same. */
static void test_length_without_helper(void **state)
{
	struct udpxdp_bpf *older = probe_load_variant(&world_config, false);

	(void)state;
	assert_non_null(older);
	world_apply(older);
	for (size_t i = 0; i < fixture_count; i++) {
		const struct fixture *f = &fixtures[i];
		const enum frame_verdict v =
			f->verdict == FRAME_REDIRECTED ? FRAME_NO_SOCKET : f->verdict;
		const struct verdict_row was = probe_verdict(older, v);

		probe_run(older, NULL, f->frame, f->len);
		assert_int_equal(probe_verdict(older, v).frames - was.frames, 1);
		assert_int_equal(probe_verdict(older, v).bytes - was.bytes, f->len);
	}
	udpxdp_bpf__destroy(older);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_counters_print),
		cmocka_unit_test(test_verdicts_print),
		cmocka_unit_test(test_service_counters_print),
		cmocka_unit_test(test_least_privilege),
		cmocka_unit_test(test_least_privilege_of_answers),
		cmocka_unit_test(test_least_privilege_of_older_kernels),
		cmocka_unit_test(test_length_without_helper),
	};

	need_root();
	own_mounts();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
