#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A jumbo interface: what fits a chunk goes by AF_XDP, what is larger by the kernel's sockets.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.82.1.1 v6=fd00:82:1::1
require hosts server client
require wire server:eth0 client:eth0 mtu=9000
require address server eth0 $v4/24 $v6/64
require address client eth0 10.82.1.2/24 fd00:82:1::2/64

exchange() { on client "$e2e/udp.py" exchange "$1" 8080 --count 30 --flows 3 --size "$2" --window 4; }

for mode in copy skb; do
	server_start server -m $mode -s echo --print none
	equal "MTU 9000 is served: $mode" $mode "$(ready_value server mode)"
	check "64 bytes, $mode" exchange $v4 64
	check "over IPv6, $mode" exchange $v6 64
	check "what fits a chunk, $mode" exchange $v4 3700
	equal "by AF_XDP, $mode" 90 "$(port_counter server 8080 redirected)"
	check "8,000 bytes, $mode" exchange $v4 8000
	check "over IPv6, $mode" exchange $v6 8000
	equal "too large for a chunk, $mode" 60 "$(verdict server FRAME_TOO_LARGE)"
	check "what lies between: the stamp makes it too large for a chunk, $mode" exchange $v4 3760,3780,3788
	check "every size near the end of a chunk, $mode" exchange $v4 3789,3790,3791,3798,3799,3800,3810
	check "fragments of 60,000, $mode" exchange $v4 60000
	server_stop server || not_ok "it ends well"
done
server_start server -m copy -s echo --print none --sockets off
check "without sockets, 64 bytes" exchange $v4 64
check "8,000 are not answered" on client "$e2e/udp.py" exchange $v4 8080 --size 8000 --count 3 --answers 0 --timeout 0.3
server_stop server || not_ok "it ends well"

# Between what a driver has whole and what fits a chunk.
for mtu in 3498 3499 3507 3818 3819; do
	require on server ip link set eth0 mtu $mtu
	require on client ip link set eth0 mtu $mtu
	server_start server -m copy -s echo --print none
	check "MTU $mtu: 64 bytes and the longest answer" exchange $v4 64,$((mtu - 28 - 31))
	server_stop server || not_ok "it ends well"
done

# What grows later is served all the same.
require on server ip link set eth0 mtu 1500
require on client ip link set eth0 mtu 1500
server_start server -m skb -s echo --print none
require on server ip link set eth0 mtu 9000
require on client ip link set eth0 mtu 9000
check "an MTU that grows: 64 bytes" exchange $v4 64
check "and 8,000" exchange $v4 8000
matches "that is said" "eth0 has an MTU of 9000 now: frames beyond 1500 are served by kernel sockets" "$(cat "$(server_err server)")"

done_testing
