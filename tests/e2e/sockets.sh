#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --mode sockets: the same services without XDP and without any privilege, for clients on this host
# and on others.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client other
require wire server:eth0 client:eth0
require wire server:eth1 other:eth0
require address server eth0 10.80.1.1/24 fd00:80:1::1/64
require address client eth0 10.80.1.2/24 fd00:80:1::2/64
require address server eth1 10.80.2.1/24
require address other eth0 10.80.2.2/24
require on client ip route add default dev eth0
cp "$udpxdp" "$work/udpxdp" && chmod 755 "$work/udpxdp"
mkdir "$work/theirs" "$work/run"
chown nobody "$work/theirs" "$work/run"

nobody=(setpriv --reuid nobody --regid nogroup --clear-groups --bounding-set=-all --inh-caps=-all)
day='[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}'
hostname=$(hostname)

# as_nobody HOST COMMAND...: a user without any capability, with a runtime directory and a working
# directory of its own.
as_nobody() {
	local host=$1
	shift
	(cd "$work/theirs" && XDG_RUNTIME_DIR=$work/run nsenter --net="$(netns_path "$host")" -- "${nobody[@]}" "$@")
}

# plain_launch HOST ARG...: udpxdp as such a user. Waits until it is ready or has ended. HOST-2 is
# another one on HOST.
plain_launch() {
	local host=$1
	shift
	: >"$(server_err "$host")"
	(
		cd "$work/theirs" || exit
		export XDG_RUNTIME_DIR=$work/run
		exec env --default-signal=INT,QUIT nsenter --net="$(netns_path "${host%-2}")" -- "${nobody[@]}" "$work/udpxdp" "$@"
	) >"$(server_out "$host")" 2>"$(server_err "$host")" </dev/null &
	server_pid[$host]=$!
	unset "server_dead[$host]"
	wait_for "${READY_SECONDS:-20}" ready_or_gone "$host"
	is_ready "$host"
}

plain_start() {
	plain_launch "$@" || bail "udpxdp starts on $1" "$(cat "$(server_err "$1")")"
}

# plain_refuses NAME STATUS REGEX HOST ARG...: it ends with that status and one line.
plain_refuses() {
	local name=$1 expected=$2 regex=$3 host=$4 status=0 said
	shift 4
	if plain_launch "$host" "$@"; then
		not_ok "$name" "it started"
		server_stop "$host"
		return
	fi
	finish "${server_pid[$host]}" 5 || status=$?
	unset "server_pid[$host]"
	said=$(cat "$(server_err "$host")")
	if [ "$status" = "$expected" ] && [ "$(wc -l <<<"$said")" = 1 ]; then
		matches "$name" "^udpxdp: .+: .+; .+" "$said"
		matches "$name: $regex" "$regex" "$said"
	else
		not_ok "$name" "expected status $expected and one line"$'\n'"status $status: $said"
	fi
}

# exchange HOST ADDR [ARG...]
exchange() {
	local host=$1 addr=$2
	shift 2
	on "$host" "$e2e/udp.py" exchange "$addr" 8080 --count 40 --flows 4 "$@"
}

# ---- a plain user, no option but the mode -------------------------------------------------

plain_start server -m sockets
equal "a plain user serves all defaults" \
	"udpxdp: ready iface=any mode=sockets queues=1 sockets=on services=echo:8080,broadcast:8086,chat:8090" \
	"$(cat "$(server_err server)")"
equal "no thread has a capability" "0000000000000000" \
	"$(sed -n 's/^Cap\(Prm\|Eff\):\t//p' "/proc/${server_pid[server]}"/task/*/status | sort -u)"
check "a client on this host is answered: 127.0.0.1" exchange server 127.0.0.1
check "another address of the loopback" exchange server 127.9.8.7
check "::1" exchange server ::1
check "the interface's address, from this host" exchange server 10.80.1.1
check "and its IPv6 address" exchange server fd00:80:1::1
check "a client on another host" exchange client 10.80.1.1
check "and over IPv6" exchange client fd00:80:1::1
check "on another interface, too" exchange other 10.80.2.1
check "every size: IPv4" exchange server 127.0.0.1 --size 0,1,1472,1500,9000,65476 --window 4
check "every size: IPv6" exchange server ::1 --size 0,1,1472,1500,9000,65476 --window 4
check "answers that the wire does not fit" exchange client 10.80.1.1 --size 1472,3000,60000 --window 4
check "nor over IPv6" exchange client fd00:80:1::1 --size 1452,3000,60000 --window 4
link_local=$(on server ip -j -6 address show dev eth0 scope link | jq -r '.[].addr_info[]?.local // empty')
check "a link-local address" exchange client "$link_local%eth0"
matches "nc" "^【$day】 by nc$" "$(printf 'by nc' | on server nc -u -w1 127.0.0.1 8080)"
matches "socat" "^【$day】 by socat$" "$(printf 'by socat' | on client socat -t1 - UDP:10.80.1.1:8080)"
reacted=$(on client "$e2e/udp.py" react 10.80.1.1 8080 --text "400 Bad Request" --timeout 1)
check "a responder that always says the same is answered no more, after $reacted times" \
	test "$reacted" -ge 100 -a "$reacted" -le 600
check "what is printed is as with XDP" grep -qE ' echo recv 10\.80\.1\.2:[0-9]+ "by socat"$' "$(server_out server)"

# ---- broadcast ----

on client "$e2e/plain.py" announce "from a plain one" >"$work/plain.log" 2>&1
matches "a broadcaster on the wire is answered from the address in its subnet" \
	"^10\.80\.1\.1 8086 【$day】$hostname$" "$(cat "$work/plain.log")"
spawn "$work/answer.log" client "$e2e/plain.py" answer plain-python
answerer=$pid
require wait_for 5 on client sh -c "ss -Hlun sport = :8086 | grep -q 8086"
as_nobody server "$work/udpxdp" broadcast "to the plain ones" >"$work/console.log" 2>&1
matches "a console announces" "^10\.80\.1\.1 8086 【$day】to the plain ones$" "$(cat "$work/answer.log")"
matches "its reply is shown" "10\.80\.1\.2:8086 .*【$day】plain-python" "$(cat "$work/console.log")"
equal "the announcement, which the kernel brings back, is none for us" 0 \
	"$(grep -c 'broadcast recv 10.80.1.1' "$(server_out server)")"
kill "$answerer"
finish "$answerer" 5 2>/dev/null

# ---- chat ----

spawn "$work/member.log" other "$e2e/plain.py" chat 10.80.2.1 8090 "I am here"
require wait_for 5 grep -q 'I am here' "$work/theirs/chat.txt"
on server python3 - <<-'END' >"$work/chat.log" 2>&1
	import socket
	peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	peer.settimeout(3)
	peer.sendto("你好".encode(), ("127.0.0.1", 8090))
	peer.sendto(b"/who", ("127.0.0.1", 8090))
	print(peer.recv(65536).decode())
END
matches "a member on this host and one on the wire share a room" "^\* 2 here: .*10\.80\.2\.2:8080" "$(cat "$work/chat.log")"
wait_for 5 is_gone "$pid"
matches "what one says goes to the other" "10.80.2.1 8090 127.0.0.1:[0-9]+: 你好" "$(cat "$work/member.log")"
matches "the history is in the current directory" "^【$day】收到【\('127.0.0.1', [0-9]+\)】发送的数据:你好$" \
	"$(cat "$work/theirs/chat.txt")"
spawn "$work/said.log" client python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5005)); s.settimeout(10)
print("ready", flush=True)
print(*s.recvfrom(1000))'
require wait_for 5 grep -q ready "$work/said.log"
echo "to you" | as_nobody server "$work/udpxdp" chat 10.80.1.2 5005 >"$work/console.log" 2>&1
equal "a console speaks to a peer that never spoke" 0 $?
wait_for 5 is_gone "$pid"
matches "and is heard" "^b'to you' \('10.80.1.1', 8090\)$" "$(cat "$work/said.log")"
echo "to nobody" | as_nobody server "$work/udpxdp" chat 203.0.113.9 5005 >"$work/console.log" 2>&1
matches "a console is told where there is no way" "unreachable" "$(cat "$work/console.log")"

# ---- its counters ----

stats=$(as_nobody server "$work/udpxdp" stats --control "$work/run/udpxdp/any.sock" -j)
equal "stats --control, of a plain user" any "$(jq -r .iface <<<"$stats")"
heard=$(jq '.services[0].rx' <<<"$stats")
check "counts what came: $heard" test "$heard" -gt 300
equal "and every answer" "$heard" "$(jq '.services[0] | .tx + ([.drops[]] | add)' <<<"$stats")"
equal "stats by itself finds it" "$heard" "$(as_nobody server "$work/udpxdp" stats -j | jq '.services[0].rx')"
matches "as a table" "^echo:8080 +$heard " "$(as_nobody server "$work/udpxdp" stats)"
matches "for Prometheus" "^udpxdp_service_rx_datagrams_total.iface=\"any\",service=\"echo\",port=\"8080\",worker=\"0\". $heard$" \
	"$(as_nobody server "$work/udpxdp" stats --prometheus)"

# ---- a port that another has ----

plain_refuses "a second server is refused" 5 "another program has it" server-2 -m sockets --control "$work/theirs/other.sock"
check "the first one goes on" exchange server 127.0.0.1
check "it ends well" server_stop server
check "its control socket has gone" test ! -e "$work/run/udpxdp/any.sock"
spawn "$work/holder.log" server "$e2e/udp.py" serve 127.0.0.1 8086
require wait_for 5 grep -q ready "$work/holder.log"
plain_refuses "a port that another program holds" 5 "another program has it" server -m sockets
kill "$pid"
finish "$pid" 5 2>/dev/null
plain_refuses "a port that takes a privilege" 3 "CAP_NET_BIND_SERVICE" server -m sockets -s echo:7
plain_refuses "without rights there is this mode" 3 "CAP_NET_ADMIN.*missing; .*--mode sockets" server -i eth0
plain_refuses "--queues 0" 2 "number of workers" server -m sockets -q 0
plain_refuses "no such interface" 4 "No such device" server -m sockets -i nowhere

# ---- several workers, and other options ----

plain_start server -m sockets -q 3 -v -s echo -s echo:9000,stamp=off -s chat,history=off -w "$work/theirs/all.pcap"
equal "--queues 3: as many workers" 3 "$(ready_value server queues)"
check "many flows" on client "$e2e/udp.py" exchange 10.80.1.1 8080 --count 600 --flows 60
check "plain echo of the longest datagrams" on server "$e2e/udp.py" exchange 127.0.0.1 9000 --stamp off --count 20 \
	--flows 5 --size 65507 --window 4
check "over IPv6, too" on server "$e2e/udp.py" exchange ::1 9000 --stamp off --count 20 --flows 5 --size 65507 --window 4
members=()
for _ in 1 2 3 4 5 6 7 8; do
	members+=("$(on client python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"/who", ("10.80.1.1", 8090)); print(s.recv(9000).decode().split(":")[0])')")
done
equal "one room, whichever worker a member's datagrams could come to" "* 8 here" "${members[7]}"
check "it ends well" server_stop server
check "every buffer is accounted for" test "$(grep -c 'balanced$' "$(server_err server)")" = 3
equal "none is missing" 0 "$(grep -c 'NOT BALANCED' "$(server_err server)")"
# But for the longest of IPv6, which no MTU fits.
matches "replayed, each is answered again, those of this host too" ' echo:8080 rx=600 tx=600; echo:9000 rx=40 tx=20 reply_too_big=20$' \
	"$("$udpxdp" replay -Q -r "$work/theirs/all.pcap" -w "$work/again.pcap" --mtu 65535 -s echo -s echo:9000,stamp=off 2>&1)"
if command -v tshark >/dev/null; then
	equal "the capture has each datagram and its answer" "600 600" \
		"$(tshark -r "$work/theirs/all.pcap" -Y 'ip.addr == 10.80.1.2' -T fields -e udp.dstport 2>/dev/null |
			awk '{ if ($1 == 8080) to++; else if ($1 != 8090) from++ } END { print to, from - 8 }')"
	equal "every answer in it has its right checksums" "0" \
		"$(tshark -r "$work/theirs/all.pcap" -o udp.check_checksum:TRUE -o ip.check_checksum:TRUE \
			-Y '(udp.checksum.status == 0 && (udp.srcport == 8080 || udp.srcport == 9000)) || ip.checksum.status == 0' 2>/dev/null | wc -l)"
else
	skip "the capture has each datagram and its answer" "tshark is not installed"
fi

plain_start server -m sockets -Q -s echo,answer=driver
matches "no driver answers: said" "not answering in the driver: --mode sockets has none" "$(cat "$(server_err server)")"
check "and served all the same" exchange client 10.80.1.1
server_stop server || not_ok "it ends well"

plain_start server -m sockets -i eth0 -s echo
equal "one interface" "eth0" "$(ready_value server iface)"
check "-i eth0: clients there" exchange client 10.80.1.1
check "and over IPv6" exchange client fd00:80:1::1
check "on this host" exchange server 127.0.0.1
check "by the interface's address" exchange server 10.80.1.1
check "and its IPv6 address" exchange server fd00:80:1::1
check "a link-local address" exchange client "$link_local%eth0"
check "but none on another interface" exchange other 10.80.2.1 --answers 0 --timeout 0.3
server_stop server || not_ok "it ends well"

plain_start server -m sockets -s echo --deny 10.80.1.0/24 --deny ::1/128
check "--deny" exchange client 10.80.1.1 --answers 0 --timeout 0.3
check "--deny of an IPv6 address" exchange server ::1 --answers 0 --timeout 0.3
check "others are served" exchange other 10.80.2.1
server_stop server || not_ok "it ends well"
plain_start server -m sockets -s echo --allow 10.80.1.0/24 -q 2
check "--allow" exchange client 10.80.1.1
check "others are not" exchange other 10.80.2.1 --answers 0 --timeout 0.3
server_stop server || not_ok "it ends well"
plain_start server -m sockets -q 4 -s echo --limit 1/10
answered=$(on client "$e2e/udp.py" exchange 10.80.1.1 8080 --count 60 --flows 20 --timeout 0.4 | jq .answered)
check "--limit 1/10 of 60 over all workers: $answered" test "$answered" -ge 10 -a "$answered" -le 16
check "another network has its own" test "$(on other "$e2e/udp.py" exchange 10.80.2.1 8080 --count 5 | jq .answered)" = 5
server_stop server || not_ok "it ends well"

# ---- two interfaces: which counts are whose ----

plain_start server -m sockets -i eth0 -i eth1 -s echo
check "a client on one" exchange client 10.80.1.1
check "a client on the other" on other "$e2e/udp.py" exchange 10.80.2.1 8080 --count 7
stats_of() { as_nobody server "$work/udpxdp" stats -j "$@" | jq -c '[.iface, .services[0].rx]'; }
equal "stats: of both" '["all interfaces",47]' "$(stats_of)"
equal "stats -i: of the first, after which its socket is named" '["eth0",40]' "$(stats_of -i eth0)"
equal "stats -i: of the second" '["eth1",7]' "$(stats_of -i eth1)"
said=$(as_nobody server "$work/udpxdp" stats -i lo 2>&1)
status=$?
if as_nobody server test -x /sys/fs/bpf; then
	equal "stats -i: of one that is not served" 1 $status
	matches "which is said" "^udpxdp: no server is running on lo: " "$said"
else # as systemd mounts it
	equal "stats -i: of one that may be served by root" 3 $status
	matches "which is said" "^udpxdp: cannot read the counters of lo: Permission denied; run as root " "$said"
fi
server_stop server || not_ok "it ends well"

# ---- root has no more rights in the end ----

mkdir -p "$work/of_root/udpxdp"
server_start server --iface eth0 --mode sockets -s echo -s chat,history="$work/root.txt" \
	--control "$work/of_root/udpxdp/eth0.sock"
equal "as root: it is nobody, without capabilities" "$(id -u nobody) 0000000000000000" \
	"$(sed -n 's/^\(Uid\|CapEff\):\t*\([^\t]*\).*/\2/p' "/proc/${server_pid[server]}/status" | xargs)"
check "as root: it serves" exchange client 10.80.1.1
for asked in "" "-i eth0" "--control $work/of_root/udpxdp/eth0.sock"; do
	# shellcheck disable=SC2086
	said=$(XDG_RUNTIME_DIR=$work/of_root on server "${nobody[@]}" "$work/udpxdp" stats $asked 2>&1)
	equal "stats $asked of another user: status" 3 $?
	matches "stats $asked of another user: there is a server" '^udpxdp: .*: [Pp]ermission denied; run as root ' "$said"
done
require on server ip address add 10.80.3.1/24 dev eth0
require on client ip address add 10.80.3.2/24 dev eth0
check "an address that comes later is served" exchange client 10.80.3.1
on server ip link delete eth0
check "an interface that goes ends it" wait_for 5 is_gone "${server_pid[server]}"
finish "${server_pid[server]}" 1
equal "with status 1" 1 $?
unset "server_pid[server]"
matches "and that is said" "eth0 is gone" "$(cat "$(server_err server)")"

done_testing
