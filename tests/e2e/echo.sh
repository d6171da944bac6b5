#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Echo, asked by nc, socat and Python's sockets over veth: both modes, both sizes of frames,
# checksum offloads on and off, IPv4 and IPv6; and by frames that no socket sends.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1
stamped='^【[A-Z][a-z]{2} [A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} [0-9]{4}】 '

ask_nc() {
	echo "hello from nc" | on client nc -u -w 2 -W 1 "$1" 8080
}

ask_socat() {
	echo "hello from socat" | on client socat -t 5 - "$1,readbytes=48" # all of the answer
}

# clients WHERE MTU: everything an ordinary client does.
clients() {
	local where=$1 mtu=$2 largest4=$(($2 - 28 - 31)) largest6=$(($2 - 48 - 31))
	local sizes=0,1,2,3,17,63,64,65,255,511,1024

	matches "nc -u, $where" "${stamped}hello from nc$" "$(ask_nc $v4)"
	matches "nc -u, IPv6, $where" "${stamped}hello from nc$" "$(ask_nc $v6)"
	matches "socat, $where" "${stamped}hello from socat$" "$(ask_socat "UDP4:$v4:8080")"
	matches "socat, IPv6, $where" "${stamped}hello from socat$" "$(ask_socat "UDP6:[$v6]:8080")"
	check "sizes from 0 to what fits $mtu bytes, $where" on client "$e2e/udp.py" exchange $v4 8080 \
		--count 200 --flows 4 --size "$sizes,$((largest4 - 1)),$largest4"
	check "the same in IPv6, $where" on client "$e2e/udp.py" exchange $v6 8080 \
		--count 200 --flows 4 --size "$sizes,$((largest6 - 1)),$largest6"
	check "no UDP checksum, $where" on client "$e2e/udp.py" exchange $v4 8080 --no-checksum
	check "an answer over $mtu bytes is not sent, $where" on client "$e2e/udp.py" exchange $v4 8080 \
		--size $((largest4 + 1)) --answers 0 --timeout 0.2
	check "nor in IPv6, $where" on client "$e2e/udp.py" exchange $v6 8080 \
		--size $((largest6 + 1)) --answers 0 --timeout 0.2
	too_big=$((too_big + 2))
}

# each_frame WHERE: frames.py's verdicts as tests.
each_frame() {
	local verdict name
	while read -r verdict name; do
		case $verdict in
		pass) ok "frame: $name, $1" ;;
		fail) not_ok "frame: $name, $1" ;;
		*) not_ok "frames.py, $1" "$verdict $name" ;;
		esac
	done < <(on client "$e2e/frames.py" eth0 "$(mac_of server)" $v4 $v6 8080 2>&1 || echo "crash $?")
}

require hosts server client
for mtu in 1500 3000; do
	require wire server:eth0 client:eth0 mtu=$mtu
	require address server eth0 $v4/24 $v6/64
	require address client eth0 10.80.9.2/24 fd00:80:9::2/64
	for mode in copy skb; do
		server_start server --mode $mode --sockets off --vlan any --service echo
		equal "the mode asked for is the mode got: $mode" $mode "$(ready_value server mode)"
		too_big=0
		for offloads in on off; do
			for host in server client; do
				require on $host ethtool -K eth0 tx $offloads rx $offloads
			done
			clients "$mode, MTU $mtu, offloads $offloads" $mtu
		done
		equal "what was too big is counted, $mode, MTU $mtu" $too_big \
			"$(pinned server service_counters | jq '[.[].value.reply_too_big] | add')"
		[ $mtu != 1500 ] || each_frame $mode
		check "stops well, $mode, MTU $mtu" server_stop server
	done
	require on server ip link del eth0
done

# RFC 862 to the letter.
require wire server:eth0 client:eth0
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64
server_start server --service echo:7,stamp=off --service echo:8080
check "echo without a stamp" on client "$e2e/udp.py" exchange $v4 7 --stamp off --count 20 --size 0,1,1472
check "echo without a stamp, IPv6" on client "$e2e/udp.py" exchange $v6 7 --stamp off --count 20 --size 0,1,1452
check "beside one with" on client "$e2e/udp.py" exchange $v4 8080 --count 20

# ---- its DSCP, and a range of ports --------------------------------------------------------

# answered_tos ADDRESS PORT TOS: with which TOS or traffic class a request with this one is answered.
answered_tos() {
	on client python3 - "$@" <<-'EOF'
		import socket, struct, sys
		host, port, tos = sys.argv[1], int(sys.argv[2]), int(sys.argv[3], 0)
		six = ":" in host
		s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
		level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
		s.setsockopt(level, socket.IPV6_TCLASS if six else socket.IP_TOS, tos)
		s.setsockopt(level, socket.IPV6_RECVTCLASS if six else socket.IP_RECVTOS, 1)
		s.settimeout(5)
		s.sendto(b"class", (host, port))
		data, control, _, _ = s.recvmsg(100, 100)
		assert data == b"class", data
		print(hex(int.from_bytes(control[0][2], sys.byteorder)))
	EOF
}

server_stop server
serve_classes() {
	server_start server "$@" --service echo:5000-5002,stamp=off,tos=copy --service echo:5003,stamp=off
	equal "a range is a service for each port, $*" echo:5000,echo:5001,echo:5002,echo:5003 \
		"$(ready_value server services)"
	equal "the DSCP of a request comes back, without ECN, $*" 0xb8 "$(answered_tos $v4 5000 0xba)"
	equal "over IPv6 and on the last port, too, $*" 0x28 "$(answered_tos $v6 5002 0x2a)"
	equal "not unless it is asked for, $*" 0x0 "$(answered_tos $v4 5003 0xb8)"
	equal "nor over IPv6, $*" 0x0 "$(answered_tos $v6 5003 0xb8)"
	check "stops well, $*" server_stop server
}
serve_classes --mode copy
serve_classes --mode sockets

done_testing
