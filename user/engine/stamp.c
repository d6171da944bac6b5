/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "udpxdp/service.h"

#define OPEN "\u3010"  /* 【 */
#define CLOSE "\u3011" /* 】 */
#define BRACKET_LEN (sizeof(OPEN) - 1)
#define CTIME_LEN 24 /* without its newline */

size_t udpxdp_stamp_format(uint8_t stamp[UDPXDP_STAMP_MAX], uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / UDPXDP_NSEC_PER_SEC); /* below the year 2555 */
	char text[26 + 8];
	struct tm tm;

	localtime_r(&seconds, &tm);
	asctime_r(&tm, text);
	memcpy(stamp, OPEN, BRACKET_LEN);
	memcpy(stamp + BRACKET_LEN, text, CTIME_LEN);
	memcpy(stamp + BRACKET_LEN + CTIME_LEN, CLOSE, BRACKET_LEN);
	return CTIME_LEN + 2 * BRACKET_LEN;
}

static bool is_one_of(const uint8_t *text, const char *names)
{
	for (; *names; names += 3)
		if (!memcmp(text, names, 3))
			return true;
	return false;
}

/* Does the text look like pattern, in which 0 stands for a digit and _ for a digit or a space? */
static bool is_like(const uint8_t *text, const char *pattern)
{
	for (; *pattern; pattern++, text++) {
		bool digit = *text >= '0' && *text <= '9';

		if (*pattern == '0'       ? !digit
			: *pattern == '_' ? !digit && *text != ' '
					  : *text != *pattern)
			return false;
	}
	return true;
}

bool udpxdp_stamp_starts(const uint8_t *text, size_t len)
{
	const uint8_t *ctime_text = text + BRACKET_LEN;

	return len >= CTIME_LEN + 2 * BRACKET_LEN && !memcmp(text, OPEN, BRACKET_LEN) &&
	       !memcmp(ctime_text + CTIME_LEN, CLOSE, BRACKET_LEN) &&
	       is_one_of(ctime_text, "SunMonTueWedThuFriSat") && ctime_text[3] == ' ' &&
	       is_one_of(ctime_text + 4, "JanFebMarAprMayJunJulAugSepOctNovDec") &&
	       is_like(ctime_text + 7, " _0 00:00:00 0000");
}
