/* SPDX-License-Identifier: MIT */
/*
 * Where the lines of the client and the consoles come from: a person at a terminal, with line
 * editing, or a pipe or file. While a line is awaited, wait() is called for every piece of input,
 * and other things can be printed without disturbing the line being typed.
 */
#ifndef UDPXDP_LINES_H
#define UDPXDP_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines;

/* wait(context) returns when standard input can be read. Ends the program when out of memory. */
struct lines *lines_open(void (*wait)(void *context), void *context);

/* Is there a person who can be asked? */
bool lines_interactive(const struct lines *lines);

/*
 * The next line, without its newline, valid until the next call; NULL at the end of the input.
 * prompt is shown to a person only. *len is cut at UDPXDP_PAYLOAD_MAX + 1: such a line was too
 * long, by lines_length() to be exact.
 */
const char *lines_read(struct lines *lines, const char *prompt, size_t *len);

/* The length in bytes of the line that was read last, before it was cut. */
size_t lines_length(const struct lines *lines);

/* Did standard input end by an error? That has been said. */
bool lines_failed(const struct lines *lines);

/* Takes the line being typed off the screen, so that something can be printed; and puts it
 * back. Nothing happens when none is being typed. */
void lines_hide(struct lines *lines);
void lines_show(struct lines *lines);

/* Lends the terminal to others, as it was found (the program is about to be stopped). */
void lines_suspend(struct lines *lines);
void lines_resume(struct lines *lines);

/* The terminal's size has changed. */
void lines_resize(struct lines *lines);

/* Leaves the terminal as it was found. */
void lines_close(struct lines *lines);

#endif
