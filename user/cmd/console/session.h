/* SPDX-License-Identifier: MIT */
/*
 * What a console has with a running server, in the protocol of server/control_protocol.h: it asks,
 * is answered, and whenever it waits, for a line or an answer, it shows what arrives, above the
 * line being typed, and heeds signals. Ctrl-C and a server that goes away end the program.
 */
#ifndef UDPXDP_CONSOLE_SESSION_H
#define UDPXDP_CONSOLE_SESSION_H

#include <stdint.h>

#include "cli/lines.h"

struct session;

/*
 * Connects (see control_connect()) and asks to be shown what arrives for this service, NAME or
 * NAME:PORT. verb is the name that errors begin with. There is one session in a process. Ends
 * the program, with one line, when there is no server or it refuses.
 */
struct session *session_open(
	const char *control, const char *iface, const char *service, const char *verb);

/* Where the lines typed come from. */
struct lines *session_lines(struct session *session);

/*
 * Sends a request: its first line, and what stands behind it (len bytes, or NULL: nothing). Waits
 * only while many are without an answer. That it was refused is said when the answer comes.
 */
void session_request(struct session *session, const char *line, const char *text, size_t len);

/*
 * Waits for the answers to all requests, and then for linger_ns more, in nanoseconds, for what
 * others have to say. Returns whether the server has refused none so far.
 */
bool session_settle(struct session *session, uint64_t linger_ns);

/*
 * From now on a reply is awaited: if within patience_ns, while the session waits for whatever it
 * be, nothing arrives that is shown, that is said. What was awaited before is not any more.
 */
void session_expect_reply(struct session *session, uint64_t patience_ns);

/* Leaves the terminal as it was found and ends the program. */
void session_leave(struct session *session, int status) __attribute__((noreturn));

#endif
