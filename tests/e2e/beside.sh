#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Sockets of the kernel beside XDP: what the filter leaves to the kernel is answered all the same, by
# the same engine, and once.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client far
require wire server:eth0 client:eth0
require wire server:eth1 far:eth0
require address server eth0 10.81.1.1/24 fd00:81:1::1/64
require address client eth0 10.81.1.2/24 fd00:81:1::2/64
require address server eth1 10.81.2.1/24 fd00:81:2::1/64
require address far eth0 10.81.2.2/24 fd00:81:2::2/64
require on client ip route add default dev eth0

# exchange HOST ADDR [ARG...]
exchange() {
	local host=$1 addr=$2
	shift 2
	on "$host" "$e2e/udp.py" exchange "$addr" 8080 --count 40 --flows 4 "$@"
}

# by_sockets FIELD [SERVICE:PORT]: of what came by the kernel's sockets.
by_sockets() {
	pinned server service_counters | jq --arg which "${2:-echo:8080}" \
		"[.[].value | select(.worker == 65534 and \"\(.service):\(.port)\" == \$which) | .$1] | add // 0"
}

# ---- who is answered --------------------------------------------------------------------

server_start server -v -s echo -s echo:9000,stamp=off -s broadcast -s chat,history=off
equal "the ready line" "on" "$(ready_value server sockets)"
check "a client on another host" exchange client 10.81.1.1
equal "XDP has those" 0 "$(by_sockets rx)"
check "a client on this host: 127.0.0.1" exchange server 127.0.0.1
check "::1" exchange server ::1
check "the interface's address" exchange server 10.81.1.1
check "its IPv6 address" exchange server fd00:81:1::1
equal "the sockets have those" 160 "$(by_sockets rx)"
equal "stats says which road" 160 "$("$udpxdp" stats -j --pin-dir "$(pin_dir server)" |
	jq '[.services[0].workers[] | select(.worker == "sockets") | .rx] | add')"
matches "and in its table" "^ by sockets +160 +160 " "$("$udpxdp" stats --pin-dir "$(pin_dir server)")"
equal "stats --control says the same as the pins" "$("$udpxdp" stats -j --pin-dir "$(pin_dir server)" | jq -c '[.ports, .verdicts, .services]')" \
	"$("$udpxdp" stats -j --control "$(control server)" | jq -c '[.ports, .verdicts, .services]')"
check "fragments: 3,000 and 60,000 bytes" exchange client 10.81.1.1 --size 3000,60000 --window 4
check "and over IPv6" exchange client fd00:81:1::1 --size 3000,60000 --window 4
check "an answer that the stamp makes too large" exchange client 10.81.1.1 --size 1472
check "and over IPv6" exchange client fd00:81:1::1 --size 1452
check "the longest that comes back" exchange client 10.81.1.1 --size 65476 --window 2
equal "nothing is too big" 0 "$(service_counter server reply_too_big echo:8080)"
equal "nothing has failed to leave" 0 "$(service_counter server no_tx_frame echo:8080)"
check "what the stamp makes too long for UDP is not" exchange client 10.81.1.1 --size 65507 --answers 0 --timeout 0.3 --count 2
equal "and is counted" 2 "$(service_counter server reply_too_big echo:8080)"
check "an unserved interface is not" exchange far 10.81.2.1 --answers 0 --timeout 0.3
check "many, once each" on client "$e2e/udp.py" exchange 10.81.1.1 9000 --stamp off --count 2000 --flows 20 --size 0,1,64,1472,2000 --window 16

# ---- one room, one announcement ---------------------------------------------------------

cat >"$work/room.py" <<-'END'
	import socket, sys
	"""room.py ADDR SIZE: joins, says so many bytes, asks who is there."""
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(5)
	s.sendto(b"x" * int(sys.argv[2]), (sys.argv[1], 8090))
	s.sendto(b"/who", (sys.argv[1], 8090))
	print(s.recv(65536).decode())
	if sys.argv[3:]:
	    print("waits", flush=True)
	    data, peer = s.recvfrom(65536)
	    print(*peer, len(data), data.decode()[:60])
END
spawn "$work/local.log" server python3 "$work/room.py" 127.0.0.1 2 wait
local_member=$pid
require wait_for 5 grep -q waits "$work/local.log"
spawn "$work/wire.log" client python3 "$work/room.py" 10.81.1.1 3 wait
wire_member=$pid
require wait_for 5 grep -q waits "$work/wire.log"
matches "members on both roads are in one room" "^\* 2 here: .*127\.0\.0\.1.*10\.81\.1\.2" "$(head -1 "$work/wire.log")"
wait_for 5 is_gone "$local_member"
matches "what the one on the wire says the one here hears" "^127\.0\.0\.1 8090 .*10\.81\.1\.2:[0-9]+: xxx$" "$(tail -1 "$work/local.log")"
on server python3 "$work/room.py" 127.0.0.1 5000 >/dev/null
wait_for 5 is_gone "$wire_member"
matches "and the other way, longer than a frame" "^10\.81\.1\.1 8090 50[0-9][0-9] 127\.0\.0\.1:[0-9]+: xxx" "$(tail -1 "$work/wire.log")"
echo "to myself" >"$work/say.txt"
spawn "$work/said.log" server python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 5005)); s.settimeout(10)
print("ready", flush=True)
print(*s.recvfrom(1000))'
require wait_for 5 grep -q ready "$work/said.log"
on server "$udpxdp" chat 127.0.0.1 5005 --control "$(control server)" <"$work/say.txt" >"$work/console.log" 2>&1
wait_for 5 is_gone "$pid"
matches "a console speaks to a peer on this host" "^b'to myself' \('127.0.0.1', 8090\)$" "$(tail -1 "$work/said.log")"
on client "$e2e/plain.py" announce "from the wire" >"$work/plain.log" 2>&1
equal "an announcement on the wire is answered once" 1 "$(grep -c '^10\.81\.1\.1 8086 ' "$work/plain.log")"
on server python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.settimeout(0.5)
s.sendto(b"from here", ("10.81.1.255", 8086))
try:
    while True:
        print(*s.recvfrom(1000)[1])
except socket.timeout:
    pass' >"$work/here.log" 2>&1
equal "an announcement from this host, too" 1 "$(grep -c ' 8086$' "$work/here.log")"
check "it ends well" server_stop server
equal "every buffer and frame is accounted for" "2 0" \
	"$(grep -c ' balanced' "$(server_err server)") $(grep -c 'NOT BALANCED' "$(server_err server)")"

# ---- what the filter answers by itself: what is too big for that is not lost ----------------

server_start server -Q -s echo:8080,answer=driver,stamp=off
require pass_program client eth0
check "answered in the driver" on client "$e2e/udp.py" exchange 10.81.1.1 8080 --stamp off --size 1000 --count 20
check "fragments are answered by the sockets" on client "$e2e/udp.py" exchange 10.81.1.1 8080 --stamp off --size 3000 --count 20
server_stop server || not_ok "it ends well"
server_start server -Q -s echo:8080,answer=driver
check "up to the MTU" exchange client 10.81.1.1 --size 1441
equal "by the filter" 40 "$(port_counter server 8080 answered)"
check "beyond it, by a socket" exchange client 10.81.1.1 --size 1442,1472
check "over IPv6, too" exchange client fd00:81:1::1 --size 1422,1452
equal "not by the filter" 40 "$(port_counter server 8080 answered)"
server_stop server || not_ok "it ends well"

# ---- the rules hold on either road --------------------------------------------------------

server_start server -s echo --deny 10.81.1.0/24 --deny ::1/128
check "--deny: a fragment is no way around" exchange client 10.81.1.1 --size 3000 --answers 0 --timeout 0.3
check "--deny of this host" exchange server ::1 --answers 0 --timeout 0.3
check "the others are served" exchange server 127.0.0.1
server_stop server || not_ok "it ends well"
server_start server -s echo --limit 1/10
answered=$(on client "$e2e/udp.py" exchange 10.81.1.1 8080 --count 60 --size 3000 --flows 20 --timeout 0.4 | jq .answered)
check "--limit 1/10 of 60 fragmented: $answered" test "$answered" -ge 10 -a "$answered" -le 16
server_stop server || not_ok "it ends well"

# ---- a port that another program holds ----------------------------------------------------

spawn "$work/holder.log" server "$e2e/udp.py" serve 127.0.0.1 8080
holder=$pid
require wait_for 5 grep -q ready "$work/holder.log"
server_start server -s echo -s echo:9000,stamp=off
equal "a port that another program holds is said in one line" 1 "$(grep -c 'UDP port 8080' "$(server_err server)")"
check "XDP alone serves it" exchange client 10.81.1.1
check "its answers are as long as the MTU" exchange client 10.81.1.1 --size 1472 --answers 0 --timeout 0.3 --count 2
equal "which is counted" 2 "$(service_counter server reply_too_big echo:8080)"
check "the other port has its sockets" on server "$e2e/udp.py" exchange 127.0.0.1 9000 --stamp off --count 10
kill "$holder"
finish "$holder" 5 2>/dev/null
server_stop server || not_ok "it ends well"

server_start server -s echo --sockets off
equal "--sockets off" off "$(ready_value server sockets)"
check "nobody answers here" exchange server 10.81.1.1 --answers 0 --timeout 0.3
check "XDP serves" exchange client 10.81.1.1
server_stop server || not_ok "it ends well"
server_refuses "--sockets off with --mode sockets" 2 "leave one of them out" server -m sockets --sockets off

done_testing
