#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What may go wrong around a room over several hosts: its stream or buckets deleted under it, a broker
# that is stopped or whose disk is full, two hosts of one name, a damaged file of what is known, clocks
# that differ.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/rooms.bash
. "$e2e/rooms.bash"

require hosts hosta hostb twin broker people
require segment 99 s1 hosta hostb twin broker people
declare -A addr=([hosta]=10.80.99.1 [hostb]=10.80.99.2 [twin]=10.80.99.3)
server=nats://10.80.99.4:4222

# passes FROM TO TEXT: what is said at one is kept by the other.
passes() {
	say people "${addr[$1]}" "$3" >/dev/null
	wait_for 10 grep -q "$3\$" "$work/$2/chat.txt"
}

# both_pass TEXT: either way.
both_pass() {
	passes hosta hostb "$1, a" && passes hostb hosta "$1, b"
}

gaps() {
	cat "$work/$1/chat.txt" | grep -c "发送的数据:\* messages of other hosts may be missing here: $2"
}

# at_broker WORD...: room.py there.
at_broker() {
	on broker "$e2e/room.py" "$1" 127.0.0.1:4222 "${@:2}"
}

require broker_start
for host in hosta hostb; do room_start $host $server; done
for host in hosta hostb; do require wait_for 5 is_connected $host; done
check "they hear each other" both_pass "first"
serve_as twin --quiet --service "chat:8090,history=$work/twin.txt,room=other,nats=$server"
require wait_for 5 is_connected twin
say people "${addr[twin]}" "in another room" >/dev/null
check "rooms of one broker are apart" both_pass "in this one"
equal "either way" "0 0" "$(grep -c "in another room" "$work/hosta/chat.txt") $(grep -c "in this one" "$work/twin.txt")"
server_stop twin || not_ok "the server stops"
require nsenter --uts="/proc/${server_pid[hostb]}/ns/uts" hostname renamed
check "a host that is given another name stays who it is in the room" both_pass "renamed"

# ---- the stream, the buckets -----------------------------------------------------------------------

require at_broker delete UDPXDP_ROOM
check "a stream that is deleted is made anew" wait_for 12 both_pass "anew"
wait_for 5 [ "$(gaps hosta "the server has made")" = 1 ]
equal "which is one line of each history" "1 1" "$(gaps hosta "the server has made") $(gaps hostb "the server has made")"
spawn "$work/alice.log" people "$e2e/room.py" hear "${addr[hosta]}:8090" "/nick alice"
alice=$pid
shows_alice() { say people "${addr[hostb]}" /who | grep -q 'alice@hosta'; }
require wait_for 8 shows_alice
require at_broker delete KV_UDPXDP_PRESENCE
require at_broker delete KV_UDPXDP_NICKS
sleep 1
check "without the buckets the talk goes on" both_pass "no buckets"
check "and they are made anew" wait_for 15 shows_alice
equal "nobody was away" 0 "$(grep -c "is away" "$work/alice.log")"

# ---- a broker that stops, and one whose disk is full ---------------------------------------------------

kill -STOP "$broker"
check "a stopped broker costs the local room nothing" passes hosta hosta "while it is stopped"
wait_for 12 grep -q 'cannot be reached' "$(server_err hosta)"
kill -CONT "$broker"
check "and what was said meanwhile follows" wait_for 10 grep -q "while it is stopped\$" "$work/hostb/chat.txt"

# ---- a clock that is wrong ------------------------------------------------------------------------------

python3 - >"$work/lines" <<'END'
import json, time
ahead = time.time_ns() + 3600 * 10**9
common = {"v": 1, "boot": "00112233445566ff"}
print("$KV.UDPXDP_PRESENCE.lobby.eve", json.dumps(json.dumps({**common, "time": ahead, "count": 0, "names": ""})))
print("udpxdp.room.lobby.eve", json.dumps(json.dumps({**common, "n": 1, "says": [
    {"name": "eve", "addr": "10.9.9.9", "port": 1, "time": ahead, "text": "an hour ahead"}]})))
END
sleep 0.1
at_broker publish <"$work/lines"
check "what a host says whose clock is ahead is shown at once" wait_for 3 grep -q "eve@eve: an hour ahead" "$work/alice.log"
kill "$alice"
finish "$alice" 5 2>/dev/null

# ---- two of one name ---------------------------------------------------------------------------------------

as_host hosta
(
	udpxdp=$work/as-hosta
	server_start twin --quiet --service "chat:8090,history=$work/twin.txt,nats=$server"
	wait_for 8 grep -q "calls itself hosta, too" "$(server_err twin)" && touch "$work/twin-said"
	server_stop twin
)
check "a second host of the same name is told so" [ -e "$work/twin-said" ]
equal "and the first, once" 1 "$(grep -c 'calls itself hosta, too: they do not hear each other; give one of the hosts another name' "$(server_err hosta)")"

# ---- what is known of the room is lost -----------------------------------------------------------------------

for damage in "nonsense -1" "1 18446744073709551616 1 1"; do
	server_stop hostb || not_ok "the server stops"
	printf '%s\n' "$damage" >"$work/hostb/chat.txt.room"
	room_start hostb $server
	wait_for 8 is_connected hostb
	check "a damaged file of what is known ('$damage') ends nothing" both_pass "damaged '${damage:0:1}'"
done
lines=$(grep -c "first, a" "$work/hostb/chat.txt")
equal "nor is anything kept twice" 1 "$lines"
for host in hosta hostb; do server_stop $host || not_ok "the server stops"; done
broker_kill

# ---- a disk that is full ----------------------------------------------------------------------------------------

if mkdir "$work/full" && mount -t tmpfs -o size=16m tmpfs "$work/full" 2>/dev/null; then
	rm -f "$work"/host[ab]/chat.txt*
	spawn "$work/broker.log" broker nats-server -a 0.0.0.0 -p 4222 -js -sd "$work/full"
	broker=$pid
	require wait_for 10 grep -q 'Server is ready' "$work/broker.log"
	for host in hosta hostb; do room_start $host $server; done
	for host in hosta hostb; do require wait_for 8 is_connected $host; done
	head -c 20m /dev/zero >"$work/full/filler" 2>/dev/null
	spawn "$work/flood.log" people "$e2e/room.py" flood "${addr[hosta]}:8090" 4000 4000 "to a full disk, and some more"
	finish "$pid" 10
	check "a broker whose disk is full costs the local room nothing" wait_for 5 grep -q "more 3999\$" "$work/hosta/chat.txt"
	wait_for 8 grep -qE "failed|reached" "$(server_err hosta)"
	note "$(grep room "$(server_err hosta)" | tail -n 1)"
	rm "$work/full/filler"
	broker_kill
	spawn "$work/broker.log" broker nats-server -a 0.0.0.0 -p 4222 -js -sd "$work/full"
	broker=$pid
	wait_for 30 grep -q "more 3999\$" "$work/hostb/chat.txt"
	equal "and with some room all follows, once" "4000 4000" \
		"$(grep -c "to a full disk" "$work/hostb/chat.txt") $(grep "to a full disk" "$work/hostb/chat.txt" | sort -u | wc -l)"
else
	skip "a broker whose disk is full" "no tmpfs can be mounted here"
fi
done_testing
