#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The counters say exactly what was sent: read by bpftool, by name, and by udpxdp stats.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1
headers4=42 headers6=62 stamp=31

require hosts server client
require wire server:eth0 client:eth0 rx=2 tx=2
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

send() {
	require on client "$e2e/udp.py" exchange "$@"
}

# port HOST PORT: "rx_packets rx_bytes redirected passed" as bpftool prints them.
port() {
	local field
	for field in rx_packets rx_bytes redirected passed; do
		port_counter "$1" "$2" $field
	done | xargs
}

service() {
	local field
	for field in rx tx rx_bytes tx_bytes; do
		service_counter "$1" $field "$2"
	done | xargs
}

for mode in copy skb; do
	server_start server --mode $mode --service echo:7001 --service echo:7002 --service echo:7003,stamp=off
	equal "the keys are the ports served, $mode" "7001 7002 7003" \
		"$(pinned server port_counters | jq '.[].key' | sort -n | xargs)"
	equal "all begin at zero, $mode" "0 0 0 0" "$(port server 7001)"

	send $v4 7001 --count 1000 --size 100 --flows 10
	send $v4 7002 --count 37 --size 1
	send $v6 7002 --count 50 --size 1001
	send $v4 7003 --count 5 --size 0 --stamp off

	equal "port 7001, $mode" "1000 $((1000 * (100 + headers4))) 1000 0" "$(port server 7001)"
	equal "port 7002, $mode" \
		"87 $((37 * (1 + headers4) + 50 * (1001 + headers6))) 87 0" "$(port server 7002)"
	equal "port 7003, $mode" "5 $((5 * headers4)) 5 0" "$(port server 7003)"

	equal "echo:7001, $mode" "1000 1000 100000 $((1000 * (100 + stamp)))" "$(service server echo:7001)"
	equal "echo:7002, $mode" "87 87 $((37 + 50 * 1001)) $((37 + 50 * 1001 + 87 * stamp))" \
		"$(service server echo:7002)"
	equal "echo:7003, $mode" "5 5 0 0" "$(service server echo:7003)"

	equal "redirected, by reason, $mode" 1092 "$(verdict server FRAME_REDIRECTED)"
	before=$(verdict server FRAME_NOT_SERVED)
	on client "$e2e/udp.py" exchange $v4 7004 --count 11 --answers 0 --timeout 0.1 >"$work/unserved.log"
	equal "not served, by reason, $mode" 11 $(($(verdict server FRAME_NOT_SERVED) - before))
	before=$(verdict server FRAME_NOT_UDP)
	require on client ping -q -c 7 -i 0.01 $v4
	check "not UDP, by reason, $mode" test $(($(verdict server FRAME_NOT_UDP) - before)) -ge 7
	before=$(verdict server FRAME_FRAGMENT)
	head -c 4000 /dev/zero | on client timeout 1 nc -u -w 1 -q 0 $v4 7001
	equal "fragments, by reason, $mode" 3 $(($(verdict server FRAME_FRAGMENT) - before))

	# What udpxdp itself makes of the same maps.
	stats=$(on server "$udpxdp" stats --pin-dir "$(pin_dir server)" -j) ||
		bail "udpxdp stats -j, $mode" "$stats"
	check "stats -j is JSON, $mode" jq -e . <<<"$stats"
	for port in 7001 7002 7003; do
		equal "stats -j agrees on port $port, $mode" "$(port server $port)" "$(jq -r --arg port $port '
			.ports[] | select("\(.port)" == $port) |
			"\(.rx_packets) \(.rx_bytes) \(.redirected) \(.passed)"' <<<"$stats")"
		equal "stats -j agrees on echo:$port, $mode" "$(service server echo:$port)" "$(jq -r --arg port $port '
			[.services[] | select("\(.port)" == $port)] |
			"\(map(.rx) | add) \(map(.tx) | add) \(map(.rx_bytes) | add) \(map(.tx_bytes) | add)"' <<<"$stats")"
	done
	table=$(on server "$udpxdp" stats --pin-dir "$(pin_dir server)")
	matches "stats prints a table, $mode" '7001.*1000' "$table"
	check "stops well, $mode" server_stop server
done

done_testing
