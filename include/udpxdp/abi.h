/* SPDX-License-Identifier: MIT */
/*
 * What the filter in the kernel and the program in user space say to each other: the names,
 * keys and values of the BPF maps. Compiled by clang for BPF and by the user-space compiler.
 *
 * Every map below is typed with BTF, so bpftool prints its fields by name. The kernel cuts an
 * object's name at 15 characters; a pin keeps the whole name.
 */
#ifndef UDPXDP_ABI_H
#define UDPXDP_ABI_H

#include "types.h"

/* Pin names inside the pin directory; the maps carry the same names in the BPF object. */
#define PIN_PORT_COUNTERS "port_counters"
#define PIN_VERDICTS "verdicts"
#define PIN_SERVICE_COUNTERS "service_counters"

#define MAX_QUEUES 64   /* RX queues, and so workers, of one interface */
#define MAX_SERVICES 32 /* service instances: one per -s option */

/*
 * Why the filter passed a frame to the kernel, redirected it or dropped it: exactly one for
 * each frame. X(name for C and bpftool, name for people and JSON, explanation).
 */
#define FRAME_VERDICTS(X)                                                                          \
	X(FRAME_REDIRECTED, redirected, "redirected to a socket of udpxdp")                        \
	X(FRAME_NOT_IP, not_ip, "neither IPv4 nor IPv6, or more than two VLAN tags")               \
	X(FRAME_NOT_UDP, not_udp, "IP, but not UDP")                                               \
	X(FRAME_MALFORMED, malformed, "too short, lengths that disagree, or a bad header length")  \
	X(FRAME_FRAGMENT, fragment, "an IP fragment")                                              \
	X(FRAME_IPV6_EXTENSION, ipv6_extension, "an IPv6 extension header")                        \
	X(FRAME_NOT_OURS, not_ours,                                                                \
		"UDP, but not to an address, MAC address or VLAN of this host")                    \
	X(FRAME_NOT_SERVED, not_served, "UDP to this host, on a port that is not served")          \
	X(FRAME_NO_SOCKET, no_socket, "no socket of udpxdp on the RX queue it arrived on")         \
	X(FRAME_DENIED, denied, "dropped: the source is denied by --allow, --deny or --rules")     \
	X(FRAME_RATE_LIMITED, rate_limited, "dropped: beyond --limit or --limit-total")            \
	X(FRAME_ANSWERED, answered, "answered by the filter itself")                               \
	X(FRAME_REFUSED, refused, "dropped: refused by the filter, for a reason of port_counters") \
	X(FRAME_OTHER_DEVICE, other_device, "arrived on a member of the interface, not on itself") \
	X(FRAME_TOO_LARGE, too_large,                                                              \
		"larger than what a socket of udpxdp takes: left to the kernel")

enum frame_verdict {
#define X(name, label, text) name,
	FRAME_VERDICTS(X)
#undef X
		FRAME_VERDICT_COUNT,

	/* The grammar's answer: a whole UDP datagram, on which whoever asked has yet to decide. */
	FRAME_UDP = FRAME_VERDICT_COUNT
};

/*
 * Why the filter does not answer a datagram that it could answer: of UDPXDP_DROP_REASONS, those
 * that it finds out itself, in the order in which the engine asks.
 */
#define FILTER_REFUSALS(X)  \
	X(bad_ip_checksum)  \
	X(bad_udp_checksum) \
	X(source_port_zero) \
	X(source_address)   \
	X(loop)             \
	X(repeated)         \
	X(reply_too_big)

/*
 * Map port_counters: per-CPU hash, key __u16 port in host byte order.
 * The presence of a key is the filter; the value is the count. rx_packets counts the frames to
 * an address of this host and this port; each is then redirected, passed to the kernel (no
 * socket on its queue, or it is too large for one), dropped by a guard rail, answered by the filter
 * or refused by it for one of the reasons behind. rx_bytes are those of whole frames, without FCS;
 * payload_bytes those of the payloads that were answered or refused, answered_bytes those of the
 * answers' payloads.
 */
struct port_counters {
	__u64 rx_packets;
	__u64 rx_bytes;
	__u64 redirected;
	__u64 passed;
	__u64 answered;
	__u64 answered_bytes;
	__u64 payload_bytes;
#define X(name) __u64 name;
	FILTER_REFUSALS(X)
#undef X
};

/*
 * Map verdicts: per-CPU array, key __u32 holding an enum frame_verdict. The row repeats its
 * reason because an enum in a value is printed by name and an array's key is not.
 */
struct verdict_row {
	enum frame_verdict reason;
	__u32 reserved;
	__u64 frames;
	__u64 bytes;
	char iface[16]; /* whose frames they are, as it was called at the start */
};

/*
 * Map local_addrs: hash, key struct udpxdp_addr, value struct local_addr. Which destinations are
 * this host: its unicast addresses on whatever interface, and the IPv4 broadcast addresses of
 * the interface, which count only for the ports in the map broadcast_ports.
 */
struct local_addr {
	__u32 flags; /* UDPXDP_LOCAL_* */
	__u32 vlan;  /* that it is configured on (packet_vlan()), or UDPXDP_VLAN_ALL */
};

/*
 * Map local_macs: hash, key __u64 a MAC address (packet_mac()), value __u8 1: the unicast
 * addresses besides the interface's own to which frames are taken. Map local_vlans: hash, key __u32
 * (packet_vlan()), value __u32: the VLANs from which frames are taken, and in which VLAN an
 * address must be configured then: itself, or UDPXDP_VLAN_ALL.
 */
#define MAX_LOCAL_MACS 1024
#define MAX_LOCAL_VLANS 16384

/* Map broadcast_ports: hash, key __u16 port in host byte order, value __u8 1. */

/*
 * Guard rails: who is served. Maps source_rules and source_rules_b: LPM tries over udpxdp_addr (an
 * IPv4 prefix is 96 bits longer in the mapped form), value __u32 RULE_ALLOW or RULE_DENY; the
 * longest match decides, and there is one for the whole of either family. filter_guard says which
 * of the two is asked; user space fills the other one and then has it asked.
 */
#define RULE_ALLOW 1u
#define RULE_DENY 2u

struct source_rule_key {
	__u32 prefix_len; /* 0-128, counted in the mapped form */
	struct udpxdp_addr addr;
};

#define RULES_MAX 262144 /* in a trie */

/*
 * Guard rails: how much. Each datagram is charged to its source's address, to the network and to
 * the site that it is of, and to everybody; each of them has a rate of its own, and a datagram that
 * is beyond any of them is dropped and charged to none. So a host that floods takes nothing from
 * its neighbours, and one that rotates through the addresses of a prefix is held by the prefix.
 * Maps source_limits, net_limits and site_limits: LRU hashes, key the source under the mask of its
 * tier (packet_limit_key()), value the theoretical arrival time in CLOCK_MONOTONIC ns of the next
 * conforming datagram (the virtual scheduling form of a token bucket, ITU-T I.371 annex A).
 */
#define LIMIT_HOST 0u
#define LIMIT_NET 1u
#define LIMIT_SITE 2u
#define LIMIT_TIERS 3u

/* How much more a network and a site may send than a host. */
#define LIMIT_NET_FACTOR 8u
#define LIMIT_SITE_FACTOR 32u

/* What user space sets before the filter is loaded; constant from then on. */
struct filter_config {
	__u64 limit_interval; /* ns between conforming datagrams of a host; 0: no limit */
	__u64 limit_burst;    /* ns that a host may be ahead of that */
	__u64 total_interval; /* the same for all together */
	__u64 total_burst;
	__u64 seed[2]; /* random */
	__u8 rules;    /* a trie is to be asked */
	__u8 any_mac;  /* frames are taken whatever their destination MAC address */
	__u8 any_vlan; /* and in whatever VLAN */
	__u8 reserved[5];
	__u32 ifindex;   /* that frames must arrive on; 0: on whatever */
	__u32 frame_max; /* bytes of the longest frame that a socket takes; 0: any */
};

/*
 * What user space writes while the filter runs, in memory that both map. Each has one writer.
 */

/*
 * The addresses asked most often, which are compared before local_addrs is asked; they are in there
 * too. 0: none. The writer fills the pair that is not current, then says that it is.
 */
struct filter_favourites {
	struct {
		__u64 ipv4;    /* the second half of its mapped form */
		__u64 ipv6[2]; /* in halves, as they lie in memory */
	} pair[2];
	__u32 current; /* 0 or 1 */
	__u32 reserved;
	__u64 mac; /* of the interface (packet_mac()) */
};

/*
 * A bit for each address in local_addrs, at packet_addr_bit() of it: where it is not set, there is
 * no need to ask. It is set before the address is added and never cleared.
 */
#define LOCAL_BITS 4096u

struct filter_local_bits {
	__u64 words[LOCAL_BITS / 64];
	__u32 complete; /* 0: ask, whatever they say */
};

struct filter_guard {
	__u32 trie; /* which is asked: 0: source_rules, 1: source_rules_b */
};

/*
 * What one address sends to a port again and again. Map repeats: per-CPU array, key a hash of the
 * two; see packet_is_repeated().
 */
#define REPEATS_MAX 4096u /* as packet_repeats_key() has them */

struct repeats {
	__u64 who;   /* a hash of address and port */
	__u32 what;  /* sum and length of the payload */
	__u16 votes; /* how many more were of this payload than of others */
	__u16 count; /* of this window */
	__u64 since; /* ns: when the window began */
	__u64 slow;  /* windows that were not fast enough */
};

/* What stands in front of an answer, from a time on and for a second. */
#define STAMP_LEN 31

struct filter_stamp {
	__u64 from_ns; /* CLOCK_MONOTONIC; 0: none, or being written */
	__u64 sum;     /* of the text, RFC 1071 */
	__u8 text[STAMP_LEN + 1];
};

/* Of each port: may it be answered, and how. */
#define PORT_SERVED 1u   /* by whatever service: an answer from there could be answered */
#define PORT_ANSWERED 2u /* here, by an echo (RFC 862) */
#define PORT_STAMP 4u    /* with a stamp in front */
#define PORT_LOOPS 8u    /* even if it could be an answer itself */
#define PORT_SOCKET 16u  /* what is too big for the MTU user space sends by a kernel socket */
#define PORT_DSCP 32u    /* with the DSCP that it came with */

struct filter_stamps {
	struct filter_stamp slots[2]; /* of this second and the next, in either order */
	__u32 edition;                /* another after each change of the slots */
};

struct filter_answers {
	struct filter_stamps stamps;
	__u32 mtu;         /* bytes of an IP packet */
	__u8 ports[65536]; /* PORT_* by port in host byte order */
};

/* Of a room over several hosts; see the option nats of a service. */
#define UDPXDP_ROOM_COUNTERS(X)                                                    \
	X(published, "lines of members here that the room's server has")           \
	X(received, "lines of other hosts' members")                               \
	X(duplicates, "what came again, and was passed over")                      \
	X(ignored, "what was in the room but made no sense, or was refused there") \
	X(reconnects, "times that the link to the room's server was made again")   \
	X(state, "0: none, 1: away from the room's server, 2: connected")

enum udpxdp_room_counter {
#define X(name, text) UDPXDP_ROOM_##name,
	UDPXDP_ROOM_COUNTERS(X)
#undef X
		UDPXDP_ROOM_COUNTER_COUNT
};

enum udpxdp_room_state { UDPXDP_ROOM_NONE, UDPXDP_ROOM_IS_AWAY, UDPXDP_ROOM_CONNECTED };

/*
 * Map service_counters: array, BPF_F_MMAPABLE, key __u32 = worker * instances + instance.
 * One writer a row (the worker), plain 64-bit stores; readers see each value whole.
 * Padded to whole cache lines, so that workers do not share one.
 * rx, rx_bytes: datagrams that reached the service and the bytes of their payloads;
 * tx, tx_bytes: the same for what it sent; then the drop reasons, in their order; then what a room
 * counts; then the reasons that the service has of its own, with their names and what they mean, so
 * that whoever reads needs not know the service.
 */
struct service_own_drop {
	char name[UDPXDP_OWN_DROP_SIZE]; /* empty: none */
	__u64 count;
	char text[UDPXDP_OWN_TEXT_SIZE]; /* what it means; prints */
};

struct service_counters {
	char service[UDPXDP_NAME_SIZE];
	__u16 port;
	__u16 worker;
	__u64 rx;
	__u64 tx;
	__u64 rx_bytes;
	__u64 tx_bytes;
#ifdef __bpf__ /* whose BTF is where bpftool has the names from */
#define X(name, text) __u64 name;
	UDPXDP_DROP_REASONS(X)
	UDPXDP_ROOM_COUNTERS(X)
#undef X
#else
	__u64 drops[UDPXDP_DROP_COUNT];
	__u64 room[UDPXDP_ROOM_COUNTER_COUNT];
#endif
	struct service_own_drop own[UDPXDP_OWN_DROPS];
} __attribute__((aligned(64)));

/* As the worker of a row: datagrams that came by the kernel's sockets beside XDP. */
#define COUNTERS_SOCKETS 65534

_Static_assert(sizeof(PIN_VERDICTS) <= 16 && sizeof(PIN_PORT_COUNTERS) <= 16,
	"the kernel cuts a map's name at 15 characters");

#endif
