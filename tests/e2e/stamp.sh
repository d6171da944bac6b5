#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The session reflector over veth, by AF_XDP and by sockets of the kernel: judged by a sender of our
# own, by scapy and by tshark; and measured by bench --stamp.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.86.2.1 v6=fd00:86:2::1

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24 $v6/64
require address client eth0 10.86.2.2/24 fd00:86:2::2/64

# reflects MODE: everything that the sender knows, of either kind of session.
reflects() {
	local host
	server_start server --mode "$1" -w "$work/$1.pcap" --service stamp \
		--service stamp:8620,stateful=on
	for host in $v4 $v6; do
		check "stateless, $host, $1" on client "$e2e/stamp.py" $host 862
		check "stateful, $host, $1" on client "$e2e/stamp.py" $host 8620 --stateful
	done
}

# judged MODE: what is in the capture, by others' dissectors.
judged() {
	local bad
	if /usr/bin/python3 -c 'import scapy.contrib.stamp' 2>/dev/null; then
		check "scapy reads the answers, $1" /usr/bin/python3 "$e2e/stamp.py" judge "$work/$1.pcap"
	else
		skip "scapy reads the answers, $1" "no scapy with STAMP"
	fi
	if ! command -v tshark >/dev/null; then
		skip "tshark reads the answers, $1" "tshark is not installed"
		return
	fi
	bad=$(tshark -r "$work/$1.pcap" -d udp.port==862,twamp.test -Y 'udp.srcport == 862 && (_ws.malformed ||
		twamp.test.sender_ttl != 201 || twamp.test.error_estimate.z != 0 ||
		!twamp.test.receive_timestamp)' 2>/dev/null)
	equal "tshark finds no answer wrong, $1" "" "$bad"
	equal "and there are many, $1" yes "$(tshark -r "$work/$1.pcap" -d udp.port==862,twamp.test \
		-Y 'udp.srcport == 862 && twamp.test.sender_ttl == 201' 2>/dev/null | awk 'END { print (NR > 40 ? "yes" : NR) }')"
}

for mode in copy sockets; do
	reflects $mode
	[ $mode = sockets ] || equal "what was too short is counted" 4 \
		"$("$udpxdp" stats --json --pin-dir "$(pin_dir server)" |
			jq '[.services[] | select(.port == 862) | .drops.too_short // .too_short // 0] | add')"
	check "stops well, $mode" server_stop server
	judged $mode
done

# ---- bench --stamp -------------------------------------------------------------------------

bench() {
	on client "$udpxdp" bench --stamp -Q "$@"
}

# relay PORT ARG...: stamp_relay.py on the client, ready.
relay() {
	spawn "$work/relay.$1" client "$e2e/stamp_relay.py" "$@"
	require wait_for 10 grep -q ready "$work/relay.$1"
}

server_start server --mode copy -Q --service stamp --service stamp:8620,stateful=on --service echo
bench $v4 -n 200 --json >"$work/stateless.json"
equal "a stateless reflector: all answered, ways unknown" "200 200 0 false null" \
	"$(jq -r '[.sent, .received, .lost, .stateful, .lost_there] | map(tostring) | join(" ")' "$work/stateless.json")"
check "both delays make up the round trip" jq -e '.there_us.min > 0 and .back_us.min > 0 and
	.there_us.p50 <= .there_us.p99 and .there_us.p99 <= .there_us.max and .round_trip_us.min <= .round_trip_us.p50 and
	(.error_us > 200 and .error_us < 300) and .there_us.negative == 0' "$work/stateless.json"
bench $v6 8620 -n 200 -s 1000 --json >"$work/stateful.json"
equal "a stateful one over IPv6, with padding" "200 200 0 0 0 true" \
	"$(jq -r '[.sent, .received, .lost_there, .lost_back, .wrong, .stateful] | map(tostring) | join(" ")' "$work/stateful.json")"

relay 9000 $v4 8620
bench 127.0.0.1 9000 -n 800 -r 1000 -t 0 --json >"$work/ways.json"
equal "what the numbers tell of either way" "800 755 20 25 0 10 10 10 10 0" \
	"$(jq -r '[.sent, .received, .lost_there, .lost_back, .lost_either, .reordered_there, .reordered_back,
		.duplicate_there, .duplicate_back, .wrong] | join(" ")' "$work/ways.json")"
relay 9001 $v4 8620 --shift -5
bench 127.0.0.1 9001 -n 50 >"$work/shifted.txt"
matches "a clock that lags makes negative delays" "there +min -[45][0-9]{6}\.[0-9] " "$(cat "$work/shifted.txt")"
matches "and that is said" "clocks +not synchronized \\(.*\\): one-way delays are off" "$(cat "$work/shifted.txt")"
matches "with how far they differ" "negative +50 delays there, 0 back: the clocks differ by 4[0-9]{6}\.[0-9] us or more" \
	"$(cat "$work/shifted.txt")"
matches "but the round trip is right" "both +min [0-9]{1,5}\.[0-9] " "$(cat "$work/shifted.txt")"

bench $v4 9 -n 5 --timeout 100 >"$work/none.txt" 2>"$work/none.err"
equal "no reflector there: status" 1 $?
matches "and one line" "^udpxdp: bench $v4 port 9: no answer: " "$(cat "$work/none.err")"
bench $v4 8080 -n 5 --timeout 100 >"$work/none.txt" 2>"$work/none.err"
matches "an echo is no reflector, and that is said" "^udpxdp: bench $v4 port 8080: 5 wrong answers: .*; " "$(cat "$work/none.err")"
bench $v4 --window 3 2>"$work/none.err"
equal "what does not go together is refused" 2 $?
bench $v4 --size 46 2>"$work/none.err"
matches "and so is a size that cannot be" "^udpxdp: option --size: 46: .*; give 44, or 48 and more" "$(cat "$work/none.err")"
check "stops well" server_stop server

done_testing
