/* SPDX-License-Identifier: MIT */
/*
 * What a service is, and what it may call. A service is pure: it gets a datagram and the time,
 * changes its own state and says what to send. It opens nothing, allocates nothing, knows no
 * clock, no frame and no socket; that is why replaying a capture gives the same bytes.
 *
 * A service of one's own is a shared object that defines and exports
 *
 *     const struct udpxdp_service udpxdp_service = {
 *             .version = UDPXDP_SERVICE_VERSION, .name = "discard", .port = 9, .receive = receive};
 *
 * and is run with `-s ./discard.so`: udpxdp-service(3). One that is built in is a file that defines
 * `const struct udpxdp_service NAME_service`, and a row in user/services/services.def.
 */
#ifndef UDPXDP_SERVICE_H
#define UDPXDP_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datagram.h"
#include "host.h"
#include "room.h"

/* Of everything in these headers: a shared object runs with the udpxdp that has the same. */
#define UDPXDP_SERVICE_VERSION 1u

struct udpxdp_ctx; /* what the engine lends a service for the duration of one call */

/* ---- messages: what people see of the traffic ---------------------------------------- */

enum udpxdp_direction { UDPXDP_RECEIVED, UDPXDP_SENT };

/*
 * One message of a service, for the printer, the history file or a console. text is lent for
 * the call and is raw bytes from the wire: whoever shows it makes it safe.
 */
struct udpxdp_message {
	uint64_t time_ns;
	enum udpxdp_direction direction;
	bool broadcast;          /* it was sent to everybody: an announcement */
	struct udpxdp_addr addr; /* the peer's */
	uint16_t port;
	uint32_t len;
	const uint8_t *text;
	struct udpxdp_room_place place; /* of what came from another host of a room; else none */
};

/* What a received datagram says, as a message. Its text is the datagram's payload. */
static inline struct udpxdp_message udpxdp_message_of(const struct udpxdp_datagram *d)
{
	return (struct udpxdp_message){
		.time_ns = d->time_ns,
		.direction = UDPXDP_RECEIVED,
		.broadcast = d->broadcast,
		.addr = d->path.peer.addr,
		.port = d->path.peer.port,
		.len = d->len,
		.text = d->payload,
	};
}

/* ---- what a service may call --------------------------------------------------------- */

/*
 * Text to stand in front of a payload, with its checksum contribution prepared once. It stands
 * at the end of text, so that a copy of fixed length can put it in place.
 */
struct udpxdp_prefix {
	uint8_t text[64];
	uint32_t len;
	uint32_t sum; /* RFC 1071, from an even offset; udpxdp_prefix_set() takes it */
};

/* Sets a prefix's text (at most 64 bytes, else it is cut) and prepares its sum. */
void udpxdp_prefix_set(struct udpxdp_prefix *prefix, const void *text, size_t len);

/*
 * Answers the datagram d of this call of receive() with prefix (NULL: nothing) followed by its
 * own payload: in the frame that it arrived in, or, where another worker handed it over, in one of
 * its own. At most once for each datagram; its payload is void afterwards. d may be a copy of the
 * datagram whose path says another TTL or TOS to send with. Returns true when the
 * answer is queued; otherwise it has counted why (reply_too_big, no_tx_frame), and the payload is
 * what it was.
 */
bool udpxdp_reply(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d,
	const struct udpxdp_prefix *prefix);

/*
 * Sends prefix (NULL: nothing) followed by the payload of d along path, as udpxdp_send() would,
 * to as many as one likes: the payload's checksum is not taken again. d is the datagram of this
 * call of receive(); it stays as it is. Returns true when it is queued; otherwise it has counted
 * why (reply_too_big, amplification, no_tx_frame).
 */
bool udpxdp_forward(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d,
	const struct udpxdp_path *path, const struct udpxdp_prefix *prefix);

/*
 * Sends a datagram of its own along path: UDP from path->local to path->peer, checksums
 * computed, DF set. payload is copied. Returns true when it is queued; otherwise it has counted
 * why (reply_too_big, amplification, no_tx_frame).
 */
bool udpxdp_send(
	struct udpxdp_ctx *ctx, const struct udpxdp_path *path, const void *payload, size_t len);

/* The longest payload that fits the interface's MTU on this path, in bytes. */
size_t udpxdp_send_max(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path);

/* Does anybody see what udpxdp_print() shows? If not, the message need not be made. */
bool udpxdp_prints(const struct udpxdp_ctx *ctx);

/* Shows a message on the server's standard output. Never waits; what does not fit is counted. */
void udpxdp_print(struct udpxdp_ctx *ctx, const struct udpxdp_message *message);

/* Writes a message to the service's history file. Never waits; what does not fit is counted.
 * Only a single service has a history. */
void udpxdp_record(struct udpxdp_ctx *ctx, const struct udpxdp_message *message);

/* Shows a message on the consoles attached to this service. Never waits; what does not fit is
 * counted. Only a single service has consoles. */
void udpxdp_notify(struct udpxdp_ctx *ctx, const struct udpxdp_message *message);

/* Tells the other hosts of the room, if there are any. Never waits. Returns false when there was no
 * room in the queue, which is counted (room_lost). Only a single service has a room. */
bool udpxdp_publish(struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event);

/*
 * Counts one refusal: one of the common reasons (UDPXDP_DROP_loop), or UDPXDP_DROP_OWN + n for row
 * n of the service's own. What sends counts its own.
 */
void udpxdp_count_drop(struct udpxdp_ctx *ctx, enum udpxdp_drop reason);

/* The host's addresses, the interface's MAC and MTU, as of this call. */
const struct udpxdp_host *udpxdp_host(const struct udpxdp_ctx *ctx);

/* Is this port one that any service of this process serves? */
bool udpxdp_serves(const struct udpxdp_ctx *ctx, uint16_t port);

/* A clock that never jumps, in nanoseconds from some beginning: for ages and rates. In a replay it
 * is the time of the packets. */
uint64_t udpxdp_steady(const struct udpxdp_ctx *ctx);

/* Has the service's resume() called behind this batch of frames: for work that is longer than one
 * call should take. */
void udpxdp_resume_later(struct udpxdp_ctx *ctx);

/*
 * Brings a path that was kept up to date: the peer's MAC where the kernel knows another one now,
 * our own where that has changed, our address where that one has left the host. Returns false, with
 * the path untouched, when there is no address of ours any more to speak to the peer from.
 */
bool udpxdp_refresh(const struct udpxdp_ctx *ctx, struct udpxdp_path *path);

/* What the way is called by which a datagram with this path came, NUL-terminated, for people: the
 * interface, "sockets" for those of the kernel, "capture" in a replay. */
const char *udpxdp_ingress_name(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path);

/* The number by which the kernel knows the interface that a peer is reached by; 0: it is unknown,
 * or the route's to say. A link-local address is another host's on each. */
uint32_t udpxdp_link(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path);

/* The name of this host, NUL-terminated. */
const char *udpxdp_hostname(const struct udpxdp_ctx *ctx);

/* ---- what a console asks of a service ------------------------------------------------ */

/*
 * A line typed at a console. For a service that announces, path is void; for one that speaks
 * to a peer, path says how to reach it. text is lent for the call.
 */
struct udpxdp_command {
	uint64_t time_ns;
	struct udpxdp_path path;
	uint32_t len;
	const uint8_t *text;
};

/* ---- what a service is --------------------------------------------------------------- */

enum udpxdp_option_kind {
	UDPXDP_OPTION_BOOL,    /* bool: on or off, or yes, no, true, false, 1, 0 */
	UDPXDP_OPTION_UINT,    /* uint32_t: decimal, min to max */
	UDPXDP_OPTION_SECONDS, /* uint64_t of nanoseconds: seconds with decimals, min to max ms */
	UDPXDP_OPTION_ENUM,    /* int: the value of one of words */
	UDPXDP_OPTION_PATH,    /* char[max]: a copy, 1 to max - 1 bytes */
	UDPXDP_OPTION_CALL,    /* set() reads it */
	UDPXDP_OPTION_STRING,  /* const char *: the text itself, 1 byte or more. Not for a
				* service: it does not last */
	UDPXDP_OPTION_COUNT, /* unsigned: one more each time. Not for a service: it has no value */
};

/* What an UDPXDP_OPTION_ENUM can be; of several words for a value the first is shown. */
struct udpxdp_word {
	const char *word;
	int value;
};

/*
 * One row of a table of options, which ends with a NULL name. A service's are the KEY=VALUE of
 * `-s NAME:PORT,KEY=VALUE`; the same rows make up the command line of each verb, where a
 * UDPXDP_OPTION_BOOL takes no value, and the configuration file. A row without help is another
 * name for one that has it.
 */
struct udpxdp_option {
	const char *name;
	char letter; /* short name on a command line, or 0 */
	enum udpxdp_option_kind kind;
	uint32_t min, max;               /* max of a number: 0 is no limit */
	size_t offset;                   /* of the member that it sets */
	const struct udpxdp_word *words; /* of an UDPXDP_OPTION_ENUM; ends with a NULL word */
	const char *fallback;            /* the value when it is not given, written as a user would;
					    NULL: the member is left as it is */
	const char *arg;                 /* what the value is called in --help of a verb */
	const char *help;
	/* UDPXDP_OPTION_CALL: reads text into what the row's offset is of. Returns 0, or -1 with
	 * why not, one line, in error. */
	int (*set)(void *options, const char *text, char *error, size_t size);
};

/* Random bits that nobody outside knows: the key of a keyed hash. */
struct udpxdp_seed {
	uint64_t key[2];
};

/* What a service is started with. */
struct udpxdp_start {
	const void *options; /* outlives the state */
	uint16_t port;       /* that it is served on, which need not be the default */
	/* For this service alone, on all workers. All zero in a replay, whose output is the same
	 * each time: no secret there. */
	struct udpxdp_seed seed;
	/* The host's clock was synchronized to UTC when it started (adjtimex(2)); false in a
	 * replay.
	 */
	bool clock_synchronized;
};

/* Why a service of this kind refuses what no other does; the name as in struct udpxdp_service. */
struct udpxdp_reason {
	const char *name; /* less than UDPXDP_OWN_DROP_SIZE bytes */
	const char *text; /* what it means, for people: a line that fits a table */
};

#define UDPXDP_OPTIONS_SIZE 512 /* the most that a service's options may take */
#define UDPXDP_PATH_SIZE 256    /* of an UDPXDP_OPTION_PATH */

/*
 * Whatever is 0 or NULL is not there; only version, name, port and receive have to be. Names are of
 * lower-case letters, digits, _ and -.
 */
struct udpxdp_service {
	uint32_t version; /* UDPXDP_SERVICE_VERSION */
	const char *name; /* less than UDPXDP_NAME_SIZE bytes */
	uint16_t port;    /* the default */

	/*
	 * false: stateless enough to run once on every worker, each with a state of its own.
	 * true: it keeps state across queues, so it lives on one worker, and the others hand it
	 * their datagrams through bounded rings.
	 */
	bool single;
	bool wants_broadcast; /* datagrams to a broadcast address on its port are its business */

	bool has_history; /* keeps what it gives to udpxdp_record(): options history and sync */

	const struct udpxdp_option *options; /* ends with a NULL name; NULL: none */

	/* Ends with a NULL name, at most UDPXDP_OWN_DROPS; NULL: the common ones are enough. stats,
	 * Prometheus, replay and bpftool show them by name. */
	const struct udpxdp_reason *drops;

	/* How the filter in the kernel may answer for it: PORT_ANSWERED and so on of abi.h, which
	 * is not installed, as the filter knows built-in services alone; 0: not at all. NULL, as in
	 * a service of one's own: it never may. */
	uint8_t (*driver)(const void *options);

	/* Bytes of state that these options need. The state is zeroed, 64-byte aligned, and
	 * lives as long as the process. NULL: none. */
	size_t (*state_size)(const void *options);

	/* Prepares the state; once, before anything else. NULL: zeros are right. */
	void (*start)(void *state, const struct udpxdp_start *start);

	/* A datagram to this service. udpxdp_reply() and udpxdp_forward() work only here. */
	void (*receive)(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d);

	/* About once a second; time_ns never goes far back. NULL: not interested. */
	void (*tick)(void *state, struct udpxdp_ctx *ctx, uint64_t time_ns);

	/* Goes on with what udpxdp_resume_later() asked for. NULL: never asks. */
	void (*resume)(void *state, struct udpxdp_ctx *ctx);

	/* A line from a console. Returns NULL, or why it was refused (a static string).
	 * NULL: this service has no console. */
	const char *(*command)(
		void *state, struct udpxdp_ctx *ctx, const struct udpxdp_command *command);

	/* What comes from the other hosts of the room: a stranger's as much as a datagram is, but
	 * each part of it as udpxdp_room_event promises. A service that has this has the options
	 * nats, nats-creds and room. Called once for each interface where the service wants
	 * broadcasts. NULL: it has no room. */
	void (*room)(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event);
};

/* ---- text ---------------------------------------------------------------------------- */

/* Is this well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates)? Empty text is. */
bool udpxdp_text_is_utf8(const uint8_t *text, size_t len);

/* Is this well-formed UTF-8 of which every character prints: no C0, C1, DEL, no line or
 * paragraph separators, no bidi controls, nothing unassigned or private? Empty text is not. */
bool udpxdp_text_is_printable(const uint8_t *text, size_t len);

/* The same, and without a space of any kind. */
bool udpxdp_text_is_word(const uint8_t *text, size_t len);

#define UDPXDP_ADDR_TEXT_MAX 56 /* "[IPv6]:65535" and its NUL */

/* Writes ADDR:PORT, IPv6 in brackets (RFC 5952), IPv4 dotted. Returns its length. */
size_t udpxdp_addr_port_format(
	char text[UDPXDP_ADDR_TEXT_MAX], const struct udpxdp_addr *addr, uint16_t port);

/* Writes the address alone, without brackets. Returns its length. */
size_t udpxdp_addr_format(char text[UDPXDP_ADDR_TEXT_MAX], const struct udpxdp_addr *addr);

/* ---- the stamp ----------------------------------------------------------------------- */

#define UDPXDP_STAMP_LEN 30 /* bytes */
#define UDPXDP_STAMP_MAX 40 /* bytes: 【 (3) + ctime (24) + 】 (3), and some room */

/*
 * Writes 【ctime】 for a time in nanoseconds since the epoch, in the local time zone, in UTF-8,
 * not NUL-terminated. Returns its length in bytes. Call it once a second, not once a datagram:
 * it converts time zones.
 */
size_t udpxdp_stamp_format(uint8_t stamp[UDPXDP_STAMP_MAX], uint64_t time_ns);

/* Does a text begin with what udpxdp_stamp_format() writes, whatever the time and day it says? */
bool udpxdp_stamp_starts(const uint8_t *text, size_t len);

#endif
