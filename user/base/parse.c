/* SPDX-License-Identifier: MIT */
#include "base/parse.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (!is_digit(*text) || __builtin_mul_overflow(sum, 10, &sum) ||
			__builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
			return false;
	if (sum < min || sum > max)
		return false;
	*value = sum;
	return true;
}

bool parse_port(const char *text, uint16_t *port)
{
	uint64_t value;

	if (!parse_uint(text, 1, UINT16_MAX, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

bool parse_range(const char *text, unsigned max, unsigned *first, unsigned *last)
{
	const char *rest = text;
	uint64_t from, to;
	char number[24];

	if (!parse_piece(&rest, "-", number, sizeof(number)) || !parse_uint(number, 0, max, &from))
		return false;
	to = from;
	if (*rest && !parse_uint(rest + 1, from, max, &to))
		return false;
	*first = (unsigned)from;
	*last = (unsigned)to;
	return true;
}

bool parse_seconds(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ns)
{
	uint64_t sum = 0, digit_ns = UDPXDP_NSEC_PER_SEC;
	size_t whole = strspn(text, "0123456789");
	size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

	if (whole + decimals == 0 || text[whole + (text[whole] == '.') + decimals])
		return false;
	for (size_t i = 0; i < whole; i++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
			__builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
			return false;
	if (__builtin_mul_overflow(sum, UDPXDP_NSEC_PER_SEC, &sum))
		return false;
	for (size_t i = 0; i < decimals; i++) {
		digit_ns /= 10;
		if (__builtin_add_overflow(
			    sum, (uint64_t)(text[whole + 1 + i] - '0') * digit_ns, &sum))
			return false;
	}
	if (sum < min_ns || sum > max_ns)
		return false;
	*ns = sum;
	return true;
}

static const char *const bools[][2] = {
	{"on", "off"}, {"yes", "no"}, {"true", "false"}, {"1", "0"}, {"allow", "refuse"}};

#define BOOLS (sizeof(bools) / sizeof(bools[0]))

bool parse_bool(const char *text, bool *value)
{
	for (size_t i = 0; i < BOOLS; i++) {
		if (strcmp(text, bools[i][0]) && strcmp(text, bools[i][1]))
			continue;
		*value = !strcmp(text, bools[i][0]);
		return true;
	}
	return false;
}

void parse_bool_words(const char *text, const char *words[2])
{
	size_t pair = 0;

	for (size_t i = 0; i < BOOLS; i++)
		if (!strcmp(text, bools[i][0]) || !strcmp(text, bools[i][1]))
			pair = i;
	words[0] = bools[pair][0];
	words[1] = bools[pair][1];
}

bool parse_addr(const char *text, struct udpxdp_addr *addr)
{
	struct udpxdp_addr read = udpxdp_addr_ipv4(0, 0, 0, 0);

	if (inet_pton(AF_INET, text, read.b + 12) != 1 && inet_pton(AF_INET6, text, read.b) != 1)
		return false;
	*addr = read;
	return true;
}

bool parse_prefix(const char *text, struct udpxdp_addr *addr, uint8_t *len)
{
	const char *rest = text;
	struct udpxdp_addr read;
	char piece[INET6_ADDRSTRLEN];
	uint64_t bits, longest;

	if (!parse_piece(&rest, "/", piece, sizeof(piece)) || !parse_addr(piece, &read))
		return false;
	bits = longest = strchr(piece, ':') ? 128 : 32;
	if (*rest && !parse_uint(rest + 1, 0, longest, &bits))
		return false;
	*addr = read;
	*len = (uint8_t)(128 - longest + bits);
	return true;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Of two digits; -1 when they are none. */
static int hex_byte(const char *text)
{
	int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

	return low < 0 ? -1 : high << 4 | low;
}

bool parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t read[6];

	for (int i = 0; i < 6; i++, text += 3) {
		int byte = hex_byte(text);

		if (byte < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		read[i] = (uint8_t)byte;
	}
	memcpy(mac, read, sizeof(read));
	return true;
}

bool parse_hex(const char *text, uint8_t *bytes, size_t max, size_t *len)
{
	const char *digits = strncmp(text, "0x", 2) ? text : text + 2;
	size_t count = 0;

	for (const char *c = digits; *c; c += 2, count++)
		if (hex_byte(c) < 0)
			return false;
	if (!count || count > max)
		return false;
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)hex_byte(digits + 2 * i);
	*len = count;
	return true;
}

bool parse_piece(const char **rest, const char *ends, char *piece, size_t size)
{
	size_t len = strcspn(*rest, ends);
	size_t fits = len < size ? len : size - 1;

	memcpy(piece, *rest, fits);
	piece[fits] = '\0';
	*rest += len;
	return len < size;
}
