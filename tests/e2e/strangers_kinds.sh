#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The attacks of strangers_chat.sh, loops.sh and roads.sh in other clothes: over IPv6, behind tags, in
# fragments, against two rooms, the reflector and sockets of the kernel, and from another interface.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server alice bob forger eve
require segment 1 switch server alice bob forger
require wire server:eth1 eve:eth0
require address server eth1 10.80.2.1/24 fd00:80:2::1/64
require address eve eth0 10.80.2.2/24 fd00:80:2::2/64
require address server eth0 fe80::1/64
require address server eth1 fe80::1/64
require address alice eth0 fe80::a/64
require address eve eth0 fe80::a/64 # of its own link
require on server ip route add 192.0.2.0/24 via 10.80.1.4
require on server ip route add 2001:db8::/32 via fd00:80:1::4
v4=10.80.1.1 v6=fd00:80:1::1
nobody=02:00:00:00:66:66

# forge ARG...: by the forger on eth0. eve_forges ARG...: on the other interface.
forge() { on forger "$e2e/forge.py" eth0 "$(mac_of server)" "$@" >"$work/forged.json"; }
eve_forges() { on eve "$e2e/forge.py" eth0 "$(mac_of server eth1)" "$@" >"$work/forged.json"; }
# answers: and it was answered.
answers() { within && [ "$(forged '[.[].back_bytes] | add')" -gt 0 ]; }
heard_by() { [ "$(grep -cF -- "$2" "$work/$1.log")" -ge "$3" ]; }

# say NAME ADDR TEXT [PORT]
say() { printf '%s %s %s\n' "$2" "${4:-8090}" "$3" >&"${input_of[$1]}"; }

# statistics FILTER: of what `stats` says, over all interfaces.
statistics() { "$udpxdp" stats -j --control "$(control server)" | jq "$1"; }
received() { statistics "[.services[] | select(.port == $1) | .rx] | add"; }
dropped() { statistics "[.services[] | .drops.$1 // 0] | add"; }
# accounted PORT: each datagram of a service that answers once was answered or refused for one reason.
accounted() {
	[ "$(statistics "[.services[] | select(.port == $1) | .rx - .tx - ([.drops[]] | add)] | add")" = 0 ]
}

start() {
	server_start server "$@" -Q -s echo -s "echo:8081,stamp=off,tos=copy" -s stamp -s "stamp:5862,stateful=on" \
		-s broadcast -s "chat,members=64,history=$work/chat.txt" -s "chat:8091,members=64,history=off"
}

far6=$(printf '2001:db8::%x ' {1..100})
near6=$(printf 'fd00:80:1::%x ' {100..199})

# ---- much for little ---------------------------------------------------------------------------

# amplifies NAME: whatever is asked of whatever service, over either family.
amplifies() {
	local port text size
	for port in 8090 8091; do
		# shellcheck disable=SC2086 # addresses
		forge $v6 $port 1024 $far6 --wait 0.1
		check "$1: $port, 1,024 forged speakers of IPv6: 3 times what they sent, at most" within
		for text in /who '' '\xff'; do
			forge $v6 $port 30 2001:db8::a1 2001:db8::a2 --port 6000 --text "$text" --wait 0.05
			check "$1: $port, likewise \"$text\" of IPv6" within
			forge $v4 $port 30 192.0.2.7 192.0.2.8 --port 6000 --text "$text" --wait 0.05
			check "$1: $port, and of IPv4" within
		done
	done
	for size in 0 1 1400; do
		forge $v6 8080 100 2001:db8::e1 --port 6000 --repeat $size --wait 0.1
		check "$1: an echo of $size bytes of IPv6 stays within" answers
		forge $v4 8081 100 192.0.2.9 --port 6000 --repeat $size --wait 0.1
		check "$1: without a stamp, of IPv4" answers
	done
	forge $v4 8080 3 192.0.2.10 --port 6000 --repeat 60000 --fragment 1480 --wait 0.2
	check "$1: 60,000 bytes in fragments: $(forged '.[0].back') of them come back" answers
	for size in 14 1000; do
		forge $v6 862 100 2001:db8::e2 --port 6000 --repeat $size --wait 0.1
		check "$1: the reflector, $size bytes of IPv6, likewise" answers
		forge $v4 5862 100 192.0.2.11 --port 6000 --repeat $size --wait 0.1
		check "$1: with sessions, of IPv4" answers
	done
	forge $v4 8086 200 192.0.2.12 10.80.1.91 --broadcast --port 6000 --text '' --mac $nobody --wait 0.3
	check "$1: empty announcements" within
	for port in 8080 8081 862 5862; do
		check "$1: $port, each is accounted for once" accounted $port
	done
}

for address in 10.80.1.4 fd00:80:1::4; do # before anything waits for it
	require on server ping -q -c 1 -W 2 $address
done
start -i eth0 -i eth1 --vlan any
amplifies copy
# shellcheck disable=SC2086 # addresses
forge $v6 8090 1000 $near6 --mac $nobody --wait 1.2
check "1,000 with addresses of the link that nobody has, of IPv6" within
for tag in 66,67 88a8:66,67; do
	forge $v6 8090 60 2001:db8::a3 fd00:80:1::a4 --tag $tag --port 6000 --text /who --mac $nobody --wait 0.1
	check "behind the tags $tag" within
done
enter alice alice 5000
enter alice6 alice 5006 -6
enter bob bob 5000 -6
for room in 8090 8091; do
	say alice $v4 "I am alice" $room
	say alice6 $v6 "I am alice, too" $room
	asks() {
		say bob $v6 "is there room in $room?" $room
		sleep 0.1
		heard alice "[fd00:80:1::3]:5000: is there room in $room?"
	}
	check "neighbours come into $room all the same" wait_for 2 asks
done
equal "and see no word" 0 "$(cat "$work/alice.log" "$work/alice6.log" "$work/bob.log" | grep -c 'to join')"
equal "none of the forged is in the history" 0 "$(grep -vc 'I am alice\|is there room' "$work/chat.txt")"

# ---- a member's road, from another interface --------------------------------------------------

say alice6 fe80::1%eth0 "by its link-local address"
check "who speaks from a link-local address is heard" wait_for 5 heard bob "[fe80::a]:5006: by its link-local"
on eve python3 - "$(mac_of server eth1)" <<'PYTHON'
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind(("eth0", 0))
own = sock.getsockname()[4]
sock.send(bytes.fromhex(sys.argv[1].replace(":", "")) + own + b"\x08\x06\0\1\x08\0\6\4\0\1" + own +
          socket.inet_aton("10.80.1.2") + bytes(6) + socket.inet_aton("10.80.2.1"))
PYTHON
knows() { on server ip neigh show dev eth1 | grep -q "10.80.1.2 .*$(mac_of eve)"; }
check "the kernel believes what is said by ARP on another link" wait_for 5 knows
for text in "I am alice there" "/nick eve" /quit; do
	eve_forges 10.80.2.1 8090 1 10.80.1.2 --port 5000 --text "$text" --wait 0.2
	matches "but not we: \"$text\" is asked for a word" 'to join, send' "$(forged '.[0].texts[0]')"
	eve_forges fe80::1 8090 1 fe80::a --port 5006 --text "$text" --wait 0.4
done
say bob $v6 "who hears me?"
check "alice is who and where she was" wait_for 5 heard alice "[fd00:80:1::3]:5000: who hears me?"
check "and by her link-local address" wait_for 5 heard_by alice6 "[fd00:80:1::3]:5000: who hears me?" 2
equal "nobody spoke in her name" 0 "$(grep -c '10.80.1.2:5000: I am alice there' "$work/bob.log")"
check "eve's own fe80::a is another, and called so" wait_for 5 grep -qE '\[fe80::a\]:5006%[0-9]+: I am alice there' "$work/bob.log"
equal "by IPv4 each was counted" 3 "$(dropped other_road)"

# ---- text --------------------------------------------------------------------------------------

spawn "$work/console.log" server sh -c "sleep 4 | '$udpxdp' chat --service chat:8090 --control '$(control server)' 10.80.1.3 9999"
on bob python3 - <<'PYTHON'
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 5001))
odd = ["\x1b[2J", "\r", "\n", "\u2028", "\u2029", "\u202e", "\u2066", "\u200b", "\ufeff", "\u061c", "\u0085",
       "\u009b31m", "\b", "\0", "\x7f", "\ufff9", "\U000e0041", "\ue000", "\u0378", "\uffff"]
blank = ["\u034f", "\ufe0f", "\u115f", "\u3164", "\uffa0", "\u2800", "\U000e0100"]
raw = [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\x80", b"\xc0\x80"]
for port in 8090, 8080:
    sock.sendto(b"/nick plain", ("10.80.1.1", port))
    for text in [("a%sb" % c).encode() for c in odd] + raw:
        for before in b"", b"/", b"/nick n":
            sock.sendto(before + text, ("10.80.1.1", port))
    for c in blank:
        sock.sendto(("/nick plain" + c).encode(), ("10.80.1.1", port))
    time.sleep(0.2)
sock.sendto(b"the last", ("10.80.1.1", 8090))
PYTHON
check "what does not print is said" wait_for 5 heard alice ": the last"
check "by the one name that can be told from others" heard alice "plain: the last"
check "to the console as well" wait_for 5 heard console "the last"
prints() { # FILE...: one line of printing text each
	python3 - "$@" <<-'PYTHON'
		import sys
		for path in sys.argv[1:]:
		    for line in open(path, encoding="utf-8", newline="\n"):
		        if not line.rstrip("\n").isprintable():
		            sys.exit("%s: %r" % (path, line))
	PYTHON
}
check "and all of it is printing text" prints "$work/console.log" "$work/chat.txt"
check "stops well" server_stop server

# ---- loops -------------------------------------------------------------------------------------

# ends NAME PORT FROM_PORT TEXT: a loop begun by alice's own hand, over both families, ends.
ends() {
	local before after
	before=$(received "$2")
	on alice "$e2e/forge.py" eth0 "$(mac_of server)" $v4 "$2" 1 10.80.1.2 --port "$3" --text "$4" --wait 0.02 >/dev/null
	on alice "$e2e/forge.py" eth0 "$(mac_of server)" $v6 "$2" 1 fd00:80:1::2 --port "$3" --text "$4" --wait 0.02 >/dev/null
	is_over() {
		after=$(received "$2")
		sleep 0.2
		[ "$after" -gt "$1" ] && [ "$(received "$2")" = "$after" ]
	}
	wait_for 2 is_over "$before" "$2"
	check "$1: it ends, after $((after - before)) datagrams" test $((after - before)) -le 1100 -a \
		"$(received "$2")" = "$after"
}

spawn "$work/same.log" alice "$e2e/udp.py" serve :: 5060 --text "an error, whatever you say, in more bytes than 44"
spawn "$work/empty.log" alice "$e2e/udp.py" serve :: 5061 --text ""
spawn "$work/plain.log" alice "$e2e/udp.py" serve :: 7777
for name in same empty plain; do
	wait_for 5 heard $name ready || bail "a responder"
done
for mode in copy sockets; do
	start -i eth0 --mode $mode
	on alice ping -q -c 1 -W 2 $v4 >/dev/null
	[ $mode = copy ] || amplifies sockets
	ends "$mode: the reflector and one that always says the same" 862 5060 AAAABBBBCCCCDD
	ends "$mode: with sessions" 5862 5060 AAAABBBBCCCCDD
	ends "$mode: the reflector and a plain echo" 862 7777 AAAABBBBCCCCDD
	ends "$mode: with sessions" 5862 7777 AAAABBBBCCCCDD
	ends "$mode: echo and one that says nothing" 8080 5061 hi
	ends "$mode: without stamps and a plain echo" 8081 7777 hi
	check "$mode: the reflector still answers who numbers what it sends" on alice "$udpxdp" bench --stamp -Q \
		--count 600 --rate 4000 $v4
	check "$mode: stops well" server_stop server
done

done_testing
