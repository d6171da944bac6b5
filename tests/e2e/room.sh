#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One chat room over three hosts on two segments, by a real nats-server with JetStream: what is said
# reaches every member of every host once and in order; presence and names; a broker that is killed,
# a host that is cut off or killed, garbage, wrong credentials.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/rooms.bash
. "$e2e/rooms.bash"

MESSAGES=${MESSAGES:-10000}

# The broker is on both segments, and so are the people, each of whom speaks to a host on its own.
require hosts hosta hostb hostc broker people
require segment 96 s1 hosta hostb broker people
require segment 97 s2 hostc
require wire broker:eth1 s2:portb
require wire people:eth1 s2:portp
require on s2 ip link set portb master br0
require on s2 ip link set portp master br0
require address broker eth1 10.80.97.3/24
require address people eth1 10.80.97.4/24
declare -A addr=([hosta]=10.80.96.1 [hostb]=10.80.96.2 [hostc]=10.80.97.1) \
	nats=([hosta]=10.80.96.3 [hostb]=10.80.96.3 [hostc]=10.80.97.3)
hosts=(hosta hostb hostc)

# start HOST [OPTIONS]: udpxdp there, with a chat of the room.
start() {
	room_start "$1" "nats://${nats[$1]}:4222${2:-}"
}

who() {
	on people "$e2e/room.py" say "${addr[$1]}:8090" "${@:2}" /who | tail -n 1
}

# told_away HOST COUNT: alice was told that often that it is away.
told_away() {
	[ "$(grep -c "^\* $1 is away$" "$work/alice.log")" = "$2" ]
}

# counted: published, received, duplicates, ignored, over all hosts.
counted() {
	local name host
	for name in published received duplicates ignored; do
		for host in "${hosts[@]}"; do room_counter "$host" $name; done | awk '{ sum += $1 } END { print sum + 0 }'
	done | xargs
}

has_counted() {
	[ "$(counted)" = "$1" ]
}

sees() {
	who "$1" | grep -qE -- "$2"
}

# ---- everything reaches everybody, once and in order ---------------------------------------

begun=$SECONDS
require broker_start
for host in "${hosts[@]}"; do start "$host"; done
for host in "${hosts[@]}"; do require wait_for 5 is_connected "$host"; done
check "$MESSAGES messages reach every member of every host once, in each speaker's order" \
	on people "$e2e/room.py" talk 20 "$MESSAGES" 2500 "${addr[hosta]}:8090/3" "${addr[hostb]}:8090/3" \
	"${addr[hostc]}:8090/3"
note "$(tail -n 1 "$work/output")"

# have_lines COUNT: all three histories have so many.
have_lines() {
	local host
	for host in "${hosts[@]}"; do [ "$(wc -l <"$work/$host/chat.txt")" = "$1" ] || return; done
}

wait_for 5 have_lines "$MESSAGES"
check "and the three histories have the same lines" same_histories "${hosts[@]}"
wait_for 3 has_counted "$MESSAGES $((MESSAGES * 2)) 0 0" # once a second
equal "the counters say so" "$MESSAGES $((MESSAGES * 2)) 0 0" "$(counted)"
matches "stats show the room" "chat:8090 .*connected" "$(on hosta "$udpxdp" stats --pin-dir "$(pin_dir hosta)")"

# ---- names -----------------------------------------------------------------------------------

spawn "$work/alice.log" people "$e2e/room.py" hear "${addr[hosta]}:8090" "/nick alice" "hello from a"
alice=$pid
wait_for 5 sees hostb 'alice@hosta' && wait_for 5 sees hostc 'alice@hosta'
matches "/who shows another host's member" '(^|,| )alice@hosta(,|$)' "$(who hostc)"
spawn "$work/other.log" people "$e2e/room.py" hear "${addr[hostb]}:8090" "/nick alice" "hello from b"
other=$pid
wait_for 5 grep -q 'alice~hostb' "$work/other.log"
matches "a name that clashes stays with the older claim, and a line says so" \
	"^\* alice is now alice~hostb: alice@hosta has the older claim$" "$(cat "$work/other.log")"
on people "$e2e/room.py" say "${addr[hosta]}:8090" "to a and b" >/dev/null
wait_for 5 grep -q "to a and b" "$work/other.log"
matches "nobody is removed" "10.80.96.4:[0-9]+@hosta: to a and b$" "$(cat "$work/other.log")"
matches "what is said there comes with name and host" "^alice(~hostb)?@hostb: hello from b$" "$(cat "$work/alice.log")"

# ---- the broker is killed and started again under load -----------------------------------------

lines=$(wc -l <"$work/hosta/chat.txt")
for host in "${hosts[@]}"; do
	spawn "$work/flood-$host.log" people "$e2e/room.py" flood "${addr[$host]}:8090" 2000 700 "flood of $host"
	floods+=("$pid")
done
require wait_for 5 grep -q 'flood of hosta 300$' "$work/hosta/chat.txt"
broker_kill
require wait_for 5 grep -q 'flood of hosta 1200$' "$work/hosta/chat.txt"
require broker_start
for pid in "${floods[@]}"; do finish "$pid" 20; done
wait_for 20 have_lines $((lines + 6000))
equal "with the broker killed under load no history lacks a line" "$(printf '%s ' $((lines + 6000)) $((lines + 6000)) $((lines + 6000)))" \
	"$(for host in "${hosts[@]}"; do printf '%s ' "$(wc -l <"$work/$host/chat.txt")"; done)"
check "nor has one twice" same_histories "${hosts[@]}"
for host in "${hosts[@]}"; do
	for speaker in "${hosts[@]}"; do
		sed -n "s/^.*发送的数据:flood of $speaker //p" "$work/$host/chat.txt" | sort -nc 2>/dev/null ||
			echo "$speaker in $host"
	done
done >"$work/disorder.log"
equal "each speaker's in order" "" "$(cat "$work/disorder.log")"
matches "the loss of the broker was said once" "^1$" "$(grep -c 'server cannot be reached' "$(server_err hosta)")"
check "all are connected again" wait_for 5 is_connected hostc

# ---- a host is cut off, then back ----------------------------------------------------------------

on s1 ip link set port2 down
require wait_for 25 grep -q '^\* hostb is away$' "$work/alice.log"
on people "$e2e/room.py" say "${addr[hostc]}:8090" "while b is away" >/dev/null
spawn "$work/carl-a.log" people "$e2e/room.py" hear "${addr[hosta]}:8090" "/nick carl"
carls=("$pid")
require wait_for 3 grep -q 'you are now carl' "$work/carl-a.log"
# The people are on its segment, but not on its side of the cut: its own member is on it.
spawn "$work/carl-b.log" hostb "$e2e/room.py" hear "127.0.0.1:8090" "/nick carl"
carls+=("$pid")
require wait_for 3 grep -q 'you are now carl' "$work/carl-b.log"
on s1 ip link set port2 up
check "a host that was cut off is back" wait_for 15 grep -q '^\* hostb is back$' "$work/alice.log"
equal "which was said once each" "1 1" \
	"$(grep -c '^\* hostb is away$' "$work/alice.log") $(grep -c '^\* hostb is back$' "$work/alice.log")"
check "of two who took a name meanwhile the older claim stays" \
	wait_for 10 grep -q '^\* carl is now carl~hostb: carl@hosta has the older claim$' "$work/carl-b.log"
equal "and the other is told nothing" 0 "$(grep -c 'carl~' "$work/carl-a.log")"
kill "${carls[@]}"
for pid in "${carls[@]}"; do finish "$pid" 5; done
check "what it missed is in its history" wait_for 10 grep -q "while b is away$" "$work/hostb/chat.txt"
check "and was told to its members" wait_for 10 grep -q "@hostc: while b is away$" "$work/other.log"

# ---- a process ends, or is killed, and comes back ---------------------------------------------------

server_stop hostc || not_ok "the server stops"
check "one that ends says good-bye" wait_for 3 grep -q '^\* hostc is away$' "$work/alice.log"
on people "$e2e/room.py" say "${addr[hosta]}:8090" "while c is down" >/dev/null
start hostc
check "what was said meanwhile is filled in" wait_for 10 grep -q "while c is down$" "$work/hostc/chat.txt"
spawn "$work/flood.log" people "$e2e/room.py" flood "${addr[hosta]}:8090" 2000 1000 "to the killed"
flood=$pid
require wait_for 5 grep -q 'to the killed 500$' "$work/hostc/chat.txt"
server_stop hostc KILL
killed=$SECONDS
server_dead[hostc]=0
finish "$flood" 10
rm -rf "$(pin_dir hostc)"
check "members of a host that was killed go after the time to live" wait_for 20 told_away hostc 2
note "after $((SECONDS - killed)) seconds"
start hostc
wait_for 10 same_histories "${hosts[@]}"
check "one that was killed has everything once" same_histories "${hosts[@]}"

# ---- strangers ------------------------------------------------------------------------------------------

on broker python3 - <<'END'
import socket, os, random
random.seed(1)
s = socket.create_connection(("127.0.0.1", 4222))
s.settimeout(5)
s.recv(4096)
s.sendall(b'CONNECT {"verbose":false}\r\n')
bad = [b"", b"{", b"null", b"[]", b'{"v":1}', b'{"v":2,"boot":"0011223344556677","n":1,"says":[]}',
       b'{"v":1,"boot":"0011223344556677","n":1,"says":[null,1,{},{"name":"x"}]}',
       b'{"v":1,"boot":"0011223344556677","n":2,"says":[{"name":"a b","addr":"10.0.0.1","port":1,"time":1,"text":"no"}]}',
       b'{"v":1,"boot":"0011223344556677","n":3,"says":[{"name":"eve","addr":"10.0.0.1","port":1,"time":1,"text":"* no"}]}',
       b'{"v":1,"boot":"0011223344556677","n":4,"says":[{"name":"eve","addr":"x","port":1,"time":1,"text":"no"}]}',
       b'{"v":1,"boot":"0011223344556677","n":5,"says":[{"name":"eve","addr":"10.0.0.1","port":1,"time":-1,"text":"no"}]}',
       b"[" * 100000, os.urandom(3000)] + [os.urandom(random.randrange(600)) for _ in range(200)]
for subject in ("udpxdp.room.lobby.eve", "udpxdp.room.lobby.hosta", "$KV.UDPXDP_PRESENCE.lobby.eve",
                "$KV.UDPXDP_PRESENCE.lobby.hosta", "$KV.UDPXDP_NICKS.lobby.616c696365", "$KV.UDPXDP_NICKS.lobby.zz"):
    for data in bad:
        s.sendall(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(data), data))
good = b'{"v":1,"boot":"0011223344556677","n":9,"says":[{"name":"eve","addr":"10.9.9.9","port":1,"time":%d,"text":"a\\u001b[31m\\nb\\u0000c\\u202e"}]}'
import time
good = good % time.time_ns()
s.sendall(b"PUB udpxdp.room.lobby.eve %d\r\n%s\r\nPING\r\n" % (len(good), good))
while b"PONG" not in s.recv(65536):
    pass
END
check "garbage does no harm, and what is no garbage is one printing line" \
	wait_for 10 grep -qF 'eve@eve: a\x1b[31m\nb\x00c\u{202e}' "$work/alice.log"
on people "$e2e/room.py" say "${addr[hostc]}:8090" "after the garbage" >/dev/null
check "nor does it end the talk" wait_for 5 grep -q '@hostc: after the garbage$' "$work/alice.log"

# ---- a server that does not help --------------------------------------------------------------------------

kill "$alice" "$other"
finish "$alice" 5
finish "$other" 5
for host in "${hosts[@]}"; do server_stop "$host" || not_ok "the server stops"; done
broker_kill
local_room_serves() {
	spawn "$work/one.log" people "$e2e/room.py" hear "${addr[hosta]}:8090"
	local one=$pid
	sleep 0.3
	on people "$e2e/room.py" say "${addr[hosta]}:8090" "only here" >/dev/null
	wait_for 3 grep -q 'only here$' "$work/one.log"
	local status=$?
	kill "$one"
	finish "$one" 5
	return $status
}
spawn "$work/broker.log" broker nats-server -a 0.0.0.0 -p 4222 --user u --pass right
broker=$pid
wait_for 10 grep -q 'Server is ready' "$work/broker.log"
echo u:wrong >"$work/creds"
start hosta ",nats-creds=$work/creds"
wait_for 5 grep -q 'credentials' "$(server_err hosta)"
sleep 1.5
equal "wrong credentials are one clear line" \
	"udpxdp: room lobby of chat:8090: connecting to the server failed: it refuses the credentials; give others by nats-creds=; this host's room goes on, trying again every second" \
	"$(grep room "$(server_err hosta)")"
check "and the local room serves" local_room_serves
server_stop hosta || not_ok "the server stops"
echo u:right >"$work/creds"
start hosta ",nats-creds=$work/creds"
wait_for 8 grep -q 'JetStream' "$(server_err hosta)"
matches "so is a server without JetStream" "^udpxdp: room lobby.*the server has no JetStream; start nats-server 2.9 or newer with -js; this" \
	"$(grep room "$(server_err hosta)")"
check "and the local room serves" local_room_serves
server_stop hosta || not_ok "the server stops"
broker_kill
note "$((SECONDS - begun)) seconds"
done_testing
