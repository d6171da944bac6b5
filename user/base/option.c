/* SPDX-License-Identifier: MIT */
#include "base/option.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

const struct udpxdp_option *option_find(const struct udpxdp_option *rows, const char *name)
{
	for (; rows && rows->name; rows++)
		if (!strcmp(rows->name, name))
			return rows;
	return NULL;
}

/* ---- lists of words -------------------------------------------------------------------- */

void option_list_add(char text[OPTION_WORDS_MAX], const char *separator, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, OPTION_WORDS_MAX - used, "%s%s", used ? separator : "", word);
}

/* Is it the word that is shown for its value? */
static bool is_shown(const struct udpxdp_word *words, const struct udpxdp_word *word)
{
	for (; words < word; words++)
		if (words->value == word->value)
			return false;
	return true;
}

static void list_words(const struct udpxdp_word *words, const char *separator, const char *last,
	char text[OPTION_WORDS_MAX])
{
	const struct udpxdp_word *pending = NULL;

	*text = '\0';
	for (const struct udpxdp_word *w = words; w->word; w++) {
		if (!is_shown(words, w))
			continue;
		if (pending)
			option_list_add(text, separator, pending->word);
		pending = w;
	}
	if (pending)
		option_list_add(text, last, pending->word);
}

void option_words(const struct udpxdp_word *words, char text[OPTION_WORDS_MAX])
{
	list_words(words, "|", "|", text);
}

void option_names(const struct udpxdp_option *rows, const struct udpxdp_option *more,
	char text[OPTION_WORDS_MAX])
{
	const struct udpxdp_option *tables[] = {rows, more};
	const char *pending = NULL;

	*text = '\0';
	for (unsigned t = 0; t < 2; t++) {
		for (const struct udpxdp_option *row = tables[t]; row && row->name; row++) {
			if (pending)
				option_list_add(text, ", ", pending);
			pending = row->name;
		}
	}
	if (pending)
		option_list_add(text, " or ", pending);
}

/* ---- values ---------------------------------------------------------------------------- */

static uint32_t max_of(const struct udpxdp_option *row)
{
	return row->max ? row->max : UINT_MAX;
}

static int set_bool(
	const struct udpxdp_option *row, bool *value, const char *text, char *error, size_t size)
{
	const char *words[2];

	if (parse_bool(text, value))
		return 0;
	parse_bool_words(row->fallback ? row->fallback : "", words);
	snprintf(error, size, "invalid boolean '%s', expected %s or %s", text, words[0], words[1]);
	return -1;
}

static int set_uint(const struct udpxdp_option *row, uint32_t *value, const char *text, char *error,
	size_t size)
{
	uint64_t number;

	if (!parse_uint(text, row->min, max_of(row), &number)) {
		snprintf(error, size, "'%s' is not a number from %u to %u", text, row->min,
			max_of(row));
		return -1;
	}
	*value = (uint32_t)number;
	return 0;
}

/* How often it was given; or, where it takes no argument, whether at all. */
static int set_count(const struct udpxdp_option *row, uint32_t *value, const char *text,
	char *error, size_t size)
{
	bool given;

	if (!parse_bool(text, &given))
		return set_uint(row, value, text, error, size);
	*value = given;
	return 0;
}

static int set_seconds(const struct udpxdp_option *row, uint64_t *value, const char *text,
	char *error, size_t size)
{
	if (parse_seconds(text, row->min * 1000000ull, max_of(row) * 1000000ull, value))
		return 0;
	snprintf(error, size, "'%s' is not a number of seconds from %g to %.10g", text,
		row->min / 1e3, max_of(row) / 1e3);
	return -1;
}

static int set_enum(
	const struct udpxdp_option *row, int *value, const char *text, char *error, size_t size)
{
	char expected[OPTION_WORDS_MAX];

	for (const struct udpxdp_word *w = row->words; w->word; w++) {
		if (!strcmp(w->word, text)) {
			*value = w->value;
			return 0;
		}
	}
	list_words(row->words, ", ", " or ", expected);
	snprintf(error, size, "invalid value '%s', expected %s", text, expected);
	return -1;
}

static int set_path(
	const struct udpxdp_option *row, char *value, const char *text, char *error, size_t size)
{
	size_t len = strlen(text);

	if (len && len < row->max) {
		memcpy(value, text, len + 1);
		return 0;
	}
	snprintf(error, size, "invalid path '%s', expected 1 to %u bytes", text, row->max - 1);
	return -1;
}

static int set_string(const char **value, const char *text, char *error, size_t size)
{
	if (*text) {
		*value = text;
		return 0;
	}
	snprintf(error, size, "requires a value");
	return -1;
}

int option_set(
	const struct udpxdp_option *row, void *options, const char *text, char *error, size_t size)
{
	void *member = (char *)options + row->offset;

	switch (row->kind) {
	case UDPXDP_OPTION_BOOL:
		return set_bool(row, member, text, error, size);
	case UDPXDP_OPTION_UINT:
		return set_uint(row, member, text, error, size);
	case UDPXDP_OPTION_COUNT:
		return set_count(row, member, text, error, size);
	case UDPXDP_OPTION_SECONDS:
		return set_seconds(row, member, text, error, size);
	case UDPXDP_OPTION_ENUM:
		return set_enum(row, member, text, error, size);
	case UDPXDP_OPTION_PATH:
		return set_path(row, member, text, error, size);
	case UDPXDP_OPTION_STRING:
		return set_string(member, text, error, size);
	case UDPXDP_OPTION_CALL:
		break;
	}
	return row->set(options, text, error, size);
}

int option_set_fallbacks(const struct udpxdp_option *rows, void *options, char *error, size_t size)
{
	for (; rows && rows->name; rows++)
		if (rows->fallback && option_set(rows, options, rows->fallback, error, size) < 0)
			return -1;
	return 0;
}
