/* SPDX-License-Identifier: MIT */
/* The kernel's UDP sockets of a server: which there are, and how a peer is reached by them. */
#ifndef UDPXDP_KERNEL_SOCKETS_H
#define UDPXDP_KERNEL_SOCKETS_H

#include "io/sockets.h"
#include "server/server.h"

/* Bytes of the longest IP packet: what does not fit an interface's MTU the kernel fragments. */
#define KERNEL_SOCKETS_MTU (40 + 65535)

/*
 * Opens the sockets of worker number `worker`: those of the services that run on every worker, and
 * on worker 0 those of the single ones too. They hear config->iface and this host itself; without
 * an interface, everybody. To be called for worker 0 first. *io is for the caller to close; it
 * rings with doorbell. Returns EXIT_CLEAN, or the exit status with an error line said.
 */
int kernel_sockets_open(
	struct frame_io **io, const struct server_config *config, unsigned worker, int doorbell);

/*
 * How to reach a peer that never spoke to us, by a socket of the kernel: *path gets our address
 * and the peer's, not the ports. Returns false with errno when there is no way.
 */
bool kernel_sockets_path(
	struct udpxdp_path *path, const struct udpxdp_addr *peer, unsigned ifindex);

/* Says with -v where the buffers of a worker's sockets are. */
void kernel_sockets_say_account(const struct frame_io *io, unsigned worker);

#endif
