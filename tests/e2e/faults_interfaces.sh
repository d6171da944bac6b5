#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server of three interfaces, in each mode: one is renamed, one is deleted, one carried to another
# namespace, all under load, with a member of the room on each. That costs its own traffic only.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server a b c elsewhere
cat >"$work/member.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("", 5000))
	s.sendto(b"I am here", (sys.argv[1], 8090))
	while True:
	    data, peer = s.recvfrom(65536)
	    print(peer[0], data.decode(), flush=True)
END

declare -A net=([a]=1 [b]=2 [c]=3)
plug() {
	for host in a b c; do
		require wire "server:eth$((net[$host] - 1))" $host:eth0
		require address server "eth$((net[$host] - 1))" "10.87.${net[$host]}.1/24"
		require address $host eth0 "10.87.${net[$host]}.2/24"
	done
}
exchange() { on "$1" "$e2e/udp.py" exchange "10.87.${net[$1]}.1" 8080 --count 40 --flows 4 "${@:2}"; }
says() { wait_for 5 grep -qE "$1" "$(server_err server)"; }
say() { on "$1" python3 -c "
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'$2', ('10.87.${net[$1]}.1', 8090))"; }
heard() { grep -q "$2" "$work/$1.log"; }

# load NAME HOST [ADDR]: 2,500 requests, each answered once; they last a second or two.
load() {
	spawn "$work/load-$1.log" "$2" "$e2e/udp.py" exchange "${3:-10.87.${net[$2]}.1}" 8080 --count 2500 --window 8 \
		--interval 0.0003
	loads[$1]=$pid
}

# unharmed NAME TEXT
unharmed() { check "$2" finish "${loads[$1]}" 20; }

for mode in copy skb sockets; do
	declare -A loads=() members=()
	plug
	server_start server -m $mode -i eth0 -i eth1 -i eth2 -v --quiet -s echo -s broadcast -s chat,history=off
	equal "three interfaces, $mode" eth0,eth1,eth2 "$(ready_value server iface)"
	for host in a b c; do
		check "$host is served, $mode" exchange $host
		spawn "$work/$host.log" $host python3 "$work/member.py" "10.87.${net[$host]}.1"
		members[$host]=$pid
	done
	all_in() { say c "who is here?" && for host in a b c; do heard $host "who is here?" || return 1; done; }
	check "a member on each, $mode" wait_for 5 all_in

	# An announcement, and a console's line, on each.
	for host in a b c; do
		rm -f "$work/hear-$host.log"
		spawn "$work/hear-$host.log" $host timeout 10 "$e2e/peer.py" 8086
		members[hear-$host]=$pid
		wait_for 5 heard hear-$host bound
	done
	echo "to all" | on server "$udpxdp" broadcast --control "$(control server)" --wait 0 >"$work/console.log" 2>&1
	for host in a b c; do
		check "an announcement goes out to $host, $mode" wait_for 3 heard hear-$host "^10.87.${net[$host]}.1 8086 .*to all"
		kill "${members[hear-$host]}"
		echo "to $host" | on server "$udpxdp" chat "10.87.${net[$host]}.2" 5000 --control "$(control server)" --wait 0 \
			>"$work/console.log" 2>&1
		check "a console speaks to $host, $mode" wait_for 3 heard $host "^10.87.${net[$host]}.1 to $host"
	done

	# Whose subnet is another's is nobody's neighbour here.
	on b "$e2e/forge.py" eth0 "$(mac_of server eth1)" 10.87.2.1 8090 100 10.87.1.77 10.87.3.77 --text /help --wait 0.1 \
		>"$work/forged.json"
	equal "forged sources of the others' subnets get 3 times what they sent at most, $mode" 0 \
		"$(jq '[.[] | select(.back_bytes > 3 * .bytes)] | length' "$work/forged.json")"

	load a a
	load b b
	load here server 127.0.0.1
	require on server ip link set eth1 name lan1
	check "a new name is said, $mode" says 'eth1 was renamed to lan1'
	require address server lan1 10.87.2.9/24
	check "its addresses are followed, $mode" wait_for 5 on b "$e2e/udp.py" exchange 10.87.2.9 8080 --count 4
	unharmed a "a new name costs the first nothing, $mode"
	unharmed b "nor itself, $mode"
	unharmed here "nor a client on this host, $mode"
	equal "the figures are split by interface: $mode" "eth0 lan1 eth2" \
		"$("$udpxdp" stats -j --control "$(control server)" | jq -r '[.interfaces[].iface] | join(" ")')"
	equal "and their sum is the whole, $mode" true \
		"$("$udpxdp" stats -j --control "$(control server)" | jq '([.services[].rx] | add) == ([.interfaces[].services[].rx] | add)')"

	load b b
	load c c
	load here server 127.0.0.1
	require on server ip link del eth0
	check "the first one goes: that is said, $mode" says 'eth0 is gone'
	unharmed b "which costs the second nothing, $mode"
	unharmed c "nor the third, $mode"
	unharmed here "nor a client on this host, $mode"
	say b "the first is gone"
	check "the room goes on, $mode" wait_for 5 heard c "10.87.2.2:[0-9]*: the first is gone"

	load c c
	require on server ip link set lan1 netns "$NETNS-elsewhere"
	check "the second is carried away, $mode" says 'lan1 is gone'
	unharmed c "which costs the third nothing, $mode"
	equal "and no program is left on it, $mode" "" "$(xdp_programs elsewhere lan1)"
	check "without spinning, $mode" wait_for 5 idles "${server_pid[server]}"
	check "the last one is served, $mode" exchange c
	require on server ip link del eth2
	check "and ends the server, $mode" wait_for 5 is_gone "${server_pid[server]}"
	finish "${server_pid[server]}" 1
	equal "with status 1, $mode" 1 $?
	unset "server_pid[server]"
	equal "each was said once, $mode" "1 1 1" \
		"$(for name in eth0 lan1 eth2; do grep -c "$name is gone" "$(server_err server)"; done | xargs)"
	equal "every frame is accounted for, $mode" 0 "$(grep -c 'NOT BALANCED' "$(server_err server)")"
	equal "no pins are left, $mode" "" "$(ls -d "$(pin_dir server)"* 2>/dev/null)"
	for host in a b c; do kill "${members[$host]}" 2>/dev/null; finish "${members[$host]}" 5 2>/dev/null; done
	on elsewhere ip link del lan1
done

done_testing
