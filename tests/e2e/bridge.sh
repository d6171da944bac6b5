#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A port of a bridge that is served: hosts behind it are answered, and a console's line to one behind
# another port is refused, as it would not get there.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server near far
require wire server:eth0 near:eth0
require wire server:far0 far:eth0
require on server ip link add br0 type bridge mcast_snooping 0 forward_delay 0
require on server ip link set br0 up
require on server ip link set eth0 master br0
require on server ip link set far0 master br0
require address server br0 10.80.31.1/24 fd00:80:31::1/64
require address near eth0 10.80.31.2/24 fd00:80:31::2/64
require address far eth0 10.80.31.3/24 fd00:80:31::3/64
spawn "$work/near.log" near "$e2e/peer.py" 9000
spawn "$work/near6.log" near "$e2e/peer.py" -6 9001
require wait_for 10 grep -q bound "$work/near.log"
require wait_for 10 grep -q bound "$work/near6.log"

# say TEXT PEER PORT: by the chat's console.
say() {
	"$udpxdp" chat --control "$(control server)" "$2" "$3" <<<"$1" >"$work/said" 2>&1
}

server_start server --quiet
check "hosts behind the port are answered" on near "$e2e/udp.py" exchange 10.80.31.1 8080
check "a console speaks to one" say "hello near" 10.80.31.2 9000
check "which hears it" wait_for 5 grep -q 'hello near' "$work/near.log"
check "over IPv6" say "hello near" fd00:80:31::2 9001
check "which hears it, too" wait_for 5 grep -q 'hello near' "$work/near6.log"
for peer in 10.80.31.3 fd00:80:31::3; do
	say "hello far" $peer 9000
	equal "$peer is behind another port, and that is said" \
		"udpxdp: chat: $peer is behind port far0 of bridge br0, not behind this one; serve br0" "$(cat "$work/said")"
done
# It is plugged in elsewhere.
require on far ip address flush dev eth0
require address near eth0 10.80.31.3/24
require on near ip neigh flush all
require on near ping -c 1 -W 5 -I 10.80.31.3 10.80.31.1
check "a host that moves behind the port is spoken to" say "hello again" 10.80.31.3 9000
check "and hears it" wait_for 5 grep -q 'hello again' "$work/near.log"
server_stop server

done_testing
