/* SPDX-License-Identifier: MIT */
/*
 * Messages as lines: how they stand on standard output and in a history file, whoever writes
 * them. Local time; nothing in the text can end a line or steer a terminal.
 */
#ifndef UDPXDP_LINES_H
#define UDPXDP_LINES_H

#include "engine/escape.h"
#include "udpxdp/service.h"

/* The most that either writes for a text of len bytes. */
#define LINE_MAX_FOR(len) (TEXT_SAFE_MAX(len) + 192)

/*
 *   2026-11-23T02:00:00.123456+01:00 echo recv 10.0.0.2:4711 "hello"
 *
 * Writes the line and its newline, no NUL; returns their length. A text that does not fit is cut,
 * with an ellipsis; size is at least LINE_MAX_FOR(1).
 */
size_t line_for_terminal(
		char *out, size_t size, const char *service, const struct message *message);

/*
 *   【Mon Nov 23 02:00:00 2026】收到【('10.0.0.2', 4711)】发送的数据:hello
 *   【Mon Nov 23 02:00:01 2026】向【('10.0.0.2', 4711)】发送数据:hello yourself
 *
 * As above.
 */
size_t line_for_history(char *out, size_t size, const struct message *message);

#endif
