#!/bin/bash
# SPDX-License-Identifier: MIT
# The consoles of real servers: to each other, to peers never heard of, through a router, to
# nobody; and what the control socket stands.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

stamp='【[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* [0-9]*】'

serve() {
	local host=$1
	shift
	server_start "$host" -s echo -s broadcast -s "chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history=$work/$host.txt" "$@"
}

# peer NAME HOST ARG...: a plain socket there; what it gets is in $work/NAME.log.
peer() {
	local name=$1 host=$2
	shift 2
	spawn "$work/$name.log" "$host" "$e2e/peer.py" "$@"
	wait_for 10 grep -q bound "$work/$name.log" || bail "a peer on $host" "$(cat "$work/$name.log")"
}

got() { tail -n +2 "$work/$1.log"; }

# chat HOST TEXT PEER PORT [OPTION...]: one message from its console.
chat() {
	local host=$1 text=$2
	shift 2
	printf '%s\n' "$text" | timeout 20 "$udpxdp" chat --control "$(control "$host")" "$@"
}

announce() {
	timeout 20 "$udpxdp" broadcast --control "$(control "$1")" "${@:2}"
}

# open_console NAME HOST VERB ARG...: one that stays; lines for it go to descriptor $input, what it
# prints is in $work/NAME.log.
open_console() {
	local name=$1 host=$2 verb=$3
	shift 3
	mkfifo "$work/$name.fifo"
	env --default-signal=INT,QUIT "$udpxdp" "$verb" --control "$(control "$host")" "$@" \
		<"$work/$name.fifo" >"$work/$name.log" 2>&1 &
	pid=$!
	exec {input}>"$work/$name.fifo"
	rm "$work/$name.fifo"
}

prints() { grep -qE -- "$2" "$work/$1.log"; }

forget() { require on "$1" ip neighbour flush all nud all; }

# a, b and c on one segment with the router r; far behind it. Servers on a and b.
require hosts a b c r far
require segment 1 switch a b c r
require wire r:eth1 far:eth0
require address r eth1 10.80.2.1/24 fd00:80:2::1/64
require address far eth0 10.80.2.2/24 fd00:80:2::2/64
require routes r
require on a ip route add default via 10.80.1.4
require on a ip route add default via fd00:80:1::4
require on far ip route add default via 10.80.2.1
require on far ip route add default via fd00:80:2::1
serve a
serve b

# ---- broadcast ----

peer receiver c 8086 --reply "reply of c" --replies 100
announce a "hello lan" >"$work/announce.out" 2>"$work/announce.log"
equal "an announcement ends well" 0 $?
equal "and gets every reply, once" 2 "$(wc -l <"$work/announce.out")"
matches "of a plain socket" '^10\.80\.1\.3:8086 reply of c$' "$(cat "$work/announce.out")"
matches "and of another udpxdp" "^10\.80\.1\.2:8086 $stamp$(hostname)\$" "$(cat "$work/announce.out")"
matches "the plain socket got it once" "^10\.80\.1\.1 8086 ${stamp}hello lan\$" "$(got receiver)"
equal "and nothing else" 1 "$(got receiver | wc -l)"
printf 'one\ntwo\n' | announce a --wait 0.5 >"$work/announce.out"
equal "each line of a pipe is announced, and answered twice" 4 "$(wc -l <"$work/announce.out")"
matches "the second line" "^10\.80\.1\.1 8086 ${stamp}two\$" "$(got receiver)"

# ---- console to console ----

open_console of_a a chat 10.80.1.2 8090
to_a=$input
open_console of_b b chat 10.80.1.1 8090
to_b=$input b_pid=$pid
there() { # until the other end shows that it is there
	echo "are you there" >&"$1"
	prints "$2" 'are you there'
}
check "a console reaches another" wait_for 5 there "$to_a" of_b
check "and the other way" wait_for 5 there "$to_b" of_a
echo "hello b, 你好" >&"$to_a"
check "a console's message is shown on the other" wait_for 5 prints of_b '^10\.80\.1\.1:8090 hello b, 你好$'
echo "hello a" >&"$to_b"
check "and back" wait_for 5 prints of_a '^10\.80\.1\.2:8090 hello a$'
check "it is in the sender's history" wait_for 5 \
	grep -qx "$stamp向【('10\.80\.1\.2', 8090)】发送数据:hello b, 你好" "$work/a.txt"
check "and in the receiver's" wait_for 5 \
	grep -qx "$stamp收到【('10\.80\.1\.1', 8090)】发送的数据:hello b, 你好" "$work/b.txt"

# ---- to a peer never seen before ----

peer plain c 9999 --reply "heard you"
forget a
equal "a peer never heard of answers" "10.80.1.3:9999 heard you" "$(chat a "first words" 10.80.1.3 9999)"
equal "it got the bare text, from the chat port" "10.80.1.1 8090 first words" "$(got plain)"
peer plain6 c 9998 --reply "heard you" -6
forget a
equal "IPv6: a peer never heard of answers" "[fd00:80:1::3]:9998 heard you" \
	"$(chat a "first words" fd00:80:1::3 9998)"
equal "IPv6: it got the bare text" "fd00:80:1::1 8090 first words" "$(got plain6)"

peer distant far 9999 --reply "so far"
peer distant6 far 9998 -6
forget a
equal "a peer behind a router answers" "10.80.2.2:9999 so far" "$(chat a "over the hills" 10.80.2.2 9999)"
check "it got the text" wait_for 5 prints distant '^10\.80\.1\.1 8090 over the hills$'
check "IPv6: a peer behind a router" chat a "and far away" fd00:80:2::2 9998 --wait 0
check "IPv6: got the text" wait_for 5 prints distant6 '^fd00:80:1::1 8090 and far away$'

# ---- to nobody ----

refused() {
	local name=$1 line=$2 output
	shift 2
	output=$(chat a x "$@" 2>&1)
	equal "$name: exit status" 1 $?
	matches "$name: one line, what to do at its end" "^udpxdp: chat: $line; .+\$" "$output"
	equal "$name: nothing else" 1 "$(wc -l <<<"$output")"
}

refused "nobody there" "no answer to ARP from 10.80.1.77" 10.80.1.77 1
refused "IPv6: nobody there" "no answer to ND from fd00:80:1::77" fd00:80:1::77 1
refused "our own address" "10.80.1.1 is an address of this host" 10.80.1.1 8090
refused "everybody" "10.80.1.255 is a broadcast address" 10.80.1.255 1
refused "many" "ff02::1 is a multicast address" ff02::1 1
check "the data path never waited for it" on c "$e2e/udp.py" exchange 10.80.1.1 8080 --count 100

matches "text that is not UTF-8" '^udpxdp: chat: .*UTF-8' "$(chat a $'\xff\xfe' 10.80.1.3 9999 --wait 0 2>&1)"
peer local a 9997 --reply "next door"
equal "a client on the server's own host answers" "10.80.1.1:9997 next door" "$(chat a "hello" 10.80.1.1 9997)"
long=$(printf '%03000d' 0)
peer patient c 9996
check "a text longer than the MTU goes in fragments" chat a "$long" 10.80.1.3 9996 --wait 0
check "and arrives whole" wait_for 5 prints patient "^10\.80\.1\.1 8090 $long\$"
longest=$(printf '%065508d' 0)
matches "a text longer than UDP takes" '^udpxdp: chat: .*long' "$(chat a "$longest" 10.80.1.3 9999 --wait 0 2>&1)"
matches "an announcement longer than UDP takes" '^udpxdp: broadcast: .*long' "$(announce a "$longest" 2>&1)"

# ---- what the control socket stands ----

equal "its mode" 660 "$(stat -c %a "$(control a)")"
on c timeout 20 "$udpxdp" serve --iface eth0 --control "$(control a)" --pin-dir "$(pin_dir c)" \
	>"$work/busy.log" 2>&1
equal "a second server on a live socket is busy" 5 $?
matches "and says so" '^udpxdp: .*control' "$(cat "$work/busy.log")"

# A console that is frozen, while messages for it pour in.
kill -STOP "$b_pid"
on c python3 - <<'PYTHON'
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for i in range(8000):
        s.sendto(b"message %d " % i + 400 * b".", ("10.80.1.2", 8090))
        if i % 50 == 0:
            time.sleep(0.01)
PYTHON
check "a frozen console holds nothing up: echo" on c "$e2e/udp.py" exchange 10.80.1.2 8080 --count 1000
check "nor other consoles" chat b "still there" 10.80.1.3 9999 --wait 0
kill -CONT "$b_pid"
finish "$b_pid" 10
equal "it was cut off" 1 $?
equal "and says so in one line" 1 "$(grep -c '^udpxdp: lost the connection to .*: the server stopped or dropped' "$work/of_b.log")"

# Consoles that write garbage, and a great many requests, and never read.
cat >"$work/flood.py" <<'PYTHON'
import os, socket, sys, time
consoles = []
for i in range(20):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.setblocking(False)
    consoles.append(s)
    s.send(b"watch broadcast" if i % 2 else os.urandom(100))
packets = [b"announce\nflood", b"", b"\n", os.urandom(65000), b"say 10.80.1.77 1\nx", b"x" * 100000]
end, sent = time.monotonic() + 3, 0
while time.monotonic() < end:
    for s in consoles:
        try:
            sent += s.send(packets[sent % len(packets)]) and 1
        except BlockingIOError:
            pass
        except OSError:
            consoles.remove(s)
    if not consoles:
        break
PYTHON
peer other c 9997 --reply "heard you"
python3 "$work/flood.py" "$(control a)" >"$work/flood.log" 2>&1 &
flood_pid=$!
check "a flood on the control socket: echo goes on" \
	on c "$e2e/udp.py" exchange 10.80.1.1 8080 --count 3000 --window 16
equal "and so do other consoles" "10.80.1.3:9997 heard you" "$(chat a "in the middle of it" 10.80.1.3 9997 | tail -n 1)"
finish "$flood_pid" 10
equal "the flood ended by itself" "0" "$?$(cat "$work/flood.log")"

# ---- the server's end ----

server_stop a
equal "a server stops well" 0 $?
check "its socket is gone" [ ! -e "$(control a)" ]
check "its console ends" wait_for 5 prints of_a '^udpxdp: lost the connection to .*: the server stopped'
matches "a console without a server" '^udpxdp: control socket .*: no server is listening' \
	"$(chat a x 10.80.1.3 9999 2>&1)"
server_stop b KILL
check "a server that is killed leaves its socket" [ -S "$(control b)" ]
matches "which is no server" '^udpxdp: control socket .*: no server is listening' \
	"$(chat b x 10.80.1.3 9999 2>&1)"
serve b
check "the next one takes its place" chat b "again" 10.80.1.3 9999 --wait 0
check "and is heard" wait_for 5 prints plain '^10\.80\.1\.2 8090 again$'

done_testing
