#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One forged datagram makes two services talk to each other: echo and chat of two udpxdp, a plain echo
# (RFC 862) on an ordinary socket, and one that has the same text for whatever it is sent. Every such talk ends, and after how many frames is
# counted on the wire.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts a b c
require segment 1 switch a b c

declare -A v4=([a]=10.80.1.1 [b]=10.80.1.2 [c]=10.80.1.3) v6=([a]=fd00:80:1::1 [b]=fd00:80:1::2 [c]=fd00:80:1::3)
declare -A mac port=([a]=port1 [b]=port2 [c]=port3)
for host in a b c; do
	mac[$host]=$(mac_of $host)
done
# Who speaks, and who would answer ARP first, is known: only what is forged starts anything.
for host in a b c; do
	for other in a b c; do
		[ $host = $other ] && continue
		for address in "${v4[$other]}" "${v6[$other]}"; do
			require on "$host" ip neigh replace "$address" lladdr "${mac[$other]}" dev eth0 nud permanent
		done
	done
	# Who asks the echoes behind what is forged, and is not there.
	for address in 10.80.1.99 fd00:80:1::99; do
		require on $host ip neigh replace $address lladdr 02:00:00:00:00:99 dev eth0 nud permanent
	done
done

# start: udpxdp on a and b. b serves on ports of its own as well, so that a cannot
# know what answers there.
start() {
	server_start a -s echo -s "echo:8081,stamp=off" -s broadcast -s "chat,history=off"
	server_start b -s echo -s "echo:8081,stamp=off" -s broadcast -s "chat,history=off" \
		-s echo:9090 -s "chat:9091,history=off"
}

stop() {
	server_stop a || not_ok "a stops well"
	server_stop b || not_ok "b stops well"
}

# forge FAMILY FROM PORT TO PORT TEXT: a datagram to TO that says that it comes from FROM; leaves
# the number of frames that follow in $frames, and what they are in spoof.log.
forge() {
	local family=$1 from=$2 from_port=$3 to=$4 to_port=$5 text=$6
	local -n address=$family
	local echo echoes=()
	for echo in "${listeners[@]}"; do
		echoes+=("${port[${echo% *}]}/${mac[${echo% *}]}/${address[${echo% *}]}/${echo#* }")
	done
	on switch "$e2e/acl_ratelimit.py" spoof "${port[$to]}" br0 "${mac[$from]}" "${address[$from]}" "$from_port" \
		"${mac[$to]}" "${address[$to]}" "$to_port" "$text" "${echoes[@]}" >"$work/spoof.log" 2>&1
	frames=$(head -n 1 "$work/spoof.log")
}

# ends NAME EXPECTED FAMILY FROM PORT TO PORT TEXT: after exactly so many frames.
ends() {
	local name=$1 expected=$2
	shift 2
	forge "$@"
	if [ "$frames" = "$expected" ]; then
		ok "$name, $1: $frames frames"
	else
		not_ok "$name, $1" "expected $expected frames, seen: $(cat "$work/spoof.log")"
	fi
}

loops_counted() {
	echo $(($(service_counter a loop) + $(service_counter b loop)))
}

for kind in 7 7777 7778; do
	spawn "$work/echo$kind.log" c "$e2e/udp.py" serve :: $kind
	wait_for 5 grep -q ready "$work/echo$kind.log" || bail "a plain echo" "$(cat "$work/echo$kind.log")"
done

# An echo on each host and on each socket of c: when these have answered, everything before has been.
listeners=("a 8080" "b 8080" "c 7" "c 7777" "c 7778")
start
for family in v4 v6; do
	before=$(loops_counted)
	ends "echo and echo" 0 $family b 8080 a 8080 "b'hello'"
	ends "echo and an echo on a port unknown here" 1 $family b 9090 a 8080 "b'hello'"
	ends "echo without stamps and the same" 0 $family b 8081 a 8081 "b'hello'"
	ends "echo without stamps and one with" 0 $family b 8080 a 8081 "b'hello'"
	ends "echo without stamps and one with, on a port unknown here" 1 $family b 9090 a 8081 "b'hello'"
	ends "echo and a plain echo" 2 $family c 7777 a 8080 "b'hello'"
	ends "echo and a plain echo where echo belongs" 0 $family c 7 a 8080 "b'hello'"
	ends "echo without stamps and a plain echo where echo belongs" 0 $family c 7 a 8081 "b'hello'"
	ends "echo and chat" 0 $family b 8090 a 8080 "b'hello'"
	ends "echo and chat on a port unknown here" 1 $family b 9091 a 8080 "b'hello'"
	equal "each of these ended as a loop, $family" 10 $(($(loops_counted) - before))

	before=$(loops_counted)
	ends "chat, asked for help, and echo" 1 $family b 9090 a 8090 "b'/help'"
	ends "chat, asked for help, and a plain echo" 2 $family c 7777 a 8090 "b'/help'"
	ends "chat, sent bytes that are no text, and a plain echo" 2 $family c 7777 a 8090 "b'\\xff\\xfe'"
	ends "chat, asked for help, and chat" 1 $family b 8090 a 8090 "b'/help'"
	ends "chat, asked for help, and chat on another port" 1 $family b 9091 a 8090 "b'/help'"
	ends "chat, sent what a room says, and chat" 0 $family b 8090 a 8090 "b'* hello'"
	ends "chat, sent a stamp, and chat" 0 $family b 8090 a 8090 "'【Mon Nov 23 02:00:00 2026】 x'"
	equal "each of these, too, $family" 7 $(($(loops_counted) - before))
done
ends "broadcast, by unicast, and broadcast" 0 v4 b 8086 a 8086 "b'hello'"
ends "broadcast, by unicast, and a plain echo" 0 v4 c 7777 a 8086 "b'hello'"
mac[everybody]=ff:ff:ff:ff:ff:ff v4[everybody]=255.255.255.255 port[everybody]=port1
ends "an announcement and broadcast" 1 v4 b 8086 everybody 8086 "b'hello'"
ends "an announcement and echo" 1 v4 b 8080 everybody 8086 "b'hello'"
ends "an announcement and a plain echo" 2 v4 c 7777 everybody 8086 "b'hello'"
stop

# A responder that nobody knows. Each of its texts looks like a question; that they are all alike and
# come as fast as answers go does not.
spawn "$work/error.log" c "$e2e/udp.py" serve :: 5060 --text "400 Bad Request"
wait_for 5 grep -q ready "$work/error.log" || bail "a responder" "$(cat "$work/error.log")"
start
everyone=("${listeners[@]}") listeners=()
for family in v4 v6; do
	for service in 8080 8081; do
		before=$(service_counter a repeated)
		forge $family c 5060 a $service "b'hello'"
		check "echo on $service and one that always says the same, $family: it ends, after $frames frames" 			test "$frames" -ge 3 -a "$frames" -le 1100
		equal "which is counted" $((before + 1)) "$(service_counter a repeated)"
	done
done
listeners=("${everyone[@]}")
check "meanwhile and after, others are answered" on c "$e2e/udp.py" exchange "${v4[a]}" 8080 --count 2000
check "and whoever repeats himself by the clock" on c "$e2e/udp.py" exchange "${v4[a]}" 8080 \
	--text hello --count 400 --interval 0.004 --window 1
stop

# What nothing in a datagram can tell from a question: an echo without stamps, asked by a plain
# echo on a high port. A limit ends even that, since what it drops is not answered.
everyone=("${listeners[@]}") listeners=() # asking them would count
server_start a --limit 1/20 -s "echo:8081,stamp=off"
forge v4 c 7777 a 8081 "b'hello'"
check "echo without stamps and a plain echo on a high port: --limit ends it, after $frames frames" \
	test "$frames" -ge 36 -a "$frames" -le 60
equal "by dropping one frame" 1 "$(verdict a FRAME_RATE_LIMITED)"
server_stop a || not_ok "a stops well"
server_start a --limit 1/20 -s "echo:8081,stamp=off" # with its burst to spend again
server_start b -s "echo:9090,stamp=off"
forge v4 b 9090 a 8081 "b'hello'"
check "echo without stamps and another on a port unknown here: --limit ends it, after $frames frames" \
	test "$frames" -ge 36 -a "$frames" -le 60
equal "by dropping one frame, too" 1 "$(verdict a FRAME_RATE_LIMITED)"
stop
listeners=("${everyone[@]}")

# A chat in which others are members already when somebody speaks: two plain echoes, two rooms of
# another udpxdp whose members are this room, and people in each.
for family in v4 v6; do
	start
	for member in "c 7777" "c 7778" "b 8080" "b 9090" "b 8090" "b 9091"; do
		# shellcheck disable=SC2086 # host and port
		forge $family $member a 8090 "b'/quiet'"
	done
	for room in 8090 9091; do
		forge $family a 8090 b $room "b'/quiet'"
		forge $family c 7777 b $room "b'/quiet'"
		forge $family c 6000 b $room "b'/quiet'" # a person
	done
	forge $family c 6001 a 8090 "b'hello, everybody'"
	check "a person among rooms and echoes: $frames frames, and it is over, $family" \
		test "$frames" -ge 6 -a "$frames" -le 150
	heard=$(grep -c 'hello, everybody' "$work/spoof.log")
	check "and it was sent on, $family" test "$heard" -ge 6
	forge $family b 8090 a 8090 "b'hello, from a room'"
	check "a room among rooms and echoes: $frames frames, and it is over, $family" \
		test "$frames" -ge 3 -a "$frames" -le 150
	stop
done

done_testing
