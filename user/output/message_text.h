/* SPDX-License-Identifier: MIT */
/*
 * Messages as lines of text: the one that the printer prints and the one in a history file.
 * A live server and a replay write the same bytes because both come here.
 */
#ifndef UDPXDP_MESSAGE_TEXT_H
#define UDPXDP_MESSAGE_TEXT_H

#include "udpxdp/service_config.h"

/* A printed line is at most PIPE_BUF bytes, so that a pipe takes it whole or not at all. */
#define MESSAGE_TEXT_LINE_MAX 4096

/* A history line of the longest text, all of it escaped, is never cut. */
#define MESSAGE_TEXT_HISTORY_MAX (4 * UDPXDP_PAYLOAD_MAX + 256)

#define MESSAGE_TEXT_LABEL_MAX (UDPXDP_NAME_SIZE + 6) /* "NAME:65535" and its NUL */

/* The service's name in a printed line, with its port when the same service runs on several. */
void message_text_label(char label[MESSAGE_TEXT_LABEL_MAX], const struct service_config *services,
	unsigned count, unsigned instance);

/*
 * TIME SERVICE recv|send ADDR:PORT "text" and a newline; the time in RFC 3339, local, with
 * microseconds. A text that would make the line longer than size (at least 256, more than
 * MESSAGE_TEXT_LINE_MAX is not used) is cut and ends with an ellipsis. Returns the length, no NUL.
 */
size_t message_text_line(
	char *line, size_t size, const char *service, const struct udpxdp_message *m);

/*
 * The same as a JSON object on one line: time, service, port, direction (recv or send), peer,
 * peer_port, text. A byte of the text that is not UTF-8 becomes U+FFFD (see escape_json()).
 */
size_t message_text_json(char *line, size_t size, const struct service_config *service,
	const struct udpxdp_message *m);

/*
 * 【ctime】收到【('ADDR', PORT)】发送的数据:TEXT and a newline; for a message sent
 * 【ctime】向【('ADDR', PORT)】发送数据:TEXT. Cut as above when size is less than
 * MESSAGE_TEXT_HISTORY_MAX.
 */
size_t message_text_history(char *line, size_t size, const struct udpxdp_message *m);

#endif
