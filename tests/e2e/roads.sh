#!/bin/bash
# SPDX-License-Identifier: MIT
#
# By which MAC a member is who it says, and is reached: by the kernel's word on each interface, on the
# link and behind a router, as it changes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server first bob forger r1 r2
require segment 2 switch bob forger r1 r2
require wire server:eth0 first:eth0
require wire server:eth1 switch:port9
require on switch ip link set port9 master br0
require address server eth0 10.80.1.1/24
require address first eth0 10.80.1.2/24
require address server eth1 10.80.2.9/24 fd00:80:2::9/64
v4=10.80.2.9 bobs=10.80.2.1

# far is behind both routers; what it says comes by r1 or r2.
require hosts far
for n in 1 2; do
	require wire r$n:eth1 far:eth$n
	require address r$n eth1 10.80.$((20 + n)).1/24 fd00:80:$((20 + n))::1/64
	require address far eth$n 10.80.$((20 + n)).2/24 fd00:80:$((20 + n))::2/64
	require routes r$n
done
require address far lo 10.80.30.1/32 fd00:80:30::1/128
for n in 1 2; do
	require on r$n ip route add 10.80.30.1 via 10.80.$((20 + n)).2
	require on r$n ip route add fd00:80:30::1 via fd00:80:$((20 + n))::2
done
far_by() {
	on far ip route replace default via "10.80.$((20 + $1)).1" src 10.80.30.1 &&
		on far ip route replace default via "fd00:80:$((20 + $1))::1" src fd00:80:30::1
}
server_by() {
	on server ip route replace 10.80.30.0/24 via "10.80.2.$((2 + $1))" &&
		on server ip route replace fd00:80:30::/64 via "fd00:80:2::$((2 + $1))"
}
require far_by 1
require server_by 1

forge() { on forger "$e2e/forge.py" eth0 "$(mac_of server eth1)" "$v4" "$@" >"$work/forged.json"; }

# say NAME ADDR TEXT
say() { printf '%s 8090 %s\n' "$2" "$3" >&"${input_of[$1]}"; }

# joins NAME ADDR: says a word, and echoes the token that it is asked for.
joins() {
	local token
	say "$1" "$2" "I am $1"
	wait_for 5 heard "$1" "to join, send: " || return
	token=$(sed -n 's/.*to join, send: //p' "$work/$1.log" | tail -n 1)
	say "$1" "$2" "$token"
	wait_for 5 heard "$1" "* welcome"
}

# reaches NAME TEXT: what the first says comes to it, at last.
reaches() {
	tells() {
		say first 10.80.1.1 "$2"
		sleep 0.2
		heard "$1" "$2"
	}
	wait_for 8 tells "$1" "$2"
}

server_start server -i eth0 -i eth1 -s echo -s broadcast -s "chat,history=$work/chat.txt"

# ---- a source of the second interface's subnet ----------------------------------------------

for text in /help /who x "$(printf 'a%.0s' {1..1400})"; do
	forge 8090 50 10.80.2.91 10.80.2.92 --port 6000 --text "$text" --mac 02:00:00:00:66:66 --wait 0.1
	check "addresses of the second's subnet that nobody has: 3 times at most, \"${text:0:8}\"" within
done
forge 8086 500 10.80.2.93 --broadcast --port 8086 --mac 02:00:00:00:66:66 --text announcement --wait 0.5
check "forged announcements there, likewise" within
require enter bob bob 5000
require enter first first 5000
say bob $v4 "I am bob"
say bob $v4 /who
check "a neighbour there comes in by speaking" wait_for 5 heard bob "* 1 here: $bobs:5000"
equal "and sees no word" 0 "$(grep -c 'to join' "$work/bob.log")"
for text in "I am bob, too" /quit; do
	forge 8090 5 $bobs --port 5000 --text "$text" --wait 0.2
	equal "\"$text\" by another MAC: nothing comes back there" 0 "$(forged '.[0].back')"
done
check "he is still in" reaches bob "who is here?"
equal "and nobody has spoken for him" 0 "$(grep -c 'bob, too' "$work/chat.txt")"
check "which was counted" test "$("$udpxdp" stats -j --control "$(control server)" |
	jq '.services[] | select(.service == "chat") | .other_road // .drops.other_road')" -ge 5
# Of the other interface's subnet: there the kernel does not know anybody by it.
forge 8090 50 10.80.1.2 --port 6000 --text /help --wait 0.1
check "an address of the first's subnet on the second: 3 times at most" within
forge 8090 5 10.80.1.2 --port 5001 --text "I am the first" --wait 0.1
equal "who speaks for its neighbour comes to nothing" 0 "$(grep -c 'I am the first' "$work/chat.txt")"

require on bob ip link set eth0 address 02:00:00:00:0b:01
require on bob ping -c 1 -W 2 $v4
check "a member there whose MAC changes is reached at the new one" reaches bob "have you moved?"

# ---- behind a router --------------------------------------------------------------------------

require enter far far 5000
require joins far $v4
require enter far6 far 5006 -6
require joins far6 fd00:80:2::9
check "a member behind a router is reached" reaches far "hello there"
check "and one behind it by IPv6" reaches far6 "hello there"
require on r1 ip link set eth0 address 02:00:00:00:0c:01
require on r1 ip address replace fd00:80:2::3/64 dev eth0 nodad
require on r1 ip -6 route replace fd00:80:2::/64 dev eth0
require on r1 ping -c 1 -W 2 $v4
require on r1 ping -c 1 -W 2 fd00:80:2::9
check "the router has another MAC, which the kernel knows: they are reached by it" reaches far "by the new one"
check "over IPv6, too" reaches far6 "by the new one"
say far $v4 "I can speak by it"
check "who speaks by it need not say a word again" reaches far "yes"
equal "so it has seen one word only" 1 "$(grep -c 'to join' "$work/far.log")"
check "and what it says is passed on" wait_for 5 heard bob "10.80.30.1:5000: I can speak by it"

# The route leads by another router, and the first is gone; far itself still speaks by none.
require server_by 2
require on r1 ip link set eth1 down
check "another route: they are reached by the other router" reaches far "by the other router"
check "over IPv6, too" reaches far6 "by the other router"
require far_by 2
say far $v4 "here I am, by the other one"
check "and speak by it" wait_for 5 heard bob "10.80.30.1:5000: here I am, by the other one"

# ---- who speaks by one router and is reached by another

require on r1 ip link set eth1 up
require on r1 ip route replace 10.80.30.1 via 10.80.21.2
require far_by 1
check "what goes by one router" reaches far "one way"
say far $v4 "and the other"
check "may come by the other" wait_for 5 heard bob "10.80.30.1:5000: and the other"
for word in one two three; do
	check "again and again: $word" reaches far "number $word"
	say far $v4 "answer $word"
	check "answer $word" wait_for 5 heard bob "10.80.30.1:5000: answer $word"
done
equal "without a word more" 1 "$(grep -c 'to join' "$work/far.log")"

done_testing
