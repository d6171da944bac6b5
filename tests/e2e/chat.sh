#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The chat room with members over plain sockets: relays byte for byte, IPv4 and IPv6, several rooms,
# the history file and its rotation under load, and many clients.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CROWD=${CROWD:-200} MESSAGES=${MESSAGES:-10000}

require hosts server alice bob
require segment 90 switch server alice bob
v4=10.80.90.1 v6=fd00:80:90::1

history_lines() {
	cat "$@" 2>/dev/null | wc -l
}

# ---- a conversation ----------------------------------------------------------------------

server_start server --service chat --service chat:8091
spawn "$work/alice.log" alice "$e2e/plain.py" chat $v4 8090 "大家好"
alice=$pid
require wait_for 5 has_heard server 1 chat:8090
on bob "$e2e/plain.py" chat $v4 8090 "hello alice" >"$work/bob.log" 2>&1
finish "$alice" 5
equal "a socket bound to 8080 gets what another says, with its address" \
	"10.80.90.1 8090 10.80.90.3:8080: hello alice" "$(cat "$work/alice.log")"
equal "nobody gets what was said before, or by itself" "" "$(cat "$work/bob.log")"

before=$(service_counter server rx chat:8090)
spawn "$work/nc.log" alice sh -c "(printf 'by nc'; sleep 10) | nc -u -w 10 $v6 8090"
nc=$pid
require wait_for 5 has_heard server $((before + 1)) chat:8090
printf 'by socat\n' | on bob socat -t 1 - "UDP:$v4:8090" >"$work/socat.log" 2>&1
wait_for 5 grep -q socat "$work/nc.log"
matches "nc over IPv6 hears socat over IPv4" "^10.80.90.3:[0-9]+: by socat$" "$(cat "$work/nc.log")"
kill "$nc" 2>/dev/null
finish "$nc" 5 2>/dev/null

printf 'elsewhere' | on alice nc -u -w 1 $v4 8091 >"$work/elsewhere.log" 2>&1
equal "another room is another room" "" "$(cat "$work/elsewhere.log")"
server_stop server || not_ok "the server stops"
equal "with a history file of its own" "1 1" \
	"$(grep -c '发送的数据:elsewhere$' chat-8091.txt) $(history_lines chat-8091.txt)"
expected="^【(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} 2[0-9]{3}】收到【\\('10.80.90.2', 8080\\)】发送的数据:大家好$"
matches "a line of history is what it was in the tutorial" "$expected" "$(head -n 1 chat.txt)"
matches "also for IPv6" "】收到【\\('fd00:80:90::2', [0-9]+\\)】发送的数据:by nc$" "$(cat chat.txt)"

# ---- rotation under load loses no line ---------------------------------------------------

# One member says numbered lines, 25,000 a second at most, until it has been enough; how many is printed.
rm -f chat*.txt
server_start server --service "chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history-bytes=0" --quiet
spawn "$work/talk.log" alice python3 -c "
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
count = 0
while count < 20000 or not os.path.exists('$work/enough'):
    for _ in range(50):
        s.sendto(b'line %d' % count, ('$v4', 8090))
        count += 1
    time.sleep(0.002)
print(count)
"
talker=$pid
for i in 1 2 3 4 5; do
	require wait_for 5 test -s chat.txt
	mv chat.txt "chat.txt.$i"
	kill -HUP "${server_pid[server]}"
done
require wait_for 5 test -s chat.txt
: >"$work/enough"
require finish "$talker" 20
heard=$(service_counter server rx)
server_stop server || not_ok "the server stops"
equal "every line was heard" "$(cat "$work/talk.log")" "$heard"
equal "five rotations, and every line is in exactly one file" "$heard" \
	"$(grep -ho 'line [0-9]*$' chat.txt chat.txt.* | sort -u | wc -l)"
equal "and none is there twice" "$heard" "$(history_lines chat.txt chat.txt.*)"
equal "in the order in which they came" "" \
	"$(cat chat.txt.1 chat.txt.2 chat.txt.3 chat.txt.4 chat.txt.5 chat.txt | sed 's/.*line //' | sort -nc 2>&1)"

# ---- many clients ------------------------------------------------------------------------

rm -f chat*.txt
server_start server --service "chat,members=$CROWD" --quiet --verbose
check "$CROWD members, $MESSAGES messages: all in order, none twice" \
	on alice "$e2e/many_clients.py" $v4 8090 "$CROWD" "$MESSAGES"
result=$(tail -n 1 "$work/output")
note "$result"
sent=$(($(service_counter server tx) - $(jq .answers <<<"$result"))) refused=$(service_counter server no_tx_frame)
lost=$(($(port_counter server 8090 redirected) - $(service_counter server rx)))
note "lost before the worker: $lost"
equal "everything is relayed or counted" $((MESSAGES * (CROWD - 1))) \
	$((sent + refused + lost * (CROWD - 1)))
equal "what was relayed arrived, or this host counted that it had no room" "$sent" \
	"$(jq '.received + .dropped_here' <<<"$result")"
printf 'me too\n' | on bob nc -u -w 1 $v4 8090 >"$work/full.log" 2>&1
equal "one more is told that the room is full" "* not sent: the room is full, with $CROWD members" \
	"$(cat "$work/full.log")"
server_stop server || not_ok "the server stops"
equal "all of it is in the history" $((MESSAGES - lost)) "$(history_lines chat.txt)"
equal "every frame is accounted for" 1 "$(grep -c ' balanced$' "$(server_err server)")"

done_testing
