/* SPDX-License-Identifier: MIT */
/*
 * Who is served: rules for networks, from the command line and from a file. Of the rules that match
 * a source the longest prefix decides; where none does, sources are denied if any rule allows one,
 * and served otherwise.
 *
 * The file has one rule a line, `allow CIDR` or `deny CIDR`; a # begins a comment, blank lines and
 * blanks around words do not matter, lines may end in CR LF, and a byte order mark is skipped.
 */
#ifndef UDPXDP_IO_RULES_H
#define UDPXDP_IO_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "udpxdp/abi.h"

struct guard_rule {
	struct source_rule_key key;
	__u32 verdict; /* RULE_ALLOW or RULE_DENY */
};

struct rule_set; /* does not change once it is made */

/*
 * Makes one of given rules and of len bytes of a file's text (NULL: none). Of rules for the same
 * network a given one goes before the file's, and otherwise the last. Returns NULL with one line in
 * error, which begins with the number of the line in the text, if it is of one ("3: expected ...").
 */
struct rule_set *rule_set_new(const struct guard_rule *given, size_t given_count, const char *text,
	size_t len, char *error, size_t size);

void rule_set_free(struct rule_set *set);

/* Its rules, one for each network, among them always one for all of IPv4 and one for all of IPv6:
 * i from 0 on. NULL when there is no more. */
const struct guard_rule *rule_set_at(const struct rule_set *set, size_t i);

/* How many of its rules were given or read. */
size_t rule_set_count(const struct rule_set *set);

/* Are sources denied that no rule matches? */
bool rule_set_denies_others(const struct rule_set *set);

bool rule_set_denies(const struct rule_set *set, const struct udpxdp_addr *source);

#endif
