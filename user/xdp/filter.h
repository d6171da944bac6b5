/* SPDX-License-Identifier: MIT */
/*
 * The filter in the kernel: load, configure, attach, pin; see bpf/udpxdp.bpf.c and abi.h.
 * Order of use: load, add sockets, ports and addresses, attach last; then backwards.
 */
#ifndef UDPXDP_FILTER_H
#define UDPXDP_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "io/rules.h"
#include "xdp/counters.h"
#include "xdp/pins.h"
#include "udpxdp/abi.h"

struct filter;

struct filter_settings {
	int ifindex;
	unsigned counter_rows; /* of service_counters: workers * services */
	__u64 limit_interval;  /* as in struct filter_config */
	__u64 limit_burst;
	__u64 total_interval;
	__u64 total_burst;
	bool rules;
	bool any_vlan;
	/* Bytes of the longest frame that a socket takes (0: any); may frames lie in several
	 * pieces, as those of a jumbo interface do? Then the program is for such, where the kernel
	 * knows them (Linux 5.18). */
	__u32 frame_max;
	bool frags;
	bool answers;         /* the program that can answer by itself is wanted */
	bool native, generic; /* the dispatcher: attach only so; neither: as it can */
};

/*
 * Loads the program and makes its maps. Returns NULL with one line in error and errno. Where the
 * program that answers is wanted and refused, it is the one that does not; see filter_answers().
 */
struct filter *filter_load(const struct filter_settings *settings, char *error, size_t size);

/*
 * The same through libxdp's dispatcher, which runs beside other programs: there, loading is
 * attaching, natively or else generically (*generic says which). What a crashed instance left
 * behind is replaced; see filter_find_dispatched() first. EOPNOTSUPP: the kernel does not let it
 * (it needs BPF_PROG_TYPE_EXT); nothing is left attached then.
 */
struct filter *filter_load_dispatched(
	const struct filter_settings *settings, bool *generic, char *error, size_t size);

/* Is there a filter of ours in the interface's dispatcher already, a live or a dead instance's?
 * Returns its id, or 0. */
unsigned filter_find_dispatched(int ifindex);

/* What a reader of the counters opens; the filter's own, which nobody is to close. */
void filter_counters_maps(const struct filter *filter, struct counters_maps *maps);

/* The rows of service_counters, mapped. */
struct service_counters *filter_counters(const struct filter *filter);

/* Each returns 0, or -1 with errno. */
int filter_set_socket(struct filter *filter, __u32 queue, int socket);
int filter_clear_socket(struct filter *filter, __u32 queue);
int filter_serve_port(struct filter *filter, __u16 port, bool broadcast);
int filter_set_address(
	struct filter *filter, const struct udpxdp_addr *addr, __u32 flags, __u32 vlan);
int filter_clear_address(struct filter *filter, const struct udpxdp_addr *addr);
int filter_set_mac(struct filter *filter, __u64 mac);
int filter_clear_mac(struct filter *filter, __u64 mac);
int filter_set_vlan(struct filter *filter, __u32 vlan, __u32 counts_as);
int filter_clear_vlan(struct filter *filter, __u32 vlan);

/* The interface's own MAC address, which is compared before the others are asked for. */
void filter_set_own_mac(struct filter *filter, __u64 mac);

/*
 * Has these rules replace those before, at once: they are put where the program does not look yet.
 * Not twice within the time that a frame takes. Returns 0, or -1 with errno and the rules before
 * still in force.
 */
int filter_set_rules(struct filter *filter, const struct rule_set *rules);

/*
 * What the program that answers is told: the stamps and the MTU. NULL when it is not the one that
 * is loaded: filter_refused() says why, in words of the kernel.
 */
struct filter_answers *filter_answers(struct filter *filter);
const char *filter_refused(const struct filter *filter);

/* From now on it answers what arrives at this port, which is served: PORT_ANSWERED and how. 0: not
 * any more. Stamps and MTU are there by then. */
void filter_answer_port(struct filter *filter, __u16 port, __u8 how);

/* The addresses, of those that were set, that are asked most often; NULL: none. An address is no
 * favourite any more when it is cleared. */
void filter_set_favourites(
	struct filter *filter, const struct udpxdp_addr *ipv4, const struct udpxdp_addr *ipv6);

/*
 * Pins the counters in dir, replacing what a dead process left there; mounts bpffs when it is
 * not there. Returns 0; or -1 with errno EBUSY when a live process has dir, else why there can be
 * no pins (the filter works without).
 */
int filter_pin(struct filter *filter, const char *dir);

/* The paths of what filter_pin() made, in the order in which they can be removed: i from 0 on.
 * Returns false when there is no more. */
bool filter_pin_path(const struct filter *filter, unsigned i, char path[PIN_PATH_SIZE]);

/*
 * Attaches by a bpf_link, which the kernel takes back when the process dies: in the driver, or
 * generically in the stack. A filter that was loaded through the dispatcher is left as it is.
 * Returns 0, or -1 with errno. EBUSY: another program is attached; EEXIST: one is attached to an
 * interface above or below this one.
 */
int filter_attach(struct filter *filter, bool generic);

/* Is it still attached to the interface it was attached to? False when that was removed, even if
 * another has its index now, or when somebody detached the filter. */
bool filter_is_attached(const struct filter *filter);

/* Detaches: from here on every frame is the kernel's. */
void filter_detach(struct filter *filter);

/* Detaches, removes the pins and their directory, frees everything. */
void filter_close(struct filter *filter);

/* Is there an XDP program on the interface? Then its id and name (size >= 16). */
bool filter_find_attached(int ifindex, __u32 *id, char *name, size_t size);

/* Is the program of that name one of ours? */
bool filter_is_ours(const char *name);

/* Sets up what libbpf and libxdp print: nothing below log_level 2. Call once at start. */
void filter_log_setup(void);

#endif
