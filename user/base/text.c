/* SPDX-License-Identifier: MIT */
/* Text as services see it: is it text at all, does it print, and addresses written out. */
#include <arpa/inet.h>
#include <utf8proc.h>

#include "base/text.h"
#include "udpxdp/service.h"

bool udpxdp_text_is_utf8(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		utf8proc_int32_t character;
		utf8proc_ssize_t used;

		if (text[i] < 0x80) {
			i++;
			continue;
		}
		used = utf8proc_iterate(text + i, (utf8proc_ssize_t)(len - i), &character);
		if (used <= 0)
			return false;
		i += (size_t)used;
	}
	return true;
}

bool text_prints(int32_t character)
{
	switch (utf8proc_category(character)) {
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF: /* bidi controls, and what has no width and so deceives */
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	default:
		return true;
	}
}

/* Letters and marks that nobody sees, and a blank pattern of Braille: names with them look like
 * others. */
static bool is_blank(int32_t character)
{
	return character == 0x2800 || utf8proc_category(character) == UTF8PROC_CATEGORY_ZS ||
	       utf8proc_get_property(character)->ignorable;
}

static bool all_print(const uint8_t *text, size_t len, bool spaces)
{
	for (size_t i = 0; i < len;) {
		utf8proc_int32_t character;
		utf8proc_ssize_t used =
			utf8proc_iterate(text + i, (utf8proc_ssize_t)(len - i), &character);

		if (used <= 0 || !text_prints(character))
			return false;
		if (!spaces && is_blank(character))
			return false;
		i += (size_t)used;
	}
	return len > 0;
}

bool udpxdp_text_is_printable(const uint8_t *text, size_t len)
{
	return all_print(text, len, true);
}

bool udpxdp_text_is_word(const uint8_t *text, size_t len)
{
	return all_print(text, len, false);
}

size_t udpxdp_addr_format(char text[UDPXDP_ADDR_TEXT_MAX], const struct udpxdp_addr *addr)
{
	bool ipv4 = udpxdp_addr_is_ipv4(addr);

	inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? addr->b + 12 : addr->b, text,
		UDPXDP_ADDR_TEXT_MAX);
	return strlen(text);
}

size_t udpxdp_addr_port_format(
	char text[UDPXDP_ADDR_TEXT_MAX], const struct udpxdp_addr *addr, uint16_t port)
{
	char digits[5];
	size_t len, count = 0;

	if (udpxdp_addr_is_ipv4(addr)) {
		len = udpxdp_addr_format(text, addr);
	} else {
		char plain[UDPXDP_ADDR_TEXT_MAX];

		len = udpxdp_addr_format(plain, addr);
		text[0] = '[';
		memcpy(text + 1, plain, len);
		text[len + 1] = ']';
		len += 2;
	}
	text[len++] = ':';
	do
		digits[count++] = (char)('0' + port % 10);
	while (port /= 10);
	while (count)
		text[len++] = digits[--count];
	text[len] = '\0';
	return len;
}
