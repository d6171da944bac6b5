/* SPDX-License-Identifier: MIT */
/*
 * What the consoles and a running server say to each other, over a SOCK_SEQPACKET socket: a message
 * is a packet, a line of words, and for some a newline and a text behind it:
 *   console -> server   watch SERVICE[:PORT]          from now on, send me its messages
 *                       announce\nTEXT                 (broadcast) send TEXT to everybody
 *                       say ADDR PORT\nTEXT            (chat) send TEXT to this peer
 *                       stats                          tell me the counters
 *   server -> console   ok [SERVICE:PORT]              the request was carried out
 *                       error WHY                      it was not
 *                       counters\nTEXT                 a piece of the counters (xdp/counters.h);
 *                                                      ok comes behind the last one
 *                       event recv|sent unicast|broadcast ADDR PORT TIME_NS\nTEXT
 * announce and say go to the service that was watched last, so watch comes first. Requests are
 * answered in order.
 */
#ifndef UDPXDP_CONTROL_PROTOCOL_H
#define UDPXDP_CONTROL_PROTOCOL_H

#include "udpxdp/service.h"

#define CONTROL_DIR "/run/udpxdp" /* where a server's socket is by default: IFACE.sock */
#define CONTROL_SUFFIX ".sock"

#define CONTROL_LINE_MAX 128                          /* bytes of the line, either way */
#define CONTROL_PACKET_MAX (UDPXDP_PAYLOAD_MAX + 256) /* bytes of the longest packet */

#define CONTROL_WATCH_WORD "watch"
#define CONTROL_ANNOUNCE_WORD "announce"
#define CONTROL_SAY_WORD "say"
#define CONTROL_STATS_WORD "stats"
#define CONTROL_COUNTERS_WORD "counters"
#define CONTROL_OK_WORD "ok"
#define CONTROL_ERROR_WORD "error"
#define CONTROL_EVENT_WORD "event"

#define CONTROL_RECEIVED_WORD "recv"
#define CONTROL_SENT_WORD "sent"
#define CONTROL_UNICAST_WORD "unicast"
#define CONTROL_BROADCAST_WORD "broadcast"

#endif
