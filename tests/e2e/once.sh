#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every datagram is answered exactly once while the roads change: nothing comes twice, by XDP and by the
# kernel's sockets, and nothing is lost but what was under way while there was no road.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.84.1.1 v6=fd00:84:1::1
require hosts server client
require wire server:eth0 client:eth0 rx=4 tx=4
require address server eth0 $v4/24 $v6/64
require address client eth0 10.84.1.2/24 fd00:84:1::2/64
mac=$(mac_of server)
for addr in $v4 10.84.1.9 $v6; do
	require on client ip neighbour replace $addr lladdr "$mac" dev eth0 nud permanent
done
require on server ip neighbour replace 10.84.1.2 lladdr "$(mac_of client)" dev eth0 nud permanent
require on server ip neighbour replace fd00:84:1::2 lladdr "$(mac_of client)" dev eth0 nud permanent

# load [ADDR [SIZES [SIZES6]]]: over the wire what fits and fragments, over IPv6, and from this host itself.
declare -A loads=()
load() {
	rm -f "$work/enough" "$work"/load-*.log
	loads=()
	spawn "$work/load-wire.log" client "$e2e/once.py" "${1:-$v4}" 8080 "$work/enough" --size "${2:-64,64,64,3000,1472}"
	loads[wire]=$pid
	spawn "$work/load-v6.log" client "$e2e/once.py" $v6 8080 "$work/enough" --rate 400 --size "${3:-64,1452}"
	loads[v6]=$pid
	spawn "$work/load-here.log" server "$e2e/once.py" 127.0.0.1 8080 "$work/enough" --rate 400
	loads[here]=$pid
	for name in wire v6 here; do require wait_for 5 grep -q sending "$work/load-$name.log"; done
	sleep 0.2
}

# unload NAME [FROM TO [WHICH...]]: all is answered once but, of WHICH loads, what was sent in that time.
unload() {
	local what=$1 from=${2:-0} to=${3:-0} may name seen
	sleep 0.2
	: >"$work/enough"
	shift
	[ $# = 0 ] || shift 2
	for name in wire v6 here; do
		finish "${loads[$name]}" 10 || not_ok "the load ends: $name"
		[[ " $* " == *" $name "* ]] && may=1 || may=0
		seen=$(tail -n 1 "$work/load-$name.log")
		if [ "$(jq "(.sent > 50) and (.twice == 0) and (.wrong == []) and
			([.lost[] | select($may == 0 or . < $from - 0.1 or . > $to + 0.1)] == [])" <<<"$seen")" = true ]; then
			ok "$what: $name: $(jq -r '"\(.sent) sent, \(.lost | length) lost while there was no road"' <<<"$seen")"
		else
			not_ok "$what: $name" "no road from $from to $to: $(jq -c ".lost |= ([length] + .[:5] + .[-5:])" <<<"$seen")"
		fi
	done
}

for mode in copy skb; do
	server_start server -m $mode -Q -v -s echo
	equal "the sockets are beside XDP, $mode" on "$(ready_value server sockets)"

	load
	for n in {1..20}; do
		require on server ip address add 10.84.1.$((100 + n))/24 dev eth0
		require on server ip address add 198.51.100.$n/32 dev lo
	done
	for n in {1..20}; do
		require on server ip address del 10.84.1.$((100 + n))/24 dev eth0
		require on server ip address del 198.51.100.$n/32 dev lo
	done
	unload "other addresses come and go, $mode"

	require on server ip address add 10.84.1.9/24 dev eth0
	load 10.84.1.9
	from=$EPOCHREALTIME
	require on server ip address del 10.84.1.9/24 dev eth0
	sleep 0.3
	require on server ip address add 10.84.1.9/24 dev eth0
	to=$EPOCHREALTIME
	unload "its own address goes and comes back, $mode" "$from" "$to" wire
	require on server ip address del 10.84.1.9/24 dev eth0

	load
	from=$EPOCHREALTIME
	require on server ip link set eth0 down
	sleep 0.3
	require on server ip link set eth0 up
	require on server ip address replace $v6/64 dev eth0 nodad
	require on server ip neighbour replace 10.84.1.2 lladdr "$(mac_of client)" dev eth0 nud permanent
	require on server ip neighbour replace fd00:84:1::2 lladdr "$(mac_of client)" dev eth0 nud permanent
	to=$EPOCHREALTIME
	unload "the link goes down and up, $mode" "$from" "$to" wire v6

	# What the link itself carries all the while; then what the umem was not made for.
	load $v4 64,1200 64,1180
	for mtu in 1400 1300 1500 1280 1500; do
		require on server ip link set eth0 mtu $mtu
	done
	unload "a smaller MTU, $mode"
	load $v4 64,1400 64,1380
	for mtu in 2000 1500 2000; do
		require on server ip link set eth0 mtu $mtu
		require on client ip link set eth0 mtu $mtu
		sleep 0.1
	done
	unload "a larger MTU, $mode"
	load $v4 64,1900 64,1880
	unload "what fits that one, $mode"
	require on server ip link set eth0 mtu 1500
	require on client ip link set eth0 mtu 1500


	load
	from=$EPOCHREALTIME
	kill "${server_pid[server]}"
	finish "${server_pid[server]}" 10 || not_ok "it ends well, $mode"
	unset "server_pid[server]"
	equal "every frame is accounted for, $mode" 0 "$(grep -c 'NOT BALANCED' "$(server_err server)")"
	[ $mode = copy ] && next="-m sockets" || next="-m copy"
	# shellcheck disable=SC2086
	server_start server $next -i eth0 -Q -s echo
	to=$EPOCHREALTIME
	unload "a restart in another mode: $mode, then $next" "$from" "$to" wire v6 here
	server_stop server || not_ok "it ends well, $next"
done

# ---- fewer and more queues than sockets

check "queues can be taken away when their sockets are gone" wait_for 10 on server ethtool -L eth0 rx 2 tx 2
require on client ethtool -L eth0 rx 2 tx 2
server_start server -m copy -Q -s echo
equal "two queues" 2 "$(ready_value server queues)"
# The driver lets go of what its queues hold when their number changes.
queues() {
	load
	from=$EPOCHREALTIME
	require on "$2" ethtool -L eth0 rx "$1" tx "$1"
	require on "$3" ethtool -L eth0 rx "$1" tx "$1"
	to=$EPOCHREALTIME
	unload "now $1 queues" "$from" "$to" wire v6
}
queues 4 server client
load
unload "two of them without an AF_XDP socket"
queues 2 client server

done_testing
