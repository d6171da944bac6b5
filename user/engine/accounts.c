/* SPDX-License-Identifier: MIT */
#include "engine/accounts.h"

#include "udpxdp/host.h"

static struct account *set_of(struct accounts *accounts, const struct udpxdp_addr *addr)
{
	return accounts->set[udpxdp_host_hash(addr) & (ACCOUNT_SETS - 1)];
}

static struct account *find(struct accounts *accounts, const struct udpxdp_addr *addr)
{
	struct account *set = set_of(accounts, addr);

	for (unsigned i = 0; i < ACCOUNT_WAYS; i++)
		if (set[i].used && udpxdp_addr_equal(&set[i].addr, addr)) {
			set[i].used = ++accounts->clock | 1;
			return &set[i];
		}
	return NULL;
}

/* In place of the one that was used longest ago. */
static struct account *add(struct accounts *accounts, const struct udpxdp_addr *addr)
{
	struct account *set = set_of(accounts, addr), *oldest = set;

	for (unsigned i = 1; i < ACCOUNT_WAYS; i++)
		if (accounts->clock - set[i].used > accounts->clock - oldest->used)
			oldest = &set[i];
	*oldest = (struct account){.addr = *addr, .used = ++accounts->clock | 1};
	return oldest;
}

void accounts_earn(struct accounts *accounts, const struct udpxdp_addr *addr, uint32_t bytes)
{
	struct account *account = find(accounts, addr);

	if (!account)
		account = add(accounts, addr);
	bytes *= ACCOUNT_FACTOR;
	account->credit =
		bytes > UINT32_MAX - account->credit ? UINT32_MAX : account->credit + bytes;
}

bool accounts_spend(struct accounts *accounts, const struct udpxdp_addr *addr, uint32_t bytes)
{
	struct account *account = find(accounts, addr);

	if (!account || account->credit < bytes)
		return false;
	account->credit -= bytes;
	return true;
}
