#!/bin/bash
# SPDX-License-Identifier: MIT
# serve --log-format json: one valid object a line, whatever the bytes that came.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require segment 40 switch server client
server_start server --log-format json --service echo:8080 --service echo:8081 \
	--service chat,history=off

# Each answered before the next is sent, so that the lines have an order.
on client /usr/bin/python3 - >"$work/client.log" 2>&1 <<'END' || bail "the client" "$(cat "$work/client.log")"
import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5555))
s.settimeout(5)
for port, payload in (
        (8080, b"hello"),
        (8081, "\u5f20\u4e09 \"quoted\" \\ back".encode()),
        (8080, bytes(range(32)) + b"\x7f"),
        (8080, bytes(range(128, 256))),
        (8080, "\u202e\u2028\u009b31m".encode()),
        (8080, b""),
        (8080, b"x" * 1400),
        (8080, b"\x1b" * 1400),
        (8080, b'","text":"forged'),
        (8090, b"/who")):
    s.sendto(payload, ("10.80.40.1", port))
    s.recvfrom(65536)
s6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s6.bind(("", 5556))
s6.settimeout(5)
s6.sendto(b"six", ("fd00:80:40::1", 8080))
s6.recvfrom(65536)
END
lines() { wc -l <"$(server_out server)"; }
enough() { [ "$(lines)" -ge "$1" ]; }
wait_for 5 enough 11
server_stop server
log=$(server_out server)

check "every line is JSON" jq -e . "$log"
equal "every line is an object of its own" "$(lines)" "$(jq -c . "$log" | wc -l)"
equal "the names, in order" \
	'["time","service","port","direction","peer","peer_port","text"]' \
	"$(jq -c keys_unsorted "$log" | sort -u)"
check "another reader agrees" /usr/bin/python3 -c '
import datetime, json, sys
for line in open(sys.argv[1], "rb"):
    assert datetime.datetime.fromisoformat(json.loads(line.decode())["time"]).tzinfo' "$log"
check "no byte steers a terminal" /usr/bin/python3 -c '
import sys, unicodedata
for line in open(sys.argv[1], encoding="utf-8", newline="\n"):
    for c in line.rstrip("\n"):
        assert unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029", hex(ord(c))' "$log"

received() { jq -rj --argjson n "$1" -s 'map(select(.direction == "recv"))[$n].text' "$log"; }
equal "a plain text" hello "$(received 0)"
equal "quotes, backslash, more than ASCII" '张三 "quoted" \ back' "$(received 1)"
equal "which port was asked" "8080 8081" \
	"$(jq -s 'map(select(.direction == "recv"))[0:2][].port' "$log" | xargs)"
equal "control characters come back" "$(printf '%02x' {1..31}; echo 7f)" \
	"$(received 2 | tr -d '\0' | od -An -v -tx1 | tr -d ' \n')"
equal "each byte that is not UTF-8 is one U+FFFD" "$(printf '\357\277\275%.0s' {1..128})" \
	"$(received 3)"
equal "the longest line is whole" "$(printf 'x%.0s' {1..1400})" "$(received 6)"
matches "what a line cannot hold is marked" 'e…$' "$(received 7 | tr '\033' e)"
length=$(received 7 | LC_ALL=C.UTF-8 wc -m)
check "and cut, to $length characters" test "$length" -gt 600 -a "$length" -lt 1400
check "at 4096 bytes" env LC_ALL=C awk 'length > 4095 { exit 1 }' "$log"
equal "nothing is forged" '","text":"forged' "$(received 8)"
equal "peer" '10.80.40.2 5555' "$(jq -r 'select(.text == "hello") | "\(.peer) \(.peer_port)"' "$log")"
equal "peer over IPv6" 'fd00:80:40::2 5556' \
	"$(jq -r 'select(.text == "six") | "\(.peer) \(.peer_port)"' "$log")"

done_testing
