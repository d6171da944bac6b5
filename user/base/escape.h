/* SPDX-License-Identifier: MIT */
/*
 * Text from the wire made one line of printing text, the same for whoever gets it: terminals,
 * consoles, files, members of a room. What does not print (controls, line and paragraph separators,
 * bidi controls, what has no width but the joiners, what is unassigned or private) or is not UTF-8
 * is written as \n, \r, \t, \x1b (a control character below 0x80, or a byte that is not UTF-8)
 * or \u{202e}. Pure functions; what they write is UTF-8 without a NUL at its end.
 */
#ifndef UDPXDP_ESCAPE_H
#define UDPXDP_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/*
 * For a terminal: "text" in quotes, with " and \ escaped too. What does not fit in size bytes is
 * cut, the last character in the quotes then being an ellipsis. Returns the number of bytes
 * written; 0 when size is too small for even that (5 bytes always do).
 */
size_t escape_quoted(char *out, size_t size, const uint8_t *text, size_t len);

/*
 * The same as a string of JSON (RFC 8259), the escapes being JSON's own: \u001b, \u202e. JSON is
 * Unicode and cannot say a byte: each one that is not UTF-8 becomes \ufffd, the replacement
 * character. Cut as above.
 */
size_t escape_json(char *out, size_t size, const uint8_t *text, size_t len);

/* escape_quoted() without quotes, and with " and \ as they are. Cut as above (3 bytes always do).
 */
size_t escape_text(char *out, size_t size, const uint8_t *text, size_t len);

#define ESCAPE_TEXT_MAX(len) (4 * (size_t)(len)) /* the most that escape_text() writes */

/* The same, and a line end of the text (see text_line_end()) is dropped. */
size_t escape_line(char *out, size_t size, const uint8_t *text, size_t len);

#endif
