#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `udpxdp check`: what it finds out about real interfaces, with the command that cures it; and it
# changes nothing.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

hosts one two
wire one:eth0 two:eth0 rx=4 tx=1 || bail "a veth pair" "wire"

# checks IFACE: its status and findings, into $status and $found.
checks() {
	found=$(on one "$udpxdp" check "$@" 2>&1)
	status=$?
}

is_up() { on one ip link show eth0 | grep -q 'state UP'; } # the kernel takes a moment to say so
require wait_for 5 is_up
before=$(on one ip -d link show)
checks eth0
equal "a queue without a TX queue of its number: status" 1 "$status"
matches "and the cure" "slow +queues .*4 RX queues but 1 TX queue.*"$'\n'" +ethtool -L eth0 rx 1" "$found"
matches "the driver is known" "note +zerocopy +veth has no zero copy" "$found"
check "JSON is JSON" jq -e '.iface == "eth0" and .driver == "veth" and
	(.findings | map(select(.topic == "queues")) | length == 1)' <<<"$(on one "$udpxdp" check -j eth0)"

on one ethtool -L eth0 rx 1 || note "ethtool: $?"
checks eth0
equal "cured: status" 0 "$status"

on one ip link set eth0 mtu 3600
checks eth0
if printf '%s\n' 5.18 "$(uname -r)" | sort -CV; then
	equal "an MTU between a page and a chunk is native, too" 0 "$(grep -c ' mtu ' <<<"$found")"
else
	matches "an MTU too large for native XDP" "slow +mtu .*"$'\n'" +ip link set eth0 mtu 3506" "$found"
fi
on one ip link set eth0 mtu 9000
checks eth0
matches "a jumbo interface" "slow +mtu .*kernel sockets"$'\n'" +ip link set eth0 mtu 3818" "$found"
on one ip link set eth0 mtu 1500

on one ip link add br0 type bridge
on one ip link set eth0 master br0
checks eth0
matches "a bridge's port" "note +bridge .*port of bridge br0.*"$'\n'" +-i br0" "$found"
on one ip link set eth0 nomaster

spawn "$work/held" one python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 8086))
print('bound', flush=True)
time.sleep(60)"
wait_for 10 grep -q bound "$work/held" || bail "a socket holds the port" "$(cat "$work/held")"
checks eth0
matches "a port that another program holds" "slow +port +a kernel socket is bound to UDP port 8086: " "$found"
equal "and only that one" 1 "$(grep -c '  port  ' <<<"$found")"
kill "$pid"

server_start one -s echo || bail "it serves" "$(cat "$(server_err one)")"
checks eth0
matches "served already" "broken +xdp +another udpxdp serves it already, by XDP program [0-9]+"$'\n'" +stop that one$" "$found"
equal "whose sockets are no other program's" 0 "$(grep -c '  port  ' <<<"$found")"
server_stop one || not_ok "it stops well"

on one ip link set eth0 down
checks eth0
matches "a link that is down" "broken +link +it is down"$'\n'" +ip link set eth0 up" "$found"
equal "is broken: status" 4 "$status"
on one ip link set eth0 up

checks lo
equal "the loopback interface: status" 4 "$status"
checks none0
equal "no such interface: status" 4 "$status"
matches "no such interface" "^udpxdp: interface none0: No such device; " "$found"
output=$(on one setpriv --reuid 65534 --clear-groups --bounding-set=-all --no-new-privs \
	"$udpxdp" check eth0 2>&1)
matches "a plain user may ask, too" "note +perfmon +without CAP_PERFMON" "$output"

on one ip link del br0
equal "nothing was changed" "$(sed 's/state.*//' <<<"$before")" "$(on one ip -d link show | sed 's/state.*//')"
done_testing
