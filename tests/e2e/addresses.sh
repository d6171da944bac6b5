#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Which destinations are ours follows the addresses of the host while udpxdp runs: new ones,
# removed ones, ones on other interfaces, anycast ones on the loopback.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client other
require wire server:eth0 client:eth0
require wire server:eth1 other:eth0
require address server eth0 10.80.9.1/24 fd00:80:9::1/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64
require on client ip route add 192.0.2.0/24 via 10.80.9.1
require on client ip route add 2001:db8::/32 via fd00:80:9::1

exchange() {
	on client "$e2e/udp.py" exchange "$1" 8080 --count 5 --timeout 0.2
}

# soon ADDRESS: the next second is soon enough.
soon() {
	wait_for 1 exchange "$1" && exchange "$1"
}

# The address is nobody's now, so nobody answers ARP or ND for it; the frames shall arrive still.
keep_neighbour() {
	on client ip neighbour replace "$1" lladdr "$(mac_of server)" dev eth0 nud permanent
}

no_longer() {
	keep_neighbour "$1"
	wait_for 1 silent "$1" && silent "$1"
}

silent() {
	on client "$e2e/udp.py" exchange "$1" 8080 --count 3 --timeout 0.1 --answers 0
}

server_start server --service echo
check "the address it started with" exchange 10.80.9.1
check "the IPv6 address it started with" exchange fd00:80:9::1

for address in 10.80.9.50/24 fd00:80:9::50/64; do
	check "$address is not ours yet" silent "${address%/*}"
	require address server eth0 $address
	check "$address, added while it runs, is served" soon "${address%/*}"
	require on server ip address del $address dev eth0
	check "$address, removed, is not" no_longer "${address%/*}"
	before=$(verdict server FRAME_NOT_OURS)
	check "so its datagrams are passed" silent "${address%/*}"
	equal "and counted as not ours" 3 $(($(verdict server FRAME_NOT_OURS) - before))
	require address server eth0 $address
	check "$address, added again, is served again" soon "${address%/*}"
done

for address in 192.0.2.53/32 2001:db8::53/128; do
	require address server lo $address
	check "anycast: $address on the loopback is served" soon "${address%/*}"
	require on server ip address del $address dev lo
	check "and no longer once it is removed" no_longer "${address%/*}"
done

require address server eth1 192.0.2.129/25 2001:db8:1::1/64
check "an address of another interface is served" soon 192.0.2.129
check "an IPv6 address of another interface is served" soon 2001:db8:1::1

# As many as a large host has; each one event.
for n in $(seq 1 250); do
	echo "address add 198.51.100.$n/32 dev lo"
done >"$work/addresses"
require on client ip route add 198.51.100.0/24 via 10.80.9.1
require on server ip -batch "$work/addresses"
check "250 addresses at once: the last" soon 198.51.100.250
for n in 1 77 128 249; do
	check "250 addresses at once: number $n" exchange 198.51.100.$n
done

# An address with a broadcast address of its own: never ours for echo.
check "the subnet's broadcast address is not echo's business" on client /usr/bin/python3 - <<-'END'
	import socket
	peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
	peer.settimeout(0.2)
	peer.sendto(b"everybody", ("10.80.9.255", 8080))
	try:
	    raise SystemExit("answered: %r" % (peer.recvfrom(2048),))
	except socket.timeout:
	    pass
END

done_testing
