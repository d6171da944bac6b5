/* SPDX-License-Identifier: MIT */
/*
 * The filter under BPF_PROG_TEST_RUN: loaded, given frames, asked for its counters. And a world
 * for it to judge by, which user space models beside it: which addresses and ports are ours,
 * who is denied, who is over the limit.
 */
#ifndef UDPXDP_TESTS_BPF_HARNESS_H
#define UDPXDP_TESTS_BPF_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udpxdp/packet.h"
#include "udpxdp.skel.h" /* needs abi.h in front of it */

#define FRAME_MAX 3200 /* what BPF_PROG_TEST_RUN takes, less some room */

/* Ends the test program, as skipped, where it cannot load a filter. */
void need_root(void);

/* Skips the test that it stands in (cmocka's skip(), with the reason), for what the kernel cannot
 * do. */
#define cannot(reason)                             \
	do {                                       \
		printf("# skipped: " reason "\n"); \
		skip();                            \
	} while (0)

/* ---- the filter ---------------------------------------------------------------------- */

/* Has this kernel bpf_xdp_get_buff_len() (Linux 5.18)? */
bool probe_has_helper(void);

/* Loads it; config NULL: the plain one (no guard rail); helper: the program that takes the
 * frame's length from bpf_xdp_get_buff_len(). NULL with errno. */
struct udpxdp_bpf *probe_load_variant(const struct filter_config *config, bool helper);

/* The same, by the program's name. */
struct udpxdp_bpf *probe_load_program(const struct filter_config *config, const char *name);

/* The same, with the program that fits this kernel. */
struct udpxdp_bpf *probe_load(const struct filter_config *config);

/* The descriptor of the program that was loaded. */
int probe_program(const struct udpxdp_bpf *filter);

/* Where a frame arrives; ifindex 0: on a loopback device. */
struct arrival {
	uint32_t ifindex;
	uint32_t queue;
};

/* Can a run be told where the frame arrives (Linux 5.14)? Else it is queue 0, wherever. */
bool probe_takes_arrival(void);

/* Runs a frame through the filter. Returns its XDP action, or -errno; EOPNOTSUPP: it would have to
 * arrive on another queue than the kernel can be told. */
int probe_run(const struct udpxdp_bpf *filter, const struct arrival *arrival, const void *frame,
	uint32_t len);

/* The same; the frame as it is left goes to out (of FRAME_MAX bytes), *out_len bytes of it. */
int probe_run_out(const struct udpxdp_bpf *filter, const struct arrival *arrival, const void *frame,
	uint32_t len, void *out, uint32_t *out_len);

/* Sums over the CPUs. */
struct verdict_row probe_verdict(const struct udpxdp_bpf *filter, enum frame_verdict verdict);
struct port_counters probe_port(const struct udpxdp_bpf *filter, uint16_t port);

/* Adds a port to those served, by_broadcast to those that broadcasts reach; removes it. */
void probe_serve(const struct udpxdp_bpf *filter, uint16_t port, bool by_broadcast);
void probe_unserve(const struct udpxdp_bpf *filter, uint16_t port);

/* Tells it of an address (text) of this host. */
void probe_local(const struct udpxdp_bpf *filter, const char *addr, uint32_t flags);

/* The same, configured on this VLAN (packet_vlan()). */
void probe_local_on(
	const struct udpxdp_bpf *filter, const char *addr, uint32_t flags, uint32_t vlan);

/* The MAC address that every filter is loaded with, and a further one (packet_mac()); a VLAN. */
extern const uint8_t probe_mac[6];
void probe_mac_too(const struct udpxdp_bpf *filter, uint64_t mac);
void probe_vlan(const struct udpxdp_bpf *filter, uint32_t vlan, uint32_t counts_as);

/* Says which addresses are asked most often, and that no others have to be looked for. */
void probe_favourites(struct udpxdp_bpf *filter, const char *ipv4, const char *ipv6);

/* Adds a rule "ADDR/LEN" of RULE_ALLOW or RULE_DENY. */
void probe_rule(const struct udpxdp_bpf *filter, const char *prefix, uint32_t rule);

/* ---- the world of the fixtures ------------------------------------------------------- */

extern const struct filter_config world_config;

/* Fills the filter's maps as fixtures/bpf/recipes.py describes; it was loaded with world_config. */
void world_apply(const struct udpxdp_bpf *filter);

/* What the filter must say of a frame in that world: frame_classify() and what comes behind. */
enum frame_verdict world_verdict(
	const void *frame, uint32_t len, bool has_socket, struct frame_info *info);

/* The grammar once more, written byte by byte from the standards, to judge packet.h by. */
enum frame_verdict reference_classify(const uint8_t *frame, uint32_t len, struct frame_info *info);

/* The action that goes with a verdict. */
int verdict_action(enum frame_verdict verdict);
const char *verdict_name(enum frame_verdict verdict);

/* ---- fixtures ------------------------------------------------------------------------ */

struct fixture {
	const char *name;
	enum frame_verdict verdict;
	uint32_t queue;
	uint16_t payload, payload_len; /* of one that is redirected */
	uint32_t len;
	const uint8_t *frame;
};

extern const struct fixture fixtures[];
extern const size_t fixture_count;

/* ---- a network of its own ------------------------------------------------------------ */

/*
 * Puts the process into a network namespace of its own with a veth pair of two queues that
 * nothing sends on. Returns the interface's index, or 0 with errno. It goes with the process.
 */
uint32_t private_net(void);
#define PRIVATE_IFACE "veth0"

struct socket_on; /* an AF_XDP socket */

/* Binds one to a queue and puts it into the filter's map. NULL with errno. */
struct socket_on *socket_on_queue(const struct udpxdp_bpf *filter, uint32_t queue);

int socket_fd(const struct socket_on *sock);

/* Takes the next received frame: copies at most size bytes of it; returns its length, or 0. */
uint32_t socket_take(struct socket_on *sock, void *frame, uint32_t size);
void socket_close(struct socket_on *sock);

/* ---- */

/* A copy that is as long as the frame and no longer, so that a sanitizer sees what reads
 * beyond. free() frees it. */
void *exact_copy(const void *frame, uint32_t len);

void hexdump(const void *frame, uint32_t len);

/* The next of a stream of numbers (SplitMix64). */
uint64_t random_next(uint64_t *state);

#endif
