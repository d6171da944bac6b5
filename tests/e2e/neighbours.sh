#!/bin/bash
# SPDX-License-Identifier: MIT
# The way to a peer that never spoke to us, as the kernel knows it or finds it out: routes,
# gateways, neighbours, bridges, VLANs, and everything that is no way.
export E2E_NO_SERVER=yes
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
program=$BUILD/tests/e2e/resolve

# resolve ADDR...: on host a, by its eth0.
resolve() {
	on a timeout 20 "$program" eth0 "$@"
}

mac() {
	on "$1" ip -j link show "$2" | jq -r '.[0].address'
}

a() {
	on a ip "$@"
}

forget() {
	require a neighbour flush all nud all
}

link_local() {
	on "$1" ip -j -6 address show dev eth0 scope link | jq -r '.[].addr_info[]?.local // empty'
}

# patience MS: how long the kernel waits for each answer.
patience() {
	require on a sysctl -qw "net.ipv4.neigh.eth0.retrans_time_ms=$1" \
		"net.ipv6.neigh.eth0.retrans_time_ms=$1" net.ipv4.neigh.eth0.delay_first_probe_time=1
}

# way NAME ADDR SOURCE MAC [LOCAL_MAC] [TAGS]
way() {
	equal "$1" "$2: from $3 ${5:-$(mac a eth0)} to $4${6:-}" "$(resolve "$2")"
}

no_way() {
	local said
	said=$(resolve "$2")
	equal "$2: $1" "$2: error $1" "${said%; *}"
}

# a, b and the router r on one segment; c behind r.
require hosts a b c r
require segment 1 switch a b r
require wire r:eth1 c:eth0
require address r eth1 10.80.2.1/24 fd00:80:2::1/64
require address c eth0 10.80.2.2/24 fd00:80:2::2/64
require routes r

# ---- on the link ----

way "a neighbour never heard of" 10.80.1.2 10.80.1.1 "$(mac b eth0)"
way "a neighbour that is known" 10.80.1.2 10.80.1.1 "$(mac b eth0)"
way "IPv6: a neighbour never heard of" fd00:80:1::2 fd00:80:1::1 "$(mac b eth0)"
way "IPv6: a link-local address" "$(link_local b)" "$(link_local a)" "$(mac b eth0)"

require a neighbour replace 10.80.1.50 lladdr 02:00:00:00:00:50 dev eth0 nud permanent
way "a permanent neighbour" 10.80.1.50 10.80.1.1 02:00:00:00:00:50

require a neighbour replace 10.80.1.2 lladdr 02:00:00:00:00:02 dev eth0 nud stale
way "a stale neighbour is used as it is" 10.80.1.2 10.80.1.1 02:00:00:00:00:02
patience 100
given_up() { [ "$(a -j neighbour show 10.80.1.2 | jq -r '.[0].state[0]')" = FAILED ]; }
check "and the kernel verifies it" wait_for 10 given_up
way "and finds it anew" 10.80.1.2 10.80.1.1 "$(mac b eth0)"

# ---- nobody answers ----

patience 3000
begin=${EPOCHREALTIME/./}
equal "nobody answers: the wait has an end" \
	"10.80.1.99: error no answer to ARP from 10.80.1.99
fd00:80:1::99: error no answer to ND from fd00:80:1::99" \
	"$(resolve 10.80.1.99 fd00:80:1::99 | sed 's/; .*//')"
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
check "after three seconds ($took ms)" [ "$took" -gt 2900 -a "$took" -lt 4500 ]
patience 200
forget
begin=${EPOCHREALTIME/./}
for _ in first again; do
	no_way "no answer to ARP from 10.80.1.99" 10.80.1.99
	no_way "no answer to ND from fd00:80:1::99" fd00:80:1::99
done
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
check "no longer than the kernel tries, and it tries again each time ($took ms)" \
	[ "$took" -gt 1200 -a "$took" -lt 6000 ]

# ---- later, together, too many ----

forget
patience 1000
spawn "$work/asked.log" b tcpdump -lni eth0 -c 2 "arp and arp[24:4] = 0x0a50013c"
asked=$pid
require wait_for 5 grep -q listening "$work/asked.log"
resolve 10.80.1.60 >"$work/late.out" &
pid=$!
require finish "$asked" 5
require address b eth0 10.80.1.60/24
wait "$pid"
equal "a neighbour that appears after two questions" \
	"10.80.1.60: from 10.80.1.1 $(mac a eth0) to $(mac b eth0)" "$(cat "$work/late.out")"

forget
patience 200
require a route replace 10.80.2.0/24 via 10.80.1.3
equal "who waits for the same neighbour is answered in order" "10.80.2.2 10.80.1.3 10.80.2.3 10.80.1.3 10.80.2.2" \
	"$(resolve 10.80.2.2 10.80.1.3 10.80.2.3 10.80.1.3 10.80.2.2 | sed 's/:.*//' | xargs)"

mapfile -t nobody < <(seq -f 10.80.1.%g 101 170)
resolve "${nobody[@]}" >"$work/many.out"
equal "so many can be looked for at a time" "64 6" \
	"$(grep -c 'error no answer to ARP' "$work/many.out") $(grep -c 'error too many peers' "$work/many.out")"

# ---- through a router ----

forget
require a route replace 10.80.2.0/24 via 10.80.1.3
require a route replace fd00:80:2::/64 via fd00:80:1::3
way "through a router" 10.80.2.2 10.80.1.1 "$(mac r eth0)"
way "IPv6: through a router" fd00:80:2::2 fd00:80:1::1 "$(mac r eth0)"
require address a eth0 10.80.1.40/24
require a route replace 10.80.2.0/24 via 10.80.1.3 src 10.80.1.40
way "from the address that the route prefers" 10.80.2.2 10.80.1.40 "$(mac r eth0)"
forget
require a route replace 10.80.2.0/24 via inet6 fd00:80:1::3 dev eth0
way "IPv4 through a router known by its IPv6 address" 10.80.2.2 10.80.1.1 "$(mac r eth0)"
require a route replace 198.51.100.0/24 via 10.80.1.98
no_way "no answer to ARP from 10.80.1.98" 198.51.100.7
require a route replace 198.51.100.0/24 via inet6 fd00:80:1::98 dev eth0
no_way "no answer to ND from fd00:80:1::98" 198.51.100.7

# ---- no way ----

no_way "no route to 192.0.2.1" 192.0.2.1
no_way "no route to 2001:db8::1" 2001:db8::1
for type in unreachable blackhole prohibit; do
	require a route replace "$type" 192.0.2.0/24
	require a -6 route replace "$type" 2001:db8::/64
	no_way "192.0.2.1 is unreachable by its route" 192.0.2.1
	no_way "2001:db8::1 is unreachable by its route" 2001:db8::1
done
for own in 10.80.1.1 fd00:80:1::1 "$(link_local a)" 127.0.0.1 127.1.2.3 ::1; do
	no_way "$own is an address of this host" "$own"
done
for everybody in 255.255.255.255 10.80.1.255; do
	no_way "$everybody is a broadcast address" "$everybody"
done
for many in 224.0.0.1 239.1.2.3 ff02::1; do
	no_way "$many is a multicast address" "$many"
done
for none in 0.0.0.0 0.1.2.3 ::; do
	no_way "$none is not a host address" "$none"
done

require hosts d
require wire a:eth9 d:eth0
require address a eth9 10.80.9.1/24 fd00:80:9::1/64
no_way "the route to 10.80.9.2 leaves by eth9, not by this interface" 10.80.9.2
no_way "the route to fd00:80:9::2 leaves by eth9, not by this interface" fd00:80:9::2

# ---- VLANs ----

if a link add link eth0 name eth0.5 type vlan id 5 2>"$work/vlan"; then
	require a link add link eth0.5 name eth0.5.6 type vlan id 6
	require a link add link eth0 name eth0.7 type vlan protocol 802.1ad id 7
	require a link add link eth9 name eth9.8 type vlan id 8
	number=50
	for iface in eth0.5 eth0.5.6 eth0.7 eth9.8; do
		number=$((number + 1))
		require a link set "$iface" address "02:00:00:00:01:$number" up
		require address a "$iface" "10.80.$number.1/24"
		require a neighbour replace "10.80.$number.2" lladdr 02:00:00:00:00:77 dev "$iface" nud permanent
	done
	way "a VLAN" 10.80.51.2 10.80.51.1 02:00:00:00:00:77 02:00:00:00:01:51 " tag 8100.5"
	way "a VLAN in a VLAN" 10.80.52.2 10.80.52.1 02:00:00:00:00:77 02:00:00:00:01:52 " tag 8100.5 tag 8100.6"
	way "a service VLAN" 10.80.53.2 10.80.53.1 02:00:00:00:00:77 02:00:00:00:01:53 " tag 88a8.7"
	no_way "the route to 10.80.54.2 leaves by eth9.8, not by this interface" 10.80.54.2
else
	skip "VLANs" "this kernel makes no VLAN devices: $(cat "$work/vlan")"
fi

# ---- a port of a bridge ----

require a address flush dev eth0
require a link add br0 type bridge forward_delay 0
require a link set br0 address 02:00:00:00:02:01 up
require a link set eth0 master br0
require address a br0 10.80.1.1/24 fd00:80:1::1/64
bridged() { resolve 10.80.1.2 | grep -q from; }
check "a bridge's port finds its neighbour" wait_for 10 bridged
way "by the bridge that the interface is a port of" 10.80.1.2 10.80.1.1 "$(mac b eth0)" 02:00:00:00:02:01
way "IPv6: by the bridge" fd00:80:1::2 fd00:80:1::1 "$(mac b eth0)" 02:00:00:00:02:01

done_testing
