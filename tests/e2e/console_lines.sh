#!/bin/sh
# SPDX-License-Identifier: MIT
# The consoles, piped and on a terminal (tmux), against a server that only speaks the control
# protocol. Needs no root, but for three tests.
exec python3 "$(dirname "$0")/console_lines.py"
