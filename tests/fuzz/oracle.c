/* SPDX-License-Identifier: MIT */
#include "fuzz/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"
#include "fuzz/accounting_io.h"
#include "output/message_text.h"

/* RFC 1071 as it is written there, so that no cleverness is judged by itself. */
static uint32_t sum_words(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0, i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t udp_sum(const uint8_t *frame, uint32_t l3, uint32_t l4, uint32_t udp_len)
{
	const bool ipv6 = frame[l3] >> 4 == 6;

	return fold(sum_words(frame + l3 + (ipv6 ? 8 : 12), ipv6 ? 32 : 8) + IP_PROTO_UDP +
		    udp_len + sum_words(frame + l4, udp_len));
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

void mend_frame(uint8_t *frame, uint32_t len)
{
	uint32_t l3 = 14, l4;

	while (l3 + 20 <= len && l3 < 22 && (frame[l3 - 2] == 0x81 || frame[l3 - 2] == 0x88))
		l3 += 4;
	if (l3 + 20 > len)
		return;
	if (frame[l3] >> 4 == 6) {
		l4 = l3 + 40;
		if (l4 + 8 > len)
			return;
		put16(frame + l3 + 4, len - l4);
	} else {
		l4 = l3 + (frame[l3] & 15) * 4;
		if (l4 < l3 + 20 || l4 + 8 > len)
			return;
		put16(frame + l3 + 2, len - l3);
		put16(frame + l3 + 10, 0);
		put16(frame + l3 + 10, ~sum_words(frame + l3, l4 - l3));
	}
	put16(frame + l4 + 4, len - l4);
	put16(frame + l4 + 6, 0);
	put16(frame + l4 + 6, ~udp_sum(frame, l3, l4, len - l4));
	if (!frame[l4 + 6] && !frame[l4 + 7])
		put16(frame + l4 + 6, 0xffff);
}

static bool is_limited_broadcast(const struct frame_info *info)
{
	return info->version == 4 && info->dest.w[3] == 0xffffffff;
}

static void judge_destination(const struct frame_info *info, const uint8_t *f, uint32_t len)
{
	static const struct udpxdp_addr unspecified, loopback = {.b = {[15] = 1}};
	const uint8_t *to = info->dest.b;

	require(!(f[0] & 1) && !(f[6] & 1), f, len);
	require(info->dest_port, f, len);
	if (info->version == 4) {
		require(to[12] && to[12] != 127 && (to[12] & 0xf0) != 0xe0, f, len);
	} else {
		require(to[0] != 0xff, f, len);
		require(memcmp(to, unspecified.b, 16) && memcmp(to, loopback.b, 16), f, len);
	}
}

struct frame_info judge_frame(const struct frame *frame, uint32_t mtu)
{
	const uint8_t *f = frame->data, *ip;
	const uint32_t len = frame->len;
	struct frame_info info;
	uint8_t ttl;

	require(reference_classify(f, len, &info) == FRAME_UDP, f, len);
	ttl = info.source_port == 862 ? 255 : 64; /* a session reflector's: RFC 5357, 4.2.1 */
	require((uint32_t)info.payload + info.payload_len == len, f, len);
	require(len - info.l3 <= mtu, f, len);
	ip = f + info.l3;
	if (info.version == 4) {
		require(ip[0] == 0x45 && ip[6] == (len - info.l3 > 576 ? 0 : 0x40) && !ip[7], f,
			len);
		require(ip[8] == (is_limited_broadcast(&info) ? 1 : ttl), f, len);
		require(sum_words(ip, 20) == 0xffff, f, len);
	} else {
		require(ip[7] == ttl, f, len);
	}
	require(f[info.l4 + 6] || f[info.l4 + 7], f, len);
	require(udp_sum(f, info.l3, info.l4, len - info.l4) == 0xffff, f, len);
	if (is_limited_broadcast(&info))
		require(!memcmp(f, "\xff\xff\xff\xff\xff\xff", 6) && !(f[6] & 1), f, len);
	else
		judge_destination(&info, f, len);
	return info;
}

/* Code points that steer a terminal or a reader's eye: C0 but for the newline at the end, DEL, C1,
 * line and paragraph separators, bidi controls. */
static bool is_harmless(const uint8_t *line, size_t len, bool separators)
{
	for (size_t i = 0; i < len; i++) {
		const uint8_t *c = line + i;
		const size_t left = len - i;

		if (c[0] < 0x20 || c[0] == 0x7f)
			return false;
		if (left >= 2 && c[0] == 0xc2 && c[1] < 0xa0)
			return false;
		if (!separators || left < 3)
			continue;
		if (c[0] == 0xd8 && c[1] == 0x9c)
			return false;
		if (c[0] == 0xe2 && c[1] == 0x80 &&
			(c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae)))
			return false;
		if (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)
			return false;
	}
	return true;
}

void judge_message(const struct udpxdp_message *message)
{
	static char line[MESSAGE_TEXT_HISTORY_MAX];
	const size_t sizes[] = {MESSAGE_TEXT_LINE_MAX, 256};
	uint8_t sum = 0;
	size_t len;

	/* What is lent can be read, all of it. */
	for (uint32_t i = 0; i < message->len; i++)
		sum ^= message->text[i];
	require(message->len <= UDPXDP_PAYLOAD_MAX, &sum, 1);
	for (unsigned i = 0; i < 2; i++) {
		len = message_text_line(line, sizes[i], "chat", message);
		require(len && len <= sizes[i] && line[len - 1] == '\n', line, len);
		require(is_harmless((uint8_t *)line, len - 1, true), line, len);
		require(udpxdp_text_is_utf8((uint8_t *)line, len), line, len);
	}
	len = message_text_history(line, sizeof(line), message);
	require(len && len <= sizeof(line) && line[len - 1] == '\n', line, len);
	require(is_harmless((uint8_t *)line, len - 1, false), line, len);
	require(udpxdp_text_is_utf8((uint8_t *)line, len), line, len);
}
