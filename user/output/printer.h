/* SPDX-License-Identifier: MIT */
/*
 * Prints the services' messages on standard output from a thread of its own, fed by one
 * bounded queue per worker. At most so many lines a second are printed, and how many were left
 * out is reported at the end of each second. A slow or stopped terminal costs lines, never a
 * packet: how many were lost is reported at most once a second, and once that the reader has gone.
 *
 *   2026-11-23T02:00:00.123456+01:00 echo recv 10.0.0.2:4711 "hello"
 */
#ifndef UDPXDP_PRINTER_H
#define UDPXDP_PRINTER_H

#include "output/message_text.h"

enum printer_format { PRINTER_TEXT, PRINTER_JSON };

#define PRINTER_RATE 100       /* lines a second, about what a person can follow */
#define PRINTER_ALL UINT32_MAX /* no limit */

struct printer;

/* Starts the thread. services outlives it; fd is where lines go (see message_text_line() and
 * message_text_json()), at most `rate` of them a second. Returns NULL with errno. */
struct printer *printer_start(const struct service_config *services, unsigned service_count,
	unsigned workers, int fd, enum printer_format format, uint32_t rate);

/* Worker `worker`: queues a copy of the message. Never waits; false: there was no room. */
bool printer_put(struct printer *printer, unsigned worker, unsigned instance,
	const struct udpxdp_message *message);

/* Prints what is queued, reports how many lines were lost, ends the thread. Waits at most
 * half a second for a reader that does not read. Call when the producers have stopped. */
void printer_stop(struct printer *printer);

#endif
