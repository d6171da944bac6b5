/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "host/escape.h"

#define ZERO_WIDTH_NON_JOINER 0x200c
#define ZERO_WIDTH_JOINER 0x200d

static bool prints(utf8proc_int32_t c)
{
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CF:
		/* Emoji and several scripts need the joiners; they move nothing. */
		return c == ZERO_WIDTH_JOINER || c == ZERO_WIDTH_NON_JOINER;
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	default:
		return true;
	}
}

/* Writes one character that stands at text to unit; returns how many bytes of text it took. */
static size_t escape_one(char unit[16], const uint8_t *text, size_t len, const char *also)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t taken = utf8proc_iterate(text, len > 4 ? 4 : (utf8proc_ssize_t)len, &c);

	if (taken <= 0) {
		snprintf(unit, 16, "\\x%02x", *text);
		return 1;
	}
	if (c == '\n' || c == '\r' || c == '\t')
		snprintf(unit, 16, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else if (c < 0x80 && c && strchr(also, c))
		snprintf(unit, 16, "\\%c", (char)c);
	else if (prints(c))
		snprintf(unit, 16, "%.*s", (int)taken, (const char *)text);
	else if (c < 0x80)
		snprintf(unit, 16, "\\x%02x", (unsigned)c);
	else
		snprintf(unit, 16, c > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)c);
	return (size_t)taken;
}

size_t escape_text(char *out, size_t room, const void *text, size_t len, const char *also)
{
	const uint8_t *at = text;
	size_t written = 0;

	while (len) {
		char unit[16];
		size_t taken = escape_one(unit, at, len, also);
		size_t size = strlen(unit);

		if (size >= room - written)
			break;
		memcpy(out + written, unit, size);
		written += size;
		at += taken;
		len -= taken;
	}
	out[written] = 0;
	return written;
}
