/* SPDX-License-Identifier: MIT */
/*
 * generate IFACE OBJECT FROM_MAC FROM_IP TO_MAC TO_IP SIZE SECONDS
 *
 * Sends UDP datagrams of SIZE bytes to port 8080 out of IFACE as fast as the kernel makes frames.
 * Prints JSON: how many, and how many a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <netinet/ether.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BATCH 64
#define FIRST_PORT 20000

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "generate: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static uint32_t make(uint8_t *frame, char **argv, uint32_t size)
{
	const struct ether_addr *mac;

	if (!(mac = ether_aton(argv[5])))
		die(argv[5]);
	memcpy(frame, mac, 6);
	if (!(mac = ether_aton(argv[3])))
		die(argv[3]);
	memcpy(frame + 6, mac, 6);
	put16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put16(frame + 16, 28 + size);
	put16(frame + 20, 0x4000);
	frame[22] = 64;
	frame[23] = 17;
	if (inet_pton(AF_INET, argv[4], frame + 26) != 1 ||
		inet_pton(AF_INET, argv[6], frame + 30) != 1)
		die("an address");
	put16(frame + 24, ~add(0, frame + 14, 20));
	put16(frame + 34, FIRST_PORT);
	put16(frame + 36, 8080);
	put16(frame + 38, 8 + size);
	for (uint32_t i = 0; i < size; i++)
		frame[42 + i] = 'a' + i % 26;
	put16(frame + 40, ~add(17 + 8 + size, frame + 26, 16 + size));
	return 42 + size;
}

static void on_alarm(int number)
{
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	_Alignas(8) uint8_t frame[2048] = {};
	struct xdp_md ctx = {};
	struct bpf_object *object;
	const struct sigaction end = {.sa_handler = on_alarm}; /* ends the one long run */
	struct itimerval when = {};
	uint64_t variables[7] = {}; /* the headers, and how many frames were made */
	const uint32_t key = 0;
	double start, seconds;
	uint32_t len;
	int program, map;

	if (argc != 9) {
		fprintf(stderr, "Usage: generate IFACE OBJECT FROM_MAC FROM_IP TO_MAC TO_IP SIZE "
				"SECONDS\n");
		return 2;
	}
	len = make(frame, argv, atoi(argv[7]));
	object = bpf_object__open_file(argv[2], NULL);
	if (!object || bpf_object__load(object))
		die(argv[2]);
	memcpy(variables, frame, 42);
	map = bpf_object__find_map_fd_by_name(object, ".bss");
	if (bpf_map_update_elem(map, &key, variables, BPF_ANY))
		die("the headers");
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "generate"));
	ctx.ingress_ifindex = if_nametoindex(argv[1]);
	ctx.data_end = len;
	seconds = atof(argv[8]);
	when.it_value.tv_sec = seconds;
	when.it_value.tv_usec = (seconds - when.it_value.tv_sec) * 1e6;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		.ctx_size_in = sizeof(ctx), .repeat = INT32_MAX,
		.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	sigaction(SIGALRM, &end, NULL);
	setitimer(ITIMER_REAL, &when, NULL);
	start = now();
	if (bpf_prog_test_run_opts(program, &opts) != -EINTR)
		die("live frames");
	seconds = now() - start;
	bpf_map_lookup_elem(map, &key, variables);
	printf("{\"sent\": %llu, \"sent_per_second\": %.0f}\n", (unsigned long long)variables[6],
		variables[6] / seconds);
	return 0;
}
