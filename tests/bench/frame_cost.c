/* SPDX-License-Identifier: MIT */
/*
 * frame_cost ANSWER_OBJECT [RUNS]
 *
 * What the filter costs a frame, in nanoseconds, by BPF_PROG_TEST_RUN: the least of several
 * measurements, less that of a program which does nothing (or makes the answered frame anew).
 * Prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "bpf/harness.h"
#include "udpxdp/datagram.h"
#include "xdp/stamps.h"

#define MEASUREMENTS 9

static unsigned runs = 200000;
static uint32_t ifindex;
static struct filter_answers *answers; /* of the filter that answers, once it is there */

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

/* It is the same second again. */
static void stamp(void)
{
	static struct stamps stamps;
	struct timespec now;

	if (!answers)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	stamps_publish(&stamps, &answers->stamps, now.tv_sec * UDPXDP_NSEC_PER_SEC + now.tv_nsec,
		1790000000 * UDPXDP_NSEC_PER_SEC);
}

/* Nanoseconds a run. *action is what the program has to say each time. */
static uint32_t measure(int program, const uint8_t *frame, uint32_t len, int action)
{
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = ifindex};
	uint32_t least = UINT32_MAX;

	for (int i = 0; i < MEASUREMENTS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
			.ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = runs);

		stamp();
		if (bpf_prog_test_run_opts(program, &opts))
			die("BPF_PROG_TEST_RUN");
		if ((int)opts.retval != action) {
			fprintf(stderr, "frame_cost: action %u, not %d\n", opts.retval, action);
			exit(1);
		}
		if (opts.duration < least)
			least = opts.duration;
	}
	return least;
}

static int empty_program(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);
}

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

/* A whole IPv4 question of this size to port 8080, as a sender on this machine leaves it. */
static uint32_t make_question(uint8_t *frame, uint32_t size)
{
	static const uint8_t headers[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0,
		0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0x4e, 0x20, 0x1f, 0x90, 0, 0,
		0, 0};
	const uint32_t lengths[2] = {28 + size, 8 + size};
	uint32_t sum = 0;

	memcpy(frame, headers, sizeof(headers));
	for (uint32_t i = 0; i < size; i++)
		frame[sizeof(headers) + i] = i;
	for (int i = 0; i < 2; i++) {
		frame[i ? 38 : 16] = lengths[i] >> 8;
		frame[i ? 39 : 17] = lengths[i];
	}
	for (int i = 14; i < 34; i += 2)
		sum += frame[i] << 8 | frame[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = sum >> 8;
	frame[25] = sum;
	sum = 17 + lengths[1];
	for (int i = 26; i < 34; i += 2)
		sum += frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	frame[40] = sum >> 8;
	frame[41] = sum;
	return sizeof(headers) + size;
}

static void measure_plain(const struct udpxdp_bpf *filter, uint32_t empty)
{
	static const struct {
		const char *name, *fixture;
		int action;
	} rows[] = {
		{"not IP", "arp", XDP_PASS},
		{"not ours", "ipv4_neighbour", XDP_PASS},
		{"not served", "ipv4_port_unserved", XDP_PASS},
		{"redirected", "ipv4", XDP_REDIRECT},
		{"redirected, IPv6", "ipv6", XDP_REDIRECT},
	};

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
		for (size_t i = 0; i < fixture_count; i++)
			if (!strcmp(fixtures[i].name, rows[r].fixture))
				printf("\"%s\": %u, ", rows[r].name,
					less(measure(probe_program(filter), fixtures[i].frame,
						     fixtures[i].len, rows[r].action),
						empty));
}

/* ---- the filter that answers ------------------------------------------------------------- */

static int map_of(const struct bpf_object *object, const char *name)
{
	const int fd = bpf_object__find_map_fd_by_name(object, name);

	if (fd < 0)
		die(name);
	return fd;
}

/* Where a variable of the object's .bss is. */
static void *variable(const struct bpf_object *object, void *bss, const char *name)
{
	const struct btf *btf = bpf_object__btf(object);
	const int id = btf__find_by_name_kind(btf, ".bss", BTF_KIND_DATASEC);
	const struct btf_type *section = btf__type_by_id(btf, id);

	for (int i = 0; i < btf_vlen(section); i++) {
		const struct btf_var_secinfo *info = btf_var_secinfos(section) + i;
		const struct btf_type *type = btf__type_by_id(btf, info->type);

		if (!strcmp(btf__name_by_offset(btf, type->name_off), name))
			return (char *)bss + info->offset;
	}
	die(name);
}

static struct bpf_object *load(const char *path, void **bss)
{
	static struct port_counters zero[1024];
	struct udpxdp_addr here = udpxdp_addr_ipv4(10, 0, 0, 1);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	struct bpf_map *map;
	uint16_t port = 8080;
	struct local_addr local = {.flags = UDPXDP_LOCAL_UNICAST, .vlan = UDPXDP_VLAN_ALL};

	if (!object)
		die(path);
	bpf_object__for_each_program(program, object) bpf_program__set_autoload(
		program, !strncmp(bpf_program__name(program), "answer_", 7) ||
				 !strncmp(bpf_program__name(program), "restore_", 8));
	if (bpf_object__load(object))
		die(path);
	if (bpf_map_update_elem(map_of(object, "local_addrs"), &here, &local, BPF_ANY) ||
		bpf_map_update_elem(map_of(object, "port_counters"), &port, zero, BPF_ANY))
		die("maps");
	*bss = MAP_FAILED;
	bpf_object__for_each_map(map, object) if (strstr(bpf_map__name(map), ".bss")) *bss =
		mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(map), 0);
	if (*bss == MAP_FAILED)
		die(".bss");
	return object;
}

static void measure_answers(const char *path, int socket)
{
	static const uint32_t sizes[] = {64, 1024};
	void *bss = NULL;
	struct bpf_object *object = load(path, &bss);
	struct filter_favourites *favourites = variable(object, bss, "filter_favourites");
	struct filter_local_bits *bits = variable(object, bss, "filter_local_bits");
	const struct udpxdp_addr here = udpxdp_addr_ipv4(10, 0, 0, 1);
	const uint32_t bit = packet_addr_bit(&here), queue = 0;
	uint8_t frame[FRAME_MAX];

	if (bpf_map_update_elem(map_of(object, "sockets"), &queue, &socket, BPF_ANY))
		die("sockets");
	answers = variable(object, bss, "filter_answers");
	memcpy(&favourites->pair[0].ipv4, &here.w[2], 8);
	favourites->mac = packet_mac((const uint8_t[]){2, 0, 0, 0, 0, 1});
	bits->words[bit / 64] |= 1ull << bit % 64;
	bits->complete = 1;
	answers->mtu = 1500;
	answers->ports[8080] = PORT_SERVED | PORT_ANSWERED | PORT_STAMP;
	for (int i = 0; i < 2; i++) {
		const uint32_t len = make_question(frame, sizes[i]);
		uint32_t alone;

		memcpy(variable(object, bss, "headers"), frame, 42);
		alone = measure(
			bpf_program__fd(bpf_object__find_program_by_name(object, "restore_alone")),
			frame, len, XDP_TX);
		printf("%s\"answered, %u B\": %u", i ? ", " : "", sizes[i],
			less(measure(bpf_program__fd(bpf_object__find_program_by_name(
					     object, "answer_again")),
				     frame, len, XDP_TX),
				alone));
	}
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	static const uint8_t nothing[64];
	struct udpxdp_bpf *filter;
	struct socket_on *socket;

	if (argc < 2) {
		fprintf(stderr, "Usage: frame_cost ANSWER_OBJECT [RUNS]\n");
		return 2;
	}
	if (argc > 2)
		runs = atoi(argv[2]);
	ifindex = private_net();
	filter = probe_load_variant(NULL, false);
	socket = filter ? socket_on_queue(filter, 0) : NULL;
	if (!socket)
		die("the filter");
	world_apply(filter);
	probe_favourites(filter, "10.0.0.1", "2001:db8::1");
	printf("{");
	measure_plain(filter, measure(empty_program(), nothing, sizeof(nothing), XDP_PASS));
	measure_answers(argv[1], socket_fd(socket));
	printf("}\n");
	return 0;
}
