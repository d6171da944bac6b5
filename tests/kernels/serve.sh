#!/bin/bash
# SPDX-License-Identifier: MIT
#
# serve.sh veth|virtio-net auto|zerocopy|copy|skb|driver: serves on that interface, with two queues, in
# that mode (driver: copy, and the filter answers by itself), or is told in one line why it cannot. Runs in a guest, which has two virtio-net interfaces that
# a bridge outside connects: the one whose address ends in 01 is the server's, 02 the client's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

interface=$1 mode=$2 v4=10.80.1.1 v6=fd00:80:1::1

is_here() { grep -lx "$1" /sys/class/net/*/address; }

# plug HOST MAC: that interface becomes its eth0. (It comes back from the namespace of the test
# before only a while after that is gone.)
plug() {
	local path name
	wait_for 20 is_here "$2"
	path=$(is_here "$2") || return
	name=$(basename "$(dirname "$path")")
	ip link set "$name" netns "$NETNS-$1" || return
	on "$1" ip link set "$name" down || return
	[ "$name" = eth0 ] || on "$1" ip link set "$name" name eth0 || return
	on "$1" ip link set eth0 up
}

require hosts server client
if [ "$interface" = veth ]; then
	require wire server:eth0 client:eth0 rx=2 tx=2
else
	require plug server 52:54:00:80:00:01
	require plug client 52:54:00:80:00:02
fi
require address server eth0 $v4/24 $v6/64
require address client eth0 10.80.1.2/24 fd00:80:1::2/64
require on client ip route add default dev eth0 # for 255.255.255.255

# What a kernel may do without: veth has no zero copy, virtio_net has it from 6.18 on.
may_be_missing() {
	[ "$mode" = zerocopy ] || return
	[ "$interface" = veth ] || [ "$(printf '%s\n' 6.18 "$(uname -r)" | sort -V | head -n 1)" != 6.18 ]
}

stats() { on server "$udpxdp" stats -j --pin-dir "$(pin_dir server)"; }
count() { stats | jq "$1"; }

if [ "$mode" = driver ]; then
	# The other end of a veth takes answers only where it has a program too.
	[ "$interface" != veth ] || server_start client --quiet --mode copy --service echo:9
	server_start server --quiet --mode copy --service echo:8080,answer=driver
	refused=$(sed -n 's/^udpxdp: not answering in the driver: //p' "$(server_err server)")
	for address in $v4 $v6; do
		check "256 echoes for 64 ports of $address" on client "$udpxdp" bench --quiet --flows 64 \
			--window 64 --count 256 --time 20 --timeout 5000 "$address"
	done
	answered=$(count '.ports[0].answered')
	if [ -n "$refused" ]; then
		equal "AF_XDP has answered them" 0 "$answered"
		skip "answering in the driver" "$refused"
	else
		equal "the filter has answered them" 512 "$answered"
	fi
	check "it ends with status 0" server_stop server
	done_testing
fi

if ! server_launch server --verbose --mode "$mode"; then
	status=0 said=$(cat "$(server_err server)")
	finish "${server_pid[server]}" 5 || status=$?
	unset "server_pid[server]"
	equal "what cannot be ends with status 4" 4 "$status"
	said=$(grep -v '^udpxdp: interface eth0: ' <<<"$said") # what is found of the interface
	equal "and one line" 1 "$(wc -l <<<"$said")"
	matches "that names the mode and a cause" "^udpxdp: mode $mode failed: .+: .+; .+" "$said"
	equal "nothing is left of it" "" "$(xdp_programs server eth0)$(find /sys/fs/bpf -mindepth 1)"
	if may_be_missing; then
		skip "serving" "${said#udpxdp: mode "$mode" failed: }"
	else
		not_ok "this kernel can do it, and so it is served" "$said"
	fi
	done_testing
fi

if [ "$mode" = auto ]; then # which has been tried enough, once it is settled
	equal "the best mode that can be relied on is copy" copy "$(ready_value server mode)"
	matches "and why is said" "^udpxdp: (no zerocopy: .+; .+, trying copy|interface eth0: .+ has no zero copy: .+)$" "$(cat "$(server_err server)")"
	check "echo" on client "$udpxdp" bench --quiet --count 64 --time 20 --timeout 5000 $v4
	check "it ends with status 0" server_stop server
	done_testing
fi
equal "the mode that was asked for is the one there is" "$mode" "$(ready_value server mode)"
equal "on both queues" 2 "$(ready_value server queues)"

# ---- echo

echo_once() { [[ $(echo "hello $1" | on client "$udpxdp" client "$1") == *"hello $1"* ]]; }
check "echo over IPv4" echo_once $v4
check "echo over IPv6" echo_once $v6
# From 64 ports, so that both queues get some; every answer is checked.
for address in $v4 $v6; do
	check "256 echoes for 64 ports of $address" on client "$udpxdp" bench --quiet --flows 64 \
		--window 64 --count 256 --time 20 --timeout 5000 "$address"
done
equal "each request is counted, and answered, once" "514 514 514" \
	"$(count '[(.ports[] | select(.port == 8080).redirected), (.services[] | select(.port == 8080) | .rx, .tx)] | join(" ")' | tr -d '"')"
# Generic mode takes the queue of a veth from the sender's, which need not be both.
equal "by the workers of both queues" "$([ "$interface $mode" = "veth skb" ] && echo 1 || echo 2)" \
	"$(count '[.services[] | select(.port == 8080).workers[] | select(.rx > 0)] | length')"

# ---- broadcast

answer=$(echo "anybody?" | on client socat -t 2 - UDP-DATAGRAM:255.255.255.255:8086,broadcast,bind=:8086)
matches "a broadcast is answered" '^【.*】guest$' "$answer"

# ---- chat

require mkfifo "$work/alice.in"
exec 5<>"$work/alice.in"
nsenter --net="$(netns_path client)" nc -u $v4 8090 <&5 >"$work/alice.log" 2>&1 &
alice=$!
echo "alice is here" >&5
alice_spoke() { [ "$(count '.services[] | select(.port == 8090).rx')" = 1 ]; }
require wait_for 20 alice_spoke
echo "hello alice" | on client nc -u -w 1 $v6 8090
heard() { grep -qE '^\[fd00:80:1::2\]:[0-9]+: hello alice$' "$work/alice.log"; }
check "what one says in the chat another hears" wait_for 20 heard
kill "$alice"

# ---- what is the kernel's

spawn "$work/kernel.log" server nc -u -l -W 1 $v4 9999
listens() { on server grep -qi ':270f ' /proc/net/udp; }
check "a kernel socket beside udpxdp" wait_for 20 listens
echo "for the kernel" | on client nc -u -w 1 $v4 9999
finish "$pid" 5
equal "an unserved port is the kernel's" "for the kernel" "$(cat "$work/kernel.log")"
check "ping, too" on client ping -c 1 -W 5 $v4
check "over IPv6, too" on client ping -c 1 -W 5 $v6

# ---- the end

check "it ends with status 0" server_stop server
equal "no program is left" "" "$(xdp_programs server eth0)"
equal "nor a pin" "" "$(find /sys/fs/bpf -mindepth 1)"
done_testing
