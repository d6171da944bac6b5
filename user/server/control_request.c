/* SPDX-License-Identifier: MIT */
#include "server/control_request.h"

#include <string.h>

#include "base/parse.h"

#define WORDS_MAX 3

static const char no_request[] = "unknown request; expected watch, announce or say";

/* SERVICE[:PORT]; without a port it must be the only one of its name. */
static const char *service_find(struct control_request *request, char *spec,
	const struct service_config *services, unsigned service_count)
{
	char *colon = strchr(spec, ':');
	uint16_t port = 0;

	if (colon) {
		*colon = '\0';
		if (!parse_port(colon + 1, &port))
			return "invalid port; expected NAME:PORT with a port from 1 to 65535";
	}
	request->instance = -1;
	for (unsigned i = 0; i < service_count; i++) {
		if (strcmp(services[i].service->name, spec) || (colon && services[i].port != port))
			continue;
		if (!services[i].service->command)
			return "that service has no console; use another";
		if (request->instance >= 0)
			return "several services of that name are running; use --service NAME:PORT";
		request->instance = (int)i;
	}
	return request->instance >= 0 ? NULL
				      : "no such service is running; the server's ready line "
					"lists those that are";
}

/* Cuts line at its spaces. Returns the number of words, or WORDS_MAX + 1. */
static unsigned split(char *line, char *words[WORDS_MAX])
{
	char *save = NULL;
	unsigned count = 0;

	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (count == WORDS_MAX)
			return count + 1;
		words[count++] = word;
	}
	return count;
}

const char *control_request_read(struct control_request *request, const uint8_t *packet, size_t len,
	const struct service_config *services, unsigned service_count)
{
	const uint8_t *newline = memchr(packet, '\n', len);
	size_t line_len = newline ? (size_t)(newline - packet) : len;
	char line[CONTROL_LINE_MAX], *words[WORDS_MAX];
	unsigned count;

	if (line_len >= sizeof(line) || memchr(packet, 0, line_len))
		return no_request;
	memcpy(line, packet, line_len);
	line[line_len] = '\0';
	count = split(line, words);
	request->text = newline ? newline + 1 : NULL;
	request->len = newline ? (uint32_t)(len - line_len - 1) : 0;
	if (request->len > UDPXDP_PAYLOAD_MAX)
		return "the text does not fit into a datagram; shorten it";
	if (!count)
		return no_request;
	if (!strcmp(words[0], CONTROL_WATCH_WORD)) {
		if (count != 2 || request->len)
			return "invalid watch; expected watch SERVICE[:PORT]";
		request->verb = CONTROL_WATCH;
		return service_find(request, words[1], services, service_count);
	}
	if (!strcmp(words[0], CONTROL_STATS_WORD)) {
		request->verb = CONTROL_STATS;
		return count == 1 && !newline ? NULL : "invalid stats; expected nothing behind it";
	}
	if (!strcmp(words[0], CONTROL_ANNOUNCE_WORD)) {
		request->verb = CONTROL_ANNOUNCE;
		return count == 1 && newline ? NULL
					     : "invalid announce; expected a text on the next line";
	}
	if (!strcmp(words[0], CONTROL_SAY_WORD)) {
		request->verb = CONTROL_SAY;
		return count == 3 && newline && parse_addr(words[1], &request->peer) &&
				       parse_port(words[2], &request->port)
			       ? NULL
			       : "invalid say; expected say ADDR PORT and a text on the next line";
	}
	return no_request;
}
