/* SPDX-License-Identifier: MIT */
#include "cli/lines.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "base/log.h"
#include "udpxdp/datagram.h"

#define LINE_SIZE (UDPXDP_PAYLOAD_MAX + 1)
#define HISTORY_LINES 1000

struct lines {
	void (*wait)(void *context);
	void *context;

	bool person;   /* there is one to be asked */
	bool failed;   /* standard input did */
	size_t length; /* of the line that is given out, before it was cut */

	/* Lines that are edited. */
	EditLine *editor; /* NULL: they are not */
	History *history;
	const char *prompt;
	bool typing; /* a line is awaited ... */
	bool hidden; /* ... and not on the screen */

	/* Plain lines: what was read and not yet given out, and the line that is given out. A
	 * terminal that cannot edit shows a prompt all the same. */
	bool prompted; /* the cursor stands behind it */
	char ahead[4096];
	size_t ahead_len, ahead_used;
	char line[LINE_SIZE];
};

/* ---- edited lines --------------------------------------------------------------------- */

static struct lines *lines_of(EditLine *editor)
{
	struct lines *lines = NULL;

	el_get(editor, EL_CLIENTDATA, &lines);
	return lines;
}

static char *show_prompt(EditLine *editor)
{
	return (char *)lines_of(editor)->prompt;
}

/* libedit's own reading would not look at anything else meanwhile. */
static int read_character(EditLine *editor, wchar_t *character)
{
	struct lines *lines = lines_of(editor);
	mbstate_t state = {0};

	for (;;) {
		char byte;
		ssize_t count;
		size_t used;

		lines->wait(lines->context);
		count = read(STDIN_FILENO, &byte, 1);
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count <= 0)
			return (int)count;
		used = mbrtowc(character, &byte, 1, &state);
		if (used == (size_t)-1)
			state = (mbstate_t){0};
		else if (used != (size_t)-2)
			return 1;
	}
}

static void editor_open(struct lines *lines)
{
	HistEvent event;

	lines->editor = el_init("udpxdp", stdin, stdout, stderr);
	lines->history = history_init();
	if (!lines->editor || !lines->history)
		log_fail(EXIT_RUNTIME, "line editing: out of memory; try again");
	history(lines->history, &event, H_SETSIZE, HISTORY_LINES);
	history(lines->history, &event, H_SETUNIQUE, 1);
	el_set(lines->editor, EL_CLIENTDATA, lines);
	el_set(lines->editor, EL_PROMPT, show_prompt);
	el_set(lines->editor, EL_EDITOR, "emacs");
	el_set(lines->editor, EL_HIST, history, lines->history);
	el_set(lines->editor, EL_GETCFN, read_character);
	el_source(lines->editor, NULL);
}

static const char *read_edited(struct lines *lines, const char *prompt, size_t *len)
{
	HistEvent event;
	const char *text;
	int count;

	lines->prompt = prompt;
	lines->typing = true;
	text = el_gets(lines->editor, &count);
	lines->typing = false;
	if (!text || count <= 0) {
		putchar('\n');
		return NULL;
	}
	if (count > 1)
		history(lines->history, &event, H_ENTER, text);
	lines->length = (size_t)count - (text[count - 1] == '\n');
	*len = lines->length < LINE_SIZE ? lines->length : LINE_SIZE;
	return text;
}

/* The columns that libedit gives a character at this column. */
static unsigned width(wchar_t character, unsigned column)
{
	int columns;

	if (character == L'\t')
		return 8 - column % 8;
	if (iswcntrl((wint_t)character))
		return 2; /* ^X */
	columns = wcwidth(character);
	return columns < 0 ? 0 : (unsigned)columns;
}

/* How many rows below the start of the prompt the cursor is. */
static unsigned cursor_row(struct lines *lines)
{
	const LineInfoW *line = el_wline(lines->editor);
	unsigned column = (unsigned)strlen(lines->prompt), row;
	int columns = 0;

	el_get(lines->editor, EL_GETTC, "co", &columns, NULL);
	if (columns < 2)
		columns = 80;
	row = column / (unsigned)columns;
	column %= (unsigned)columns;
	for (const wchar_t *c = line->buffer; c < line->cursor; c++) {
		unsigned wide = width(*c, column);

		if (wide == 2 && column + wide > (unsigned)columns && !iswcntrl((wint_t)*c)) {
			row++; /* half a character is never shown */
			column = 0;
		}
		column += wide;
		row += column / (unsigned)columns;
		column %= (unsigned)columns;
	}
	return row;
}

void lines_hide(struct lines *lines)
{
	unsigned row;

	if (lines->hidden || !(lines->typing || lines->prompted))
		return;
	lines->hidden = true;
	if (lines->prompted) {
		putchar('\n');
		return;
	}
	row = cursor_row(lines);
	if (row)
		printf("\033[%uA", row);
	printf("\r\033[J");
	fflush(stdout);
}

void lines_show(struct lines *lines)
{
	if (!lines->hidden)
		return;
	lines->hidden = false;
	if (lines->prompted)
		fputs(lines->prompt, stdout);
	fflush(stdout);
	if (lines->editor)
		el_set(lines->editor, EL_REFRESH);
}

void lines_suspend(struct lines *lines)
{
	lines_hide(lines);
	if (lines->editor)
		el_set(lines->editor, EL_PREP_TERM, 0);
}

void lines_resume(struct lines *lines)
{
	if (lines->typing)
		el_set(lines->editor, EL_PREP_TERM, 1);
	lines_show(lines);
}

void lines_resize(struct lines *lines)
{
	if (!lines->typing)
		return;
	lines_hide(lines);
	el_resize(lines->editor);
	lines_show(lines);
}

/* ---- plain lines ---------------------------------------------------------------------- */

static bool read_ahead(struct lines *lines)
{
	ssize_t count;

	do {
		lines->wait(lines->context);
		count = read(STDIN_FILENO, lines->ahead, sizeof(lines->ahead));
	} while (count < 0 && (errno == EINTR || errno == EAGAIN));
	if (count < 0) {
		log_line("standard input: %s; use another one", strerror(errno));
		lines->failed = true;
	}
	lines->ahead_used = 0;
	lines->ahead_len = count < 0 ? 0 : (size_t)count;
	return count > 0;
}

static const char *read_plain(struct lines *lines, const char *prompt, size_t *len)
{
	bool some = false;

	*len = lines->length = 0;
	lines->prompt = prompt;
	lines->prompted = lines->person;
	if (lines->person) {
		fputs(prompt, stdout);
		fflush(stdout);
	}
	while (lines->ahead_used < lines->ahead_len || read_ahead(lines)) {
		const char *from = lines->ahead + lines->ahead_used;
		size_t here = lines->ahead_len - lines->ahead_used;
		const char *newline = memchr(from, '\n', here);
		size_t take = newline ? (size_t)(newline - from) : here;
		size_t room = LINE_SIZE - *len;

		memcpy(lines->line + *len, from, take < room ? take : room);
		*len += take < room ? take : room;
		lines->length += take;
		lines->ahead_used += take + (newline != NULL);
		some = true;
		if (newline) {
			lines->prompted = false;
			return lines->line;
		}
	}
	if (lines->prompted)
		putchar('\n');
	lines->prompted = false;
	return some ? lines->line : NULL; /* the last may lack its newline */
}

/* ---- either --------------------------------------------------------------------------- */

static bool terminal_can_edit(void)
{
	const char *terminal = getenv("TERM");

	return terminal && *terminal && strcmp(terminal, "dumb");
}

struct lines *lines_open(void (*wait)(void *context), void *context)
{
	struct lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		log_fail(EXIT_RUNTIME, "line input: out of memory; try again");
	lines->wait = wait;
	lines->context = context;
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8"))
		setlocale(LC_CTYPE, "C.UTF-8");
	lines->person = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (lines->person && terminal_can_edit())
		editor_open(lines);
	return lines;
}

bool lines_interactive(const struct lines *lines)
{
	return lines->person;
}

size_t lines_length(const struct lines *lines)
{
	return lines->length;
}

bool lines_failed(const struct lines *lines)
{
	return lines->failed;
}

const char *lines_read(struct lines *lines, const char *prompt, size_t *len)
{
	return lines->editor ? read_edited(lines, prompt, len) : read_plain(lines, prompt, len);
}

void lines_close(struct lines *lines)
{
	if ((lines->typing || lines->prompted) && !lines->hidden)
		putchar('\n');
	if (lines->editor) {
		el_end(lines->editor);
		history_end(lines->history);
	}
	free(lines);
}
