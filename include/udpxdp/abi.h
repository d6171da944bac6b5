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

#include <linux/types.h>

/* Pin names inside the pin directory; the maps carry the same names in the BPF object. */
#define PIN_PORT_COUNTERS "port_counters"
#define PIN_VERDICTS "verdicts"
#define PIN_SERVICE_COUNTERS "service_counters"

#define MAX_QUEUES 64        /* RX queues, and so workers, of one interface */
#define MAX_SERVICES 32      /* service instances: one per -s option */
#define MAX_LOCAL_ADDRS 4096 /* addresses of this host that the filter can know */
#define MAX_VLAN_TAGS 2

/*
 * An IP address in network byte order. An IPv4 address is held in its IPv4-mapped form
 * ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that one key, one table and one comparison serve both.
 */
struct udpxdp_addr {
	union {
		__u8 b[16];
		__u32 w[4];
	};
};

/*
 * Why the filter passed a frame to the kernel, redirected it or dropped it: exactly one for
 * each frame. X(name for C and bpftool, name for people and JSON, explanation).
 */
#define FRAME_VERDICTS(X)                                                                         \
	X(FRAME_REDIRECTED, redirected, "redirected to a socket of udpxdp")                       \
	X(FRAME_NOT_IP, not_ip, "neither IPv4 nor IPv6, or more than two VLAN tags")              \
	X(FRAME_NOT_UDP, not_udp, "IP, but not UDP")                                              \
	X(FRAME_MALFORMED, malformed, "too short, lengths that disagree, or a bad header length") \
	X(FRAME_FRAGMENT, fragment, "an IP fragment")                                             \
	X(FRAME_IPV6_EXTENSION, ipv6_extension, "an IPv6 extension header")                       \
	X(FRAME_NOT_OURS, not_ours, "UDP, but not to an address of this host")                    \
	X(FRAME_NOT_SERVED, not_served, "UDP to this host, on a port that is not served")         \
	X(FRAME_NO_SOCKET, no_socket, "no socket of udpxdp on the RX queue it arrived on")        \
	X(FRAME_DENIED, denied, "dropped: the source is denied by --allow or --deny")             \
	X(FRAME_RATE_LIMITED, rate_limited, "dropped: the source exceeds --limit")                \
	X(FRAME_ANSWERED, answered, "answered by the filter itself")                              \
	X(FRAME_REFUSED, refused, "dropped: refused by the filter, for a reason of port_counters")

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
	X(reply_too_big)

/*
 * Map port_counters: per-CPU hash, key __u16 port in host byte order.
 * The presence of a key is the filter; the value is the count. rx_packets counts the frames to
 * an address of this host and this port; each is then redirected, passed to the kernel (no
 * socket on its queue), dropped by a guard rail, answered by the filter or refused by it for one of
 * the reasons behind. rx_bytes are those of whole frames, without FCS; payload_bytes those of the
 * payloads that were answered or refused, answered_bytes those of the answers' payloads.
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
};

/*
 * Map local_addrs: hash, key struct udpxdp_addr, value __u32 of these flags. Which destinations are
 * this host: its unicast addresses on whatever interface, and the IPv4 broadcast addresses of
 * the interface, which count only for the ports in the map broadcast_ports.
 */
#define LOCAL_UNICAST 1u
#define LOCAL_BROADCAST 2u

/* Map broadcast_ports: hash, key __u16 port in host byte order, value __u8 1. */

/*
 * Guard rails. Map source_rules: LPM trie over ip_addr (an IPv4 prefix is 96 bits longer in the
 * mapped form), value __u32 RULE_ALLOW or RULE_DENY; the longest match wins. Map
 * source_limits: LRU hash, key the source's /24 (IPv4) or /64 (IPv6), value the theoretical
 * arrival time in CLOCK_MONOTONIC ns of its next conforming datagram (the virtual scheduling
 * form of a token bucket, ITU-T I.371 annex A).
 */
#define RULE_ALLOW 1u
#define RULE_DENY 2u

struct source_rule_key {
	__u32 prefix_len; /* 0-128, counted in the mapped form */
	struct udpxdp_addr addr;
};

/* What user space sets before the filter is loaded; constant from then on. */
struct filter_config {
	__u64 limit_interval; /* ns between conforming datagrams of a source; 0: no limit */
	__u64 limit_burst;    /* ns that a source may be ahead of that */
	__u8 rules;           /* source_rules is to be asked */
	__u8 default_deny;    /* where no rule matches */
	__u8 reserved[6];
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

struct filter_stamps {
	struct filter_stamp slots[2]; /* of this second and the next, in either order */
	__u32 edition;                /* another after each change of the slots */
};

struct filter_answers {
	struct filter_stamps stamps;
	__u32 mtu;         /* bytes of an IP packet */
	__u8 ports[65536]; /* PORT_* by port in host byte order */
};

/*
 * Why a service did not do what a datagram asked for: exactly one for each datagram or reply
 * that is refused. X(name, explanation); the order is that of the fields in service_counters.
 */
#define UDPXDP_DROP_REASONS(X)                                                                    \
	X(bad_ip_checksum, "the IPv4 header checksum is wrong")                                   \
	X(bad_udp_checksum, "the UDP checksum is wrong, or absent in IPv6")                       \
	X(source_port_zero, "the source port is 0")                                               \
	X(source_address, "the source is multicast, broadcast, unspecified, loopback or our own") \
	X(loop, "answering could start a loop between services")                                  \
	X(reply_too_big, "what was to be sent exceeds the interface's MTU")                       \
	X(no_tx_frame, "no transmit frame was free")                                              \
	X(handover_full, "the queue to the service's worker was full")                            \
	X(off_subnet, "an announcement from outside the interface's subnets is not answered")     \
	X(no_address, "the interface has no address to send from")                                \
	X(invalid_text, "the text is not valid UTF-8")                                            \
	X(room_full, "the chat room is full")                                                     \
	X(unconfirmed, "an off-subnet speaker has not echoed its token yet")                      \
	X(history_lost, "a message could not be written to the history file")                     \
	X(print_lost, "a message was not printed: the printer's queue was full")                  \
	X(console_lost, "a message was not shown on the consoles: their queue was full")

enum udpxdp_drop {
#define X(name, text) UDPXDP_DROP_##name,
	UDPXDP_DROP_REASONS(X)
#undef X
		UDPXDP_DROP_COUNT,
	UDPXDP_DROP_NONE = UDPXDP_DROP_COUNT /* nothing speaks against it */
};

#define UDPXDP_NAME_SIZE 12

/*
 * Map service_counters: array, BPF_F_MMAPABLE, key __u32 = worker * instances + instance.
 * One writer a row (the worker), plain 64-bit stores; readers see each value whole.
 * Padded to whole cache lines, so that workers do not share one.
 * rx, rx_bytes: datagrams that reached the service and the bytes of their payloads;
 * tx, tx_bytes: the same for what it sent; then the drop reasons, in their order.
 */
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
#undef X
#else
	__u64 drops[UDPXDP_DROP_COUNT];
#endif
} __attribute__((aligned(64)));

_Static_assert(sizeof(PIN_VERDICTS) <= 16 && sizeof(PIN_PORT_COUNTERS) <= 16,
	"the kernel cuts a map's name at 15 characters");
_Static_assert(sizeof(struct udpxdp_addr) == 16, "an address is 16 bytes");

#endif
