/* SPDX-License-Identifier: MIT */
/*
 * How much may still be sent to addresses that have not proved that they hear us: three times what
 * came from them (as RFC 9000, 8.1), by one account for each address. What is not in the table has
 * nothing; an address that is forgotten for another begins anew with nothing.
 */
#ifndef UDPXDP_ACCOUNTS_H
#define UDPXDP_ACCOUNTS_H

#include "udpxdp/datagram.h"

#define ACCOUNT_FACTOR 3
#define ACCOUNT_WAYS 4
#define ACCOUNT_SETS 4096 /* a power of two */

struct accounts {
	struct account {
		struct udpxdp_addr addr;
		uint32_t credit; /* bytes of IP packets */
		uint32_t used;   /* the clock below when it was touched last; 0: free */
	} set[ACCOUNT_SETS][ACCOUNT_WAYS];
	uint32_t clock;
};

/* So many bytes, the IP header among them, came from this address. */
void accounts_earn(struct accounts *accounts, const struct udpxdp_addr *addr, uint32_t bytes);

/* May so many go there? Takes them from the account; or returns false, having taken nothing. */
bool accounts_spend(struct accounts *accounts, const struct udpxdp_addr *addr, uint32_t bytes);

#endif
