/* SPDX-License-Identifier: MIT */
/* What sockets.c (opening, receiving, waiting) and sockets_send.c share. */
#ifndef UDPXDP_IO_SOCKETS_INTERNAL_H
#define UDPXDP_IO_SOCKETS_INTERNAL_H

#include "io/sockets.h"
#include "io/sockets_message.h"

#define NONE UINT16_MAX /* as a number of a buffer or a train */

/* Room for everything that a call can bring, a train of datagrams included. */
#define PAYLOAD_ROOM 65536u
/* Where the payload begins: it is aligned, the headers of either family fit, and the headroom. */
#define PAYLOAD_AT 192u
/* An odd number of cache lines, so that buffers do not all fall on the same ones. */
#define BUFFER_SIZE (PAYLOAD_AT + PAYLOAD_ROOM)

_Static_assert(BUFFER_SIZE / 64 % 2 == 1, "buffers lie on different cache lines");
_Static_assert(PAYLOAD_AT >= FRAME_HEADROOM + 14 + 40 + 8, "the headroom is there for IPv6, too");

/* Frames on their way out that differ in nothing but their payloads: one message if it is let. */
struct train {
	struct sockets_flow flow;
	uint32_t bytes;
	uint16_t segment; /* bytes of each payload, but that the last one may be shorter */
	uint16_t first, last, count; /* buffers */
	uint16_t next;               /* train of the same socket */
	bool closed;                 /* takes no more */
	bool apart;                  /* the kernel did not take it in one piece */
};

/* A payload on its way out; as many as there are buffers. */
struct outgoing {
	uint8_t *payload;
	uint32_t len;
	uint16_t next; /* buffer of the same train */
};

struct udp_socket {
	int fd;
	bool ipv6;
	uint16_t port;
	uint32_t ifindex; /* of the one interface that it hears; 0: it hears all */

	/* How messages are spread over buffers when receiving: as it would have suited the last. */
	uint32_t segment; /* bytes into each buffer but a message's last */
	uint32_t spread;  /* buffers for a message */

	uint16_t first, last; /* trains on their way out */
	uint16_t segment_max; /* bytes that the kernel takes as segments of one message */
};

/* What a call brought into a slot, and how much of it has been lent. */
struct part {
	unsigned slot, message;
	uint32_t len, at;
};

struct sockets {
	struct frame_io io;
	uint8_t *area;
	int poll, doorbell;
	unsigned count;
	bool borrowed; /* the sockets are another's, who receives */

	uint16_t free[SOCKETS_BUFFERS];
	unsigned free_count, lent;
	uint64_t rx_errors, tx_errors;

	/* Receiving. */
	struct udp_socket *ready[FRAME_BATCH];
	unsigned ready_count;
	uint16_t slots[FRAME_BATCH]; /* buffers to receive into; NONE: its buffer was lent */
	struct part parts[FRAME_BATCH];
	unsigned part_count, next_part;
	struct sockets_arrival arrivals[FRAME_BATCH];
	uint64_t now_ns;

	/* Sending. */
	unsigned out; /* buffers allocated or queued */
	struct outgoing outgoing[SOCKETS_BUFFERS];
	struct train trains[SOCKETS_OUT];
	uint16_t free_trains[SOCKETS_OUT];
	unsigned free_train_count;
	unsigned taken[FRAME_BATCH]; /* buffers in each message of a call */

	/* For the system calls. */
	struct mmsghdr messages[FRAME_BATCH];
	struct iovec pieces[SOCKETS_OUT];
	struct sockets_name names[FRAME_BATCH];
	_Alignas(struct cmsghdr) uint8_t controls[FRAME_BATCH][SOCKETS_CONTROL_SIZE];

	struct udp_socket sockets[];
};

_Static_assert(SOCKETS_OUT >= FRAME_BATCH, "there are pieces for receiving, too");

static inline struct sockets *sockets_of(const struct frame_io *io)
{
	return (struct sockets *)io;
}

static inline uint8_t *sockets_payload(const struct sockets *s, uint16_t buffer)
{
	return s->area + (size_t)buffer * BUFFER_SIZE + PAYLOAD_AT;
}

/* frame_io's allocate, send and flush. */
bool sockets_allocate(struct frame_io *io, struct frame *frame);
bool sockets_send(struct frame_io *io, const struct frame *frame);
void sockets_flush(struct frame_io *io);

#endif
