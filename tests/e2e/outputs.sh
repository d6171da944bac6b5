#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What root writes and removes by a path: nobody else decides where that leads, neither when the
# server starts nor between that and SIGHUP or its end.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require segment 1 switch server client

# Who attacks; and what must stay as it is.
theirs=$work/theirs roots=$work/roots
as_nobody() { setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups -- "$@"; }
require mkdir -m 755 "$theirs" "$roots"
require chown nobody "$theirs"

# precious: root's files, of each name that an output has.
precious() {
	for name in chat.txt all.pcap control.sock; do
		echo "root's $name" >"$roots/$name"
	done
	require chmod 600 "$roots"/*
}

# untouched NAME: and they are as they were, and alone.
untouched() {
	equal "$1: root's files are as they were" "root's all.pcap root's chat.txt root's control.sock" \
		"$(cat "$roots"/* | xargs -d '\n')"
	equal "$1: and nothing is beside them" 3 "$(find "$roots" -mindepth 1 | wc -l)"
}

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

holds() { grep -q "发送的数据:$2\$" "$1" 2>/dev/null; }
says() { wait_for 5 grep -qE "$1" "$(server_err server)"; }

precious

# ---- at the start

for place in "somebody else's directory:$theirs" "a directory writable by everybody:$work/open" \
	"somebody else's link in a sticky directory:$work/sticky/link" \
	"a directory behind somebody else's:$theirs/inner"; do
	name=${place%%:*} dir=${place#*:}
	case $dir in
	*/open) require mkdir "$dir" && require chmod 777 "$dir" ;;
	*/link)
		require mkdir "${dir%/*}" && require chmod 1777 "${dir%/*}"
		require as_nobody ln -s "$roots" "$dir"
		;;
	*/inner) require mkdir "$dir" ;;
	esac
	server_refuses "$name: no history there" 1 "$dir/chat.txt: Operation not permitted; use a file" \
		server -s "chat,history=$dir/chat.txt"
	server_refuses "$name: no capture there" 1 "$dir/all.pcap: Operation not permitted; use a file" \
		server -s echo -w "$dir/all.pcap"
	server_refuses "$name: no control socket there" 1 "$dir/control.sock failed: Operation not permitted; use a file" \
		server --control "$dir/control.sock" -s echo
	equal "$name: nothing was made there" "" "$(find "$dir/" -mindepth 1 ! -name inner ! -user root)"
done
untouched "at the start"

mkdir -m 755 "$work/own"
ln -s "$roots/all.pcap" "$work/own/link.pcap"
ln "$roots/all.pcap" "$work/own/hard.pcap"
server_refuses "a capture is no symbolic link" 1 "link.pcap: Too many levels of symbolic links" \
	server -s echo -w "$work/own/link.pcap"
server_refuses "nor a file of another name besides" 1 "hard.pcap: Too many links" \
	server -s echo -w "$work/own/hard.pcap"
server_refuses "nor a device" 1 "Invalid argument" server -s echo -w /dev/null
cp "$roots/all.pcap" "$work/own/text.pcap"
server_refuses "nor takes it the place of what is no capture" 1 "text.pcap: File exists; it is not a capture" \
	server -s echo -w "$work/own/text.pcap"
equal "which is as it was" "root's all.pcap" "$(cat "$work/own/text.pcap")"
rm "$work/own/hard.pcap"
untouched "a capture's file"

ln -s "$roots/chat.txt" "$work/own/chat.txt"
server_start server -s "chat,history=$work/own/chat.txt"
check "a history is no symbolic link: said" says "history $work/own/chat.txt: Too many levels of symbolic links"
check "and the chat goes on" speak hello
server_stop server || not_ok "it ends well"
untouched "a history's link"
rm "$work/own/chat.txt"

# A directory of root's behind a link of root's is all right, and /tmp is for everybody.
ln -s "$work/own" "$work/alias"
require mkdir "$work/tmp" && require chmod 1777 "$work/tmp"
server_start server -s "chat,history=$work/alias/chat.txt" -w "$work/tmp/all.pcap" \
	--control "$work/tmp/control.sock"
check "root's own link and a sticky directory: a message" speak hello
check "root's own link is followed" wait_for 3 holds "$work/own/chat.txt" hello
server_stop server || not_ok "it ends well"
check "the capture is in the sticky directory" test -s "$work/tmp/all.pcap"
check "and the control socket gone from there" test ! -e "$work/tmp/control.sock"
require chown nobody "$work/tmp/all.pcap"
server_refuses "a file of somebody else's in a sticky directory is not written" 1 "all.pcap: (Operation not permitted|Permission denied)" \
	server -s echo -w "$work/tmp/all.pcap"

# ---- two outputs that are one file

cd "$work/own" || bail "set up: cd"
server_refuses "a history and a capture" 2 "give one of them another file" server \
	-s "chat,history=$work/alias/both" -w ./../own/both
server_refuses "two histories" 2 "give one of them another with history=PATH" server \
	-s "chat:8090,history=both" -s "chat:8091,history=$work/own/both"
printf '#!/bin/sh\nexec "%s" "$@" >>"%s"\n' "$udpxdp" "$work/own/both" >"$work/to-file"
chmod 755 "$work/to-file"
udpxdp=$work/to-file server_refuses "a history and standard output" 2 "another output is the same file" server \
	-s "chat,history=$work/own/both"
cd "$work" || bail "set up: cd"

# ---- between the start and SIGHUP: the directory of the user who started us, and who swaps it

uid=$(id -u nobody)
printf '#!/bin/sh\nSUDO_UID=%s exec "%s" "$@"\n' "$uid" "$udpxdp" >"$work/by-sudo"
chmod 755 "$work/by-sudo"
rm -rf "$theirs" && mkdir -m 755 "$theirs" "$theirs/in" && chown -R nobody "$theirs" || bail "set up: $theirs"

# start_theirs ARG...: the files are where the invoking user may put them.
start_theirs() {
	udpxdp=$work/by-sudo server_start server --control "$theirs/in/control.sock" \
		-s "chat,history=$theirs/in/chat.txt" -w "$theirs/in/all.pcap" "$@"
}

for sandbox in "" --no-sandbox; do
	what="a directory swapped${sandbox:+ ($sandbox)}"
	start_theirs $sandbox
	check "$what: a message" speak before
	check "$what: it is in the history" wait_for 3 holds "$theirs/in/chat.txt" before
	require as_nobody mv "$theirs/in" "$theirs/out"
	require as_nobody ln -s "$roots" "$theirs/in"
	require mv "$theirs/out/chat.txt" "$theirs/out/chat.1"
	require mv "$theirs/out/all.pcap" "$theirs/out/all.1"
	kill -HUP "${server_pid[server]}"
	check "$what: it goes on where it began" wait_for 5 test -e "$theirs/out/chat.txt" -a -s "$theirs/out/all.pcap"
	check "$what: another message" speak after
	check "$what: which is there" wait_for 3 holds "$theirs/out/chat.txt" after
	server_stop server || not_ok "$what: it ends well"
	untouched "$what"
	check "$what: the control socket is gone from where it was" test ! -e "$theirs/out/control.sock"
	rm -rf "${theirs:?}"/*
	as_nobody mkdir -m 755 "$theirs/in" || bail "set up: $theirs/in"
done

for kind in symbolic hard; do
	what="a file swapped for a $kind link"
	start_theirs
	check "$what: a message" speak before
	check "$what: it is in the history" wait_for 3 holds "$theirs/in/chat.txt" before
	rm "$theirs/in/"*
	for name in chat.txt all.pcap control.sock; do
		[ $kind = hard ] || require as_nobody ln -sf "$roots/$name" "$theirs/in/$name" # it may be made anew meanwhile
		[ $kind != hard ] || require ln -f "$roots/$name" "$theirs/in/$name"
	done
	kill -HUP "${server_pid[server]}"
	check "$what: said of the history" says "history $theirs/in/chat.txt: Too many "
	speak after >"$work/speak.log" 2>&1 || not_ok "$what: the chat goes on" "$(cat "$work/speak.log")"
	check "$what: said of the capture" says "capture $theirs/in/all.pcap: Too many "
	server_stop server || not_ok "$what: it ends well"
	check "$what: the other's link is still there" test -e "$theirs/in/control.sock"
	[ $kind != hard ] || rm "$theirs/in/"*
	untouched "$what"
	rm -f "$theirs/in/"*
done

# ---- a directory that is removed

require mkdir "$work/gone"
server_start server -s "chat,history=$work/gone/chat.txt"
rm -r "$work/gone"
kill -HUP "${server_pid[server]}"
check "a directory that was removed: said" says "history $work/gone/chat.txt: No such file or directory"
require mkdir "$work/gone"
check "another in its place, root's too: taken" says "history $work/gone/chat.txt: writable again"
server_stop server || not_ok "it ends well"

# ---- what the monitor holds

exec {inherited}<"$work"
server_start server -s "chat,history=$work/own/chat.txt" -w "$work/own/new.pcap"
exec {inherited}<&-
monitor=$(pgrep -P "${server_pid[server]}")
equal "the monitor holds its socket, standard output and error, and the directories" \
	"$(printf '%s\n' "$work" "$work/own" "$(server_err server)" "$(server_out server)" socket | sort -u | xargs)" \
	"$(for fd in "/proc/$monitor"/fd/*; do readlink "$fd"; done | sed 's/^socket:.*/socket/' |
		grep -v '^/sys/fs/bpf' | sort -u | xargs)"
server_stop server || not_ok "it ends well"

done_testing
