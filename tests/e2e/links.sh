#!/bin/bash
# SPDX-License-Identifier: MIT
#
# By which MAC addresses and from which VLANs frames are taken: with --vlan own (where this kernel
# makes no VLAN devices: none), any, none and a list; natively and generically.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1

# frames NAME VLANS: frames.py's verdicts, as one test.
frames() {
	on client "$e2e/frames.py" eth0 "$(mac_of server)" $v4 $v6 8080 "$2" >"$work/frames" 2>&1
	equal "$1" 24 "$(grep -c '^pass' "$work/frames")"
	grep -v '^pass' "$work/frames" | sed 's/^/# /'
}

passed() {
	verdict server FRAME_NOT_OURS
}

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

server_start server --sockets off --mode copy --service echo
before=$(passed)
frames "own VLANs by default: untagged and priority tags alone, native" ""
check "what is not taken is the kernel's, as not ours" [ "$(passed)" -ge $((before + 14)) ]
server_stop server
server_start server --sockets off --mode skb --vlan own --service echo
frames "the same in generic mode" ""
server_stop server
server_start server --sockets off --mode copy --vlan none --service echo
frames "--vlan none" ""
server_stop server
server_start server --sockets off --mode copy --vlan 7,4090-4094 --service echo
frames "--vlan 7,4090-4094" 7,4094
server_stop server
server_start server --sockets off --mode copy --vlan any --service echo
frames "--vlan any" 1,7,8,4094,$((0x80007))
server_stop server

# The interface's MAC address changes while it is served.
server_start server --sockets off --mode copy --service echo
require on server ip link set eth0 address 02:00:00:00:00:99
require wait_for 5 on client "$e2e/udp.py" exchange $v4 8080 --count 1 --timeout 0.2
frames "a new MAC address is followed, and the old one is not ours any more" ""
server_stop server

for bad in 0 4095 1,,2 7-5 lan ""; do
	server_refuses "--vlan '$bad' is refused" 2 'vlan' server --vlan "$bad"
done

done_testing
