#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A long closed loop: nothing lost, nothing wrong, every frame accounted for, no memory grown.
# About half a minute on a quiet machine.
#
#   ECHOES=N how many (default: 10000000)
#   SIZE=N   bytes of a request (default: 64)

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
echoes=${ECHOES:-10000000} size=${SIZE:-64}

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.80.7.1/24
require address client eth0 10.80.7.2/24
require on client ethtool -K eth0 tx-udp-segmentation off

resident() {
	ps -o rss= -p "${server_pid[server]}"
}

burst() {
	on client "$udpxdp" bench 10.80.7.1 -n "$1" -t 0 -w 256 -s "$size" -j >"$work/bench.json"
}

# reported FIELD: of the account printed at the end.
reported() {
	grep '^udpxdp: frames ' "$(server_err server)" | tr ' ' '\n' | sed -n "s/^$1=//p"
}

server_start server --service echo --quiet -v
check "warm up" burst 100000
before=$(resident)
check "$echoes echoes" burst "$echoes"
after=$(resident)
note "$(jq -r '"\(.received_per_second | floor) echoes a second, p50 \(.latency_us.p50) us, p99 \(.latency_us.p99) us"' "$work/bench.json")"
equal "none lost, wrong, late or duplicate" "$echoes 0 0 0 0" \
	"$(jq -r '"\(.received) \(.lost) \(.wrong) \(.late) \(.duplicate)"' "$work/bench.json")"
equal "all counted" $((echoes + 100000)) "$(service_counter server tx echo:8080)"
equal "as much memory as before, in KiB" "$before" "$after"
check "stops well" server_stop server
equal "RX frames add up" "$(reported of | head -n 1)" \
	$(($(reported fill) + $(reported rx) + $(reported held)))
equal "TX frames add up" "$(reported of | tail -n 1)" \
	$(($(reported free) + $(reported tx) + $(reported completion)))

done_testing
