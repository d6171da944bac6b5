/* SPDX-License-Identifier: MIT */
/*
 * attach xdp|tc IFACE OBJECT PROGRAM [PIN]
 *
 * Attaches a BPF program of an object file to an interface, natively or at tc ingress, and says
 * "ready". Each line on standard input is answered with the time (ns) and the counts of the map
 * sink_counts; at its end the program is detached. PIN: where that map is pinned meanwhile.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/sink.h"

static void __attribute__((noreturn)) die(const char *what, int error)
{
	fprintf(stderr, "attach: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static struct bpf_program *load(const char *path, const char *name, struct bpf_object **object)
{
	struct bpf_program *program, *other;

	*object = bpf_object__open_file(path, NULL);
	if (!*object)
		die(path, errno);
	program = bpf_object__find_program_by_name(*object, name);
	if (!program)
		die(name, ENOENT);
	bpf_object__for_each_program(other, *object)
		bpf_program__set_autoload(other, other == program);
	if (bpf_object__load(*object))
		die(path, errno);
	return program;
}

static void attach_xdp(int ifindex, struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	int link = bpf_link_create(bpf_program__fd(program), ifindex, BPF_XDP, &options);

	if (link < 0)
		die("XDP", link);
}

static void attach_tc(struct bpf_tc_hook *hook, struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(program));
	int error = bpf_tc_hook_create(hook);

	if (!error)
		error = bpf_tc_attach(hook, &options);
	if (error)
		die("tc", error);
}

static void answer_lines(int map)
{
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		struct sink_counts counts = {0};
		struct timespec now;
		__u32 key = 0;

		if (map >= 0)
			bpf_map_lookup_elem(map, &key, &counts);
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("%lld %llu %llu\n", now.tv_sec * 1000000000ll + now.tv_nsec, counts.packets,
			counts.bytes);
	}
}

int main(int argc, char **argv)
{
	struct bpf_program *program;
	struct bpf_object *object;
	int ifindex, map;
	bool tc;

	if (argc < 5) {
		fprintf(stderr, "Usage: attach xdp|tc IFACE OBJECT PROGRAM [PIN]\n");
		return 2;
	}
	tc = !strcmp(argv[1], "tc");
	ifindex = (int)if_nametoindex(argv[2]);
	if (!ifindex)
		die(argv[2], errno);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);

	setlinebuf(stdout);
	program = load(argv[3], argv[4], &object);
	map = bpf_object__find_map_fd_by_name(object, "sink_counts");
	if (argc > 5 && bpf_obj_pin(map, argv[5]))
		die(argv[5], errno);
	if (tc)
		attach_tc(&hook, program);
	else
		attach_xdp(ifindex, program);
	puts("ready");
	answer_lines(map);
	if (tc) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS; /* the whole qdisc */
		bpf_tc_hook_destroy(&hook);
	}
	if (argc > 5)
		unlink(argv[5]);
	return 0;
}
