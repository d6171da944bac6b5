#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A tutorial's programs, as they are but for lines that come from a pipe, against udpxdp by XDP and by
# the kernel's sockets: on this host's loopback, at its interface's address, across a wire.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

programs=$e2e/../fixtures/tutorial
require hosts server client third
require segment 1 switch server client third
v4=10.80.1.1
day='[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}'
name=$(hostname)
for host in server client third; do # where <broadcast> leads
	require on $host ip route add default dev eth0
	mkdir "$work/$host"
done

# echoes HOST [ADDR]: the client, two lines
echoes() {
	local host=$1
	shift
	printf '你好\nline two\n\n' | on "$host" "$programs/echo_client.py" "$@"
}

declare -A to
# chats HOST NAME ADDR [OWN_PORT]: the chat, which keeps running; its lines come from ${to[NAME]}.
chats() {
	local host=$1 name=$2 input
	shift 2
	mkfifo "$work/$name.in"
	mkdir "$work/$name"
	rm -f "$work/$name.log"
	spawn "$work/$name.log" "$host" sh -c "cd '$work/$name' && exec '$programs/chat.py' $* <'$work/$name.in'"
	exec {input}>"$work/$name.in"
	to[$name]=$input
	wait_for 5 grep -q bound "$work/$name.log"
}

say() { echo "$2" >&"${to[$1]}"; }
heard() { grep -q "$2" "$work/$1.log"; }

# leave NAME: its input ends, and it with it.
leave() {
	local input=${to[$1]}
	exec {input}>&-
	rm "$work/$1.in"
}

# The server that the client was written for.
spawn "$work/own.log" server "$programs/echo_server.py"
own=$pid
require wait_for 5 grep -q waiting "$work/own.log"
echoes server >"$work/expected.log"
kill "$own"
finish "$own" 5 2>/dev/null
matches "the tutorial's own server answers its client" "^> 【$day】 你好\$" "$(head -1 "$work/expected.log")"
shape() { sed -E "s/$day/DAY/" "$1"; }

for way in "-i eth0" "-i eth0 -m skb" "-m sockets" "-m sockets -i eth0"; do
	# shellcheck disable=SC2086
	server_start server $way -s echo -s broadcast -s "chat,history=$work/server/chat.txt"

	for at in "server: this host" "server $v4: its address" "client $v4: a wire"; do
		# shellcheck disable=SC2086
		echoes ${at%:*} >"$work/echo.log" 2>&1
		equal "echo, $way, ${at#*: }: as from its own server" "$(shape "$work/expected.log")" "$(shape "$work/echo.log")"
	done

	rm -f "$work/receiver.log"
	spawn "$work/receiver.log" third "$programs/receiver.py" third
	receiver=$pid
	require wait_for 5 grep -q waiting "$work/receiver.log"
	echo "who is there?" | on client "$programs/broadcaster.py" >"$work/replies.log" 2>&1
	equal "broadcast, $way, a wire: one reply of each" \
		"$v4 8086 【DAY】$name"$'\n'"10.80.1.3 8086 【DAY】third" "$(shape "$work/replies.log" | sort)"
	matches "the receiver got it, $way" "^10\.80\.1\.2 [0-9]+ 【$day】who is there\?$" "$(tail -1 "$work/receiver.log")"
	for everybody in "" 10.80.1.255 127.255.255.255; do
		echo "from here" | on server "$programs/broadcaster.py" $everybody >"$work/replies.log" 2>&1
		equal "broadcast, $way, from this host to ${everybody:-<broadcast>}: our reply, once" 1 \
			"$(grep -cE " 8086 【$day】$name\$" "$work/replies.log")"
	done
	kill "$receiver"
	finish "$receiver" 5 2>/dev/null

	require chats client wire $v4
	require chats server here 127.0.0.1 8090 6001
	require chats server own $v4 8090 6002
	require chats third another $v4
	say wire "大家好"
	require wait_for 5 grep -q 大家好 "$work/server/chat.txt"
	say here "from the loopback"
	check "chat, $way: what one here says goes over the wire" wait_for 5 heard wire \
		"^$v4 8090 127.0.0.1:6001: from the loopback$"
	say own "by its address"
	check "chat, $way: and to another one here" wait_for 5 heard here \
		"^127.0.0.1 8090 $v4:6002: by its address$"
	say another "from the third"
	check "chat, $way: one of the wire is heard here" wait_for 5 heard own "^$v4 8090 10.80.1.3:8080: from the third$"
	say wire "hello third"
	for who in here own another; do
		check "chat, $way: all hear the other one: $who" wait_for 5 heard $who \
			" 8090 10.80.1.2:8080: hello third$"
	done
	kept() { grep -cE "^【$day】收到【\\('$v4', 8090\\)】发送的数据:10\.80\.1\.2:8080: hello third$" "$work/own/chat.txt"; }
	check "chat, $way: its history thread keeps it" wait_for 5 kept
	for who in wire here own another; do leave $who; done
	server_stop server || not_ok "it ends well, $way"
	equal "chat, $way: the server's history has each line once" "大家好 from the loopback by its address from the third hello third" \
		"$(sed 's/.*发送的数据://' "$work/server/chat.txt" | xargs)"
	rm -r "$work"/{wire,here,own,another} "$work/server/chat.txt"
done

done_testing
