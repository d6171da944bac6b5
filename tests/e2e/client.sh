#!/bin/sh
# SPDX-License-Identifier: MIT
# udpxdp client against plain UDP servers on loopback. Needs no root.
exec python3 "$(dirname "$0")/client.py"
