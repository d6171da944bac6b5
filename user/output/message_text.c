/* SPDX-License-Identifier: MIT */
#include "output/message_text.h"

#include <stdio.h>
#include <time.h>

#include "base/escape.h"

void message_text_label(char label[MESSAGE_TEXT_LABEL_MAX], const struct service_config *services,
	unsigned count, unsigned instance)
{
	const struct service_config *service = &services[instance];
	unsigned same = 0;

	for (unsigned i = 0; i < count; i++)
		same += services[i].service == service->service;
	if (same > 1)
		snprintf(label, MESSAGE_TEXT_LABEL_MAX, "%s:%u", service->service->name,
			service->port);
	else
		snprintf(label, MESSAGE_TEXT_LABEL_MAX, "%s", service->service->name);
}

/*
 * What is written of a second. Each thread keeps the last one, because converting time zones
 * costs more than the rest of a line. No second has the number 0 that a new thread begins with.
 */
struct second {
	uint64_t number; /* since the epoch, plus 1 */
	char date[24];   /* 2026-11-23T02:00:00 */
	char zone[8];    /* +01:00 */
	uint8_t stamp[UDPXDP_STAMP_MAX];
	size_t stamp_len;
};

static const struct second *second_of(uint64_t time_ns)
{
	static _Thread_local struct second last;
	time_t seconds = (time_t)(time_ns / UDPXDP_NSEC_PER_SEC);
	struct tm tm;

	if (last.number == (uint64_t)seconds + 1)
		return &last;
	last.number = (uint64_t)seconds + 1;
	localtime_r(&seconds, &tm);
	strftime(last.date, sizeof(last.date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(last.zone, sizeof(last.zone), "%z", &tm); /* +0100, without RFC 3339's colon */
	memmove(last.zone + 4, last.zone + 3, 3);
	last.zone[3] = ':';
	last.stamp_len = udpxdp_stamp_format(last.stamp, time_ns);
	return &last;
}

static const char *direction_name(const struct udpxdp_message *m)
{
	return m->direction == UDPXDP_SENT ? "send" : "recv";
}

static size_t longest_line(size_t size)
{
	return size < MESSAGE_TEXT_LINE_MAX ? size : MESSAGE_TEXT_LINE_MAX;
}

size_t message_text_line(
	char *line, size_t size, const char *service, const struct udpxdp_message *m)
{
	const struct second *second = second_of(m->time_ns);
	char addr[UDPXDP_ADDR_TEXT_MAX];
	size_t len;

	udpxdp_addr_port_format(addr, &m->addr, m->port);
	len = (size_t)snprintf(line, size, "%s.%06u%s %s %s %s ", second->date,
		(unsigned)(m->time_ns % UDPXDP_NSEC_PER_SEC / 1000), second->zone, service,
		direction_name(m), addr);
	len += escape_quoted(line + len, longest_line(size) - len - 1, m->text, m->len);
	line[len++] = '\n';
	return len;
}

size_t message_text_json(char *line, size_t size, const struct service_config *service,
	const struct udpxdp_message *m)
{
	const struct second *second = second_of(m->time_ns);
	char addr[UDPXDP_ADDR_TEXT_MAX];
	size_t len;

	udpxdp_addr_format(addr, &m->addr);
	len = (size_t)snprintf(line, size,
		"{\"time\":\"%s.%06u%s\",\"service\":\"%s\",\"port\":%u,"
		"\"direction\":\"%s\",\"peer\":\"%s\",\"peer_port\":%u,\"text\":",
		second->date, (unsigned)(m->time_ns % UDPXDP_NSEC_PER_SEC / 1000), second->zone,
		service->service->name, service->port, direction_name(m), addr, m->port);
	len += escape_json(line + len, longest_line(size) - len - 2, m->text, m->len);
	line[len++] = '}';
	line[len++] = '\n';
	return len;
}

size_t message_text_history(char *line, size_t size, const struct udpxdp_message *m)
{
	const struct second *second = second_of(m->time_ns);
	bool sent = m->direction == UDPXDP_SENT;
	char addr[UDPXDP_ADDR_TEXT_MAX];
	size_t len;

	udpxdp_addr_format(addr, &m->addr);
	len = (size_t)snprintf(line, size, "%.*s%s【('%s', %u)】%s:", (int)second->stamp_len,
		(const char *)second->stamp, sent ? "向" : "收到", addr, m->port,
		sent ? "发送数据" : "发送的数据");
	len += escape_line(line + len, size - len - 1, m->text, m->len);
	line[len++] = '\n';
	return len;
}
