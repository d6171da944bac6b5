/* SPDX-License-Identifier: MIT */
/* What prints, and where a line ends: once for all who ask. */
#ifndef UDPXDP_TEXT_H
#define UDPXDP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does this character (of Unicode) print? A space of any kind does. */
bool text_prints(int32_t character);

/* Bytes of the line end that a text ends with: 1 for \n, 2 for \r\n, else 0. */
static inline size_t text_line_end(const uint8_t *text, size_t len)
{
	if (!len || text[len - 1] != '\n')
		return 0;
	return len > 1 && text[len - 2] == '\r' ? 2 : 1;
}

#endif
