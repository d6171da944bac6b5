#!/bin/bash
# SPDX-License-Identifier: MIT
#
# kinds.sh bond|failover|vlan|above|bridge|vrf|nothing: serves on interfaces of that kind, or is told in one line
# what to serve instead. Runs in a guest, whose kernel has the modules.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

v4=10.80.1.1 v6=fd00:80:1::1

# answers HOST ADDR: how many of 40 requests are answered. One at a time: generic mode takes no
# datagrams that are left to be segmented.
answers() {
	on "$1" "$udpxdp" bench --json --quiet --window 1 --flows 1 --count 40 --time 5 --timeout 2500 \
		"$2" 2>"$work/bench.log" | jq .received
}

# all_answered NAME HOST ADDR...: if not at once, which a bond or a neighbour may take while it
# settles in a slow guest, then the next time.
all_answered() {
	local name=$1 host=$2 addr got seen=
	shift 2
	for addr; do
		got=$(answers "$host" "$addr")
		[ "$got" = 40 ] || got=$(answers "$host" "$addr")
		seen+=" $got"
	done
	equal "$name: 40 of 40" "$(printf ' 40%.0s' "$@")" "$seen"
}

# replies HOST ADDR: the replies to one broadcast there, one a line.
replies() {
	on "$1" timeout 10 socat -t 1 - "UDP-DATAGRAM:$2:8086,broadcast,bind=:8086" <<<"anybody?"
	echo
}

reaches() { on "$1" ping -c 1 -W 1 "$2"; }

# pair KIND...: the hosts server and client, not yet wired; those of the case before are gone.
pair() {
	no_hosts
	hosts server client "$@"
}

addresses() {
	address server "$1" $v4/24 $v6/64 && address client "$2" 10.80.1.2/24 fd00:80:1::2/64
}

said() { cat "$(server_err server)"; }
stats() { on server "$udpxdp" stats -j --pin-dir "$(pin_dir server)"; }

# found IFACE: what check finds of it, as JSON.
found() { on server "$udpxdp" check -j "$1" | jq -r '.findings[] | "\(.severity) \(.topic): \(.text); \(.cure)"'; }

# ---- bonds --------------------------------------------------------------------------------

# bond HOST MODE: of b0 and b1 there.
bond() {
	local options=(mode "$2" miimon 50)
	[ "$2" != 802.3ad ] || options+=(lacp_rate fast)
	on "$1" ip link add bond0 numrxqueues 2 numtxqueues 2 type bond "${options[@]}" || return
	for port in b0 b1; do
		on "$1" ip link set $port down &&
			on "$1" ip link set $port master bond0 &&
			on "$1" ip link set $port up || return
	done
	on "$1" ip link set bond0 up
}

# bridge HOST PORT...: they are one network there.
bridge() {
	local host=$1 port
	shift
	on "$host" ip link add br0 type bridge mcast_snooping 0 forward_delay 0 || return
	for port; do on "$host" ip link set "$port" master br0 || return; done
	on "$host" ip link set br0 up
}

# bonded MODE: server's bond0 and client, connected twice.
bonded() {
	pair
	wire server:b0 client:b0 && wire server:b1 client:b1 && bond server "$1" || return
	case $1 in
	balance-alb | balance-tlb | active-backup) bridge client b0 b1 && addresses bond0 br0 ;;
	*) bond client "$1" && addresses bond0 bond0 ;;
	esac
	wait_for 30 reaches client $v4
}

part_bond() {
	local mode
	for mode in balance-rr balance-xor broadcast 802.3ad balance-tlb balance-alb; do
		require bonded $mode
		server_start server --quiet --iface bond0
		equal "$mode: auto takes generic mode" skb "$(ready_value server mode)"
		all_answered "$mode" client $v4 $v6
		server_stop server
	done
}

part_failover() {
	local active=b0 backup=b1
	require bonded active-backup
	matches "check knows a bond" '^slow bond: native XDP on a bond runs on its members.*; --mode skb$' "$(found bond0)"
	server_refuses "native mode on a bond is refused" 4 '--mode skb' server --quiet --iface bond0 --mode copy
	server_refuses "zero copy, too" 4 '--mode skb' server --quiet --iface bond0 --mode zerocopy
	server_start server --quiet --iface bond0
	matches "active-backup: auto says why it takes generic mode" '^udpxdp: no copy: native XDP on bond0: ' "$(said)"
	equal "in one line" 2 "$(said | wc -l)"
	all_answered "active-backup" client $v4 $v6
	equal "and one broadcast once" 1 "$(replies client 10.80.1.255 | grep -c 】)"
	on server ip link set b0 down
	require wait_for 20 reaches client $v4
	all_answered "after failover" client $v4 $v6
	on server ip link set b0 up
	server_stop server

	# The same program on a device that its sockets do not belong to, as native XDP on a bond would have it.
	server_start server --quiet --iface bond0
	require on server ip link add other0 type veth peer name other1 netns "$NETNS-client"
	require on client ip link set other1 up
	require on server ip link set other0 up
	require address server other0 10.80.2.1/24
	require address client other1 10.80.2.2/24
	require on server bpftool net attach xdpdrv id "$(xdp_programs server bond0)" dev other0
	check "what arrives on another device is the kernel's" wait_for 10 reaches client 10.80.2.1
	equal "a datagram for a served port, too" 0 "$(answers client 10.80.2.1)"
	check "and is counted as that" [ "$(stats | jq .verdicts.other_device.frames)" -ge 1 ]
	server_stop server

	# Its members: which one is active?
	[ "$(on server cat /sys/class/net/bond0/bonding/active_slave)" = b0 ] || active=b1 backup=b0
	server_start server --quiet --iface $active
	matches "a bond's member: it is said that it ends" "$active: it is a member of bond0: serving ends at failover; -i bond0" "$(said)"
	all_answered "a bond's active member" client $v4
	server_stop server
	matches "check knows its inactive member" "^slow bond: it is an inactive member of bond0: nothing is answered until failover; -i bond0$" "$(found $backup)"
	server_start server --quiet --iface $backup --iface $active --sockets off
	equal "both members: one broadcast is answered once" 1 "$(replies client 10.80.1.255 | grep -c 】)"
	on server ip link set $active down
	require wait_for 20 reaches client $v4
	equal "after failover, too" 1 "$(replies client 10.80.1.255 | grep -c 】)"
	all_answered "by the other member" client $v4
	server_stop server
}

# ---- VLANs ----------------------------------------------------------------------------------

# trunk: server at a switch's port for VLAN 1 untagged and 66 tagged; client in VLAN 1, guest in 66.
trunk() {
	local port
	pair switch guest
	on switch ip link add br0 type bridge mcast_snooping 0 forward_delay 0 vlan_filtering 1 || return
	on switch ip link set br0 up || return
	for port in server client guest; do
		wire $port:eth0 switch:$port && on switch ip link set $port master br0 || return
	done
	on switch bridge vlan add dev server vid 66 &&
		on switch bridge vlan del dev guest vid 1 &&
		on switch bridge vlan add dev guest vid 66 pvid untagged || return
	on server ip link add link eth0 name eth0.66 type vlan id 66 && on server ip link set eth0.66 up &&
		address server eth0 $v4/24 $v6/64 && address server eth0.66 10.80.66.1/24 fd00:80:66::1/64 &&
		address client eth0 10.80.1.2/24 fd00:80:1::2/64 &&
		address guest eth0 10.80.66.2/24 fd00:80:66::2/64
	wait_for 20 reaches client $v4 && wait_for 20 reaches guest 10.80.66.1
}

# stripped on|off: does the server's end of the cable hide the tags from XDP?
stripped() { on switch ethtool -K server txvlan "$1"; }

# leaks COMMAND...: runs it; how many datagrams of the server's the client has seen meanwhile.
leaks() {
	local before
	before=$(on client cat /sys/class/net/eth0/statistics/rx_packets)
	"$@" >/dev/null
	echo $(($(on client cat /sys/class/net/eth0/statistics/rx_packets) - before))
}

part_vlan() {
	require trunk
	require stripped on
	matches "check says how to serve the VLANs" '^slow vlan: VLAN tags are stripped .*; -i eth0.66$' "$(found eth0)"
	server_start server --quiet --sockets off
	matches "and so does serve" 'eth0: VLAN tags are stripped .*; -i eth0.66$' "$(said)"
	all_answered "the untagged network" client $v4 $v6
	equal "the VLAN's is the kernel's, which refuses" 0 "$(answers guest 10.80.66.1)"
	check "nothing of it leaves into the native VLAN" [ "$(leaks answers guest 10.80.66.1)" -lt 10 ]
	server_stop server
	server_start server --quiet --iface eth0.66
	equal "a VLAN device is served in generic mode" skb "$(ready_value server mode)"
	all_answered "the VLAN by its own device" guest 10.80.66.1 fd00:80:66::1
	equal "a broadcast there" 1 "$(replies guest 10.80.66.255 | grep -c 】)"
	server_stop server
	server_start server --quiet --iface eth0 --iface eth0.66
	equal "no VLAN is said to be missing when each is served" 0 "$(said | grep -c stripped)"
	all_answered "both at once: untagged" client $v4
	all_answered "both at once: tagged" guest 10.80.66.1
	equal "a broadcast in the one" 1 "$(replies client 10.80.1.255 | grep -c 】)"
	equal "a broadcast in the other" 1 "$(replies guest 10.80.66.255 | grep -c 】)"
	server_stop server
	server_start server --quiet --iface eth0.66 --iface eth0
	all_answered "in the other order: untagged" client $v4
	all_answered "in the other order: tagged" guest 10.80.66.1
	server_stop server

	# Tags that XDP sees.
	require stripped off
	server_start server --quiet --mode copy
	all_answered "tags seen: untagged" client $v4
	all_answered "tags seen: the VLAN that there is a device for" guest 10.80.66.1 fd00:80:66::1
	equal "a broadcast is answered in its VLAN" 1 "$(replies guest 10.80.66.255 | grep -c 】)"
	require on guest ip address add 10.80.1.3/24 dev eth0
	require on guest ip neigh replace $v4 lladdr "$(mac_of server)" dev eth0 nud permanent
	equal "an address counts on its own network only" 0 "$(answers guest $v4)"
	server_stop server
	for vlans in "none 0" "any 40" "66 40" "65,67-70 0" "60-70 40"; do
		server_start server --quiet --mode copy --sockets off --vlan "${vlans% *}"
		equal "--vlan ${vlans% *}" "${vlans#* }" "$(answers guest 10.80.66.1)"
		server_stop server
	done

	# The VLAN, and the same address, are a container's.
	require hosts container
	require on server ip link set eth0.66 netns "$NETNS-container"
	require on container ip link set eth0.66 up
	require address container eth0.66 $v4/24
	require wait_for 20 reaches guest $v4
	server_start server --quiet --mode copy
	equal "a container's address is not stolen" 0 "$(answers guest $v4)"
	server_start container --quiet --iface eth0.66
	all_answered "it serves for itself" guest $v4
	all_answered "and the host for itself" client $v4
}

# ---- devices above another ------------------------------------------------------------------

# above KIND OPTION...: the server's addresses are on a device of that kind on its eth0.
above() {
	pair
	wire server:eth0 client:eth0 || return
	on server ip link add link eth0 name up0 type "$@" && on server ip link set up0 up &&
		addresses up0 eth0
}

part_above() {
	local kind
	for kind in "macvlan mode bridge" "macvlan mode private" "ipvlan mode l2"; do
		# shellcheck disable=SC2086 # words
		require above $kind
		require wait_for 20 reaches client $v4
		server_start server --quiet --iface up0
		equal "$kind: generic mode" skb "$(ready_value server mode)"
		all_answered "$kind" client $v4 $v6
		equal "$kind: a broadcast" 1 "$(replies client 10.80.1.255 | grep -c 】)"
		server_stop server
	done
	# By the lower device: a macvlan's MAC address is ours, too.
	require above macvlan mode bridge
	server_start server --quiet --iface eth0
	all_answered "a macvlan's address by the lower device" client $v4
	server_stop server
	for kind in l3 l3s; do
		require above ipvlan mode $kind
		server_refuses "ipvlan in mode $kind is refused" 4 'lower device eth0' server --quiet --iface up0
		matches "check says so" '^broken kind: .*lower device eth0$' "$(found up0)"
		server_start server --quiet --iface eth0 --sockets off
		require on client ip neigh replace $v4 lladdr "$(mac_of server)" dev eth0 nud permanent
		all_answered "its address by the lower device" client $v4
		server_stop server
	done
}

# ---- bridges --------------------------------------------------------------------------------

part_bridge() {
	require pair far
	require wire server:near client:eth0
	require wire server:far far:eth0
	require bridge server near far
	require addresses br0 eth0
	require address far eth0 10.80.1.3/24 fd00:80:1::3/64
	require wait_for 20 reaches client 10.80.1.3
	require wait_for 20 reaches client $v4
	server_start server --quiet --iface br0
	equal "a bridge is served in generic mode" skb "$(ready_value server mode)"
	all_answered "a bridge: hosts behind one port" client $v4 $v6
	all_answered "and behind the other" far $v4 $v6
	equal "a broadcast" 1 "$(replies far 10.80.1.255 | grep -c 】)"
	check "a console reaches either" says far 10.80.1.3
	server_stop server

	matches "check knows a port" '^note bridge: it is a port of bridge br0' "$(found near)"
	server_start server --quiet --iface near
	all_answered "a port: hosts behind it" client $v4 $v6
	check "a console reaches them" says client 10.80.1.2
	say "x" 10.80.1.3
	matches "and is told of those behind another port" 'port far of bridge br0, not behind this one; serve br0$' "$(cat "$work/say")"
	server_stop server

	# The bridge knows VLANs, and this port has its own with a tag.
	require on server ip link set br0 type bridge vlan_filtering 1
	require on server bridge vlan add dev near vid 1
	require on client ip address flush dev eth0
	require on client ethtool -K eth0 txvlan off
	require on client ip link add link eth0 name eth0.1 type vlan id 1
	require on client ip link set eth0.1 up
	require address client eth0.1 10.80.1.2/24 fd00:80:1::2/64
	require wait_for 20 reaches client $v4
	server_start server --quiet --iface near
	check "a console's line has the port's tag" says client 10.80.1.2
	server_stop server
	require on server bridge vlan add dev br0 vid 7 pvid untagged self
	require on server bridge vlan add dev near vid 7
	require on server bridge vlan del dev near vid 7
	require on server ip neigh replace 10.80.1.2 lladdr "$(mac_of client)" dev br0 nud permanent
	server_start server --quiet --iface near
	say "x" 10.80.1.2
	matches "a port that is not in the VLAN is said" 'in a VLAN of bridge br0 that port near is not in; ' "$(cat "$work/say")"
	server_stop server
}

# say TEXT PEER: by the chat's console of the server.
say() {
	"$udpxdp" chat --control "$(control server)" "$2" 9000 <<<"$1" >"$work/say" 2>&1
}

# says HOST ADDR: what the console says arrives there.
says() {
	local listener
	rm -f "$work/heard"
	spawn "$work/heard" "$1" timeout 10 socat -u -T 5 UDP4-RECVFROM:9000 -
	listener=$pid
	bound() { on "$1" grep -qi ':2328 ' /proc/net/udp; }
	wait_for 10 bound "$1" || return
	say "hello $1" "$2"
	finish "$listener" 10
	cat "$work/say" "$work/heard"
	grep -q "hello $1" "$work/heard"
}

# ---- VRFs -----------------------------------------------------------------------------------

part_vrf() {
	require pair
	require wire server:eth0 client:eth0
	require on server ip link add vrf0 type vrf table 10
	require on server ip link set vrf0 up
	require on server ip link set eth0 master vrf0
	require addresses eth0 eth0
	require wait_for 20 reaches client $v4
	server_start server --quiet --mode copy
	all_answered "a member of a VRF" client $v4 $v6
	equal "a broadcast" 1 "$(replies client 10.80.1.255 | grep -c 】)"
	check "a console's route is looked up in the VRF" says client 10.80.1.2
	# A neighbour who is known by ARP is in the room at once, and sees no word to repeat.
	require mkfifo "$work/alice.in"
	exec 5<>"$work/alice.in"
	nsenter --net="$(netns_path client)" nc -u $v4 8090 <&5 >"$work/alice.log" 2>&1 &
	echo "alice is here" >&5
	is_member() { [ "$("$udpxdp" stats -j --control "$(control server)" | jq '[.services[] | select(.port == 8090).rx] | add')" -ge 1 ]; }
	require wait_for 20 is_member
	echo "hello alice" | on client nc -u -w 1 $v6 8090 >/dev/null
	check "a chat in a VRF" wait_for 20 grep -q 'hello alice' "$work/alice.log"
	equal "whose members prove nothing" 0 "$(grep -c '/join\|repeat' "$work/alice.log")"
	exec 5>&-
	server_stop server
	server_refuses "a VRF device is refused" 4 'member of the VRF' server --quiet --iface vrf0
	matches "check says so" '^broken kind: a VRF device.*; serve a member of the VRF' "$(found vrf0)"
}

# ---- what receives nothing ------------------------------------------------------------------

part_nothing() {
	require pair
	require wire server:eth0 client:eth0
	require on server ip link add dummy0 type dummy
	require on server ip link set dummy0 up
	require addresses dummy0 eth0
	server_refuses "a dummy device is refused" 4 '--mode sockets' server --quiet --iface dummy0
	matches "check says so" '^broken kind: a dummy device.*--mode sockets' "$(found dummy0)"
	server_refuses "loopback is refused" 4 '--mode sockets' server --quiet --iface lo
	server_start server --quiet --mode sockets --iface dummy0
	all_answered "dummy0 by sockets, for this host" server $v4 $v6
	server_stop server
	server_start server --quiet --mode sockets --iface lo
	all_answered "lo by sockets, for this host" server 127.0.0.1 ::1
	server_stop server

	# A cable that delays and reorders.
	require address server eth0 10.80.3.1/24
	require address client eth0 10.80.3.2/24
	require on client tc qdisc add dev eth0 root netem delay 20ms 15ms reorder 25% duplicate 5%
	server_start server --quiet
	all_answered "delay, reordering and duplicates" client 10.80.3.1
	server_stop server
}

case ${1:-} in
bond | failover | vlan | above | bridge | vrf | nothing) "part_$1" ;;
*) bail "a kind" "bond, failover, vlan, above, bridge, vrf or nothing" ;;
esac
done_testing
