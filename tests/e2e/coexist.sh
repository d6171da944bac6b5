#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Everything on the interface that is not a datagram to this host on a served port goes on as if
# udpxdp were not there.
#
#   client -- eth0 server (a router, too) eth1 -- far
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1 far4=10.80.10.2 far6=fd00:80:10::2

require hosts server client far
require wire server:eth0 client:eth0
require wire server:eth1 far:eth0
require address server eth0 $v4/24 $v6/64
require address server eth1 10.80.10.1/24 fd00:80:10::1/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64
require address far eth0 $far4/24 $far6/64
require routes server
require on client ip route add default via $v4
require on client ip -6 route add default via $v6
require on far ip route add default via 10.80.10.1
require on far ip -6 route add default via fd00:80:10::1

# peer HOST PORT PREFIX: an ordinary server on a kernel socket.
peer() {
	spawn "$work/$1-$2.log" "$1" "$e2e/udp.py" serve :: "$2" --prefix "$3"
	wait_for 5 grep -q ready "$work/$1-$2.log" || bail "a socket on $1:$2" "$(cat "$work/$1-$2.log")"
}

# answer HOST PORT TEXT: what comes back, as far as nc shows it.
answer() {
	echo -n "$3" | on client nc -u -w 2 -W 1 "$1" "$2"
}

megabyte_by_tcp() {
	on client timeout 20 socat -t 5 - "$1" <"$work/megabyte" | cmp - "$work/megabyte"
}

head -c 1000000 /dev/urandom >"$work/megabyte"
spawn "$work/tcp.log" server socat TCP6-LISTEN:8080,ipv6only=0,reuseaddr,fork EXEC:cat
wait_for 5 on client socat -u /dev/null "TCP:$v4:8080" || bail "a TCP server" "$(cat "$work/tcp.log")"
peer server 9999 "kernel 9999: "
peer server 8080 "kernel 8080: "
peer far 8080 "far 8080: "

for mode in copy skb; do
	server_start server --mode $mode --service echo
	matches "a kernel socket on a served port is said at start, $mode" '8080' \
		"$(grep -v '^udpxdp: ready' "$(server_err server)")"
	check "echo, $mode" on client "$e2e/udp.py" exchange $v4 8080 --count 50 --flows 5
	check "the kernel's socket on that port is passed by, IPv6, $mode" \
		on client "$e2e/udp.py" exchange $v6 8080 --count 50 --flows 5

	check "ping, $mode" on client ping -q -c 3 -i 0.05 -W 2 $v4
	check "ping, IPv6, $mode" on client ping -q -c 3 -i 0.05 -W 2 $v6
	check "ping in fragments, $mode" on client ping -q -c 2 -i 0.05 -W 2 -s 5000 $v4
	require on client ip neighbour flush dev eth0
	require on server ip neighbour flush dev eth0
	check "ARP finds a neighbour anew, $mode" on client ping -q -c 1 -W 2 $v4
	check "neighbour discovery, too, $mode" on client ping -q -c 1 -W 2 $v6
	check "a megabyte there and back by TCP to the same port number, $mode" \
		megabyte_by_tcp "TCP4:$v4:8080"
	check "and in IPv6, $mode" megabyte_by_tcp "TCP6:[$v6]:8080"
	equal "a kernel socket on another port, $mode" "kernel 9999: hello" "$(answer $v4 9999 hello)"
	equal "and in IPv6, $mode" "kernel 9999: hello" "$(answer $v6 9999 hello)"
	check "a closed port is refused by ICMP, $mode" on client "$e2e/udp.py" refused $v4 9998
	check "and in IPv6, $mode" on client "$e2e/udp.py" refused $v6 9998
	equal "a datagram in fragments is the kernel's, $mode" 3013 \
		"$(head -c 3000 "$work/megabyte" | tr '\0\n' xx | on client nc -u -w 2 -W 1 $v4 8080 | wc -c)"

	equal "transit to a served port is forwarded, $mode" "far 8080: hello" "$(answer $far4 8080 hello)"
	equal "and in IPv6, $mode" "far 8080: hello" "$(answer $far6 8080 hello)"
	transit=$(verdict server FRAME_NOT_OURS)
	check "a stream of it, $mode" on client "$e2e/udp.py" exchange $far4 8080 --stamp off \
		--prefix "far 8080: " --count 100 --flows 10
	equal "is counted as not ours, $mode" 100 $(($(verdict server FRAME_NOT_OURS) - transit))
	check "our address on the other interface is ours, $mode" \
		on client "$e2e/udp.py" exchange 10.80.10.1 8080 --count 10
	check "ping through, $mode" on client ping -q -c 2 -i 0.05 -W 2 $far4
	check "stops well, $mode" server_stop server
done

equal "afterwards the port is the kernel's again" "kernel 8080: hello" "$(answer $v4 8080 hello)"
done_testing
