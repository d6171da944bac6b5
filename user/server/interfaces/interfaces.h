/* SPDX-License-Identifier: MIT */
/* What a server of several interfaces does with them together. */
#ifndef UDPXDP_INTERFACES_H
#define UDPXDP_INTERFACES_H

#include "server/internal.h"

/* Makes the structures of the interfaces behind the first. Returns the exit status. */
int interfaces_make(struct server *server);
void interfaces_free(struct server *server);

/* Gives them what there is one of: loop, host name, capture. Returns EXIT_CLEAN. */
int interfaces_share(struct server *server);

/* How many workers there are: as many as the interface with most sockets has. */
unsigned interfaces_workers(const struct server *server);

/* Every interface's counters have rows for as many workers as there may be. */
void interfaces_settle_rows(struct server *server);

/* The rows of what comes by the kernel's sockets beside XDP: one for each service. */
struct service_counters *interfaces_beside_counters(const struct server *server);

/* The ways in behind the first one, and a doorbell for each worker. Returns how many there are. */
unsigned interfaces_ways(struct server *server, struct workers_ingress *more, int *doorbells);

/*
 * Moves each interface's snapshot from `starting` to nets, and puts that of the kernel's sockets
 * behind them. Returns 0; or -1 with errno, and all of them where they were.
 */
int interfaces_snapshots(struct server *server, struct udpxdp_host **nets);

/* The interface that has this address of ours, or the first. */
struct server *interfaces_with(struct server *server, const struct udpxdp_addr *own);

/* The interface by which a peer is to be looked for: that on whose link it is, or the first. */
struct server *interfaces_towards(struct server *server, const struct udpxdp_addr *peer);

/* Has an interface's neighbours looked at; what is found goes into its table. */
void interfaces_ask(struct server *server, const struct engine_question *question);

/* Another number after each change of any of their tables. */
uint64_t interfaces_neighbours_edition(struct server *server);

/* As kernel_sockets_path_here(), for all of them. */
bool interfaces_path_here(
	struct server *server, struct udpxdp_path *path, const struct udpxdp_addr *peer);

#endif
