/* SPDX-License-Identifier: MIT */
/*
 * What a service, the engine and the filter in the kernel have in common: addresses, what an
 * address and a VLAN can be to this host, and why a datagram is refused. Compiled by clang for BPF
 * and by the user-space compiler. It is installed, so every name begins with udpxdp_.
 */
#ifndef UDPXDP_TYPES_H
#define UDPXDP_TYPES_H

#include <linux/types.h>

#define UDPXDP_NSEC_PER_SEC 1000000000ull

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

/* What an address is to this host. */
#define UDPXDP_LOCAL_UNICAST 1u
#define UDPXDP_LOCAL_BROADCAST 2u

#define UDPXDP_LOCAL_ADDRS_MAX 4096 /* addresses of this host that the filter can know */

#define UDPXDP_VLAN_TAGS_MAX 2
#define UDPXDP_VLAN_ALL 0xffffffffu  /* of an address: every one; of a frame: it is in them all */
#define UDPXDP_VLAN_NONE 0xfffffffeu /* of a frame: it is in none of ours */

/*
 * Why a service did not do what a datagram asked for: exactly one for each datagram or reply
 * that is refused. X(name, explanation); the order is that of the fields in service_counters.
 */
#define UDPXDP_DROP_REASONS(X)                                                                    \
	X(bad_ip_checksum, "the IPv4 header checksum is wrong")                                   \
	X(bad_udp_checksum, "the UDP checksum is wrong, or absent in IPv6")                       \
	X(source_port_zero, "the source port is 0")                                               \
	X(source_address, "the source is multicast, broadcast, unspecified, loopback or our own") \
	X(denied, "denied by --allow, --deny or --rules, where no filter sees it")                \
	X(rate_limited, "beyond --limit or --limit-total, where no filter sees it")               \
	X(loop, "answering could start a loop between services")                                  \
	X(repeated, "the same payload again and again, as fast as answers go: perhaps a loop")    \
	X(reply_too_big, "what was to be sent fits neither the MTU nor a socket's datagram")      \
	X(no_tx_frame, "no transmit frame was free")                                              \
	X(handover_full, "the queue to the service's worker was full")                            \
	X(off_subnet, "an announcement from outside the interface's subnets is not answered")     \
	X(no_address, "the interface has no address to send from")                                \
	X(invalid_text, "the text is not valid UTF-8")                                            \
	X(room_full, "the chat room is full")                                                     \
	X(unconfirmed, "an off-subnet speaker has not echoed its token yet")                      \
	X(amplification, "an unproven address would get more than three times what it sent")      \
	X(over_budget, "a member or the room says more than its budget")                          \
	X(other_road, "a member's address came by another MAC, and has not echoed its token")     \
	X(history_lost, "a message could not be written to the history file")                     \
	X(print_lost, "a message was not printed: the printer's queue was full")                  \
	X(console_lost, "a message was not shown on the consoles: their queue was full")          \
	X(room_lost, "other hosts of the room were not told, or not heard: a queue was full")

enum udpxdp_drop {
#define UDPXDP_DROP_CONSTANT(name, text) UDPXDP_DROP_##name,
	UDPXDP_DROP_REASONS(UDPXDP_DROP_CONSTANT)
#undef UDPXDP_DROP_CONSTANT
		UDPXDP_DROP_COUNT,
	UDPXDP_DROP_NONE = UDPXDP_DROP_COUNT, /* not dropped */
	UDPXDP_DROP_OWN /* the first of the service's own reasons; + 1 the second, and so on */
};

#define UDPXDP_OWN_DROPS 8      /* reasons that a service may have of its own */
#define UDPXDP_OWN_DROP_SIZE 24 /* of the name of one, with its NUL */
#define UDPXDP_OWN_TEXT_SIZE 96 /* of what it means, the same; longer ones are cut for stats */
#define UDPXDP_NAME_SIZE 12     /* of a service's name, with its NUL */

_Static_assert(sizeof(struct udpxdp_addr) == 16, "an address is 16 bytes");

#endif
