/* SPDX-License-Identifier: MIT */
#include "host/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* RFC 3339, with microseconds and the offset of the local time zone. */
static int put_time(char *out, size_t size, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / NSEC_PER_SEC);
	unsigned minutes;
	struct tm tm;

	localtime_r(&seconds, &tm);
	minutes = (unsigned)labs(tm.tm_gmtoff) / 60;
	return snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06u%c%02u:%02u",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, (unsigned)(time_ns % NSEC_PER_SEC / 1000),
			tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

size_t line_for_terminal(
		char *out, size_t size, const char *service, const struct message *message)
{
	char peer[ADDR_TEXT_MAX];
	size_t used = (size_t)put_time(out, size, message->time_ns);

	addr_port_format(peer, &message->addr, message->port);
	used += (size_t)snprintf(out + used, size - used, " %s %s %s ", service,
			message->direction == RECEIVED ? "recv" : "send", peer);
	used += text_quote(out + used, size - used - 1, message->text, message->len);
	out[used++] = '\n';
	return used;
}

size_t line_for_history(char *out, size_t size, const struct message *message)
{
	bool received = message->direction == RECEIVED;
	char addr[ADDR_TEXT_MAX];
	size_t used = stamp_format((uint8_t *)out, message->time_ns);

	addr_format(addr, &message->addr);
	used += (size_t)snprintf(out + used, size - used, "%s【('%s', %u)】%s:",
			received ? "收到" : "向", addr, message->port,
			received ? "发送的数据" : "发送数据");
	used += text_one_line(out + used, size - used - 1, message->text, message->len);
	out[used++] = '\n';
	return used;
}
