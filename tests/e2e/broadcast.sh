#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Announcements on one segment: udpxdp with udpxdp, and with programs over plain sockets.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts one two three plain
require segment 86 switch one two three plain
for host in plain one; do
	require on $host ip route add default dev eth0
done
day='(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3][0-9] [0-9:]{8} 2[0-9]{3}'

# watch FILE: the announcements between the first node and the switch, until stop_watch.
watch() {
	watched=$1
	spawn "$work/tcpdump.log" switch tcpdump -i port1 --immediate-mode -U -n -w "$1" "udp port 8086 or icmp"
	watcher=$pid
	require wait_for 5 grep -q listening "$work/tcpdump.log"
}

# What was on the wire before this ping is in the file when the ping is.
stop_watch() {
	require on one ping -q -c 1 -W 5 10.80.86.4
	require wait_for 5 holds_ping
	kill -INT "$watcher"
	finish "$watcher" 5
}

holds_ping() {
	tcpdump -r "$watched" icmp 2>/dev/null | grep -q reply
}

count() {
	tshark -r "$1" -o udp.check_checksum:TRUE -Y "$2" 2>/dev/null | wc -l
}

hostname=$(hostname)

# ---- three nodes: one announcement, one reply each, and no loop -------------------------

for node in one two three; do
	server_start $node --service broadcast --verbose
done

watch "$work/nodes.pcap"
on one "$udpxdp" broadcast --control "$(control one)" "lunch is ready" >"$work/console.log" 2>&1
equal "the console ends well" 0 $?
stop_watch

equal "one announcement leaves" 1 "$(count "$work/nodes.pcap" 'ip.dst == 255.255.255.255')"
equal "as a broadcast frame, from the node's address and port, with TTL 1" 1 \
	"$(count "$work/nodes.pcap" 'ip.dst == 255.255.255.255 && eth.dst == ff:ff:ff:ff:ff:ff && ip.src == 10.80.86.1 && udp.srcport == 8086 && udp.dstport == 8086 && ip.ttl == 1')"
equal "nothing is said twice: an announcement and two replies" 3 "$(count "$work/nodes.pcap" udp)"
equal "all checksums are right" 0 "$(count "$work/nodes.pcap" 'udp.checksum.status == 0 || ip.checksum.status == 0')"
equal "each other node replies once" "10.80.86.2 10.80.86.3" \
	"$(grep -oE '^10\.80\.86\.[0-9]+' "$work/console.log" | sort | xargs)"
matches "a reply is the time and the host's name" "【$day】$hostname" "$(cat "$work/console.log")"
equal "no node answers a reply" "1 2" \
	"$(service_counter one tx broadcast:8086) $(service_counter one rx broadcast:8086)"
equal "every other node heard it once and said one thing" "1 1 1 1" \
	"$(for n in two three; do service_counter $n rx; service_counter $n tx; done | xargs)"
matches "it is printed where it is heard" "broadcast recv 10.80.86.1:8086 \"【$day】lunch is ready\"" \
	"$(cat "$(server_out two)")"
matches "and where it is sent" "broadcast send 255.255.255.255:8086 \"【$day】lunch is ready\"" \
	"$(cat "$(server_out one)")"

# ---- lines from a pipe -------------------------------------------------------------------

printf 'first\nsecond\n' | on one "$udpxdp" broadcast --control "$(control one)" >"$work/lines.log" 2>&1
equal "each line of standard input is announced" 4 "$(grep -c '^10\.80\.86\.' "$work/lines.log")"

# ---- programs that know nothing of udpxdp ------------------------------------------------

server_stop three
spawn "$work/answer.log" plain "$e2e/plain.py" answer plain-python
answerer=$pid
require wait_for 5 on plain sh -c "ss -Hlun sport = :8086 | grep -q 8086"
on one "$udpxdp" broadcast --control "$(control one)" "to the plain ones" >"$work/console.log" 2>&1
matches "a plain receiver hears an announcement" "^10.80.86.1 8086 【$day】to the plain ones$" \
	"$(cat "$work/answer.log")"
matches "its reply is shown" "10.80.86.4:8086 .*【$day】plain-python" "$(cat "$work/console.log")"
kill "$answerer"
finish "$answerer" 5 2>/dev/null

on plain "$e2e/plain.py" announce "from a plain one" >"$work/plain.log" 2>&1
equal "a plain broadcaster gets one reply from each node" "10.80.86.1 10.80.86.2" \
	"$(grep -E "8086 【$day】$hostname\$" "$work/plain.log" | cut -d' ' -f1 | sort | xargs)"

# ---- answer=off, off the subnet, no address ----------------------------------------------

server_stop two
server_start two --service broadcast,answer=off
on plain "$e2e/plain.py" announce "who answers" >"$work/plain.log" 2>&1
equal "answer=off keeps silent" "10.80.86.1" "$(grep -v '255' "$work/plain.log" | cut -d' ' -f1 | grep -v '86\.4' | xargs)"

require on plain ip addr add 172.16.9.9/32 dev eth0
require on plain ip route replace default dev eth0 src 172.16.9.9
before=$(service_counter one tx)
on plain "$e2e/plain.py" announce "from afar" >"$work/plain.log" 2>&1
matches "an announcement from off the subnet is heard" 'recv 172.16.9.9:8086 "【.*from afar"' "$(cat "$(server_out one)")"
equal "and not answered" "$before 1" "$(service_counter one tx) $(service_counter one off_subnet)"

# ---- another name ------------------------------------------------------------------------

server_stop two
printf '#!/bin/sh\nexec unshare --uts "%s" "$@"\n' "$udpxdp" >"$work/own-name"
chmod 755 "$work/own-name"
udpxdp=$work/own-name server_start two --service broadcast -v
require nsenter --uts="/proc/${server_pid[two]}/ns/uts" hostname renamed-host
check "a new host name is noticed" wait_for 5 grep -q "host name is now renamed-host" "$(server_err two)"
on one "$udpxdp" broadcast --control "$(control one)" "who are you now?" >"$work/console.log" 2>&1
matches "and is what replies say" '^10\.80\.86\.2:8086 .*】renamed-host$' "$(cat "$work/console.log")"

require on three ip addr flush dev eth0
require on three ip addr add fd00:80:86::3/64 dev eth0 nodad
server_start three --service broadcast --service echo
equal "an interface without IPv4 is said once" 1 "$(grep -c 'no IPv4' "$(server_err three)")"
status=0
on three "$udpxdp" broadcast --control "$(control three)" "hello?" >"$work/console.log" 2>&1 || status=$?
matches "a console there is told why" "no IPv4 address" "$(cat "$work/console.log")"
check "and the rest is served" on one "$e2e/udp.py" exchange fd00:80:86::3 8080 --count 3
equal "still said once" 1 "$(grep -c 'no IPv4' "$(server_err three)")"

done_testing
