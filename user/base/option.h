/* SPDX-License-Identifier: MIT */
/* Tables of options (struct udpxdp_option): how a row reads its value, and what it takes. */
#ifndef UDPXDP_OPTION_H
#define UDPXDP_OPTION_H

#include "udpxdp/service.h"

/* The row of this name, or NULL. rows may be NULL. */
const struct udpxdp_option *option_find(const struct udpxdp_option *rows, const char *name);

/*
 * Reads text as the row's value, into the member at its offset of options. Returns 0; or -1 with
 * the options untouched and why in error, one line such as
 * "'0' is not a number from 1 to 100".
 */
int option_set(
	const struct udpxdp_option *row, void *options, const char *text, char *error, size_t size);

/* Gives each member whose row has a fallback that value. Returns as option_set(). */
int option_set_fallbacks(const struct udpxdp_option *rows, void *options, char *error, size_t size);

#define OPTION_WORDS_MAX 256 /* bytes that the next three write at most */

/* What an UDPXDP_OPTION_ENUM takes, as "auto|copy|skb". */
void option_words(const struct udpxdp_word *words, char text[OPTION_WORDS_MAX]);

/* The names of rows, as "stamp, loops or answer"; more: a second table, or NULL. */
void option_names(const struct udpxdp_option *rows, const struct udpxdp_option *more,
	char text[OPTION_WORDS_MAX]);

/* Adds a word to such a list: separator stands before it unless it is the first. */
void option_list_add(char text[OPTION_WORDS_MAX], const char *separator, const char *word);

#endif
