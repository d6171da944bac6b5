/* SPDX-License-Identifier: MIT */
/* What a member asks of the room itself: /nick, /who, /quit and /help. */
#ifndef UDPXDP_CHAT_COMMANDS_H
#define UDPXDP_CHAT_COMMANDS_H

#include "services/chat/chat.h"

/* Carries out a text that begins with a slash; the speaker is a member. */
void chat_run_command(const struct talk *talk);

#endif
