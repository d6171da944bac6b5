/* SPDX-License-Identifier: MIT */
/* The kernel's UDP sockets of a server: which there are, and how a peer is reached by them. */
#ifndef UDPXDP_KERNEL_SOCKETS_H
#define UDPXDP_KERNEL_SOCKETS_H

#include "io/sockets.h"
#include "server/server.h"

/* Bytes of the longest IP packet: what does not fit an interface's MTU the kernel fragments. */
#define KERNEL_SOCKETS_MTU (40 + 65535)

/*
 * Opens the sockets of worker number `worker` on interface number `ingress` of the server: those of
 * the services that run on every worker, and on worker 0 those of the single ones too. They hear
 * config->iface, those of the first interface this host itself, too; without an interface,
 * everybody. To be called for worker 0 first. *io is for the caller to close; it
 * rings with doorbell. Returns EXIT_CLEAN, or the exit status with an error line said.
 */
int kernel_sockets_open(struct frame_io **io, const struct server_config *config, unsigned ingress,
	unsigned worker, int doorbell);

#define KERNEL_SOCKETS_MAX (MAX_SERVICES * 2 * INGRESSES_MAX) /* two families */

/* Those beside XDP. */
struct kernel_sockets {
	/* Worker 0's receives and sends, the others' only send. Decorated, or as they are. */
	struct frame_io *ios[MAX_QUEUES];
	unsigned count;    /* 0: there are none */
	uint32_t services; /* that have theirs, a bit for each */
};

/*
 * Opens sockets on the served ports, for each interface that is served and for lo, and what each
 * worker needs to send by them. A port that is not to be had is said, and XDP alone serves it.
 * Returns EXIT_CLEAN, or the exit status with an error line said.
 */
int kernel_sockets_open_beside(
	struct kernel_sockets *sockets, const struct server_config *config, unsigned workers);

/* After the threads' end. */
void kernel_sockets_close(struct kernel_sockets *sockets);

/* The path to a peer that is this host itself, at its loopback or this interface's addresses, by
 * sockets that are this way in; false: it is not. *path gets the addresses, not the ports. */
bool kernel_sockets_path_here(struct udpxdp_path *path, const struct udpxdp_host *net,
	const struct udpxdp_addr *peer, unsigned ingress);

/*
 * How to reach a peer that never spoke to us, by a socket of the kernel: *path gets our address
 * and the peer's, not the ports. Returns false with errno when there is no way.
 */
bool kernel_sockets_path(
	struct udpxdp_path *path, const struct udpxdp_addr *peer, unsigned ifindex);

/* Say with -v where the buffers of a worker's sockets are: alone, or beside XDP. */
void kernel_sockets_say_account(const struct frame_io *io, unsigned worker);
void kernel_sockets_say_account_beside(const struct frame_io *io, unsigned worker);

#endif
