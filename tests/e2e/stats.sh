#!/bin/bash
# SPDX-License-Identifier: MIT
#
# udpxdp stats: what it reads is what is in the maps, wherever they are and whoever asks.

# The default pin directory belongs to this test alone: a bpf file system of its own.
if [ -z "${STATS_MOUNTS:-}" ] && [ "$(id -u)" = 0 ]; then
	unshare --mount true || {
		echo "1..0 # SKIP cannot unshare mounts: this chroot is not a mount point"
		exit 0
	}
	STATS_MOUNTS=own exec unshare --mount "$0" "$@"
fi

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
require mount -t bpf bpf /sys/fs/bpf
holder=$BUILD/tests/e2e/counters
[ -x "$holder" ] || bail "there is $holder" "run make test-build first"
root=/sys/fs/bpf/udpxdp

require hosts a b
for host in a b; do
	require on "$host" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
done
require wire a:eth0.5 b:eth0
require address a eth0.5 10.9.0.1/24
require address b eth0 10.9.0.2/24
mac() { on "$1" ip -j link show dev "$2" | jq -r .[0].address; }
require on a ip neighbour replace 10.9.0.2 lladdr "$(mac b eth0)" dev eth0.5
require on b ip neighbour replace 10.9.0.1 lladdr "$(mac a eth0.5)" dev eth0

stats() { on a "$udpxdp" stats "$@"; }

# hold DIR: starts the stand-in on a; $holding is its pid, 9 is its standard input.
hold() {
	require mkfifo "$work/in"
	: >"$work/hold.log" # not the ready line of the one before
	nsenter --net="$(netns_path a)" -- "$holder" eth0.5 10.9.0.1 "$1" \
		<"$work/in" >"$work/hold.log" 2>&1 &
	holding=$!
	exec 9>"$work/in"
	rm "$work/in"
	wait_for 10 grep -q ready "$work/hold.log" ||
		bail "the stand-in for a server runs" "$(cat "$work/hold.log")"
}

release() {
	exec 9>&-
	finish "$holding" 10
}

# watch ARG...: stats in the background, writing to again.log; $watching is its pid.
watch() {
	spawn "$work/again.log" a "$udpxdp" stats "$@" 9>&-
	watching=$pid
}

# fails NAME STATUS REGEX ARG...: one line, that status, nothing on standard output.
fails() {
	local name=$1 wanted=$2 regex=$3 status=0
	shift 3
	stats "$@" >"$work/out" 2>"$work/error" || status=$?
	equal "$name: status" "$wanted" "$status"
	matches "$name: says why" "^udpxdp: .*$regex" "$(cat "$work/error")"
	equal "$name: one line" "1 0" "$(wc -l <"$work/error") $(wc -c <"$work/out")"
}

# ---- nobody there ----
fails "no server at all" 1 "no server is running"
fails "no server on the interface" 1 "no server is running on eth0.5" -i eth0.5
fails "no such interface" 4 "no such interface" -i nope0
fails "a directory without pins" 1 "no counters in /none/st1: No such file or directory; name the directory" \
	--pin-dir /none/st1
fails "a name no interface can have" 4 "no such interface" -i an-interface-name-too-long

# ---- the numbers ----
hold $root/eth0_5
on b python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port, times in ((8080, 7), (8081, 3)):
    for _ in range(times):
        s.sendto(bytes(100), ("10.9.0.1", port))' || bail "the datagrams are sent"

seven() { [ "$(stats -j | jq '.verdicts.not_served.frames')" = 3 ]; }
wait_for 5 seven
stats -j >"$work/stats.json"
equal "status 0, without -i" 0 $?
equal "the interface" '"eth0.5"' "$(jq -c .iface "$work/stats.json")"
equal "the ports" \
	'[{"port":8080,"rx_packets":7,"rx_bytes":994,"redirected":0,"passed":7,"answered":0},{"port":8090,"rx_packets":0,"rx_bytes":0,"redirected":0,"passed":0,"answered":0}]' \
	"$(jq -c .ports "$work/stats.json")"
equal "the verdicts" '{"not_served":{"frames":3,"bytes":426},"no_socket":{"frames":7,"bytes":994}}' \
	"$(jq -c '.verdicts | with_entries(select(.value.frames > 0))' "$work/stats.json")"
equal "every verdict is there" "$(grep -c '^\sX(FRAME_' "$e2e/../../include/udpxdp/abi.h")" "$(jq '.verdicts | length' "$work/stats.json")"
equal "the services, summed over workers" \
	'[["echo",8080,22,42,2002,4002,2,10],["chat",8090,24,44,2004,4004,4,10]]' \
	"$(jq -c '[.services[] | [.service, .port, .rx, .tx, .rx_bytes, .tx_bytes,
		.drops.bad_udp_checksum, .drops.print_lost]]' "$work/stats.json")"
equal "their workers" '[[0,11,1],[1,13,3]]' \
	"$(jq -c '[.services[1].workers[] | [.worker, .rx, .drops.bad_udp_checksum]]' "$work/stats.json")"
equal "bpftool agrees" "$(jq -c '[.verdicts[].frames]' "$work/stats.json")" \
	"$(bpftool -j map dump pinned $root/eth0_5/verdicts |
		jq -c '[.[].formatted | [.values[].value.frames] | add]')"

for arguments in "-i eth0.5" "--iface=eth0.5" "--interface eth0.5" "--pin-dir $root/eth0_5"; do
	# shellcheck disable=SC2086
	equal "the same with $arguments" "$(jq -cS . "$work/stats.json")" \
		"$(stats -j $arguments | jq -cS .)"
done
table=$(stats)
matches "the table: ports" '^8080 +7 +994 +0 +7 +0$' "$table"
matches "the table: verdicts" '^no_socket +7 +994  ' "$table"
matches "the table: services" '^echo:8080 +22 +42 +2002 +4002 +12$' "$table"
matches "the table: drops" '^chat:8090 +bad_udp_checksum +4  ' "$table"
equal "the table: no verdict that is zero" 0 "$(grep -c '^fragment' <<<"$table")"
matches "with -v the zeros, too" '^fragment +0 +0' "$(stats -v)"

mkdir $root/st1
for map in "$root"/eth0_5/*; do
	require bpftool map pin pinned "$map" "$root/st1/${map##*/}"
done
equal "pins under another name: the interface is their own" '"eth0.5"' "$(stats -j --pin-dir $root/st1 | jq -c .iface)"
equal "in the table, too" eth0.5 "$(stats --pin-dir $root/st1 | head -n 1)"
equal "and for Prometheus" 'iface="eth0.5"' \
	"$(stats --prometheus --pin-dir $root/st1/ | grep -oE 'iface="[^"]*"' | sort -u)"
equal "where there is no such interface, too" '"eth0.5"' "$("$udpxdp" stats -j --pin-dir $root/st1 | jq -c .iface)"
equal "bpftool shows it, too" '"eth0.5"' \
	"$(bpftool -j map dump pinned $root/st1/verdicts | jq -c '[.[].formatted.values[].value.iface] | unique[]')"
rm -r $root/st1

stats --prometheus >"$work/stats.prom"
matches "Prometheus: a sample" \
	'^udpxdp_port_rx_packets_total\{iface="eth0.5",port="8080"\} 7$' "$(cat "$work/stats.prom")"

# ---- again and again ----
watch -j -n 0.2
two_lines() { [ "$(wc -l <"$work/again.log")" -ge "$1" ]; }
wait_for 5 two_lines 1
echo >&9
wait_for 5 two_lines 4
kill -INT "$watching"
finish "$watching" 5
equal "-n ends with status 0 at SIGINT" 0 $?
equal "-n -j: each line is an object" "$(wc -l <"$work/again.log")" "$(jq -c . "$work/again.log" | wc -l)"
equal "-n: the first time without rates" false "$(head -n 1 "$work/again.log" | jq 'has("seconds")')"
equal "-n: the rates, times their intervals, are what was added" "100 100000" "$(jq -rs '
	def sum(key): map(.seconds * .services[0].rates[key]) | add / 10 | round * 10;
	.[1:] | "\(sum("rx")) \(sum("rx_bytes"))"' "$work/again.log")"
equal "-n: not before its interval" true \
	"$(jq -s '.[1:] | all(.seconds > 0.15)' "$work/again.log")"

watch -n 0.1
wait_for 5 grep -q '/s' "$work/again.log"
kill -TERM "$watching"
finish "$watching" 5
equal "-n ends with status 0 at SIGTERM" 0 $?
matches "-n: the table has rates" '^echo:8080 +122 +0\.0 +42 +0\.0 ' "$(cat "$work/again.log")"

# ---- on a terminal, in place ----
# screens: runs `stats -n 0.1` on a terminal of 24 rows and 80 columns, adds to the counters when it has drawn
# twice and ends it when it has shown that; prints what was drawn each time as a line of JSON.
cat >"$work/screens.py" <<'PYTHON'
import fcntl, json, os, pty, re, struct, sys, termios, time

pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
text, added, end = b"", False, time.monotonic() + 20
while time.monotonic() < end:
    text += os.read(terminal, 65536)
    screens = text.decode().split("\033[H")[1:]
    if len(screens) == 3 and not added:
        os.write(9, b"\n")
        added = True
    if len(screens) > 4 and re.search(r"^echo:8080 +[1-9].*\r\n(?s:.*)\033\[J", text.decode(), re.M):
        os.write(terminal, b"\x03")
        break
print(json.dumps({"begin": text.split(b"\033[H")[0].decode(), "status": os.waitpid(pid, 0)[1]}))
for screen in screens[:-1]:
    print(json.dumps([line.rstrip("\r") for line in screen.split("\n")]))
PYTHON
on a python3 "$work/screens.py" "$udpxdp" stats -n 0.1 >"$work/screens"
equal "on a terminal: the screen is cleared once, Ctrl-C ends it with status 0" '["\u001b[2J",0]' \
	"$(head -n 1 "$work/screens" | jq -ac '[.begin, .status]')"
equal "each time over the last, no line of that left, and no more than fits" true \
	"$(tail -n +2 "$work/screens" | jq -s 'all(length <= 24 and .[-1] == "\u001b[J" and
		(.[:-1] | all(endswith("\u001b[K") and length <= 83)))')"
drawn=$(tail -n +2 "$work/screens" | jq -rs 'map(map(select(test("^echo:8080 +[1-9]"))) | select(. != [])) | .[0][0]')
matches "rates and Mbit/s" '^echo:8080 +[0-9]+ +0 +[0-9]+\.[0-9] +0\.0 +[0-9]+ +222 +42 +26' "$drawn"
equal "which agree: datagrams of 1,000 bytes, 7 of a hundred dropped" "yes yes" \
	"$(awk '{ print ($4 > $2 * 0.0079 && $4 < $2 * 0.0081 ? "yes" : "no"),
		($6 > $2 * 0.06 && $6 < $2 * 0.08 ? "yes" : "no") }' <<<"$drawn")"
equal "a drop that moves, and no other, from then on" "false true" \
	"$(tail -n +2 "$work/screens" | jq -rs '[.[0], .[-1]] | map(any(test("^echo:8080 +loop"))) | map(tostring) | join(" ")')"
equal "none that stands still" 0 "$(grep -c print_lost "$work/screens")"
on a env TERM=dumb python3 -c 'import pty, sys; sys.exit(pty.spawn(["timeout", "-s", "INT", "1"] + sys.argv[1:]))' \
	"$udpxdp" stats -n 0.2 >"$work/dumb" 2>&1
equal "a terminal that cannot is written on as a file is" 0 "$(grep -c $'\033' "$work/dumb")"

# ---- who may, and from where ----
status=0
text=$(on a setpriv --reuid 65534 --regid 65534 --clear-groups "$udpxdp" stats -i eth0.5 2>&1) || status=$?
equal "nobody may not: status" 3 "$status"
matches "nobody may not: says why" '^udpxdp: .*CAP_BPF' "$text"

blind() { on a unshare --mount sh -c 'mount -t tmpfs none /sys/fs/bpf && exec "$@"' sh "$@"; }
equal "bpffs out of sight: the program's maps" "$(stats -j | jq -cS .)" \
	"$(blind "$udpxdp" stats -j -i eth0.5 | jq -cS .)"
equal "ip netns exec: the same" "$(stats -j | jq -cS .)" \
	"$(ip netns exec "$NETNS-a" "$udpxdp" stats -j -i eth0.5 | jq -cS .)"

# ---- several ----
mkdir $root/eth7
equal "what a dead one left is no second server" "$(stats -j -i eth0.5 | jq -cS .)" \
	"$(stats -j | jq -cS .)"
# The read lock of an open file description, by which a server says that it lives.
exec 8<$root/eth7
require python3 -c 'import fcntl, struct
fcntl.fcntl(8, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))'
fails "several servers" 2 "eth0_5, eth7; choose one with -i"
exec 8<&-
rmdir $root/eth7

# ---- the server ends while stats runs ----
watch -j -n 0.1 -i eth0.5
wait_for 5 two_lines 2
release
equal "the stand-in ends well" 0 $?
finish "$watching" 5
equal "the server ends: status" 1 $?
matches "the server ends: says so" '^udpxdp: no server is running on eth0.5' "$(tail -n 1 "$work/again.log")"

# ---- one that died ----
hold $root/eth0_5
kill -KILL "$holding"
exec 9>&-
finish "$holding" 5
wait_for 5 test -z "$(xdp_programs a eth0.5)"
fails "a server that died" 1 "left over from one that died; show them with --pin-dir" -i eth0.5
equal "its last counts, when asked for" 22 "$(stats -j --pin-dir $root/eth0_5 | jq .services[0].rx)"
hold $root/eth0_5
equal "the next server is alive again" 0 "$(stats -j | jq '.ports[0].rx_packets')"
release

# ---- without pins, and with pins that are not ours ----
hold ""
equal "no pins: the program's maps" 22 "$(stats -j -i eth0.5 | jq .services[0].rx)"
equal "no pins: the only server is found" eth0.5 "$(stats -j | jq -r .iface)"
release
mkdir -p $root/odd
for map in port_counters verdicts service_counters; do
	require bpftool map create "$root/odd/$map" type hash key 4 value 4 entries 4 name "${map:0:15}"
done
fails "maps of another layout" 1 "another layout than udpxdp" --pin-dir $root/odd
rm -r $root/odd

done_testing
