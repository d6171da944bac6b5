#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guard rails: limits, networks that are allowed or denied, how long an answer may be, and who
# is never answered. Loops and off-link challenges have tests of their own.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client router far
require segment 1 switch server client
require wire router:eth0 switch:port9
require on switch ip link set port9 master br0
require wire router:eth1 far:eth0
require address router eth0 10.80.1.9/24 fd00:80:1::9/64
require address router eth1 10.80.2.1/24 fd00:80:2::1/64
require address far eth0 10.80.2.2/24 fd00:80:2::2/64
require routes router
require on far ip route add default via 10.80.2.1
require on far ip route add default via fd00:80:2::1
require on server ip route add 10.80.2.0/24 via 10.80.1.9
require on server ip route add fd00:80:2::/64 via fd00:80:1::9
require address client eth0 10.80.1.66/24 fd00:80:1::66/64
require on client ip route add default dev eth0

# verdicts REASON: as udpxdp stats says it.
verdicts() {
	on server "$udpxdp" stats --pin-dir "$(pin_dir server)" -j | jq ".verdicts.$1.frames"
}

# burst HOST SOURCE ADDR COUNT [PORT]: how many of them are answered.
burst() {
	on "$1" "$e2e/acl_ratelimit.py" burst "$2" "$3" "${5:-8080}" "$4"
}

# between NAME LOW HIGH SEEN
between() {
	check "$1: $4" test "$4" -ge "$2" -a "$4" -le "$3"
}

# ---- --limit

spawn "$work/kernel.log" server "$e2e/udp.py" serve :: 7000
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket" "$(cat "$work/kernel.log")"
server_start server -s echo --limit 1/10
sent=0 answered=0
# limited NAME LOW HIGH HOST SOURCE ADDR COUNT
limited() {
	local n
	n=$(burst "$4" "$5" "$6" "$7")
	sent=$((sent + $7)) answered=$((answered + n))
	between "$1" "$2" "$3" "$n"
}
limited "--limit 1/10: of 40 at once" 10 12 client 10.80.1.2 10.80.1.1 40
for _ in 1 2 3; do # who floods takes nothing from its neighbours
	limited "a neighbour in the /24 has its own: of 3" 3 3 client 10.80.1.66 10.80.1.1 3
	limited "which goes on flooding: of 20" 0 3 client 10.80.1.2 10.80.1.1 20
done
emptied=$SECONDS
limited "another /24 has its own: of 20" 10 12 far 10.80.2.2 10.80.1.1 20
limited "IPv6: of 40 at once" 10 12 client fd00:80:1::2 fd00:80:1::1 40
limited "a neighbour in the /64 has its own: of 20" 10 12 client fd00:80:1::66 fd00:80:1::1 20
limited "another /64 has its own: of 20" 10 12 far fd00:80:2::2 fd00:80:1::1 20
equal "every other one is counted as rate_limited" $((sent - answered)) "$(verdicts rate_limited)"
equal "and the others as redirected" "$answered" "$(verdicts redirected)"
equal "all of them are the port's" "$sent" "$(port_counter server 8080 rx_packets)"
check "a limited source still reaches the kernel's sockets" test "$(burst client 10.80.1.2 10.80.1.1 40 7000)" = 40
check "and is answered to ping" on client ping -q -c 3 -i 0.1 -W 1 10.80.1.1
refilled=0
more() {
	refilled=$((refilled + $(burst client 10.80.1.2 10.80.1.1 "$1")))
	[ $refilled -ge 3 ]
}
check "and may send again in a while" wait_for 15 more 1
more 20
between "but no more than one a second" 3 $((SECONDS - emptied + 3)) $refilled
server_stop server || not_ok "it stops well"

server_start server -s echo --limit 500
answered=$(on client "$e2e/udp.py" exchange 10.80.1.1 8080 --count 1500 --window 10000 --interval 0.0002 --timeout 0.5 |
	jq .answered)
limited=$(verdicts rate_limited)
equal "--limit 500: what is not answered is counted" 1500 $((answered + limited))
check "a stream of more than that is thinned: $limited of 1500 dropped" test "$limited" -ge 100
check "steadily below the limit nothing is dropped" on client "$e2e/udp.py" exchange 10.80.1.1 8080 \
	--count 100 --interval 0.01
server_stop server || not_ok "it stops well"

# rotated NAME LOW HIGH ADDR PATTERN COUNT: of so many from as many sources, how many are let in.
rotated() {
	local was
	was=$(verdicts redirected)
	on switch "$e2e/acl_ratelimit.py" rotate port1 "$(mac_of server)" "$4" "$5" "$6"
	wait_for 10 counted $((all += $6)) || not_ok "all of $5 arrive"
	between "$1" "$2" "$3" $(($(verdicts redirected) - was))
}
counted() {
	[ $(($(verdicts redirected) + $(verdicts rate_limited))) -ge "$1" ]
}
for mode in "" "--limit-total 1/100"; do
	all=0
	# shellcheck disable=SC2086 # an option and its argument, or none
	server_start server -s echo --limit 1/10 $mode
	if [ -z "$mode" ]; then
		rotated "who rotates through a /24 is held to 8 times the limit" 80 100 10.80.1.1 10.9.9.%d 200
		rotated "and who does through a /16, to 32 times" 320 400 10.80.1.1 10.10.%d.7 3000
		rotated "and through a /64, to 8 times" 80 100 fd00:80:1::1 fd09::%x 2000
		rotated "and through the /64s of a /48, to 32 times" 320 400 fd00:80:1::1 fd09:1:1:%x::1 4000
		rotated "but sites have their own" 200 200 10.80.1.1 11.%d.1.1 200
	else
		rotated "--limit-total: random sources are bounded" 100 110 10.80.1.1 11.%d.1.1 2000
		rotated "and of either family" 0 10 fd00:80:1::1 fd%02x::1 200
	fi
	server_stop server || not_ok "it stops well"
done

# ---- on the kernel's sockets, which no filter sees

# by_sockets FIELD: what the services count there.
by_sockets() {
	on server "$udpxdp" stats -j --control "$(control server)" | jq "[.services[]$1] | add"
}
for mode in "" "--mode sockets"; do
	# shellcheck disable=SC2086 # an option and its argument, or none
	server_start server -s echo --limit 1/10 $mode
	answered=$(burst server 10.80.1.1 10.80.1.1 40)
	between "${mode:-beside XDP}: of 40 at once" 10 12 "$answered"
	equal "and each ends in one counter" "40 $answered $((40 - answered))" \
		"$(by_sockets .rx) $(by_sockets .tx) $(by_sockets .drops.rate_limited)"
	server_stop server || not_ok "it stops well"
done

# ---- --allow and --deny

# reached HOST SOURCE ADDR: yes, or no.
reached() {
	case $(burst "$1" "$2" "$3" 5) in 5) echo yes ;; 0) echo no ;; *) echo partly ;; esac
}
server_start server -s echo --allow 10.80.1.0/24 --deny 10.80.1.66 --allow fd00:80:1::/64 --deny fd00:80:1::66/128
equal "--allow: from the network" yes "$(reached client 10.80.1.2 10.80.1.1)"
equal "--allow: from an IPv6 network" yes "$(reached client fd00:80:1::2 fd00:80:1::1)"
equal "--deny: the longest match decides" no "$(reached client 10.80.1.66 10.80.1.1)"
equal "--deny: in IPv6, too" no "$(reached client fd00:80:1::66 fd00:80:1::1)"
equal "--allow: everybody else is denied" no "$(reached far 10.80.2.2 10.80.1.1)"
equal "--allow: in IPv6, too" no "$(reached far fd00:80:2::2 fd00:80:1::1)"
equal "each of them is counted as denied" "20 10" "$(verdicts denied) $(verdicts redirected)"
check "whom it denies still reaches the kernel's sockets" test "$(burst far 10.80.2.2 10.80.1.1 5 7000)" = 5
check "and is answered to ping" on far ping -q -c 2 -i 0.1 -W 1 10.80.1.1
server_stop server || not_ok "it stops well"

server_start server -s echo --deny 10.80.1.66/31 --deny fd00:80:2::/48
equal "--deny alone: others are served" "yes yes yes" \
	"$(reached client 10.80.1.2 10.80.1.1) $(reached far 10.80.2.2 10.80.1.1) $(reached client fd00:80:1::66 fd00:80:1::1)"
equal "--deny alone: those are not" "no no" \
	"$(reached client 10.80.1.66 10.80.1.1) $(reached far fd00:80:2::2 fd00:80:1::1)"
equal "and are counted" 10 "$(verdicts denied)"
server_stop server || not_ok "it stops well"

for wrong in "--allow 10.0.0.0/33" "--deny fd00::/129" "--deny 10.0.0" "--allow x" "--limit 0" "--limit 5/0" "--limit x" \
	"--limit-total 0" "--limit-total 5/"; do
	# shellcheck disable=SC2086 # an option and its argument
	server_refuses "$wrong is a usage error" 2 "${wrong%% *}|${wrong##* }" server $wrong
done

# ---- how long an answer may be, and to whom

SMALL=256 # bytes: what an answer may have beside three times its request

requests() {
	local size
	cat <<-'END'
		b''
		b'x'
		b'hello'
		b'/help'
		b'/who'
		b'/nick'
		b'/nick somebody'
		b'/nick a name with spaces'
		b'/nick nobody-has-a-name-as-long-as-this-one-is-here'
		b'/who\n'
		b'/nosuch'
		b'/'
		b'* x'
		b'\xff'
		b'\xff\xfe\xfd\xfc'
		b'\x00\x01\x1b[31m'
		b'\xe3\x80\x90Mon Nov 23 02:00:00 2026\xe3\x80\x91 hi'
		b'watch chat'
		b'/quit'
		b'/quit'
	END
	for size in 100 500 1000 1400 1460 1472; do
		echo "b'$(printf '%*s' "$size" '' | tr ' ' z)'"
		echo "b'/nick $(printf '%*s' $((size - 6)) '' | tr ' ' z)'"
	done
}
hostname=$(hostname)
server_start server -s echo -s broadcast -s "chat,history=off,challenge=on"
spawn "$work/many_clients.log" client "$e2e/acl_ratelimit.py" many_clients 10.80.1.1 8090 1000
many_clients=$pid
wait_for 60 grep -q joined "$work/many_clients.log" || bail "1000 members join" "$(cat "$work/many_clients.log")"
for where in "client 10.80.1.1" "client fd00:80:1::1" "far 10.80.1.1"; do
	for port in 8080 8086 8090; do
		requests | on "${where%% *}" "$e2e/acl_ratelimit.py" ask "${where##* }" $port >"$work/ask.log" 2>&1
		count=$(wc -l <"$work/ask.log")
		too_long=$(awk -v small=$SMALL '$2 > 3 * $1 + small' "$work/ask.log")
		longest=$(awk '$2 - 3 * $1 > max { max = $2 - 3 * $1 } END { print max + 0 }' "$work/ask.log")
		equal "no answer exceeds three times its request by more than $SMALL ($longest), $where $port" \
			"32 " "$count $too_long"
	done
done
kill "$many_clients"

# An announcement is answered with the host's name, and so is little more than a stamp.
on client "$e2e/plain.py" announce "who is there?" >"$work/announce.log"
equal "nor the answer to an announcement" 1 \
	"$(awk '/^10.80.1.1 / && length($3 $4 $5 $6 $7) <= 64 + '"${#hostname}"' { n++ } END { print n + 0 }' "$work/announce.log")"
server_stop server || not_ok "it stops well"

# Forged sources that nobody may answer: each is counted, and nothing follows on the wire.
mac=$(mac_of server)
server_start server -s echo -s broadcast -s "chat,history=off"
total=0
while read -r what source address; do
	for port in 8080 8086 8090; do
		on switch "$e2e/acl_ratelimit.py" spoof port1 br0 02:00:00:00:00:66 "$source" 40000 "$mac" "$address" $port "b'hello'" \
			"port1/$mac/10.80.1.1/8080" >"$work/spoof.log" 2>&1
		total=$((total + 1))
		equal "nothing is answered to $what, port $port" "0 $total" \
			"$(head -n 1 "$work/spoof.log") $(service_counter server source_address)"
	done
done <<'END'
everybody 255.255.255.255 10.80.1.1
the-subnet 10.80.1.255 10.80.1.1
a-group 224.0.0.251 10.80.1.1
itself 10.80.1.1 10.80.1.1
the-loopback 127.0.0.1 10.80.1.1
nobody 0.0.0.0 10.80.1.1
an-IPv6-group ff02::1 fd00:80:1::1
itself-in-IPv6 fd00:80:1::1 fd00:80:1::1
nobody-in-IPv6 :: fd00:80:1::1
END
server_stop server || not_ok "it stops well"

done_testing
