#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What becomes of a running server when its interface goes down, comes back, gets another MTU,
# other queues or other addresses, is removed, replaced or carried away.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1

server() { on server ip "$@"; }
client() { on client ip "$@"; }

# plug [SETTING...]: a new wire between the two, with the addresses of this test.
plug() {
	require wire server:eth0 client:eth0 "$@"
	require address server eth0 $v4/24 $v6/64
	require address client eth0 10.80.9.2/24 fd00:80:9::2/64
}

exchange() {
	on client "$e2e/udp.py" exchange "${1:-$v4}" 8080 --count 20 --flows 4 --timeout 0.3
}

# says REGEX: the server has said so, on standard error.
says() {
	wait_for 3 grep -qE "$1" "$(server_err server)"
}

said() {
	grep -cE "$1" "$(server_err server)"
}

# has_said TIMES REGEX
has_said() {
	[ "$(said "$2")" = "$1" ]
}

# load: requests without end; $load is its pid.
load() {
	spawn "$work/load.log" client "$e2e/udp.py" exchange $v4 8080 --count 10000000 --flows 8 --timeout 0.3
	load=$pid
	require wait_for 5 has_heard server $(($(service_counter server rx) + 100))
}

unload() {
	kill "$load" 2>/dev/null
	finish "$load" 5
}

balanced() {
	grep '^udpxdp: frames ' "$(server_err server)" | grep -c ' balanced$'
}

# gives_up NAME REGEX [SECONDS]: by itself, with status 1 and, beside how it began, that one line.
gives_up() {
	local name=$1 regex=$2 status=0 lines
	finish "${server_pid[server]}" "${3:-5}" || status=$?
	unset "server_pid[server]"
	lines=$(grep -vE '^udpxdp: (ready|no zerocopy)' "$(server_err server)")
	if [ "$status" = 1 ] && [ "$(wc -l <<<"$lines")" = 1 ] && grep -qE "^udpxdp: $regex" <<<"$lines"; then
		ok "$name: one line and status 1"
	else
		not_ok "$name: one line and status 1" "expected: $regex"$'\n'"status $status: $lines"
	fi
	check "$name: no control socket is left" test ! -e "$(control server)"
	check "$name: no pins are left" test ! -e "$(pin_dir server)"
}

require hosts server client elsewhere
plug

# ---- down and up

for mode in copy skb; do
	server_start server -v --quiet --mode $mode
	check "it serves, $mode" exchange
	load
	require server link set eth0 down
	check "going down is noticed, $mode" says 'eth0 is down'
	check "while it is down the server idles, $mode" wait_for 5 idles "${server_pid[server]}"
	require server link set eth0 up
	check "coming back is noticed, $mode" says 'eth0 is up'
	unload
	check "and it serves again by itself, $mode" wait_for 3 exchange
	check "all of it, $mode" exchange
	require server address replace $v6/64 dev eth0 nodad # which the kernel takes away with the link
	check "IPv6 as soon as there is an address again, $mode" wait_for 3 exchange $v6
	require client link set eth0 down
	check "no carrier is noticed, $mode" wait_for 3 has_said 2 'eth0 is down'
	require client link set eth0 up
	require address client eth0 fd00:80:9::2/64
	check "and it serves when the other end is back, $mode" wait_for 3 exchange
	server_stop server || not_ok "it stops well, $mode"
	equal "every frame is accounted for, $mode" 1 "$(balanced)"
	# Once for each time it was down, however often it was tried: and that was not in a spin.
	check "what could not leave was tried without haste, $mode" \
		grep -qE '^udpxdp: kernel .* tx_errors=[0-9]$' "$(server_err server)"
done

# ---- addresses and MAC

server_start server -v --quiet
require server address flush dev eth0 scope global
require address server eth0 10.99.0.1/24
require address client eth0 10.99.0.2/24
check "another network altogether is served" wait_for 2 exchange 10.99.0.1
require client route replace $v4/32 dev eth0
require client neigh replace $v4 lladdr "$(mac_of server)" dev eth0 nud permanent
check "and the old address is not" on client "$e2e/udp.py" exchange $v4 8080 --count 3 --timeout 0.2 --answers 0
require server link set eth0 address 02:00:00:00:aa:01
spawn "$work/announced.log" client tcpdump -lnnei eth0 udp dst port 8086
dump=$pid
wait_for 5 grep -q listening "$work/announced.log"
# announced: an announcement has left from where the server is now.
announced() {
	on server "$udpxdp" broadcast --control "$(control server)" --wait 0.1 "who am I now?" >"$work/console.log" 2>&1
	grep -q "02:00:00:00:aa:01 > ff:ff:ff:ff:ff:ff.* 10.99.0.1.8086 >" "$work/announced.log"
}
check "an announcement comes from the new address and the new MAC" wait_for 3 announced
kill "$dump"
finish "$dump" 5
check "what comes for the old MAC is somebody else's" on client "$e2e/udp.py" exchange 10.99.0.1 8080 \
	--count 3 --timeout 0.2 --answers 0
require client neigh flush dev eth0 nud all
check "and the new MAC is served" wait_for 3 exchange 10.99.0.1

# Somebody adds and removes addresses without a pause: ours is heard of all the same.
(
	exec >"$work/churn.log" 2>&1
	while [ ! -e "$work/enough" ]; do
		printf 'address add 198.51.100.%d/32 dev lo\n' {1..50}
		printf 'address del 198.51.100.%d/32 dev lo\n' {1..50}
	done | on server ip -force -batch -
) &
churn=$!
churns() { on server ip -j address show dev lo | grep -q 198.51.100; }
require wait_for 5 churns
require address server eth0 $v4/24
check "an address that comes in the middle of a thousand other changes" wait_for 2 exchange $v4
: >"$work/enough"
finish "$churn" 10
require client route del $v4/32 dev eth0
require client neigh flush all
require server address del 10.99.0.1/24 dev eth0
require server address replace $v6/64 dev eth0 nodad
check "the first network again" wait_for 3 exchange
server_stop server || not_ok "it stops well"

# ---- MTU

# largest: the largest request that is answered, of 400 to 1900 bytes.
largest() {
	local size best=0
	for size in 400 941 942 1441 1442 1500 1600 1841 1900; do
		on client "$e2e/udp.py" exchange $v4 8080 --count 3 --size $size --timeout 0.2 >/dev/null && best=$size
	done
	echo $best
}

# is_known SIZE ANSWERS: the server acts on the MTU it has now: so many of three such requests.
is_known() {
	on client "$e2e/udp.py" exchange $v4 8080 --count 3 --size "$1" --timeout 0.2 --answers "$2"
}

server_start server -v --quiet --sockets off -s echo
equal "MTU 1500: 1441 bytes and a stamp of 31 fit" 1441 "$(largest)"
require server link set eth0 mtu 1000
require wait_for 5 is_known 942 0
equal "MTU 1000: 941 do" 941 "$(largest)"
check "what does not fit is counted" test "$(service_counter server reply_too_big)" -gt 0
require server link set eth0 mtu 1500
require wait_for 5 is_known 1441 3
equal "MTU 1500 again" 1441 "$(largest)"
require server link set eth0 mtu 2000
require client link set eth0 mtu 2000
check "MTU 2000 is more than the umem was made for: said" says 'MTU of 2000 now: frames beyond 1500 are not served'
equal "what fits 1500 is served" 1441 "$(largest)"
check "frames that fit no chunk harm nobody" exchange
require server link set eth0 mtu 1000
require wait_for 5 is_known 942 0
require server link set eth0 mtu 1900
check "said once for each time it happens" says 'MTU of 1900 now'
equal "and no oftener" 2 "$(said 'MTU of')"
require server link set eth0 mtu 1500
require client link set eth0 mtu 1500
server_stop server || not_ok "it stops well"
equal "every frame is accounted for" 1 "$(balanced)"

# ---- queues

require server link del eth0
plug rx=4 tx=4
queues() { on "$1" ethtool -L "${3:-eth0}" rx "$2" tx "$2"; }
require queues server 2
require queues client 2
spawn "$work/kernel.log" server "$e2e/udp.py" serve 0.0.0.0 8080 --prefix "kernel: "
kernel_socket=$pid
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket" "$(cat "$work/kernel.log")"

# by_whom: of 64 flows, how many udpxdp answers, and how many the kernel's socket.
by_whom() {
	on client python3 - $v4 <<-'PYTHON'
		import select, socket, sys
		flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
		for flow in flows:
		    flow.sendto(b"hello", (sys.argv[1], 8080))
		ours = kernel = 0
		for flow in flows:
		    flow.settimeout(0.5)
		    try:
		        answer = flow.recv(2048)
		        ours += answer.startswith("【".encode())
		        kernel += answer.startswith(b"kernel: ")
		    except socket.timeout:
		        pass
		print(ours, kernel)
	PYTHON
}

server_start server --quiet -s echo
equal "two queues, two sockets" 2 "$(ready_value server queues)"
equal "all flows are served" "64 0" "$(by_whom)"
if queues server 1 >"$work/ethtool.log" 2>&1; then
	not_ok "a queue with a socket cannot be taken away: the kernel refuses" "it did not: $(cat "$work/ethtool.log")"
else
	ok "a queue with a socket cannot be taken away: the kernel refuses"
fi
equal "and nothing has happened" "64 0" "$(by_whom)"
require queues server 4
require queues client 4
check "queues that are added are said" says 'eth0 has 4 RX queues now, not 2'
read -r ours kernel < <(by_whom)
equal "flows on the new queues go to the kernel: none is lost" 64 $((ours + kernel))
check "those on the old ones are served: $ours, and $kernel" test "$ours" -ge 10 -a "$kernel" -ge 10
require queues client 2
require queues server 2
equal "when they are gone all flows are served again" "64 0" "$(by_whom)"
equal "and it was said once" 1 "$(said 'RX queues now')"
server_stop server || not_ok "it stops well"
kill "$kernel_socket"

# ---- another name

server_start server --quiet -s echo
require server link set eth0 name lan0
check "a new name is said" says 'eth0 was renamed to lan0'
check "and the interface is served on" exchange
require queues server 4 lan0
require queues client 4
check "queues are asked for by the new name" says 'lan0 has 4 RX queues now, not 2'
require queues client 2
require queues server 2 lan0
require address server lan0 10.99.0.1/24
require address client eth0 10.99.0.2/24
check "its addresses are followed" wait_for 3 exchange 10.99.0.1
require on server ip link add eth0 type veth peer name other
require server link set eth0 up
require server link del eth0
check "another interface of the old name comes and goes without harm" exchange
equal "stats finds the counters by the new name" '"lan0"' "$(on server "$udpxdp" stats -i lan0 -j | jq .iface)"
check "it stops well" server_stop server
equal "and leaves no program behind" "" "$(xdp_programs server lan0)"
require server link set lan0 name eth0

# ---- gone

server_start server --quiet
load
require server link del eth0
gives_up "the interface is removed" "eth0 is gone: the interface was removed; restart udpxdp"
unload

plug
index=$(server -j link show eth0 | jq '.[0].ifindex')
server_start server --quiet
kill -STOP "${server_pid[server]}" # so that it sees only what is there in the end
require server -batch - <<-END
	link del eth0
	link add eth0 index $index type veth peer name eth0 netns $NETNS-client
	link set eth0 up
	address add $v4/24 dev eth0
END
kill -CONT "${server_pid[server]}"
gives_up "the interface is made anew with the same name and index" "the filter is no longer on eth0"
require client link set eth0 up
require address client eth0 10.80.9.2/24
server_start server --quiet
check "the next start serves the new one" exchange

program=$(xdp_programs server eth0 | head -n 1)
require bpftool link detach id "$(bpftool -j link list | jq ".[] | select(.prog_id == $program) | .id")"
gives_up "somebody detaches the filter" "the filter is no longer on eth0"

server_start server --quiet
require server link set eth0 netns "$NETNS-elsewhere"
gives_up "the interface is carried to another namespace" "eth0 is gone"
equal "and no program is left on it" "" "$(xdp_programs elsewhere eth0)"

done_testing
