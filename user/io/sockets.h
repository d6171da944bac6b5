/* SPDX-License-Identifier: MIT */
/*
 * Frame I/O over the kernel's UDP sockets, many ports in one: what arrives is lent as frames whose
 * headers are written here, what is sent has its headers read here (see sockets_message.h). A
 * train of datagrams that the kernel gathered is lent as its datagrams, and consecutive frames of
 * one size to one peer leave as a train (udp(7), UDP_GRO and UDP_SEGMENT).
 *
 * A buffer is free, in a slot for receiving, lent, or on its way out; at rest
 *     free + slots + lent + out = SOCKETS_BUFFERS,
 * and never more than SOCKETS_OUT are on their way out: no amount of sending can starve receiving.
 * What the kernel does not take now stays queued, and goes with a later flush or wait.
 */
#ifndef UDPXDP_IO_SOCKETS_H
#define UDPXDP_IO_SOCKETS_H

#include "udpxdp/datagram.h"
#include "udpxdp/frame_io.h"

#define SOCKETS_OUT 128u
#define SOCKETS_BUFFERS (2 * FRAME_BATCH + SOCKETS_OUT)

enum sockets_sharing {
	SOCKETS_SOLE,  /* nobody else may have the port */
	SOCKETS_FIRST, /* nobody else may have it yet; SOCKETS_NEXT ones of this user then may */
	SOCKETS_NEXT,  /* shares it with a SOCKETS_FIRST one (SO_REUSEPORT): the kernel spreads
			* the peers over them */
};

/*
 * A socket on a port of every address, for family AF_INET or AF_INET6; iface: only what comes by
 * that interface (NULL: by any). Returns a descriptor, or -1 with errno: EADDRINUSE: another
 * program has the port; EACCES: the port is below 1024 and that takes a privilege; EAFNOSUPPORT:
 * there is no IPv6 here; ENODEV: no such interface.
 */
int sockets_bind(int family, uint16_t port, const char *iface, enum sockets_sharing sharing);

/*
 * Frames have the time at which the kernel took each of them, where it can say; otherwise that of
 * their batch. The kernel then notes the time of every packet of the machine, which costs AF_XDP 3
 * % of its rate.
 */
void sockets_note_times(int fd);

/*
 * Takes over count sockets of sockets_bind(). doorbell: an eventfd that ends wait() early, or -1.
 * Returns NULL with errno, the sockets then still being the caller's.
 */
struct frame_io *sockets_open(const int *fds, unsigned count, int doorbell);

/*
 * For another thread, to send by the same sockets, which stay the caller's: it receives nothing.
 * They outlive it. Returns NULL with errno.
 */
struct frame_io *sockets_open_sender(const int *fds, unsigned count);

/* Has what is sent to a peer leave by this interface, where that is not the route's to say: to a
 * link-local address, and by sockets that hear one interface. 0: any. */
void sockets_set_ifindex(struct udpxdp_endpoint *peer, uint32_t ifindex);

/* Where the buffers are, and what went wrong. */
struct sockets_account {
	unsigned free, slots, lent, out;
	uint64_t rx_dropped;           /* by the kernel: a socket's buffer was full */
	uint64_t rx_errors, tx_errors; /* calls that failed, frames that the kernel refused */
};
void sockets_account(const struct frame_io *io, struct sockets_account *account);

/* Waits, at most timeout_ms, until the kernel has taken everything queued. */
void sockets_drain(struct frame_io *io, int timeout_ms);

#endif
