#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One server on several interfaces: one room, announcements on each, one that goes costs its own
# traffic only.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server a b c
require wire server:eth0 a:eth0
require wire server:eth1 b:eth0 rx=4 tx=4
require wire server:eth2 c:eth0
require address server eth0 10.83.1.1/24 fd00:83:1::1/64
require address a eth0 10.83.1.2/24 fd00:83:1::2/64
require address server eth1 10.83.2.1/24 fd00:83:2::1/64
require address b eth0 10.83.2.2/24 fd00:83:2::2/64
require address server eth2 10.83.3.1/24
require address c eth0 10.83.3.2/24
pins=$(pin_dir server)

# exchange HOST ADDR [ARG...]
exchange() {
	local host=$1 addr=$2
	shift 2
	on "$host" "$e2e/udp.py" exchange "$addr" 8080 --count 40 --flows 8 "$@"
}

server_start server -i eth0 -i eth1 -i eth2 -v -s echo -s broadcast -s chat,history=off
equal "the ready line" "iface=eth0,eth1,eth2 mode=copy,copy,copy queues=1,4,1 sockets=on" \
	"$(grep -o 'iface=.* sockets=on' "$(server_err server)")"
check "the first is served" exchange a 10.83.1.1
check "the second" exchange b 10.83.2.1
check "on all its queues" exchange b 10.83.2.1 --flows 40 --count 200
check "over IPv6" exchange b fd00:83:2::1
check "the third" exchange c 10.83.3.1
check "an address of another interface" exchange a 10.83.1.1
check "clients on this host, of any of them" exchange server 10.83.3.1
check "fragments on the second" exchange b 10.83.2.1 --size 3000
check "an answer too large for the second" exchange b 10.83.2.1 --size 1472
equal "each has its counters" "80 320" "$(port_counter server 8080 redirected) $(bpftool -j map dump pinned "$pins-eth1/port_counters" |
	jq '[.[].formatted | select(.key == 8080) | .values[].value.redirected] | add')"

equal "stats --control adds them up" 440 "$("$udpxdp" stats -j --control "$(control server)" | jq '.ports[] | select(.port == 8080) | .redirected')"

# ---- one room

cat >"$work/member.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(15)
	s.sendto(b"hello from " + sys.argv[2].encode(), (sys.argv[1], 8090))
	s.sendto(b"/who", (sys.argv[1], 8090))
	print("in", flush=True)
	while True:
	    data, peer = s.recvfrom(65536)
	    print(peer[0], data.decode(), flush=True)
	    if data.endswith(b"bye"):
	        break
END
spawn "$work/a.log" a python3 "$work/member.py" 10.83.1.1 a
member_a=$pid
require wait_for 5 grep -q ' \* 1 here' "$work/a.log"
spawn "$work/b.log" b python3 "$work/member.py" 10.83.2.1 b
member_b=$pid
require wait_for 5 grep -q ' \* 2 here' "$work/b.log"
spawn "$work/here.log" server python3 "$work/member.py" 127.0.0.1 here
member_here=$pid
require wait_for 5 grep -q ' \* 3 here' "$work/here.log"
matches "one room: the first hears the second" "10\.83\.1\.1 10\.83\.2\.2:[0-9]+: hello from b" "$(cat "$work/a.log")"
matches "and the one on this host" "10\.83\.1\.1 127\.0\.0\.1:[0-9]+: hello from here" "$(cat "$work/a.log")"
on c python3 -c '
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"bye", ("10.83.3.1", 8090))'
for member in "$member_a" "$member_b" "$member_here"; do
	wait_for 5 is_gone "$member" || not_ok "everybody hears what the third says"
done
matches "from the address that it speaks to" "10\.83\.2\.1 10\.83\.3\.2:[0-9]+: bye" "$(cat "$work/b.log")"

# ---- announcements

declare -A hearers
for host in a b c; do
	spawn "$work/hear-$host.log" $host python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 8086)); s.settimeout(10)
print("ready", flush=True)
data, peer = s.recvfrom(1000)
print(peer[0], data.decode())'
	hearers[$host]=$pid
	require wait_for 5 grep -q ready "$work/hear-$host.log"
done
echo "to all" | on server "$udpxdp" broadcast --control "$(control server)" --wait 0 >"$work/console.log" 2>&1
for host in a b c; do
	wait_for 5 is_gone "${hearers[$host]}"
done
matches "an announcement goes out on the first" "^10\.83\.1\.1 .*to all" "$(tail -1 "$work/hear-a.log")"
matches "on the second" "^10\.83\.2\.1 .*to all" "$(tail -1 "$work/hear-b.log")"
matches "on the third" "^10\.83\.3\.1 .*to all" "$(tail -1 "$work/hear-c.log")"

# A console speaks to a peer on whichever interface it is.
spawn "$work/said.log" b python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5005)); s.settimeout(10)
print("ready", flush=True)
print(*s.recvfrom(1000))'
require wait_for 5 grep -q ready "$work/said.log"
echo "to b" | on server "$udpxdp" chat 10.83.2.2 5005 --control "$(control server)" --wait 0 >"$work/console.log" 2>&1
wait_for 5 is_gone "$pid"
matches "a console's line finds its interface" "^b'to b' \('10.83.2.1', 8090\)$" "$(tail -1 "$work/said.log")"

# ---- what comes and goes

require on server ip address add 10.83.4.1/24 dev eth1
require on b ip address add 10.83.4.2/24 dev eth0
check "addresses are followed on each" wait_for 5 exchange b 10.83.4.1 --count 4
spawn "$work/load.log" a "$e2e/udp.py" exchange 10.83.1.1 8080 --count 3000 --window 8
loaded=$pid
require on server ip link del eth1
check "under load, one that goes costs the others nothing" finish "$loaded" 20
check "it is said" wait_for 5 grep -q "eth1 is gone" "$(server_err server)"
check "the first goes on" exchange a 10.83.1.1
check "the third goes on" exchange c 10.83.3.1
check "and local clients" exchange server 127.0.0.1
check "without spinning" idles "${server_pid[server]}"
require on server ip link del eth0
check "even without the first" wait_for 5 exchange c 10.83.3.1
require on server ip link del eth2
check "the last one ends it" wait_for 5 is_gone "${server_pid[server]}"
finish "${server_pid[server]}" 1
equal "with status 1" 1 $?
unset "server_pid[server]"
equal "every frame is accounted for" "6 0" \
	"$(grep -c ' balanced$' "$(server_err server)") $(grep -c 'NOT BALANCED' "$(server_err server)")"
equal "no pins are left" "" "$(ls -d "$pins"* 2>/dev/null)"

# ---- kernel sockets alone

require wire server:eth0 a:eth0
require wire server:eth1 b:eth0
require wire server:eth2 c:eth0
require address server eth0 10.83.1.1/24
require address a eth0 10.83.1.2/24
require address server eth1 10.83.2.1/24
require address b eth0 10.83.2.2/24
require address server eth2 10.83.3.1/24
require address c eth0 10.83.3.2/24
server_start server -m sockets -i eth0 -i eth1 -s echo
equal "--mode sockets on two interfaces" eth0,eth1 "$(ready_value server iface)"
check "the first" exchange a 10.83.1.1
check "the second" exchange b 10.83.2.1
check "no other" exchange c 10.83.3.1 --answers 0 --timeout 0.3
check "and this host" exchange server 127.0.0.1
check "it ends well" server_stop server
require on server ip link del eth0

# ---- what is refused

require wire server:eth0 a:eth0
if on server ip link add br0 type bridge 2>/dev/null; then
	require on server ip link set eth0 master br0
	require on server ip link set br0 up
	server_refuses "a bridge and its member" 4 "member of br0" server -i br0 -i eth0
	require on server ip link set eth0 nomaster
else
	skip "a bridge and its member" "no bridge can be made here"
fi
server_refuses "one named twice" 2 "named twice" server -i eth0 -i eth0
server_refuses "the second does not exist" 4 "nowhere" server -i eth0 -i nowhere

done_testing
