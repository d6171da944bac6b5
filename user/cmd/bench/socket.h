/* SPDX-License-Identifier: MIT */
/* The load generator's sockets: wide, connected, never waiting. */
#ifndef UDPXDP_BENCH_SOCKET_H
#define UDPXDP_BENCH_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Returns a file descriptor, or -1 with errno. */
int bench_socket(const struct sockaddr_storage *server, socklen_t len);

/* From now on the kernel cuts a send of more than size bytes into datagrams of size (UDP GSO);
 * size 0: no longer. Returns whether it will. */
bool bench_socket_segment(int fd, unsigned size);

/* Answers that found the socket full; 0 where the kernel is too old to say so. */
uint64_t bench_socket_overflows(int fd);

#endif
