#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Does the bench work? `udpxdp bench` against good, bad and absent servers, and one very short
# round of `make bench`. Nothing that is timed is judged.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
bench=$(realpath "$e2e/../bench")

hosts box

# speaker PORT EXPRESSION: a server on loopback that answers with each element of what EXPRESSION
# makes of the request `data`.
speaker() {
	spawn "$work/speaker$1.log" box /usr/bin/python3 -uc '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("ready")
while True:
    data, peer = s.recvfrom(65535)
    for answer in eval(sys.argv[2]):
        s.sendto(answer, peer)' "$1" "$2"
	require wait_for 10 grep -q ready "$work/speaker$1.log"
}

# load STATUS ARG...: runs bench to its end; its JSON is in $json, its errors in $work/load.err.
load() {
	local expected=$1 status=0
	shift
	json=$(on box "$udpxdp" bench -j --timeout 300 127.0.0.1 "$@" 2>"$work/load.err") || status=$?
	[ "$status" = "$expected" ] || note "status $status: $(cat "$work/load.err")"
	[ "$status" = "$expected" ]
}

# holds NAME FILTER: of the last load.
holds() {
	if jq -e "$2" <<<"$json" >/dev/null; then
		ok "$1"
	else
		not_ok "$1" "$2 of $(jq -c . <<<"$json" | cut -c 1-2000)"
	fi
}

speaker 7001 '[data]'
check "closed loop against an echo" load 0 7001 -w 16 -n 2000 -t 0
holds "all answered, none wrong" \
	'.loop == "closed" and .sent == 2000 and .received == 2000 and .lost + .wrong + .duplicate == 0'
holds "latencies are in order" \
	'.latency_us | 0 < .min and .min <= .p50 and .p50 <= .p99 and .p99 <= .["p99.9"] and .["p99.9"] <= .max'
check "open loop" load 0 7001 -r 2000 -t 0.5 -s 1000
holds "as many requests as the rate says, or nearly" '.loop == "open" and .sent > 500 and .sent <= 1000 and .wrong == 0'

speaker 7002 '["【Mon Nov 23 02:00:00 2026】 ".encode() + data, data]'
check "stamped answers, each with a copy" load 0 7002 -w 4 -n 100 -t 0
# The copies of the last answers may come when it has all answers and is gone.
holds "copies are duplicates" '.received == 100 and .duplicate > 90 and .duplicate <= 100 and .wrong == 0'

speaker 7003 '[data[:-1] + b"?"]'
check "wrong answers end with status 1" load 1 7003 -w 4 -n 4 -t 0
holds "and are counted" '.wrong == 4 and .received == 0'
matches "and said" '^udpxdp: bench 127.0.0.1 port 7003: 4 wrong answers' "$(cat "$work/load.err")"

speaker 7005 '[b"answer to " + data] if data == b"\x01\x02question" else []'
printf '\1\2question' >"$work/question"
check "a service that is no echo, asked what is in a file" load 0 7005 -w 4 -n 50 -t 0 --any-answer \
	--payload "$work/question"
holds "all answered" '.size == 10 and .received == 50 and .lost + .wrong == 0 and .received_bytes == 50 * 20'
check "the same bytes in hex" load 0 7005 -w 1 -n 5 -t 0 --any-answer --payload 0x01027175657374696f6e
holds "all answered, too" '.received == 5'
check "without 0x" load 0 7005 -w 1 -n 5 -t 0 -a -p 01027175657374696F6e
check "another question: nothing is answered" load 1 7005 -w 1 -n 2 -t 0 -a --payload 00
check "as an echo its answers are wrong" load 1 7005 -w 1 -n 2 -t 0 --payload "$work/question"
holds "and are counted as such" '.wrong == 2 and .received == 0'
matches "and what to do is said" 'wrong answers: .*; give --any-answer' "$(cat "$work/load.err")"
check "an echo of a payload" load 0 7001 -w 4 -n 50 -t 0 --payload "$work/question"
holds "of an echo all is checked" '.received == 50 and .wrong == 0'
: >"$work/nothing"
head -c 65508 /dev/zero >"$work/too-long"
for payload in "$work/nothing" "$work/too-long" "$work/none" 0x 0xabc 123 "$work"; do
	check "payload '${payload##*/}': status 2" load 2 7001 --payload "$payload"
	matches "and said" '^udpxdp: option --payload: .*: .*; give a file of 1 to 65507 bytes' "$(cat "$work/load.err")"
done
check "an empty payload: status 2" load 2 7001 --payload ''
matches "and said" '^udpxdp: option --payload: requires a value' "$(cat "$work/load.err")"
check "a payload and a size: status 2" load 2 7001 --payload 00 --size 64

check "no server: status 1" load 1 7004 -n 4 -t 0
matches "no server: said in one line" '^udpxdp: bench 127.0.0.1 port 7004: no answer: nothing listens' \
	"$(cat "$work/load.err")"
check "a window and a rate: status 2" load 2 7001 -w 4 -r 4
check "too small a request: status 2" load 2 7001 -s 23
check "a port that is none: status 2" load 2 70000

# Ctrl-C in a run without end, on a terminal.
check "Ctrl-C ends it with what it has, after a progress line" on box /usr/bin/python3 -c '
import os, pty, signal, subprocess, sys, time
terminal, slave = pty.openpty()
child = subprocess.Popen([sys.argv[1], "bench", "127.0.0.1", "7001", "-t", "0"],
                         stdout=subprocess.PIPE, stderr=slave, text=True)
seen = b""
while b"received" not in seen:
    seen += os.read(terminal, 4096)
child.send_signal(signal.SIGINT)
said = child.communicate(timeout=20)[0]
assert child.returncode == 0, child.returncode
assert "latency" in said and "received" in said, said' "$udpxdp"

check "one short round of the whole bench" "$bench/run" --quick --build "$BUILD" --output "$work"
json=$(cat "$work/bench.json")
holds "every work, every server" \
	'([.slices[] | {work, server}] | unique | length) == ([.values[] | length] | add) and
	 (.values | length) == 13'
holds "answers everywhere, none of them wrong" \
	'all(.values[][][]; . != null) and ([.slices[].wrong // 0] | add == 0)'
holds "a row for each figure to reach" '[.rows[] | select(.target)] | length >= 1'
check "tables for README" grep -q '^| work |' "$work/bench.md"

done_testing
