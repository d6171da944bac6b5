#!/bin/bash
# SPDX-License-Identifier: MIT
#
# answer=driver: the filter echoes by itself. Real clients on the same segment and behind a router, frames
# that no socket sends, both families; what it needs and what is said; counters; and what becomes of it
# when the server is killed, stopped, when the link goes and comes, and when the clock is old.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 v6=fd00:80:9::1

exchange() { on "${2:-client}" "$e2e/udp.py" exchange "$1" 8080 --count 40 --flows 4 "${@:3}"; }
said() { cat "$(server_err server)"; }
answered() { port_counter server 8080 answered; }
driver() { on server "$udpxdp" stats -j --pin-dir "$(pin_dir server)" |
	jq "[.services[].workers[] | select(.worker == \"driver\") | $1] | add // 0"; }

require hosts server client router far
require wire server:eth0 client:eth0
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

# ---- what it needs

server_refuses "without -Q it is refused" 2 "answer=driver.*--quiet" server -s echo:8080,answer=driver
server_refuses "with -w it is refused" 2 "answer=driver.*--write" server -Q -w "$work/x.pcap" \
	-s echo:8080,answer=driver
server_refuses "another word is refused" 2 "expected user or driver" server -Q \
	-s echo:8080,answer=kernel

server_start server -Q --mode skb -s echo:8080,answer=driver
matches "in skb mode it is said that AF_XDP answers" \
	"^udpxdp: not answering in the driver: .*skb.*; AF_XDP answers" "$(said)"
check "and it does" exchange $v4
equal "none of that by the filter" 0 "$(answered)"
check "stops well" server_stop server

# ---- the other end of a veth

require on client ethtool -K eth0 gro off
server_start server -Q --sockets off --vlan any -s echo:8080,answer=driver
matches "it is said who answers" "^udpxdp: answering in the driver: echo:8080; these answers are not printed" "$(said)"
matches "and what a veth needs" "^udpxdp: eth0 is a veth: .*XDP_PASS" "$(said)"
check "without a program there, answers are lost" on client "$e2e/udp.py" exchange $v4 8080 \
	--count 3 --answers 0 --timeout 0.3
told() { grep -q "answers of the driver were not sent" "$(server_err server)"; }
check "which is noticed" wait_for 15 told
require pass_program client eth0
check "with one, they arrive" exchange $v4

# ---- clients

before=$(answered)
check "IPv4, sizes up to what fits" exchange $v4 client --size 0,1,2,63,64,1024,1440,1441 --count 200
check "IPv6, sizes up to what fits" exchange $v6 client --size 0,1,2,63,64,1024,1420,1421 --count 200
check "no UDP checksum" exchange $v4 client --no-checksum
matches "nc" '^【[A-Z].*】 hello$' "$(echo hello | on client nc -u -w 2 -W 1 $v4 8080)"
equal "all by the filter" $((before + 441)) "$(answered)"
equal "and none by user space" 0 "$(port_counter server 8080 redirected)"
check "an answer over the MTU is not sent" on client "$e2e/udp.py" exchange $v4 8080 --size 1442 \
	--answers 0 --timeout 0.2
equal "which the filter counts" 1 "$(driver .drops.reply_too_big)"
check "nor a larger one" on client "$e2e/udp.py" exchange $v4 8080 --count 1 --size 1481 \
	--answers 0 --timeout 0.2
check "nor one to a port that could answer" on client "$e2e/udp.py" exchange $v4 8080 --source-port 7 \
	--count 1 --answers 0 --timeout 0.2
equal "which is a loop" 1 "$(driver .drops.loop)"

while read -r verdict name; do
	case $verdict in
	pass) ok "frame: $name" ;;
	*) not_ok "frame: $name" "$verdict" ;;
	esac
done < <(on client "$e2e/frames.py" eth0 "$(mac_of server)" $v4 $v6 8080 2>&1 || echo "crash $?")
on client "$e2e/frames.py" eth0 "$(mac_of server)" $v4 $v6 8080 1,7,8,4094,$((0x80007)) >"$work/frames" 2>&1
equal "frames to other MAC addresses are not answered, those of any VLAN are" "" "$(grep -v ^pass "$work/frames")"

# Who always says the same, as fast as there are answers.
reacted=$(on client "$e2e/udp.py" react $v4 8080 --text "400 Bad Request" --timeout 1)
check "a responder that always says the same is answered no more, after $reacted times" \
	test "$reacted" -ge 100 -a "$reacted" -le 600
equal "which is counted" 1 "$(driver .drops.repeated)"

# Each second of a short while, the stamp is the time of the question or of the answer.
check "the stamp is the time, to the second" on client /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 8080))
s.settimeout(2)
seconds = set()
while len(seconds) < 4:
    before = int(time.time())
    s.send(b"x")
    stamp = s.recv(100).decode()
    possible = [time.ctime(t) for t in range(before, int(time.time()) + 1)]
    assert stamp[1:25] in possible, (stamp, possible)
    seconds.add(stamp)
    time.sleep(0.001)' $v4

# ---- the sums hold

stats=$(on server "$udpxdp" stats -j --pin-dir "$(pin_dir server)")
equal "each frame to the port ended once" true "$(jq '.ports[0] as $p | .services[0] as $s |
	(($s.workers[] | select(.worker == "driver")) as $d |
	 $p.rx_packets == $p.redirected + $p.passed + $d.rx and $d.tx == $p.answered and
	 $d.rx == $d.tx + ([$d.drops[]] | add)) and
	$s.tx == ([$s.workers[].tx] | add) and
	.verdicts.answered.frames == $p.answered and .verdicts.redirected.frames == $p.redirected' <<<"$stats")"
matches "the table has them" "^8080( +[0-9]+){4} +$(answered)$" \
	"$(on server "$udpxdp" stats --pin-dir "$(pin_dir server)")"
matches "Prometheus has them" 'udpxdp_service_tx_datagrams_total.*worker="driver"} [1-9]' \
	"$(on server "$udpxdp" stats --prometheus --pin-dir "$(pin_dir server)")"

# ---- behind a router

require wire router:eth1 far:eth0
require on client ip link set eth0 down
require on server ip link del eth0
status=0
finish "${server_pid[server]}" 5 || status=$?
equal "the interface goes, and the server with it" 1 $status
unset "server_pid[server]"
require wire server:eth0 router:eth0
require address server eth0 $v4/24 $v6/64
require address router eth0 10.80.9.254/24 fd00:80:9::fe/64
require address router eth1 10.81.0.254/24 fd00:81::fe/64
require address far eth0 10.81.0.2/24 fd00:81::2/64
require on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
require on server ip route add default via 10.80.9.254
require on far ip route add default via 10.81.0.254
require on far ip -6 route add default via fd00:81::fe
require pass_program router eth0
server_start server -Q --sockets off -s echo:8080,answer=driver -s chat:8090,history=off
check "a client behind a router" exchange $v4 far
check "over IPv6" exchange $v6 far
equal "answered by the filter" 80 "$(answered)"

# ---- faults

kill -STOP "${server_pid[server]}"
check "a stopped server's filter answers as long as its stamp is the time" exchange $v4 far --count 4
silent() { on far "$e2e/udp.py" exchange $v4 8080 --count 1 --answers 0 --timeout 0.2; }
check "and no longer" wait_for 10 silent
kill -CONT "${server_pid[server]}"
check "continued, it answers" wait_for 5 exchange $v4 far --count 4
before=$(answered)
check "by the filter" exchange $v4 far
equal "all of it" $((before + 40)) "$(answered)"

require on server ip link set eth0 down
require on server ip link set eth0 up
require on server ip route replace default via 10.80.9.254
check "after the link was down it answers" wait_for 5 exchange $v4 far --count 4

require on server ip link set eth0 mtu 1400
smaller() { on far "$e2e/udp.py" exchange $v4 8080 --count 1 --size 1360 --answers 0 --timeout 0.2 &&
	[ "$(driver .drops.reply_too_big)" -ge 1 ]; }
check "a smaller MTU counts at once" wait_for 5 smaller

server_stop server KILL
equal "killed, nothing is left" "" "$(xdp_programs server eth0)"
check "and nothing answers" silent
server_start server -Q -s echo:8080,answer=driver,stamp=off
check "without stamps" on far "$e2e/udp.py" exchange $v4 8080 --stamp off --count 20
equal "by the filter" 20 "$(answered)"
check "stops well" server_stop server
equal "no program is left" "" "$(xdp_programs server eth0)"

done_testing
