#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --mode sockets in what containers without privileges are: no capability, a root file system and /sys
# that are read-only, no BPF file system, no /run; as a user, as uid 0, and as root of a user namespace.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.86.1.1/24 fd00:86:1::1/64
require address client eth0 10.86.1.2/24 fd00:86:1::2/64
mkdir "$work/root"

# box WORK BUILD UID COMMAND...: runs it in a root of its own, WORK/root, in which /tmp alone may be written.
cat >"$work/box" <<'END'
#!/bin/bash
set -e
root=$1/root build=$2 uid=$3
shift 3
mount --make-rprivate /
mount -t tmpfs none "$root"
mkdir "$root"/{usr,etc,proc,sys,dev,tmp,build}
for link in bin lib lib64 sbin; do
	[ ! -L "/$link" ] || cp -a "/$link" "$root"
done
mount --rbind /usr "$root/usr"
mount --bind "$build" "$root/build"
mount -o remount,bind,ro "$root/build"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro none "$root/sys"
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -o remount,ro "$root"
cd "$root"
exec chroot "$root" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --clear-groups \
	--reuid "$uid" --regid "$uid" "$@"
END
chmod 755 "$work/box"

# boxed NAME UID COMMAND...: it runs there as $pid; what it says is in NAME.err.
boxed() {
	local name=$1 uid=$2
	shift 2
	rm -f "$work/$name.err"
	spawn "$work/$name.err" server unshare --mount --pid --kill-child "$work/box" "$work" "$BUILD" "$uid" "$@"
	wait_for 20 boxed_is_ready "$name" "$pid"
}
boxed_is_ready() { grep -q '^udpxdp: ready' "$work/$1.err" || is_gone "$2"; }

exchange() { on "$1" "$e2e/udp.py" exchange "$2" 8080 --count 20 --flows 4 "${@:3}"; }
hears_chat() {
	on client python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"/who", ("10.86.1.1", 8090)); assert s.recv(9000).startswith(b"* ")'
}

# serves NAME: what runs as $pid answers everybody, has no capability, and ends well.
serves() {
	matches "$1: it serves all defaults" \
		"^udpxdp: ready iface=any mode=sockets queues=1 sockets=on services=echo:8080,broadcast:8086,chat:8090$" \
		"$(cat "$work/box.err")"
	check "$1: a client on another host" exchange client 10.86.1.1 --size 64,3000,60000 --window 4
	check "$1: over IPv6" exchange client fd00:86:1::1 --size 64,3000,60000 --window 4
	check "$1: on this host" exchange server 127.0.0.1
	check "$1: chat" hears_chat
	equal "$1: no thread has a capability, each its list of calls" "0000000000000000 2" \
		"$(sed -n 's/^\(Cap\(Prm\|Eff\)\|Seccomp\):\t//p' /proc/"$server"/task/*/status | sort -u | xargs)"
	kill "$server"
	finish "$pid" 10
	equal "$1: it ends with status 0" 0 $?
}
serving_process() { pgrep -P "$1" || echo "$1"; }

if ! has_mounts; then
	skip "in a container" "no mounts of its own: this is a chroot that is no mount point"
else
	for uid in 1000 0; do
		boxed box $uid /build/udpxdp -m sockets
		server=$(serving_process "$pid")
		equal "uid $uid, nothing can be written: what that costs is said in two lines" 2 "$(grep -cE 'consoles are disabled|history chat.txt: Read-only' "$work/box.err")"
		serves "uid $uid, nothing can be written"
	done

	boxed box 1000 env -C /tmp XDG_RUNTIME_DIR=/tmp /build/udpxdp -m sockets
	server=$(serving_process "$pid")
	equal "with a runtime directory: nothing but the ready line" 1 "$(grep -c udpxdp: "$work/box.err")"
	exchange server 127.0.0.1 >/dev/null
	equal "stats --control there" 20 "$(nsenter --target "$server" --mount --root --net --setuid 1000 --setgid 1000 \
		/build/udpxdp stats --control /tmp/udpxdp/any.sock -j | jq '.services[0].rx')"
	serves "with a runtime directory"

	boxed box 1000 /build/udpxdp -m sockets --check
	matches "--check says what would be done" "^interface any, workers 1, mode sockets$" "$(cat "$work/box.err")"
	finish "$pid" 5
	equal "--check: status 0" 0 $?
	boxed box 1000 /build/udpxdp -i eth0
	matches "XDP there: the line names this mode" "^udpxdp: not permitted: CAP_.*--mode sockets$" "$(cat "$work/box.err")"
	finish "$pid" 5
	equal "XDP there: status 3" 3 $?
fi

# ---- root of a user namespace, as bwrap and containers without root have it

if setpriv --reuid nobody --regid nogroup --clear-groups unshare --user --map-root-user true 2>/dev/null; then
	mkdir "$work/theirs" "$work/bin"
	cp "$udpxdp" "$work/bin"
	chown nobody "$work/theirs"
	as_namespace_root() {
		rm -f "$work/box.err"
		spawn "$work/box.err" server env -C "$work/theirs" XDG_RUNTIME_DIR="$work/theirs" setpriv --reuid nobody --regid nogroup \
			--clear-groups unshare --user --map-root-user "$work/bin/udpxdp" "$@"
		wait_for 20 boxed_is_ready box "$pid"
	}
	as_namespace_root -m sockets
	server=$pid
	check "root of a user namespace: it has its control socket" test -S "$work/theirs/udpxdp/any.sock"
	serves "root of a user namespace"
	check "root of a user namespace: and its history" test -e "$work/theirs/chat.txt"
	as_namespace_root -i eth0
	matches "XDP there: the line names this mode" "^udpxdp: loading the filter failed: .*--mode sockets$" \
		"$(cat "$work/box.err")"
	finish "$pid" 5
	equal "XDP there: status 3" 3 $?
else
	skip "root of a user namespace" "this kernel does not let users make one"
fi

done_testing
