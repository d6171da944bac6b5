/* SPDX-License-Identifier: MIT */
#include "cli/vlans.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static const char *const choices[] = {
	[VLAN_CHOICE_OWN] = "own", [VLAN_CHOICE_ANY] = "any", [VLAN_CHOICE_NONE] = "none"};

int vlans_read(struct vlan_set *set, const char *text, char *error, size_t size)
{
	const char *rest = text;
	unsigned first, last;
	char piece[24];

	*set = (struct vlan_set){.choice = VLAN_CHOICE_OWN};
	for (; set->choice < VLAN_CHOICE_LIST; set->choice++)
		if (!strcmp(text, choices[set->choice]))
			return 0;
	for (;; rest++) {
		if (!parse_piece(&rest, ",", piece, sizeof(piece)) ||
			!parse_range(piece, VLAN_ID_MAX, &first, &last) || !first) {
			snprintf(error, size,
				"invalid VLANs '%s', expected own, any, none or IDs of 1 to %d, as "
				"in 5,10-12",
				text, VLAN_ID_MAX);
			return -1;
		}
		for (; first <= last; first++)
			set->ids[first / 64] |= 1ull << first % 64;
		if (!*rest)
			return 0;
	}
}
