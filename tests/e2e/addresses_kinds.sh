#!/bin/bash
# SPDX-License-Identifier: MIT
#
# An address means what it means to the kernel, however it was configured: which destinations are
# the host's, which are broadcasts, and who is on the link. Of destinations the kernel is the
# judge, side by side: a datagram is taken if and only if a kernel socket gets its like.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.99.0.1/30
require address client eth0 10.80.9.2/24
server_start server --sockets off -s echo -s broadcast
spawn "$work/kernel.log" server "$e2e/dests.py" listen 9999
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket" "$(cat "$work/kernel.log")"
mac=$(mac_of server)
next=20000

# both MAC PORT DEST...: of which destinations the filter takes what is sent to PORT, and the kernel.
both() {
	local to=$1 port=$2 dest before after
	shift 2
	filters='' kernels=''
	before=$(port_counter server "$port" redirected)
	for dest; do
		on client "$e2e/dests.py" send eth0 "$to" 10.80.9.2 $((++next)) "$dest" "$port" 9999
		after=$(port_counter server "$port" redirected)
		[ "$after" = "$before" ] || filters+=" $dest"
		before=$after
		! grep -qx $next "$work/kernel.log" || kernels+=" $dest"
	done
}

agree() {
	both "$@"
	[ "$filters" = "$kernels" ]
}

# same NAME MAC PORT DEST...: at once or when the news of addresses are in.
same() {
	local name=$1
	shift
	wait_for 2 agree "$@"
	equal "$name:$kernels" "$kernels" "$filters"
}

all=255.255.255.255

# configured NAME BROADCASTS ADDRESS-ARGUMENTS...: an address, and what of these is a broadcast then.
configured() {
	local name=$1 broadcasts=$2
	shift 2
	require on server ip address add "$@" dev eth0
	same "$name: unicast" "$mac" 8080 10.80.9.1 10.80.9.3
	same "$name: broadcast" ff:ff:ff:ff:ff:ff 8086 10.80.9.255 10.80.9.127 10.80.255.255 $all
	equal "$name: as was meant" "$broadcasts $all" "${kernels# }"
	require on server ip address del "$1" dev eth0
}

configured "without brd" 10.80.9.255 10.80.9.1/24
configured "brd +" 10.80.9.255 10.80.9.1/24 brd +
configured "another brd" "10.80.9.255 10.80.9.127" 10.80.9.1/24 brd 10.80.9.127
configured "/16" 10.80.255.255 10.80.9.1/16 brd +
configured "a brd of a wider subnet" "10.80.9.255 10.80.255.255" 10.80.9.1/24 brd 10.80.255.255
configured "/32 with brd" 10.80.9.255 10.80.9.1/32 brd 10.80.9.255
configured "noprefixroute" 10.80.9.255 10.80.9.1/24 noprefixroute
configured "scope link" 10.80.9.255 10.80.9.1/24 scope link
configured "scope host" 10.80.9.255 10.80.9.1/24 scope host
configured "deprecated" 10.80.9.255 10.80.9.1/24 preferred_lft 0
configured "a label and a metric" 10.80.9.255 10.80.9.1/24 label eth0:1 metric 77
configured "a peer's subnet" 10.80.9.255 10.80.9.1 peer 10.80.9.2/24

# Those without a broadcast address but everybody's.
for address in 10.80.9.1/31 10.80.9.1/32 "10.80.9.1 peer 10.80.9.2"; do
	# shellcheck disable=SC2086 # words
	require on server ip address add $address dev eth0
	same "$address: broadcast" ff:ff:ff:ff:ff:ff 8086 10.80.9.255 $all
	require on server ip address del "${address%% *}" dev eth0
done

require on server ip address add 10.80.9.1/24 dev eth0
require on server ip address add 10.80.9.3/24 brd 10.80.9.127 dev eth0
same "a secondary address: unicast" "$mac" 8080 10.80.9.1 10.80.9.3
same "a secondary address: broadcast" ff:ff:ff:ff:ff:ff 8086 10.80.9.255 10.80.9.127 $all
require on server ip address del 10.80.9.1/24 dev eth0 # the kernel takes its secondary ones along
same "the first one removed: unicast" "$mac" 8080 10.80.9.1 10.80.9.3
same "the first one removed: broadcast" ff:ff:ff:ff:ff:ff 8086 10.80.9.255 10.80.9.127

# ---- who is on the link: a route may come after its address, as network managers make it


ask() {
	on client timeout 3 /usr/bin/python3 - <<-'END'
		import socket
		peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
		peer.settimeout(0.2)
		peer.bind(("10.80.9.2", 0))
		peer.sendto(b"is anybody there on this subnet of ours?", ("10.80.9.255", 8086))
		raise SystemExit(peer.recvfrom(2048)[1][0] != "10.80.9.1")
	END
}

silence() {
	! ask
}

require on server ip address add 10.80.9.1/24 noprefixroute dev eth0
check "no route to the subnet: nobody is on the link" wait_for 2 silence
require on server ip route add 10.80.9.0/24 dev eth0
check "the route is made: its hosts are" wait_for 2 ask
require on server ip route del 10.80.9.0/24 dev eth0
check "and no longer when it is gone" wait_for 2 silence
require on server ip route add 10.80.9.2/31 dev eth0
check "a route to a part of it: its hosts are" wait_for 2 ask
server_stop server || not_ok "it ends well"

done_testing
