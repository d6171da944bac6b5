/* SPDX-License-Identifier: MIT */
/* Text from outside, made safe to show: it cannot steer a terminal nor break a line. */
#ifndef UDPXDP_ESCAPE_H
#define UDPXDP_ESCAPE_H

#include <stddef.h>

/* The most bytes that escape_text() writes for a text of len bytes, with the NUL. */
#define ESCAPED_MAX(len) (4 * (size_t)(len) + 1)

/*
 * Copies text to out with everything that does not print as itself written in C's notation:
 * \n, \r, \t; \xNN for other controls and for bytes that are not UTF-8; \uNNNN or \UNNNNNNNN for
 * C1 controls, line and paragraph separators, bidi and other format controls (but the two
 * joiners), unassigned and private characters. A character of the set `also` (ASCII, may be "")
 * gets a backslash in front: "\"\\" makes what stands between double quotes unambiguous.
 * Writes whole characters only, as many as fit room - 1 bytes, and a NUL; room is at least 1.
 * Returns the number of bytes written, without the NUL.
 */
size_t escape_text(char *out, size_t room, const void *text, size_t len, const char *also);

#endif
