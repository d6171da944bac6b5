#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Several RX queues: sources that hash to each of them are all served, and the queues that are
# not asked for stay the kernel's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1

require hosts server client
require wire server:eth0 client:eth0 rx=4 tx=4
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

ask() {
	on client "$e2e/udp.py" exchange "$@" 8080 --count 1280 --flows 64
}

# How many of the workers have answered anything.
busy_workers() {
	pinned server service_counters | jq '[.[].value | select(.tx > 0) | .worker] | unique | length'
}

# In generic mode veth numbers the sender's queues from 1, and so never reaches its last one.
for mode in copy skb; do
	[ $mode = copy ] && reached=4 || reached=3
	server_start server --mode $mode --service echo
	matches "all queues are served by default, $mode" '^(4|0-3|all)$' "$(ready_value server queues)"
	check "64 sources, $mode" ask $v4
	equal "reach $reached queues, $mode" $reached "$(busy_workers)"
	check "64 sources in IPv6, $mode" ask $v6
	equal "every request is counted once, $mode" 2560 "$(service_counter server rx echo:8080)"
	equal "every answer is counted once, $mode" 2560 "$(service_counter server tx echo:8080)"
	check "stops well, $mode" server_stop server
done

# ---- a service of one state: one worker answers what came in on every queue

# Every one of 64 sources gets its own text back, with a number in front that no other has got.
ask_single() {
	on client /usr/bin/python3 - "$1" "$2" <<-'END'
		import socket, sys
		first, numbers = int(sys.argv[2]), set()
		for i in range(64):
		    text = b"who? " * i
		    peer = socket.socket(socket.getaddrinfo(sys.argv[1], 8099)[0][0], socket.SOCK_DGRAM)
		    peer.settimeout(2)
		    peer.sendto(text, (sys.argv[1], 8099))
		    number, _, said = peer.recv(2048).partition(b" ")
		    assert said == text, (said, text)
		    numbers.add(int(number))
		assert numbers == set(range(first, first + 64)), sorted(numbers)
	END
}

for mode in copy skb; do
	udpxdp=$BUILD/tests/e2e/single_reply server_start server --mode $mode
	check "a single service answers 64 sources, $mode" ask_single $v4 1
	check "and 64 in IPv6, $mode" ask_single $v6 65
	equal "they came in on several queues, $mode" yes "$(pinned server service_counters | jq -r \
		'if [.[].value | select(.service == "reply" and .rx > 0) | .worker] | length > 1 then "yes" else "no" end')"
	equal "and were answered by the first, $mode" 0 "$(pinned server service_counters |
		jq '[.[].value | select(.service == "reply" and .tx > 0) | .worker] | unique | .[]')"
	check "stops well, $mode" server_stop server
done

# What is not ours is the kernel's: there a plain socket answers, and says so.
spawn "$work/kernel.log" server "$e2e/udp.py" serve :: 8080 --prefix "kernel:"
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket on 8080" "$(cat "$work/kernel.log")"

# Prints "OURS KERNEL", how many of 64 sources were answered by whom.
who_answers() {
	on client /usr/bin/python3 - <<-'END'
		import socket
		ours = kernel = 0
		for _ in range(64):
		    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    peer.settimeout(2)
		    peer.sendto(b"who?", ("10.80.9.1", 8080))
		    answer = peer.recv(2048)
		    kernel += answer == b"kernel:who?"
		    ours += answer.startswith("【".encode()) and answer.endswith(b"who?")
		print(ours, kernel)
	END
}

for queues in 1-2 3; do
	server_start server --queues $queues --service echo
	read -r ours kernel < <(who_answers)
	equal "with --queues $queues every source is answered" 64 $((ours + kernel))
	check "some by udpxdp, some by the kernel ($ours, $kernel)" test "$ours" -gt 0 -a "$kernel" -gt 0
	equal "the kernel's share is counted as no_socket" "$kernel" "$(verdict server FRAME_NO_SOCKET)"
	equal "and as passed on that port" "$kernel" "$(port_counter server 8080 passed)"
	check "stops well" server_stop server
done

kill "$pid"
wait_for 5 is_gone "$pid"
server_refuses "a queue that is not there is said, and how many there are" 4 'has 4' server --queues 9
server_refuses "also at the end of a range" 4 'has 4' server --queues 2-9

# ---- fewer TX queues: on a queue without one nothing can be answered

require on server ip link del eth0
require wire server:eth0 client:eth0 rx=4 tx=1
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64
spawn "$work/kernel.log" server "$e2e/udp.py" serve :: 8080 --prefix "kernel:"
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket on 8080" "$(cat "$work/kernel.log")"
for mode in copy skb; do
	server_start server --mode $mode --service echo
	equal "4 RX and 1 TX queue: one is served, $mode" 1 "$(ready_value server queues)"
	equal "and that is said, $mode" 1 "$(grep -c '^udpxdp: eth0 has 4 RX and 1 TX queues: serving 1; ' "$(server_err server)")"
	read -r ours kernel < <(who_answers)
	equal "every source is answered, $mode" 64 $((ours + kernel))
	check "some by udpxdp, some by the kernel ($ours, $kernel), $mode" test "$ours" -gt 0 -a "$kernel" -gt 0
	server_stop server || not_ok "it ends well, $mode"
done
kill "$pid"
wait_for 5 is_gone "$pid"
server_refuses "a queue without a TX queue is refused by name" 4 'queue 2 cannot be served: eth0 has only 1 TX' \
	server --queues 2
require on server ip link del eth0
require wire server:eth0 client:eth0 rx=4 tx=4
require address server eth0 $v4/24
require address client eth0 10.80.9.2/24

# ---- CPUs

printf '#!/bin/sh\nexec taskset -c 0 "%s" "$@"\n' "$udpxdp" >"$work/confined"
chmod 755 "$work/confined"
udpxdp=$work/confined server_start server --mode copy --queues 0-1 --service echo
equal "workers stay on the CPUs that they are confined to" 0 "$(for task in /proc/"${server_pid[server]}"/task/*; do
	sed -n 's/^Cpus_allowed_list:\t*//p' "$task/status"
done | sort -u)"
server_stop server || not_ok "it ends well"

done_testing
