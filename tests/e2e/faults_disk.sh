#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What becomes of the history when its disk is full or its directory goes away, and of echo
# meanwhile; and what a control socket that is flooded, or a console that is frozen, do to it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 small=$work/small

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24
require address client eth0 10.80.9.2/24

# Echo is answered throughout: from echo_begins to echo_went_on.
echo_begins() {
	rm -f "$work/enough"
	(
		until [ -e "$work/enough" ]; do
			on client "$e2e/udp.py" exchange $v4 8080 --count 200 --window 8 || exit
		done
	) >"$work/exchange.log" 2>&1 &
	echoes=$!
}

echo_went_on() {
	: >"$work/enough"
	check "$1: every echo request was answered" finish "$echoes" 20
}

# talk FROM TO: numbered lines by one member.
talk() {
	on client python3 - "$@" <<-END
		import socket, sys, time
		peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for number in range(int(sys.argv[1]), int(sys.argv[2])):
		    peer.sendto(b"line %d" % number, ("$v4", 8090))
		    if number % 20 == 0:
		        time.sleep(0.002)
	END
}

said() {
	grep -cE "$1" "$(server_err server)"
}

says() {
	wait_for 10 grep -qE "$1" "$(server_err server)"
}

# whole NAME HEARD FILE...: so many lines were heard; each is in the files once, in order, or lost.
whole() {
	local name=$1 heard=$2 lost
	shift 2
	lost=$(sed -n 's/.*writable again; lines lost so far: //p' "$(server_err server)")
	equal "$name: what is not there is counted as lost ($lost)" "$heard" \
		"$(($(cat "$@" | grep -c 'line [0-9]*$') + lost))"
	equal "$name: no line is torn, twice or out of order" "" \
		"$(cat "$@" | sed 's/^【.*】发送的数据:line //' | sort -nuc 2>&1)"
}

# ---- a full disk

require mkdir "$small"
require mount -t tmpfs -o size=64k tmpfs "$small"
server_start server --quiet -s echo -s "chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history-bytes=0,history=$small/chat.txt"
echo_begins
talk 0 20000
check "a full disk is said" says "^udpxdp: history $small/chat.txt: No space left on device"
require mount -o remount,size=16m "$small"
check "and when there is room again" says "^udpxdp: history $small/chat.txt: writable again; lines lost so far: [0-9]+$"
talk 20000 20100
echo_went_on "a full disk"
heard=$(service_counter server rx chat:8090)
server_stop server || not_ok "it ends well"
equal "a full disk: each is said once" "1 1" "$(said 'No space left') $(said 'writable again')"
whole "a full disk" "$heard" "$small/chat.txt"

# ---- a full disk under the capture, and under the messages that are printed

rm "$small/chat.txt"
require mount -o remount,size=256k "$small"
udpxdp=$work/printing
printf '#!/bin/sh\nexec "%s" "$@" >"%s"\n' "$BUILD/udpxdp" "$small/messages.txt" >"$udpxdp"
chmod 755 "$udpxdp"
server_start server --print all -s echo -w "$small/all.pcap"
udpxdp=$BUILD/udpxdp
many() { on client "$e2e/udp.py" exchange $v4 8080 --count 3000 --window 8; }
check "no room for the capture nor the messages: every echo request was answered" many
check "no room for the capture: said" says "^udpxdp: capture $small/all.pcap: No space left on device; dropping frames until writable$"
tshark -r "$small/all.pcap" >"$work/tshark.out" 2>"$work/tshark.log"
equal "no room for the capture: no half frame is in it" "" "$(grep -i 'cut short' "$work/tshark.log")"
require mount -o remount,size=16m "$small"
check "room again: every echo request was answered" many
check "room again: said" says "^udpxdp: capture $small/all.pcap: writable again; frames lost so far: [0-9]+$"
server_stop server
equal "it ends well" 0 $?
missing=$(sed -n 's/.*; frames lost so far: //p' "$(server_err server)" | tail -n 1)
equal "the capture can be read, and holds all but the missing ($missing)" 12000 \
	"$((missing + $(tshark -r "$small/all.pcap" -Y 'udp.port == 8080' 2>"$work/tshark.log" | wc -l)))"
equal "and is not cut" "" "$(grep -i 'cut short' "$work/tshark.log")"
lost=$(sed -n 's/^udpxdp: standard output: blocked; lines lost so far: //p' "$(server_err server)" | tail -n 1)
equal "messages not printed are counted (${lost:-0})" 6000 "$((${lost:-0} + $(grep -c ' echo recv ' "$small/messages.txt")))"

# ---- a directory that goes away: the one that was opened is kept, wherever its name leads

require mkdir "$work/dir"
server_start server --quiet -s echo -s "chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history-bytes=0,history=$work/dir/chat.txt"
echo_begins
talk 0 100
mv "$work/dir" "$work/away"
talk 100 200
kill -HUP "${server_pid[server]}"
talk 200 300
mv "$work/away" "$work/dir"
talk 300 400
echo_went_on "a directory that goes away"
heard=$(service_counter server rx chat:8090)
server_stop server || not_ok "it ends well"
whole "a directory that goes away" "$heard" "$work/dir/chat.txt"

# ---- a directory that is removed, and made again

server_start server --quiet -s echo -s "chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history-bytes=0,history=$work/dir/chat.txt"
echo_begins
talk 0 100
rm -r "$work/dir"
kill -HUP "${server_pid[server]}"
check "no directory to open the history in: said" says "^udpxdp: history $work/dir/chat.txt: No such file or directory"
talk 100 200
require mkdir "$work/dir"
check "and when it is back" says "^udpxdp: history $work/dir/chat.txt: writable again; lines lost so far: [0-9]+$"
talk 200 300
echo_went_on "a directory that is removed"
server_stop server || not_ok "it ends well"
equal "a directory that is removed: each is said once" "1 1" "$(said 'No such file') $(said 'writable again')"
check "and what was said since is there" grep -q 'line 299$' "$work/dir/chat.txt"

# ---- the control socket

server_start server --quiet -s echo -s chat,history=off
echo_begins
equal "10,000 packets of garbage: each gets its error" 10000 "$(python3 - "$(control server)" <<'END'
import os, socket, sys
consoles = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(20)]
for console in consoles:
    console.connect(sys.argv[1])
errors = 0
for _ in range(500):
    for console in consoles:
        console.send(b"\xff" + os.urandom(60))
    for console in consoles:
        errors += console.recv(2048).startswith(b"error ")
print(errors)
END
)"
mkfifo "$work/fifo"
"$udpxdp" chat --control "$(control server)" <"$work/fifo" >"$work/console.log" 2>&1 &
console=$!
exec {input}>"$work/fifo"
hears() {
	talk 0 1
	grep -q 'line 0' "$work/console.log"
}
require wait_for 5 hears
kill -STOP $console
talk 0 8000
echo_went_on "a flooded control socket and a frozen console"
kill -CONT $console
exec {input}>&-
finish $console 10
server_stop server || not_ok "it ends well"
equal "the server has nothing to say about it" "" "$(grep -vE '^udpxdp: (ready|no zerocopy)' "$(server_err server)")"

done_testing
