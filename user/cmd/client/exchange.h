/* SPDX-License-Identifier: MIT */
/* One question and its answer over a kernel socket, for the client. */
#ifndef UDPXDP_CLIENT_EXCHANGE_H
#define UDPXDP_CLIENT_EXCHANGE_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udpxdp/datagram.h"

#define LATE_MAX 8 /* unanswered lines that are remembered */

struct line {
	const char *text;
	size_t len;
};

/* timeout_ns, where, addresses and address are set by the caller, fd to -1, the rest to zero. */
struct exchange {
	uint64_t timeout_ns;
	char where[NI_MAXHOST + 8];           /* HOST:PORT, for messages */
	struct addrinfo *addresses, *address; /* all of the host's; the one in use */
	bool proven;                          /* it has answered: do not leave it for another */
	int fd;
	struct line late[LATE_MAX]; /* the last lines without an answer, oldest first */
	unsigned late_count;
	uint8_t answer[1 << 16]; /* no datagram is longer */
	size_t answer_len;
};

/*
 * Sends a line and waits for what comes back. While no address has answered, one that refuses is
 * left for the next. Returns 0 with the answer in *exchange; or an errno: ETIMEDOUT when nothing
 * came in time, ECONNREFUSED when nothing listens there, EMSGSIZE when the line is too long.
 */
int exchange_ask(struct exchange *exchange, const struct line *line);

/* Closes the socket and frees what was remembered. */
void exchange_close(struct exchange *exchange);

#endif
