/* SPDX-License-Identifier: MIT */
#include "base/escape.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

#define ELLIPSIS "\u2026"
#define ELLIPSIS_LEN (sizeof(ELLIPSIS) - 1)

struct writer {
	char *out;
	size_t size; /* of out, less what closes it */
	size_t used;
	size_t cut; /* where an ellipsis still fits */
	bool full;
};

static void put(struct writer *w, const void *piece, size_t len)
{
	if (w->full || len > w->size - w->used) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->used, piece, len);
	w->used += len;
	if (w->used + ELLIPSIS_LEN <= w->size)
		w->cut = w->used;
}

/* \xNN or \u{NNNN}, with as many digits as the value needs, at least so many. */
static void put_hex(
	struct writer *w, const char *open, uint32_t value, int digits, const char *close)
{
	char text[16];
	size_t len = strlen(open);

	memcpy(text, open, len);
	while (value >> (4 * digits))
		digits++;
	while (digits--)
		text[len++] = "0123456789abcdef"[(value >> (4 * digits)) & 0xf];
	memcpy(text + len, close, strlen(close));
	put(w, text, len + strlen(close));
}

/* The joiners have no width, but scripts and emoji are written with them. */
static bool prints(utf8proc_int32_t c)
{
	if (c < 0x7f)
		return c >= 0x20;
	return c == 0x200c || c == 0x200d || text_prints(c);
}

/* What is escaped besides what does not print and what is not UTF-8; and how. */
#define QUOTES 1u
#define JSON 2u

/* Beyond the first plane as a pair of surrogates (RFC 8259, 7). */
static void put_json(struct writer *w, uint32_t c)
{
	char text[13];

	if (c < 0x10000)
		put_hex(w, "\\u", c, 4, "");
	else
		put(w, text,
			(size_t)snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
				0xdc00 + (c & 0x3ff)));
}

static void put_escaped(struct writer *w, uint32_t c, unsigned how)
{
	switch (c) {
	case '\n':
		put(w, "\\n", 2);
		break;
	case '\r':
		put(w, "\\r", 2);
		break;
	case '\t':
		put(w, "\\t", 2);
		break;
	default:
		if (how & JSON)
			put_json(w, c);
		else if (c < 0x80)
			put_hex(w, "\\x", c, 2, "");
		else
			put_hex(w, "\\u{", c, 4, "}");
	}
}

static void put_text(struct writer *w, const uint8_t *text, size_t len, unsigned how)
{
	for (size_t i = 0; i < len && !w->full;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used = utf8proc_iterate(text + i, (utf8proc_ssize_t)(len - i), &c);

		if (used <= 0) {
			if (how & JSON) /* which has no way to write a byte */
				put_escaped(w, 0xfffd, how);
			else
				put_hex(w, "\\x", text[i], 2, "");
			i++;
			continue;
		}
		if ((how & QUOTES) && (c == '"' || c == '\\'))
			put(w, c == '"' ? "\\\"" : "\\\\", 2);
		else if (!prints(c))
			put_escaped(w, (uint32_t)c, how);
		else
			put(w, text + i, (size_t)used);
		i += (size_t)used;
	}
}

/* Puts the ellipsis in place of what did not fit. */
static void end(struct writer *w)
{
	if (!w->full)
		return;
	memcpy(w->out + w->cut, ELLIPSIS, ELLIPSIS_LEN);
	w->used = w->cut + ELLIPSIS_LEN;
}

static size_t quote(char *out, size_t size, const uint8_t *text, size_t len, unsigned how)
{
	struct writer w = {.out = out, .size = size - 1, .cut = 1};

	if (size < 2 + ELLIPSIS_LEN)
		return 0;
	put(&w, "\"", 1);
	put_text(&w, text, len, how);
	end(&w);
	w.out[w.used++] = '"';
	return w.used;
}

size_t escape_quoted(char *out, size_t size, const uint8_t *text, size_t len)
{
	return quote(out, size, text, len, QUOTES);
}

size_t escape_json(char *out, size_t size, const uint8_t *text, size_t len)
{
	return quote(out, size, text, len, QUOTES | JSON);
}

size_t escape_text(char *out, size_t size, const uint8_t *text, size_t len)
{
	struct writer w = {.out = out, .size = size};

	if (size < ELLIPSIS_LEN)
		return 0;
	put_text(&w, text, len, 0);
	end(&w);
	return w.used;
}

size_t escape_line(char *out, size_t size, const uint8_t *text, size_t len)
{
	return escape_text(out, size, text, len - text_line_end(text, len));
}
