/* SPDX-License-Identifier: MIT */
/* What another host of a room sends: whatever it is, what is read of it is within its limits. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/accounting_io.h"
#include "output/bridge/message.h"
#include "udpxdp/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_lines(const char *data, size_t size)
{
	struct udpxdp_room_event event;
	struct room_lines lines;
	uint64_t version;

	if (!room_lines_read(&lines, data, size, &version))
		return;
	require(lines.count <= ROOM_MESSAGE_LINES, data, size);
	for (unsigned i = 0; i < lines.count; i++) {
		if (!room_lines_get(&lines, i, &event))
			continue;
		require(event.name_len && event.name_len < sizeof(event.name) &&
				udpxdp_text_is_word((uint8_t *)event.name, event.name_len),
			data, size);
		require(event.len && event.len <= UDPXDP_ROOM_TEXT_MAX &&
				udpxdp_text_is_utf8(event.text, event.len),
			data, size);
	}
	room_lines_clear(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct room_presence presence;
	struct room_claim claim;
	char *text = malloc(size + 1); /* a block of its size: what reads beyond is seen */

	memcpy(text, data, size);
	judge_lines(text, size);
	if (room_presence_read(&presence, text, size))
		require(presence.names_len <= sizeof(presence.names) &&
				udpxdp_text_is_utf8((uint8_t *)presence.names, presence.names_len),
			data, size);
	if (room_claim_read(&claim, text, size))
		require(claim.host_len && claim.host_len <= sizeof(claim.host), data, size);
	free(text);
	return 0;
}
