/* SPDX-License-Identifier: MIT */
/*
 * many_clients HOST PORT MEMBERS SECONDS PIN: loads a chat room.
 *
 * Makes MEMBERS members (one socket each, source ports from 20000 on) join, then has the first
 * one speak; as soon as the copies for all others have arrived it speaks again. Arrivals are
 * counted by the sink on the interface, whose map is pinned at PIN, so that nobody has to read
 * them. Prints JSON: messages, copies, lost copies, seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench/sink.h"

#define FIRST_PORT 20000
#define PATIENCE 0.1 /* seconds that the copies of one message may take */

static const volatile struct sink_counts *counts;
static struct sockaddr_in server = {.sin_family = AF_INET};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "many_clients: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int member(unsigned number)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)(FIRST_PORT + number))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) ||
		connect(fd, (struct sockaddr *)&server, sizeof(server)))
		die("member");
	return fd;
}

/* Says one message and waits for its copies. Returns how many came. */
static unsigned say(int fd, unsigned copies)
{
	static const char text[64] =
		"The quick brown fox jumps over the lazy dog, and says so at once";
	__u64 before = counts->packets;
	double deadline = now() + PATIENCE;

	if (send(fd, text, sizeof(text), 0) < 0)
		die("send");
	while (counts->packets - before < copies && now() < deadline)
		;
	return (unsigned)(counts->packets - before);
}

/* Everybody says a word, unless a first message shows that they are members already. */
static void join(const int *fds, unsigned members)
{
	if (say(fds[0], members - 1) == members - 1)
		return;
	for (unsigned i = 0; i < members; i++)
		say(fds[i], i);
}

int main(int argc, char **argv)
{
	unsigned members, copies, messages = 0;
	unsigned long long arrived = 0;
	double start, end, seconds;
	int map, *fds;

	if (argc != 6) {
		fprintf(stderr, "Usage: many_clients HOST PORT MEMBERS SECONDS PIN\n");
		return 2;
	}
	members = (unsigned)atoi(argv[3]);
	seconds = atof(argv[4]);
	copies = members - 1;
	server.sin_port = htons((uint16_t)atoi(argv[2]));
	if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
		die(argv[1]);
	map = bpf_obj_get(argv[5]);
	if (map < 0)
		die(argv[5]);
	counts = mmap(NULL, sizeof(*counts), PROT_READ, MAP_SHARED, map, 0);
	fds = calloc(members, sizeof(*fds));
	if (counts == MAP_FAILED || !fds)
		die("memory");
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){members + 64, members + 64});
	for (unsigned i = 0; i < members; i++)
		fds[i] = member(i);

	join(fds, members);
	start = now();
	do {
		arrived += say(fds[0], copies);
		messages++;
		end = now();
	} while (end - start < seconds);
	printf("{\"messages\": %u, \"copies\": %llu, \"lost\": %lld, \"seconds\": %.6f}\n",
		messages, arrived, (long long)messages * copies - (long long)arrived, end - start);
	return 0;
}
