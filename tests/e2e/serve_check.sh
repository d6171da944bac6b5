#!/bin/bash
# SPDX-License-Identifier: MIT
# serve --check: says what serving would do and ends as it would, and leaves no trace.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.85.0.1/24
own=(--control "$work/own.sock" --pin-dir "$(pin_dir own)")

# would NAME STATUS REGEX OPTION...: --check and serving both end with that status; --check says why.
would() {
	local name=$1 expected=$2 regex=$3 status=0 served=0
	shift 3
	output=$(on server "$udpxdp" serve "${own[@]}" "$@" --check 2>&1) || status=$?
	equal "$name: status of --check" "$expected" "$status"
	matches "$name: why" "$regex" "$output"
	[ "$expected" != 0 ] || return 0
	on server timeout 10 "$udpxdp" serve "${own[@]}" "$@" >/dev/null 2>&1 || served=$?
	equal "$name: status of serving" "$expected" "$served"
}

# plan: what it printed, but for the findings, which this machine's kernel has a say in.
plan() { grep -v '^finding ' <<<"$output"; }

would "all is well" 0 "^nothing was attached$" -i eth0
equal "all is well: what would be done" "interface eth0, queues 0 to 0, mode auto, attached alone
services  echo:8080,broadcast:8086,chat:8090
history   chat.txt, of chat:8090
control   $work/own.sock
counters  $(pin_dir own)
user      nobody
nothing was attached" "$(plan)"
would "much is asked for" 0 "^nothing was attached$" -i eth0 -m skb -s echo:7 --cpus 0 --limit 1000/200 \
	--allow 10.0.0.0/8 -w "$work/all.pcap"
equal "much is asked for: what would be done" "interface eth0, queues 0 to 0, mode skb, attached alone
services  echo:7
cpus      0
limit     1000 datagrams a second, 200 at once
rules     1 of --allow and --deny; others are dropped
capture   $work/all.pcap
control   $work/own.sock
counters  $(pin_dir own)
user      nobody
nothing was attached" "$(plan)"
equal "nothing on standard error" "" "$(on server "$udpxdp" "${own[@]}" -i eth0 --check 2>&1 >/dev/null)"
equal "no file was made" "" "$(cd "$work" && echo all.pcap* own.sock* chat.txt* | tr ' ' '\n' | grep -v '\*$')"
check "no pins were made" test ! -e "$(pin_dir own)"
equal "nothing is attached" "" "$(on server ip -d link show eth0 | grep -o 'prog/xdp')"

would "kernel sockets" 0 "^nothing was attached$" -m sockets -q 2
equal "kernel sockets: what would be done" "interface any, workers 2, mode sockets
services  echo:8080,broadcast:8086,chat:8090
history   chat.txt, of chat:8090
control   $work/own.sock
user      nobody
nothing was attached" "$output"
spawn "$work/holder.log" server "$e2e/udp.py" serve 10.85.0.1 8086
require wait_for 5 grep -q ready "$work/holder.log"
would "kernel sockets, a port that another holds" 5 '^udpxdp: UDP port 8086 is in use: ' -m sockets -i eth0
kill "$pid"
finish "$pid" 5 2>/dev/null
require wire server:eth1 client:eth1
would "two interfaces" 0 "^nothing was attached$" -i eth0 -i eth1 -s echo
equal "two interfaces: what would be done" "interface eth0, queues 0 to 0, mode auto, attached alone
interface eth1, queues 0 to 0, mode auto, attached alone
services  echo:8080
control   $work/own.sock
counters  $(pin_dir own)
counters  $(pin_dir own)-eth1
user      nobody
nothing was attached" "$(plan)"
matches "two interfaces: each has its findings" "^finding   eth1 .*veth has no zero copy" "$output"
would "two interfaces, no such queue on the second" 4 '^udpxdp: queue 5 does not exist: eth[01] has 1; ' \
	-i eth0 -i eth1 --queues 5
require on server ip link del eth1

would "no such interface" 4 '^udpxdp: interface none0: No such device; ' -i none0
would "the loopback interface" 4 '^udpxdp: interface lo: .*65536.*; serve the interface' -i lo
would "a CPU that is not there" 2 '^udpxdp: option --cpus: CPU 1023 .*; choose from [0-9]' -i eth0 --cpus 1023
would "a queue that is not there" 4 '^udpxdp: queue 5 does not exist: eth0 has 1; ' -i eth0 --queues 5
would "zero copy of a veth" 4 '^udpxdp: .*zero ?copy' -i eth0 --mode zerocopy
would "a user that is not there" 2 '^udpxdp: .*nobody-here' -i eth0 --user nobody-here
would "a capture that cannot be" 1 '^udpxdp: .*No such file or directory; give another --write$' \
	-i eth0 -w "$work/none/all.pcap"
would "a control socket that cannot be" 1 '^udpxdp: .*No such file or directory; give another --control$' \
	-i eth0 --control /proc/none/none/own.sock
mkdir -m 777 "$work/open"
touch "$work/empty"
echo text >"$work/text"
ln -s empty "$work/link"
touch "$work/one" && ln "$work/one" "$work/two"
would "a capture in what is none" 1 '^udpxdp: .*/text: File exists; it is not a capture: remove it or give another --write$' -i eth0 -w "$work/text"
would "a capture that is a directory" 1 '^udpxdp: .*; give another --write$' -i eth0 -w "$work/open"
would "a capture by a symbolic link" 1 '^udpxdp: .*; give another --write$' -i eth0 -w "$work/link"
would "a capture with another name" 1 '^udpxdp: .*; give another --write$' -i eth0 -w "$work/two"
would "a capture that is a device" 1 '^udpxdp: .*; give another --write$' -i eth0 -w /dev/null
equal "what is there stays as it was" "text" "$(cat "$work/text")"
would "a control socket where a file is" 1 '^udpxdp: making .*; give another --control$' -i eth0 --control "$work/text"
would "a control socket where anybody may write" 1 '^udpxdp: making .*Operation not permitted; ' \
	-i eth0 --control "$work/open/own.sock"
would "a control socket whose directory will be made" 0 "^control   $work/made/own.sock$" \
	-i eth0 --control "$work/made/own.sock"
check "and was not made yet" test ! -e "$work/made"
would "credentials that are not there" 1 '^udpxdp: room lobby: reading .*; use another nats-creds=$' -i eth0 \
	-s "chat,history=off,nats=nats://127.0.0.1:4222,nats-creds=$work/none"
would "no dispatcher in this kernel" "$(on server timeout 3 "$udpxdp" "${own[@]}" -i eth0 --attach dispatcher >"$work/dispatched" 2>&1
	[ $? = 4 ] && echo 4 || echo 0)" "$(grep -o 'attaching through the dispatcher failed' "$work/dispatched" || echo '^nothing was attached$')" \
	-i eth0 --attach dispatcher
if on server ip tuntap add dev tun7 mode tun 2>/dev/null; then
	would "an interface without Ethernet" 4 '^udpxdp: interface tun7: it carries no Ethernet frames; ' -i tun7
else
	skip "an interface without Ethernet" "no tun device can be made here"
fi
output=$(on server "$udpxdp" "${own[@]}" -i eth0 -s "chat,history=$work/none/chat.txt" --check 2>&1)
equal "a history that cannot be written keeps nobody from serving" 0 $?
matches "and that is said" "history   $work/none/chat.txt.*; tried again every second: No such file" "$output"

# The same findings as `udpxdp check`: what prevents ends the start, what is slow is one line.
for kind in dummy vrf; do
	extra=
	[ $kind = dummy ] || extra="table 10"
	# shellcheck disable=SC2086
	if on server ip link add $kind"7" type $kind $extra 2>/dev/null; then
		would "a $kind" 4 "^udpxdp: interface ${kind}7: a(n)? .*; serve " -i ${kind}7
		equal "a $kind, by check: status" 4 "$(on server "$udpxdp" check ${kind}7 >/dev/null; echo $?)"
	else
		skip "a $kind" "no such device can be made here"
	fi
done
require wire server:eth2 client:eth2 rx=4 tx=4
require on server ip link set eth2 mtu 3900
spawn "$work/held" server python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 8086))
print('bound', flush=True)
time.sleep(60)"
wait_for 10 grep -q bound "$work/held" || bail "a socket holds the port" "$(cat "$work/held")"
server_start server -i eth2
said=$(cat "$(server_err server)")
equal "what is slow is said at the start: the port" 1 \
	"$(grep -c '^udpxdp: UDP port 8086 is in use: .* XDP alone; stop that one' <<<"$said")"
equal "and the MTU" 1 "$(grep -c '^udpxdp: interface eth2: MTU 3900: .*; ip link set eth2 mtu 3818$' <<<"$said")"
equal "notes only with -v" 0 "$(grep -c 'has no zero copy' <<<"$said")"
require server_stop server
require on server ip link set eth2 mtu 1500
server_start server -i eth2 -m skb -v
said=$(cat "$(server_err server)")
equal "with -v the notes, too" 1 "$(grep -c '^udpxdp: interface eth2: veth has no zero copy' <<<"$said")"
require server_stop server
kill "$pid"

# A live server has the interface, the control socket and the pins.
server_start server -s echo
equal "a driver that never has zero copy is no news" "udpxdp: ready iface=eth0 mode=copy" \
	"$(sed 's/ queues=.*//' "$(server_err server)")"
would "an interface that is served" 5 '^udpxdp: interface eth0 is busy: .*another udpxdp serves it' -i eth0
require wire server:eth1 client:eth1
output=$(on server "$udpxdp" -i eth1 --control "$(control server)" --pin-dir "$(pin_dir own)" --check 2>&1)
equal "a control socket that is answered" 5 $?
matches "and that is said" '^udpxdp: .* is in use: another udpxdp answers there; ' "$output"
output=$(on server "$udpxdp" -i eth1 --control "$work/own.sock" --pin-dir "$(pin_dir server)" --check 2>&1)
equal "a directory of pins that is in use" 5 $?
matches "and that is said, too" '^udpxdp: .* is in use: another udpxdp counts there; ' "$output"
require address client eth0 10.85.0.2/24
matches "the server still answers" "hello$" "$(echo hello | on client "$udpxdp" client 10.85.0.1 8080)"

if as_user=$(command -v setpriv); then
	output=$(on server env -u XDG_RUNTIME_DIR "$as_user" --reuid nobody --clear-groups --inh-caps=-all "$udpxdp" \
		-m sockets -s echo:7777 --check 2>&1)
	equal "a plain user, by kernel sockets" 0 $?
	matches "who has no place for a control socket, which is said" '^control   none: making /run/udpxdp/any.sock failed: ' "$output"
	output=$(on server "$as_user" --reuid nobody --clear-groups --inh-caps=-all "$udpxdp" -i eth1 --check 2>&1)
	equal "a plain user" 3 $?
	matches "and that is said of privileges" '^udpxdp: not permitted: CAP_.* missing; ' "$output"
else
	skip "a plain user" "setpriv is not installed"
fi

done_testing
