#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Announcements over several hosts: what one console says is heard on every segment, and who replies
# there is shown at that console with the host's name.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/rooms.bash
. "$e2e/rooms.bash"

require hosts hosta hostb hostc broker plainb plainc
require segment 96 s1 hosta hostb broker plainb
require segment 97 s2 hostc plainc
require wire broker:eth1 s2:portb
require on s2 ip link set portb master br0
require address broker eth1 10.80.97.3/24
for plain in plainb plainc; do
	require on $plain ip route add default dev eth0
	spawn "$work/$plain.log" $plain "$e2e/plain.py" answer $plain
	require wait_for 5 on $plain sh -c "ss -Hlun sport = :8086 | grep -q 8086"
done

require broker_start
serve_as hosta -s broadcast,nats=nats://10.80.96.3
serve_as hostb -s broadcast,nats=nats://10.80.96.3 -s chat,nats=nats://10.80.96.3
serve_as hostc -s broadcast,nats=nats://10.80.97.3
for host in hosta hostb hostc; do require wait_for 5 is_connected $host broadcast; done

# Who is new to a host is heard when the kernel has found it; until then another host's word may be faster.
require on hosta ping -q -c 1 -W 5 10.80.96.2
require on plainb ping -q -c 1 -W 5 10.80.96.1
require on plainb ping -q -c 1 -W 5 10.80.96.2

# announce HOST TEXT: at a console there; what it shows is in $work/console.log.
announce() {
	on "$1" "$udpxdp" broadcast --wait 1 --control "$(control "$1")" "$2" >"$work/console.log" 2>&1
}

# heard HOST TEXT: how often a plain receiver there heard it.
heard() {
	grep -cE "】$2\$" "$work/$1.log"
}

announce hosta lunch
equal "the console ends well" 0 $?
equal "the announcer's segment hears it once, and so does the other" "1 1" "$(heard plainb lunch) $(heard plainc lunch)"
matches "a reply of the other segment is shown with its host's name" '^10\.80\.97\.2:8086 .*hostc: 【.*】plainc$' "$(cat "$work/console.log")"
matches "one of the own segment as ever" '^10\.80\.96\.4:8086 [^:]*【.*】plainb$' "$(cat "$work/console.log")"
matches "and other nodes reply" '^10\.80\.96\.2:8086 .*】hostb$' "$(cat "$work/console.log")"
equal "each once" 3 "$(wc -l <"$work/console.log")"
announce hostc dinner
matches "what the single host of a segment says is heard on the other" '^[12]$' "$(heard plainb dinner)"
matches "and replies come back" '^10\.80\.96\.4:8086 .*host[ab]: 【.*】plainb$' "$(cat "$work/console.log")"
on plainc "$e2e/plain.py" announce "from a plain one" >/dev/null 2>&1
announce hosta "behind it"
equal "what no console says stays on its segment" 0 "$(heard plainb "from a plain one")"
equal "a room of announcements is no chat" 0 "$(room_counter hostb received)"

broker_kill
announce hosta "without a broker"
equal "without a broker the own segment is served" "1 0" "$(heard plainb "without a broker") $(heard plainc "without a broker")"
require broker_start
for host in hosta hostc; do require wait_for 5 is_connected $host broadcast; done
announce hosta again
equal "with it all are" "1 1" "$(heard plainb again) $(heard plainc again)"
matches "what the other missed is announced within five seconds or never, and not twice" '^[01]$' "$(heard plainc "without a broker")"
done_testing
