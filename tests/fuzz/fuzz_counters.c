/* SPDX-License-Identifier: MIT */
/*
 * What a server says of its counters, as `udpxdp stats --control` asks for it. Whatever comes,
 * nothing but printing text is printed of it; what was understood reads the same when it is written
 * and read again.
 *
 * An input is what the server says: pieces of text, each in a packet, that a NUL ends.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/escape.h"
#include "cmd/stats/control.h"
#include "cmd/stats/print.h"
#include "fuzz/accounting_io.h"
#include "server/control_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKETS_MAX 8 /* which a socket holds, however long they are */

static void send_packet(int server, const char *word, const uint8_t *text, size_t len)
{
	struct iovec pieces[] = {{(void *)word, strlen(word)}, {(void *)text, len}};
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

	require(sendmsg(server, &message, MSG_DONTWAIT) > 0, text, len);
}

/* Asks a server that has said all that it will. */
static int ask(struct counters *counters, const uint8_t *data, size_t size)
{
	const char *const iface = size & 1 ? "eth0" : NULL;
	int ends[2], result;

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), data, size);
	for (unsigned i = 0; i < PACKETS_MAX && size; i++) {
		const size_t len = strnlen((const char *)data, size);

		send_packet(ends[0], CONTROL_COUNTERS_WORD "\n", data, len);
		data += len;
		size -= len;
		if (size) {
			data++;
			size--;
		}
	}
	send_packet(ends[0], CONTROL_OK_WORD, NULL, 0);
	result = stats_ask(ends[1], iface, counters);
	close(ends[0]);
	close(ends[1]);
	return result;
}

/* Every line is one that escape_text() has nothing to do to. */
static void judge_text(char *text, size_t size)
{
	static char escaped[1 << 22];

	require(strlen(text) == size, text, size);
	for (char *line; (line = strsep(&text, "\n"));) {
		const size_t len = strlen(line);
		const size_t n = escape_text(escaped, sizeof(escaped), (uint8_t *)line, len);

		require(n == len && !memcmp(escaped, line, len), line, len);
	}
}

typedef void printer(FILE *out, const struct stats_view *view);

static void print_json(FILE *out, const struct stats_view *view)
{
	require(!stats_print_json(out, view), "", 0);
}

static void judge_print(printer *print, const struct stats_view *view, bool is_json)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *json;

	require(out, "", 0);
	print(out, view);
	require(!fclose(out), "", 0);
	if (is_json) {
		json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
		require(json, text, size);
		json_decref(json);
	}
	judge_text(text, size);
	free(text);
}

static void judge_again(const struct counters *counters)
{
	struct counters again;
	char *text, *at;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	require(out, "", 0);
	counters_write(out, counters);
	require(!fclose(out), "", 0);
	at = text;
	require(!counters_parse(&at, &again), text, size);
	require(!at || !*at, text, size);
	require(again.port_count == counters->port_count &&
			again.service_count == counters->service_count &&
			!memcmp(again.verdicts, counters->verdicts, sizeof(again.verdicts)),
		text, size);
	for (size_t i = 0; i < again.service_count; i++)
		require(!memcmp(again.services[i].values, counters->services[i].values,
				sizeof(again.services[i].values)),
			text, size);
	counters_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counters counters;
	struct stats_view view = {.iface = "eth0", .now = &counters, .all = size % 2};

	if (ask(&counters, data, size)) {
		require(errno == EPROTO, data, size);
		return 0;
	}
	view.before = size % 3 ? NULL : &counters;
	judge_print(stats_print_table, &view, false);
	judge_print(print_json, &view, true);
	judge_print(stats_print_prometheus, &view, false);
	for (size_t i = 0; i < counters.part_count; i++)
		judge_again(&counters.parts[i]);
	if (!counters.part_count)
		judge_again(&counters);
	counters_free(&counters);
	return 0;
}
