#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A long bounded burst of echoes: none is lost, none is wrong, and at the end every frame of
# every UMEM is accounted for.
#
#   ECHOES=N how many (default: 200000)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

echoes=${ECHOES:-200000} warm_up=20000

require hosts server client
require wire server:eth0 client:eth0 rx=2 tx=2
require address server eth0 10.80.9.1/24 fd00:80:9::1/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

resident() {
	ps -o rss= -p "${server_pid[server]}"
}

burst() {
	on client "$e2e/udp.py" exchange "$1" 8080 --count "$2" --flows 8 --window 128 --size 18,64,512,1400
}

# How many queues' frames add up: fill + rx + held = RX frames, free + tx + completion = TX frames.
# The sums are done here once more.
account() {
	grep '^udpxdp: frames ' "$(server_err server)" | tr '=' ' ' | awk '
		{ for (i = 3; i < NF; i += 2) { if ($i == "of") of[++n] = $(i + 1); else v[$i] = $(i + 1) }
		  if (v["fill"] + v["rx"] + v["held"] == of[n - 1] && v["free"] + v["tx"] + v["completion"] == of[n] &&
		      $NF == "balanced") balanced++ }
		END { print balanced + 0 }'
}

kernel_account() {
	grep -c '^udpxdp: kernel queue=[0-9]* rx_ring_full=0 rx_dropped=0 rx_invalid=0 tx_invalid=0 ' \
		"$(server_err server)"
}

for mode in copy skb; do
	share=$((echoes / 2))
	server_start server --mode $mode --service echo -v
	check "warm up, $mode" burst 10.80.9.1 $warm_up
	before=$(resident)
	check "$((share / 2)) echoes, $mode" burst 10.80.9.1 $((share / 2))
	check "$((share / 2)) echoes in IPv6, $mode" burst fd00:80:9::1 $((share / 2))
	after=$(resident)
	equal "all counted, $mode" $((share + warm_up)) "$(service_counter server tx echo:8080)"
	check "no more memory than before ($before, $after KiB), $mode" test $((after - before)) -le 512
	check "stops well, $mode" server_stop server
	equal "every frame of both queues is accounted for, $mode" 2 "$(account)"
	equal "and the kernel threw none away, $mode" 2 "$(kernel_account)"
done

# trace_sends ARGUMENT...: strace of the workers' sendto(), into $work/calls; $tracer is its pid.
trace_sends() {
	local workers worker
	workers=$(ps -T -o tid=,comm= -p "${server_pid[server]}" | awk '$2 ~ /^worker/ { print $1 }')
	# shellcheck disable=SC2046,SC2086 # words, for each worker
	strace -q $(printf -- '-p %s ' $workers) -e trace=sendto "$@" -o "$work/calls" \
		2>"$work/strace.log" </dev/null &
	tracer=$!
	for worker in $workers; do
		wait_for 5 grep -q "^TracerPid:.*[1-9]" "/proc/$worker/status" ||
			bail "strace attaches" "$(cat "$work/strace.log")"
	done
}

trace_ends() {
	kill $tracer
	wait $tracer 2>/dev/null
}

# ---- back-pressure

# A kernel that takes nothing at every other call: what remains goes a moment later, not with the
# next datagram or the next second.
for policy in adaptive block spin; do
	server_start server --mode copy --quiet --service echo --poll $policy --no-sandbox
	trace_sends -e inject=sendto:error=EAGAIN:when=1+2
	check "a refused send is tried again at once, $policy" on client "$e2e/udp.py" exchange \
		10.80.9.1 8080 --count 20 --flows 1 --window 1 --timeout 0.3
	check "and some were refused, $policy" grep -q INJECTED "$work/calls"
	trace_ends
	server_stop server || not_ok "stops well, $policy"
done

# ---- coalescing

# One datagram each 200 µs, of which ten gather in 2 ms. A wakeup each would be 1,000.
server_start server --quiet --service echo --poll block --coalesce 2000 --no-sandbox
trace_sends
check "1,000 echoes, coalesced" on client "$udpxdp" bench 10.80.9.1 --rate 5000 --count 1000 --flows 1 -Q
trace_ends
check "take fewer than half as many wakeups" test "$(wc -l <"$work/calls")" -lt 500
server_stop server || not_ok "stops well, coalescing"

done_testing
