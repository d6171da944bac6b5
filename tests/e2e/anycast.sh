#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Echo by anycast: two hosts with one address behind a router that shares flows among them by ECMP. Both
# answer; one is withdrawn under load, route first, and no datagram is lost.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts hosta hostb router clients
require segment 101 s1 hosta hostb router
require wire router:eth1 clients:eth0
require address router eth1 10.80.102.1/24
require address clients eth0 10.80.102.2/24
require routes router
require on clients ip route add default via 10.80.102.1
for host in hosta hostb; do
	require address $host lo 10.80.200.1/32
	require on $host ip route add default via 10.80.101.3
done
on router sysctl -qw net.ipv4.fib_multipath_hash_policy=1 2>/dev/null || { # by addresses and ports
	skip "echo by anycast" "this kernel has no multipath routes"
	done_testing
}
both=(10.80.200.1 nexthop via 10.80.101.1 nexthop via 10.80.101.2)
require on router ip route add "${both[@]}"
for host in hosta hostb; do server_start $host --quiet --service echo; done

# load SECONDS RATE: 64 flows; prints how many were sent, and answered.
load() {
	on clients python3 - "$@" <<'END'
import select, socket, sys, time
seconds, rate = map(float, sys.argv[1:])
flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
for flow in flows:
    flow.connect(("10.80.200.1", 8080))
sent, answers, begin, quiet = 0, set(), time.monotonic(), 0.0
while quiet < 1:
    if sent < seconds * rate and time.monotonic() - begin >= sent / rate:
        flows[sent % 64].send(b"%d" % sent)
        sent += 1
    ready = select.select(flows, [], [], 0.0005)[0]
    for flow in ready:
        answers.add(int(flow.recv(2048).split()[-1]))
    if ready or sent < seconds * rate:
        last = time.monotonic()
    quiet = time.monotonic() - last
print(sent, len(answers))
END
}

equal "every datagram is answered" "1000 1000" "$(load 1 1000)"
first=$(service_counter hosta rx) second=$(service_counter hostb rx)
check "by both hosts" [ "$first" -gt 0 ]
check "the second, too" [ "$second" -gt 0 ]
note "$first by one, $second by the other"

load 2 1000 >"$work/load.txt" &
loading=$!
require wait_for 5 has_heard hostb $((second + 100))
require on router ip route replace 10.80.200.1 via 10.80.101.1 # what a routing daemon does on a withdrawal
sleep 0.3 # what is in flight
server_stop hostb || not_ok "the server stops"
wait "$loading"
equal "one is withdrawn under load, and no datagram is lost" "2000 2000" "$(cat "$work/load.txt")"

server_start hostb --quiet --service echo
require on router ip route replace "${both[@]}"
equal "with it back every datagram is answered" "500 500" "$(load 0.5 1000)"
check "by it as well" has_heard hostb 1
done_testing
