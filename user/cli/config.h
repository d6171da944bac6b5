/* SPDX-License-Identifier: MIT */
/*
 * Configuration files: a line is NAME = VALUE, or NAME alone for a switch that is turned on.
 * White space around both is void, and so is what follows a `#` that begins a line or stands
 * behind white space. UTF-8; a byte order mark in front, a carriage return at the end of a line and
 * a last line without an end are as editors leave them, and void. `NAME: VALUE` is an error,
 * because a value can have a colon.
 */
#ifndef UDPXDP_CONFIG_H
#define UDPXDP_CONFIG_H

#include <stddef.h>

#define CONFIG_SIZE_MAX (1 << 20) /* bytes of a file */

/* Takes one line; value is NULL when the name stands alone. Returns 0, or -1 with one line in
 * error. */
typedef int config_set(
	void *context, const char *name, const char *value, char *error, size_t size);

/*
 * Reads text line by line until set() refuses one. Names and values point into text, which is
 * changed: text[len] must be there too, for the last NUL. Returns 0, or the number of the line
 * that is wrong, with one line in error.
 */
unsigned config_parse(
	char *text, size_t len, config_set *set, void *context, char *error, size_t size);

/* Reads a file into memory that the caller owns, with room for one byte behind it. Returns NULL
 * with one line in error. */
char *config_load(const char *path, size_t *len, char *error, size_t size);

#endif
