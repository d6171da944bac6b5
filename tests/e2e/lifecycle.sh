#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Starting, refusing to start, stopping, and being killed: what is left behind is nothing, and
# what was there before is not harmed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24 fd00:80:9::1/64
require address client eth0 10.80.9.2/24 fd00:80:9::2/64

exchange() {
	on client "$e2e/udp.py" exchange $v4 8080 --count 10 --timeout 1
}

kernel_answers() {
	[ "$(echo -n hi | on client nc -u -w 1 -W 1 $v4 8080)" = "kernel: hi" ]
}

nothing_left() {
	local left
	left=$(xdp_programs server eth0)
	[ -z "$left" ] || echo "XDP programs: $left"
	[ ! -e "$(pin_dir server)" ] || echo "pins: $(ls "$(pin_dir server)")"
	[ ! -e "$(control server)" ] || echo "control socket: $(control server)"
	[ -z "$left" ] && [ ! -e "$(pin_dir server)" ] && [ ! -e "$(control server)" ]
}

no_program() {
	[ -z "$(xdp_programs server eth0)" ]
}

# ---- a clean stop

for signal in TERM INT; do
	server_start server
	equal "the ready line is one line" 1 "$(grep -c '^udpxdp: ready' "$(server_err server)")"
	equal "it names the interface" eth0 "$(ready_value server iface)"
	equal "it names the services" echo:8080,broadcast:8086,chat:8090 "$(ready_value server services)"
	check "the counters are pinned" test -e "$(pin_dir server)/port_counters"
	check "the control socket is there" test -S "$(control server)"
	check "SIG$signal ends it with status 0" server_stop server $signal
	check "after SIG$signal nothing is left" nothing_left
done

# ---- with nothing to read from and nothing to write to

env --default-signal=INT nsenter --net="$(netns_path server)" -- "$udpxdp" --iface eth0 \
	--control "$(control server)" --pin-dir "$(pin_dir server)" <&- >&- 2>&- &
server_pid[server]=$!
check "with its standard files closed it serves" wait_for 5 exchange
check "and stops well" server_stop server
check "and leaves nothing" nothing_left

# ---- kill -9

spawn "$work/kernel.log" server "$e2e/udp.py" serve :: 8080 --prefix "kernel: "
kernel=$pid
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket" "$(cat "$work/kernel.log")"
server_start server
check "while it runs, the port is ours" exchange
server_stop server KILL
equal "kill -9 it is" 137 "${server_dead[server]}"
check "after kill -9 no program is attached" wait_for 2 no_program
check "and a kernel socket answers on the port" wait_for 2 kernel_answers
server_start server
check "the next start replaces what was left" exchange
check "and stops well" server_stop server
check "and leaves nothing" nothing_left
kill "$kernel"

# ---- restarts, with no pause

for round in $(seq 1 10); do
	server_launch server && exchange >"$work/exchange.log" 2>&1 || break
	round=$((round + 1))
	server_stop server || break
done
equal "ten restarts in a row" 11 "$round"
for round in $(seq 1 10); do
	server_launch server && exchange >"$work/exchange.log" 2>&1 || break
	round=$((round + 1))
	server_stop server KILL
done
equal "ten restarts after kill -9" 11 "$round"
rm -rf "$(pin_dir server)" "$(control server)"

# ---- who is refused

cp "$udpxdp" "$work/udpxdp" && chmod 755 "$work/udpxdp"

# fails NAME STATUS REGEX COMMAND...: on the server, with one line on standard error.
fails() {
	local name=$1 expected=$2 regex=$3 status=0 said
	shift 3
	said=$(on server timeout 10 "$@" 2>&1 >/dev/null) || status=$?
	if [ "$status" = "$expected" ] && [ "$(wc -l <<<"$said")" = 1 ] &&
		grep -E '^udpxdp: .+: .+; .+' <<<"$said" | grep -qE -- "$regex"; then
		ok "$name"
	else
		not_ok "$name" "expected status $expected and one line, udpxdp: WHAT: WHY; CURE, with $regex"$'\n'"status $status: $said"
	fi
}

own=(--control "$(control other)" --pin-dir "$(pin_dir other)")
fails "no such interface" 4 nosuch0 "$udpxdp" --iface nosuch0 "${own[@]}"
fails "without any capability" 3 'CAP_(NET_ADMIN|BPF|NET_RAW)' \
	setpriv --bounding-set=-all --inh-caps=-all "$udpxdp" --iface eth0 "${own[@]}"
fails "an ordinary user" 3 'CAP_(NET_ADMIN|BPF|NET_RAW)' \
	setpriv --reuid=65534 --regid=65534 --clear-groups "$work/udpxdp" --iface eth0 "${own[@]}"
fails "without CAP_BPF alone" 3 'CAP_BPF|CAP_SYS_ADMIN' setpriv --bounding-set=-bpf,-sys_admin \
	--inh-caps=-bpf,-sys_admin "$udpxdp" --iface eth0 "${own[@]}"
fails "--mode zerocopy on veth never falls back" 4 'zero' \
	"$udpxdp" --iface eth0 --mode zerocopy "${own[@]}"
check "and leaves no program" no_program
fails "an MTU no chunk can carry is said with the number" 4 '65536' "$udpxdp" --iface lo "${own[@]}"

while IFS='|' read -r what arguments; do
	# shellcheck disable=SC2086 # words
	fails "usage: $what" 2 . "$udpxdp" $arguments
done <<'END'
no interface|serve
no interface, by default verb|
an unknown verb|nosuchverb
an unknown option|serve --iface eth0 --nosuch
an operand too many|serve --iface eth0 eth1
an unknown service|serve --iface eth0 --service nosuch
an unknown key|serve --iface eth0 --service echo:8080,nosuch=1
a port that is none|serve --iface eth0 --service echo:99999
port 0|serve --iface eth0 --service echo:0
a port twice|serve --iface eth0 --service echo:8080 --service chat:8080
an unknown mode|serve --iface eth0 --mode nosuch
queues that are none|serve --iface eth0 --queues 3-1
an unknown way to wait|serve --iface eth0 --poll nosuch
an option without its argument|serve --iface
END
check "--help is not an error" on server "$udpxdp" --help
check "nor --version" on server "$udpxdp" --version

# ---- busy

server_start server
id=$(xdp_programs server eth0 | head -n 1)
name=$(bpftool -j prog show id "$id" | jq -r .name)
fails "a second instance names the program: $id, $name" 5 "program $id \($name\) .*another udpxdp" \
	"$udpxdp" --iface eth0 "${own[@]}"
fails "a second instance with the same control socket" 5 . \
	"$udpxdp" --iface eth0 --control "$(control server)" --pin-dir "$(pin_dir other)"
check "the first one is not harmed" exchange
check "its counters are still pinned" test -e "$(pin_dir server)/port_counters"
check "its control socket is still there" test -S "$(control server)"
check "it stops well" server_stop server
check "and leaves nothing" nothing_left

foreign() {
	bpftool prog load "$BUILD/tests/e2e/foreign.bpf.o" "/sys/fs/bpf/$NETNS-foreign" &&
		on server bpftool net attach "$1" pinned "/sys/fs/bpf/$NETNS-foreign" dev "${2:-eth0}"
}

for kind in xdpdrv xdpgeneric; do
	require foreign $kind
	id=$(xdp_programs server eth0 | head -n 1)
	fails "somebody else's program ($kind): $id" 5 "(\b$id\b.*foreign_program|foreign_program.*\b$id\b)" \
		"$udpxdp" --iface eth0 "${own[@]}"
	equal "which stays where it is" "$id" "$(xdp_programs server eth0)"
	require on server bpftool net detach $kind dev eth0
	require rm "/sys/fs/bpf/$NETNS-foreign"
done

require on server ip link add br0 type bridge
require on server ip link set eth0 master br0
require foreign xdpgeneric br0
fails "a program on the bridge above is told from one on the interface" 5 \
	"attaching the filter to eth0: File exists: an XDP program is attached to br0.*; detach that one or serve br0" \
	"$udpxdp" --iface eth0 "${own[@]}" --mode skb
check "and nothing is left" nothing_left
require on server ip link del br0
require rm "/sys/fs/bpf/$NETNS-foreign"

server_start server
check "once it is gone, udpxdp starts" exchange
server_stop server || not_ok "it ends well"

# ---- a pin directory that can hold no pins

server_start server --pin-dir "$work/no/pins"
matches "counters are not pinned, and that is said" "^udpxdp: counters are not pinned in $work/no/pins: " \
	"$(cat "$(server_err server)")"
check "no directory is made for them" test ! -e "$work/no"
done_testing
