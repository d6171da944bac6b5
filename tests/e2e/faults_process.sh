#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What becomes of a server, and of what it leaves, when it is killed, stopped for a while or ended
# under load; when it may not lock memory; and when there is no bpf file system, or its pins are
# another's.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.9.1 other4=10.80.10.1
nobody=$(id -u nobody) group=$(id -g nobody)

require hosts server other client
require wire server:eth0 client:eth0
require wire other:eth0 client:eth1
require address server eth0 $v4/24
require address other eth0 $other4/24
require address client eth0 10.80.9.2/24
require address client eth1 10.80.10.2/24

exchange() {
	on client "$e2e/udp.py" exchange "${1:-$v4}" 8080 --count 20 --flows 4 --timeout 1
}

no_program() {
	[ -z "$(xdp_programs server eth0)" ]
}

kernel_answers() {
	[ "$(echo -n hi | on client nc -u -w 1 -W 1 $v4 8080)" = "kernel: hi" ]
}

# load ARG...: requests without end; $load is its pid.
load() {
	spawn "$work/load.log" client "$e2e/udp.py" exchange $v4 8080 --count 10000000 --flows 8 --timeout 0.3 "$@"
	load=$pid
}

unload() {
	kill "$load" 2>/dev/null
	finish "$load" 5
}

# ---- kill -9 at any moment

# A moment of the next N milliseconds: the one thing here that nothing is waited for.
a_moment() {
	sleep "$(printf '0.%03d' $((RANDOM % $1)))"
}

spawn "$work/kernel.log" server "$e2e/udp.py" serve 0.0.0.0 8080 --prefix "kernel: "
kernel=$pid
wait_for 5 grep -q ready "$work/kernel.log" || bail "a kernel socket" "$(cat "$work/kernel.log")"
load
starts=0 detached=0 answered=0
for _ in {1..20}; do
	server_launch server --quiet -s echo || break
	starts=$((starts + 1))
	a_moment 200
	server_stop server KILL
	wait_for 2 no_program && detached=$((detached + 1))
	wait_for 2 kernel_answers && answered=$((answered + 1))
done
equal "kill -9 while it serves, 20 times: the next start is clean" 20 "$starts"
equal "no program is left on the interface" 20 "$detached"
equal "and the kernel's socket answers on the port" 20 "$answered"

ready=0 detached=0
for _ in {1..20}; do
	env nsenter --net="$(netns_path server)" -- "$udpxdp" serve --iface eth0 --control "$(control server)" \
		--pin-dir "$(pin_dir server)" --quiet -s echo >"$work/killed.out" 2>"$work/killed.err" </dev/null &
	server_pid[server]=$!
	a_moment 150
	server_stop server KILL
	grep -qs ready "$work/killed.err" && ready=$((ready + 1))
	wait_for 2 no_program && detached=$((detached + 1))
done
equal "kill -9 while it starts (ready were $ready of 20): no program is left" 20 "$detached"
check "and the kernel's socket answers" wait_for 2 kernel_answers
unload
server_start server --quiet -s echo
check "the next start serves" exchange
server_stop server || not_ok "it ends well"
check "and leaves nothing" test ! -e "$(control server)" -a ! -e "$(pin_dir server)"
kill "$kernel"

# ---- stopped until its rings are full

server_start server -v --quiet
load --interval 0.005
require wait_for 5 has_heard server 20
kill -STOP "${server_pid[server]}"
require on client "$e2e/udp.py" exchange $v4 8080 --count 10000 --window 10000 --timeout 0.1 --answers 0
kill -CONT "${server_pid[server]}"
check "stopped under load for more than its rings hold and continued, it serves again" wait_for 5 exchange
unload
check "all of it" exchange
server_stop server || not_ok "it ends well"
equal "and every frame is accounted for" 1 "$(grep -c ' balanced$' "$(server_err server)")"

# ---- the end, in the middle of a conversation

cat >"$work/member.py" <<'END'
import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
peer.sendto(b"I listen", (sys.argv[1], 8090))
print("joined", peer.getsockname()[1], flush=True)
while (text := peer.recv(2048)) != b"that was all":
    print(text.decode().split(": ")[-1])
END
cat >"$work/talker.py" <<'END'
import socket, sys
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(10000000):
    peer.sendto(b"line %d" % number, (sys.argv[1], 8090))
END

server_start server --quiet -s chat,rate=0,bytes=0,room-rate=0,room-bytes=0,history-bytes=0
spawn "$work/member.out" client python3 "$work/member.py" $v4
member=$pid
wait_for 5 grep -q "I listen" chat.txt || not_ok "set up: a member" "$(cat "$work/member.out")"
spawn "$work/talker.log" client python3 "$work/talker.py" $v4
talker=$pid
wait_for 10 grep -q "line 10000$" chat.txt
check "SIGTERM under the full load of a chat ends it with status 0" server_stop server
kill "$talker" 2>/dev/null
finish "$talker" 5 2>/dev/null
port=$(sed -n 's/^joined //p' "$work/member.out")
# By the way that what was relayed has taken, behind it.
require on server bash -c "printf 'that was all' >/dev/udp/10.80.9.2/$port"
require finish "$member" 20
grep -o '^line [0-9]*$' "$work/member.out" | sort >"$work/heard"
grep -o 'line [0-9]*$' chat.txt | sort >"$work/written"
note "relayed and heard: $(wc -l <"$work/heard"), in the history: $(wc -l <"$work/written")"
check "lines were relayed" test "$(wc -l <"$work/heard")" -gt 1000
equal "each line relayed is in the history" "" "$(comm -23 <(uniq "$work/heard") "$work/written" | head -n 5)"
equal "and none is there twice" "" "$(uniq -d "$work/written" | head -n 5)"
equal "nor was any relayed twice" "" "$(uniq -d "$work/heard" | head -n 5)"

# ---- memory that may not be locked

server=$work/udpxdp theirs=$work/theirs
cp "$udpxdp" "$server" && chmod 755 "$server" && mkdir -m 700 "$theirs" && chown nobody "$theirs" ||
	bail "set up: a plain user"

# by SCRIPT...: udpxdp is run by a shell script from now on, as $0 "$@".
by() {
	printf '#!/bin/sh\n%s\n' "$*" >"$work/by"
	chmod 755 "$work/by"
}

# plain CAPS: the words that make a plain user who has these capabilities.
plain() {
	echo "setpriv --reuid=$nobody --regid=$group --clear-groups --inh-caps=-all,$1 --ambient-caps=-all,$1"
}

require own_bpffs
by "exec prlimit --memlock=65536 $(plain +net_admin,+bpf,+net_raw) --bounding-set=-ipc_lock $server \"\$@\""
udpxdp=$work/by server_refuses "a memlock limit too small, without CAP_IPC_LOCK: one line, status 3" 3 \
	"memlock|CAP_IPC_LOCK" server --control "$theirs/control.sock" --pin-dir "$work/bpf/server" -s echo
check "and no program is left" no_program

# ---- no bpf file system

no_bpf_file_system() {
	by "exec unshare -m --propagation private sh -c 'while umount /sys/fs/bpf; do :; done 2>/dev/null; exec \"\$0\" \"\$@\"' $server \"\$@\""
	udpxdp=$work/by server_start server --quiet -s echo
	pid=${server_pid[server]}
	within() {
		nsenter --target "$pid" --mount --root -- "$@" # whose root may be a chroot's
	}
	equal "no bpf file system: it is mounted" bpf_fs "$(within stat -f -c %T /sys/fs/bpf)"
	check "and the counters are pinned there" within test -e "$(pin_dir server)/port_counters"
	check "not anywhere else" test ! -e "$(pin_dir server)"
	check "it serves" exchange
	server_stop server || not_ok "it ends well"

	by "exec unshare -m --propagation private sh -c 'while umount /sys/fs/bpf; do :; done 2>/dev/null; exec \"\$0\" \"\$@\"' $(plain +net_admin,+bpf,+net_raw,+ipc_lock) $server \"\$@\""
	udpxdp=$work/by server_start server --quiet -s echo --control "$theirs/control.sock"
	equal "no bpf file system, and not ours to mount: said once" 1 \
		"$(grep -c '^udpxdp: counters are not pinned in ' "$(server_err server)")"
	check "it serves all the same" exchange
	check "it ends well" server_stop server
}
if has_mounts; then
	no_bpf_file_system
else
	skip "no bpf file system" "no mounts of its own: this is a chroot that is no mount point"
fi

# ---- pins that are another's

server_start server --quiet -s echo
server_refuses "the pins of another that lives: refused" 5 "$(pin_dir server) is in use" other \
	--pin-dir "$(pin_dir server)" -s echo
check "which is not harmed: it serves" exchange
equal "and its counters count" 20 "$(service_counter server rx)"
equal "of the one refused no program is left" "" "$(xdp_programs other eth0)"
server_start other --quiet -s echo
check "with pins of its own it serves" exchange $other4
server_stop other || not_ok "it ends well"
server_stop server KILL
check "killed, it leaves its pins" test -e "$(pin_dir server)/service_counters"
server_start other --quiet -s echo --pin-dir "$(pin_dir server)"
check "the pins of one that is dead are replaced" exchange $other4
equal "by the counters of who lives" 20 "$(service_counter server rx)"
server_stop other || not_ok "it ends well"
check "who removes them in the end" test ! -e "$(pin_dir server)"

done_testing
