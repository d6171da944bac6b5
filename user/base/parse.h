/* SPDX-License-Identifier: MIT */
/*
 * Values as people write them. Each function takes all of a text, without white space around it;
 * it returns whether that is such a value, and leaves what it would have set untouched if not.
 */
#ifndef UDPXDP_PARSE_H
#define UDPXDP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udpxdp/datagram.h"

/* Decimal digits, and no sign: from min to max. */
bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* 1 to 65535. */
bool parse_port(const char *text, uint16_t *port);

/* N or N-M, first <= last <= max. */
bool parse_range(const char *text, unsigned max, unsigned *first, unsigned *last);

/* Seconds, with decimals: a duration from min to max, in nanoseconds. What is finer is cut off. */
bool parse_seconds(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ns);

/* on/off, yes/no, true/false, 1/0, and allow/refuse. */
bool parse_bool(const char *text, bool *value);

/* The two words of the pair that a boolean is one of, "on" and "off" for one that is none: to say
 * what is expected beside it. */
void parse_bool_words(const char *text, const char *words[2]);

/* IPv4 with dots, or IPv6 (RFC 4291, without a zone). */
bool parse_addr(const char *text, struct udpxdp_addr *addr);

/* ADDR or ADDR/LEN, LEN up to 32 or 128. len is how many bits of the address count, all 128 without
 * a LEN; an IPv4 address has 96 in front of its own. */
bool parse_prefix(const char *text, struct udpxdp_addr *addr, uint8_t *len);

/* Six pairs of hexadecimal digits with colons between them. */
bool parse_mac(const char *text, uint8_t mac[6]);

/* Pairs of hexadecimal digits, at least one, perhaps with 0x in front: at most max bytes. */
bool parse_hex(const char *text, uint8_t *bytes, size_t max, size_t *len);

/*
 * Takes what stands before the first of the characters in ends, or all that is left, off *rest
 * and copies it to piece; *rest is then at that character, or at the end. Returns whether it was
 * shorter than size; otherwise piece has the beginning of it.
 */
bool parse_piece(const char **rest, const char *ends, char *piece, size_t size);

#endif
