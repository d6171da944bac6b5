/* SPDX-License-Identifier: MIT */
#include "io/rules.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define BLANKS " \t\r\v\f"
#define LINE_SIZE 128 /* of what is not a comment */
#define NOBODY UINT32_MAX

/* A rule, and which is the longest of those that its network lies within. */
struct node {
	struct guard_rule rule;
	uint32_t order; /* in which it was read; then its parent */
};

struct rule_set {
	size_t count, room, read;
	bool denies_others;
	struct node *nodes; /* by address, the shorter prefix first */
};

/* ---- prefixes ------------------------------------------------------------------------- */

static void mask(struct source_rule_key *key)
{
	for (unsigned i = 0; i < sizeof(key->addr.b); i++) {
		const unsigned bits = key->prefix_len < 8 * i ? 0 : key->prefix_len - 8 * i;

		if (bits < 8)
			key->addr.b[i] &= (uint8_t)(0xff00 >> bits);
	}
}

static bool contains(const struct source_rule_key *key, const struct udpxdp_addr *addr)
{
	const unsigned bytes = key->prefix_len / 8, rest = key->prefix_len % 8;

	return !memcmp(key->addr.b, addr->b, bytes) &&
	       (!rest || !((key->addr.b[bytes] ^ addr->b[bytes]) >> (8 - rest)));
}

static int compare_keys(const struct source_rule_key *a, const struct source_rule_key *b)
{
	const int addr = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return addr ? addr : (int)a->prefix_len - (int)b->prefix_len;
}

static int compare(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	const int keys = compare_keys(&x->rule.key, &y->rule.key);

	return keys ? keys : (x->order > y->order) - (x->order < y->order);
}

/* ---- reading -------------------------------------------------------------------------- */

static const char *add(struct rule_set *set, const struct guard_rule *rule)
{
	if (set->count == RULES_MAX)
		return "too many rules";
	if (set->count == set->room) {
		const size_t room = set->room ? 2 * set->room : 64;
		struct node *nodes = realloc(set->nodes, room * sizeof(*nodes));

		if (!nodes)
			return strerror(errno);
		set->nodes = nodes;
		set->room = room;
	}
	set->nodes[set->count] = (struct node){.rule = *rule, .order = (uint32_t)set->count};
	mask(&set->nodes[set->count].rule.key);
	set->count++;
	return NULL;
}

/* Returns NULL, or why it is no rule. */
static const char *read_rule(const char *line, struct guard_rule *rule)
{
	const char *rest = line + strspn(line, BLANKS);
	char word[LINE_SIZE], network[LINE_SIZE];
	uint8_t bits;

	parse_piece(&rest, BLANKS, word, sizeof(word));
	rest += strspn(rest, BLANKS);
	parse_piece(&rest, BLANKS, network, sizeof(network));
	rest += strspn(rest, BLANKS);
	if (strcmp(word, "allow") && strcmp(word, "deny"))
		return "expected allow or deny, and a network";
	if (*rest || !parse_prefix(network, &rule->key.addr, &bits))
		return "expected one network, such as 10.0.0.0/8 or fd00::/16";
	rule->key.prefix_len = bits;
	rule->verdict = *word == 'a' ? RULE_ALLOW : RULE_DENY;
	return NULL;
}

/* len bytes, without the end of the line. */
static const char *read_line(struct rule_set *set, const char *text, size_t len)
{
	const char *comment = memchr(text, '#', len);
	struct guard_rule rule;
	char line[LINE_SIZE];
	const char *wrong;

	if (comment)
		len = (size_t)(comment - text);
	while (len && text[len - 1] && strchr(BLANKS, text[len - 1]))
		len--;
	if (memchr(text, '\0', len))
		return "a NUL is not text";
	if (len >= sizeof(line))
		return "the line is too long";
	memcpy(line, text, len);
	line[len] = '\0';
	if (!line[strspn(line, BLANKS)])
		return NULL;
	wrong = read_rule(line, &rule);
	return wrong ? wrong : add(set, &rule);
}

/* Returns NULL; or what is wrong, with *number of the line. */
static const char *read_text(struct rule_set *set, const char *text, size_t len, size_t *number)
{
	const char *end = text + len, *wrong = NULL;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (*number = 1; text < end && !wrong; ++*number) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		wrong = read_line(set, text, (size_t)(stop - text));
		text = stop + 1;
	}
	--*number;
	return wrong;
}

/* ---- the set -------------------------------------------------------------------------- */

/* Sorts them, and of those for one network keeps the last. */
static void sort(struct rule_set *set)
{
	size_t kept = 0;

	qsort(set->nodes, set->count, sizeof(*set->nodes), compare);
	for (size_t i = 0; i < set->count; i++) {
		if (kept && !compare_keys(&set->nodes[kept - 1].rule.key, &set->nodes[i].rule.key))
			kept--;
		set->nodes[kept++] = set->nodes[i];
	}
	set->count = kept;
}

static void find_parents(struct rule_set *set)
{
	uint32_t parent = NOBODY;

	for (uint32_t i = 0; i < set->count; i++) {
		while (parent != NOBODY &&
			!contains(&set->nodes[parent].rule.key, &set->nodes[i].rule.key.addr))
			parent = set->nodes[parent].order;
		set->nodes[i].order = parent;
		parent = i;
	}
}

/*
 * What holds where no rule matches, as two rules for networks that none is shorter than: a rule for
 * ::/0 means IPv6, but IPv4 lies within it in its mapped form. They come first, so that whoever
 * says something else of either is the last.
 */
static const char *add_defaults(struct rule_set *set)
{
	struct guard_rule all[] = {{.verdict = RULE_ALLOW},
		{.key = {.prefix_len = 96, .addr.b = {[10] = 0xff, 0xff}}, .verdict = RULE_ALLOW}};

	for (unsigned i = 0; i < 2; i++) {
		const char *wrong = add(set, &all[i]);

		if (wrong)
			return wrong;
	}
	return NULL;
}

static void settle_defaults(struct rule_set *set)
{
	for (size_t i = 2; i < set->count; i++)
		set->denies_others |= set->nodes[i].rule.verdict == RULE_ALLOW;
	if (set->denies_others)
		set->nodes[0].rule.verdict = set->nodes[1].rule.verdict = RULE_DENY;
}

struct rule_set *rule_set_new(const struct guard_rule *given, size_t given_count, const char *text,
	size_t len, char *error, size_t size)
{
	struct rule_set *set = calloc(1, sizeof(*set));
	const char *wrong = set ? add_defaults(set) : strerror(errno);
	size_t number = 0;

	if (!wrong && text)
		wrong = read_text(set, text, len, &number);
	if (!wrong)
		number = 0;
	for (size_t i = 0; i < given_count && !wrong; i++)
		wrong = add(set, &given[i]);
	if (wrong) {
		if (number)
			snprintf(error, size, "%zu: %s", number, wrong);
		else
			snprintf(error, size, "%s", wrong);
		rule_set_free(set);
		return NULL;
	}
	set->read = set->count - 2;
	settle_defaults(set);
	sort(set);
	find_parents(set);
	return set;
}

void rule_set_free(struct rule_set *set)
{
	if (set)
		free(set->nodes);
	free(set);
}

const struct guard_rule *rule_set_at(const struct rule_set *set, size_t i)
{
	return i < set->count ? &set->nodes[i].rule : NULL;
}

bool rule_set_denies_others(const struct rule_set *set)
{
	return set->denies_others;
}

size_t rule_set_count(const struct rule_set *set)
{
	return set->read;
}

/* Networks lie within one another or apart: so the last that begins at or before an address, or one
 * that it lies within, is the longest that has it. The first has every address. */
bool rule_set_denies(const struct rule_set *set, const struct udpxdp_addr *source)
{
	size_t low = 0, high = set->count;
	uint32_t i;

	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;

		if (memcmp(&set->nodes[middle].rule.key.addr, source, sizeof(*source)) <= 0)
			low = middle;
		else
			high = middle;
	}
	for (i = (uint32_t)low; !contains(&set->nodes[i].rule.key, source);)
		i = set->nodes[i].order;
	return set->nodes[i].rule.verdict == RULE_DENY;
}
