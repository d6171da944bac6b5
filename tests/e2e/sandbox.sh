#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Least privilege: who the server is once it is ready, what each of its threads may do, and that
# everything it has to do later still works.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

NET_ADMIN=0000000000001000
DAC_NET_ADMIN=0000000000001002
NONE=0000000000000000
nobody=$(id -u nobody) group=$(id -g nobody)

require hosts server client
require segment 1 switch server client
cp "$udpxdp" "$work/udpxdp" && chmod 755 "$work/udpxdp"

# A sanitizer's run time makes system calls of its own: such a build has no seccomp filter.
filtered=2
! grep -qa __asan_init "$udpxdp" || filtered=0

exchange() {
	on client "$e2e/udp.py" exchange 10.80.1.1 8080 --count 50 --flows 4 --timeout 1
}

# of TASK FIELD: from its status, as a word or several.
of() {
	sed -n "s/^$2:\t*//p" "/proc/$1/status" | xargs
}

# threads PID: each with its user, group, other groups, capabilities and filter.
threads() {
	local task
	for task in /proc/"$1"/task/*; do
		task=${task#/proc/}
		echo "$(<"/proc/$task/comm"): $(of "$task" Uid) / $(of "$task" Gid) / $(of "$task" Groups) /" \
			"$(of "$task" CapInh) $(of "$task" CapPrm) $(of "$task" CapEff) $(of "$task" CapAmb) /" \
			"$(of "$task" NoNewPrivs) $(of "$task" Seccomp)"
	done | sort
}

# expected UID GID GROUPS: what threads() says of a server with one history and one worker.
expected() {
	local name
	for name in history printer udpxdp worker/0; do
		echo "$name: $1 $1 $1 $1 / $2 $2 $2 $2 / $3 / $NONE $NONE $NONE $NONE / 1 $filtered"
	done
}

monitor_of() {
	pgrep -P "$1"
}

# speak TEXT: in the chat; waits until the room has answered.
speak() {
	on client python3 - "$1" <<-'END'
		import socket, sys
		peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		peer.settimeout(3)
		peer.sendto(sys.argv[1].encode(), ("10.80.1.1", 8090))
		peer.sendto(b"/who", ("10.80.1.1", 8090))
		peer.recv(2048)
	END
}

holds() {
	grep -q "发送的数据:$2\$" "$1" 2>/dev/null
}

# rotates DIR: history and capture there are moved away, and come back at SIGHUP.
rotates() {
	local dir=$1 what=$2
	check "$what: a message" speak before
	check "$what: it is in the history" wait_for 3 holds "$dir/chat.txt" before
	mv "$dir/chat.txt" "$dir/chat.1" && mv "$dir/all.pcap" "$dir/all.1" || bail "set up: rotation"
	kill -HUP "${server_pid[server]}"
	check "$what: SIGHUP makes a new history" wait_for 3 test -e "$dir/chat.txt"
	check "$what: and a new capture" wait_for 3 test -s "$dir/all.pcap"
	check "$what: the next message" speak after
	check "$what: it is in the new history" wait_for 3 holds "$dir/chat.txt" after
	equal "$what: and each is there once" "1 1" \
		"$(grep -c 'before$' "$dir/chat.1") $(cat "$dir/chat.1" "$dir/chat.txt" | grep -c 'after$')"
}

# captured FILE TEXT: how many frames hold it.
captured() {
	tshark -r "$1" -Y "frame contains \"$2\"" 2>>"$work/tshark.log" | wc -l
}

# ---- as root

mkdir -m 700 "$work/private"
server_start server --queues all -s echo -s "chat,history=$work/private/chat.txt" \
	-w "$work/private/all.pcap"
pid=${server_pid[server]}
equal "nobody, and no thread has any capability" \
	"$(expected "$nobody" "$group" "")" "$(threads "$pid")"
equal "the bounding set is empty" "$NONE" "$(of "$pid" CapBnd)"
equal "--write makes its file, too, where only root may" 1 "$(find "$work/private" -name all.pcap | wc -l)"
monitor=$(monitor_of "$pid")
equal "the monitor is root with CAP_DAC_OVERRIDE and CAP_NET_ADMIN alone" \
	"0 0 0 0 $DAC_NET_ADMIN $DAC_NET_ADMIN $NONE 1 $filtered" \
	"$(of "$monitor" Uid) $(of "$monitor" CapPrm) $(of "$monitor" CapEff) $(of "$monitor" CapBnd) $(of "$monitor" NoNewPrivs) $(of "$monitor" Seccomp)"
check "echo works" exchange
rotates "$work/private" "a directory of root's alone"
check "a peer never seen before is resolved" on server ip neigh flush all
spawn "$work/peer.out" client timeout 10 socat -u UDP4-RECV:5005 -
wait_for 5 on client sh -c 'ss -Huln sport = :5005 | grep -q .'
echo "are you there?" | on server "$udpxdp" chat --control "$(control server)" 10.80.1.2 5005 >"$work/console.log" 2>&1
equal "by the console" 0 $?
check "and hears it" wait_for 3 grep -q "are you there?" "$work/peer.out"
equal "the control socket is root's alone" "srw-rw---- root root" "$(stat -c '%A %U %G' "$(control server)")"
check "SIGTERM ends it with status 0" server_stop server
check "the monitor has gone" is_gone "$monitor"
check "and has removed the control socket" test ! -e "$(control server)"
check "and the pins" test ! -e "$(pin_dir server)"
equal "the old capture holds what was said before the rotation" "1 0" \
	"$(captured "$work/private/all.1" before) $(captured "$work/private/all.1" after)"
equal "the new one what came after, and was sent on to who spoke before" "0 2" \
	"$(captured "$work/private/all.pcap" before) $(captured "$work/private/all.pcap" after)"

# ---- what a worker does is what it may

for options in "--poll block" "--poll spin" "--poll adaptive" "--poll block --coalesce 500" "--mode skb"; do
	# shellcheck disable=SC2086 # options are words
	server_start server $options -s echo -s chat,history=off -w "$work/private/again.pcap"
	pid=${server_pid[server]}
	worker=$(grep -lx worker/0 "/proc/$pid"/task/*/comm | cut -d/ -f5)
	strace -q -o "$work/calls" -p "$worker" >"$work/strace.log" 2>&1 </dev/null &
	tracer=$!
	traced() { [ "$(of "$worker" TracerPid)" != 0 ]; }
	wait_for 5 traced || bail "strace attaches" "$(cat "$work/strace.log")"
	check "$options: echo works" exchange
	check "$options: chat works" speak hello
	server_stop server || not_ok "$options: it ends well"
	finish "$tracer" 5
	check "$options: system calls were seen" grep -q '^sendto(' "$work/calls"
	equal "$options: none was refused" "" "$(grep EPERM "$work/calls" | head -n 5)"
done

# ---- as root, becoming somebody else

daemon=$(id -u daemon)
server_start server --user daemon -s echo
equal "--user: the event loop" "$daemon $daemon $daemon $daemon" "$(of "${server_pid[server]}" Uid)"
equal "--user: everybody" 1 "$(cat "/proc/${server_pid[server]}"/task/*/status | grep ^Uid: | sort -u | wc -l)"
check "--user: echo works" exchange
server_stop server || not_ok "--user: it ends well"

# refuses NAME STATUS REGEX PREFIX... -- ARG...: udpxdp, run by the prefix, says so and does not start.
refuses() {
	local name=$1 status=0 wanted=$2 regex=$3 said prefix=()
	shift 3
	while [ "$1" != -- ]; do prefix+=("$1") && shift; done
	shift
	said=$(on server timeout 20 "${prefix[@]}" "$work/udpxdp" --iface eth0 --control "$work/refused.sock" \
		--pin-dir "$(pin_dir refused)" "$@" 2>&1 >/dev/null) || status=$?
	if [ "$status" = "$wanted" ] && [ "$(wc -l <<<"$said")" = 1 ] && grep -qE "^udpxdp: .*$regex" <<<"$said"; then
		ok "$name"
	else
		not_ok "$name" "expected status $wanted and one line with $regex"$'\n'"status $status: $said"
	fi
}

plain=(setpriv --reuid="$nobody" --regid="$group" --clear-groups)
granted=+net_admin,+bpf,+net_raw,+ipc_lock
refuses "a user that does not exist" 2 "user nosuch: no such user" -- --user nosuch
for cap in NET_ADMIN BPF NET_RAW; do
	held=$(tr , '\n' <<<"$granted" | grep -v "${cap,,}" | paste -sd ,)
	refuses "CAP_$cap missing, as root: it is named" 3 "CAP_$cap missing" \
		setpriv --bounding-set="-all,$held" --inh-caps=-all --
	refuses "CAP_$cap missing, as a user: it is named" 3 "CAP_$cap missing" \
		"${plain[@]}" --inh-caps="-all,$held" --ambient-caps="-all,$held" --
done
refuses "no capability at all: all are named" 3 "CAP_NET_ADMIN, CAP_BPF, CAP_NET_RAW missing" "${plain[@]}" --
refuses "a user cannot become another" 3 "CAP_SETUID" \
	"${plain[@]}" --inh-caps="-all,$granted" --ambient-caps="-all,$granted" -- --user daemon
check "and no program was ever attached" test -z "$(xdp_programs server eth0)"

# ---- a successor that does not wait

is_detached() {
	[ -z "$(xdp_programs server eth0)" ] && [ -z "$(on server ss -Huln 'sport = 8080')" ]
}

server_start server --mode copy -s echo
old=${server_pid[server]} monitor=$(monitor_of "${server_pid[server]}")
kill -STOP "$monitor"
kill "$old"
wait_for 5 is_detached || not_ok "it detaches first"
unset "server_pid[server]"
server_refuses "it is refused as long as the monitor has files to remove" 5 "is in use" server \
	--mode copy -s echo
kill -CONT "$monitor"
check "the one before ends well then" finish "$old" 5
server_start server --mode copy -s echo
check "and the next keeps its files" test -S "$(control server)" -a -d "$(pin_dir server)"
server_stop server || not_ok "the next ends well"

# ---- no thread to be had

printf '#!/bin/sh\nexec prlimit --nproc=0 "%s" "$@"\n' "$udpxdp" >"$work/few"
chmod 755 "$work/few"
udpxdp=$work/few server_refuses "no more threads allowed: one line, and all is undone" 1 \
	"starting the workers failed" server --mode copy --quiet -s echo
equal "no more threads allowed: nothing is left" "" \
	"$(xdp_programs server eth0; ls "$(pin_dir server)" "$(control server)" 2>/dev/null)"

# ---- --no-sandbox

server_start server --no-sandbox -s echo
matches "--no-sandbox says so loudly" "^udpxdp: NO SANDBOX" "$(cat "$(server_err server)")"
pid=${server_pid[server]}
equal "--no-sandbox: root, capabilities, no filter" "0 0 0 0 $(of $$ CapEff) 0" \
	"$(of "$pid" Uid) $(of "$pid" CapEff) $(of "$pid" Seccomp)"
equal "--no-sandbox: and no monitor" "" "$(monitor_of "$pid")"
check "--no-sandbox: echo works" exchange
server_stop server || not_ok "--no-sandbox: it ends well"

# ---- as root of a container, who may not change user

server=$udpxdp
udpxdp=$work/contained
cat >"$udpxdp" <<-END
	#!/bin/sh
	exec setpriv --bounding-set=-all,$granted --inh-caps=-all,$granted --ambient-caps=-all,$granted $server "\$@"
END
chmod 755 "$udpxdp"
server_start server -s echo
pid=${server_pid[server]}
equal "root without CAP_SETUID stays root, without capabilities" \
	"0 0 0 0 $NONE $NONE $NONE $NONE 1 $filtered" \
	"$(of "$pid" Uid) $(of "$pid" CapInh) $(of "$pid" CapPrm) $(of "$pid" CapEff) $(of "$pid" CapAmb) $(of "$pid" NoNewPrivs) $(of "$pid" Seccomp)"
check "and serves" exchange
check "and ends well" server_stop server
check "and leaves nothing" test ! -e "$(control server)" -a ! -e "$(pin_dir server)"

# ---- as a plain user with ambient capabilities

mkdir -m 700 "$work/theirs" && chown nobody "$work/theirs"
udpxdp=$work/ambient
cat >"$udpxdp" <<-END
	#!/bin/sh
	exec ${plain[*]} --inh-caps=-all,$granted --ambient-caps=-all,$granted $work/udpxdp "\$@"
END
chmod 755 "$udpxdp"
require own_bpffs
require mkdir -m 755 "$work/bpf/roots" "$work/bpf/theirs"
require chown nobody "$work/bpf/theirs"
server_start server --control "$work/theirs/control.sock" --pin-dir "$work/bpf/roots/server" \
	-s echo -s "chat,history=$work/theirs/chat.txt" -w "$work/theirs/all.pcap"
pid=${server_pid[server]}
equal "a plain user with ambient capabilities: what is left of them" \
	"$(expected "$nobody" "$group" "")" "$(threads "$pid")"
matches "a plain user: counters are not pinned, and that is said" \
	"^udpxdp: counters are not pinned in .*/bpf/roots/server: Permission denied" "$(cat "$(server_err server)")"
monitor=$(monitor_of "$pid")
equal "a plain user's monitor is that user with CAP_NET_ADMIN alone" \
	"$nobody $nobody $nobody $nobody $NET_ADMIN $NET_ADMIN 1 $filtered" \
	"$(of "$monitor" Uid) $(of "$monitor" CapPrm) $(of "$monitor" CapEff) $(of "$monitor" NoNewPrivs) $(of "$monitor" Seccomp)"
check "a plain user: echo works" exchange
equal "a plain user: stats finds the counters through the program" "50" \
	"$(on server "$server" stats -i eth0 -j | jq '.services[] | select(.service == "echo") | .rx')"
rotates "$work/theirs" "a plain user's directory"
echo "to myself" | on server "$server" chat --control "$work/theirs/control.sock" 10.80.1.2 5005 >"$work/console.log" 2>&1
equal "a plain user: its console works" 0 $?
check "a plain user: SIGTERM ends it with status 0" server_stop server
check "a plain user: the control socket has gone" test ! -e "$work/theirs/control.sock"

# Without --control: where it is by default only root may make it, as /run is made by systemd.
if has_mounts; then
	spawn "$work/default.err" server unshare --mount sh -c 'mount -t tmpfs -o mode=755 none /run && exec "$@"' - \
		"$udpxdp" --iface eth0 --pin-dir "$work/bpf/theirs/server" --quiet -s echo -s chat,history=off
	check "a plain user, with defaults: it serves" wait_for 20 grep -q '^udpxdp: ready' "$work/default.err"
	equal "a plain user, with defaults: there are no consoles, and that is said" 1 \
		"$(grep -cE '^udpxdp: consoles are disabled: making /run/udpxdp/eth0.sock failed: ' "$work/default.err")"
	check "a plain user, with defaults: echo works" exchange
	check "a plain user, with defaults: chat works" speak hello
	kill "$pid"
	finish "$pid" 10
	equal "a plain user, with defaults: it ends with status 0" 0 $?
else
	skip "a plain user, with defaults" "no mounts of its own: this is a chroot that is no mount point"
fi

server_start server --control "$work/theirs/control.sock" --pin-dir "$work/bpf/theirs/server" -s echo
equal "a plain user: the counters are pinned where it may" 3 \
	"$(find "$work/bpf/theirs/server" -type f | wc -l)"
server_stop server || not_ok "a plain user: it ends well"
check "a plain user: and the pins are removed" test ! -e "$work/bpf/theirs/server"

done_testing
