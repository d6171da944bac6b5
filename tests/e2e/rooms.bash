# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the tests of rooms over several hosts share, sourced behind lib.sh: brokers, and servers that go
# by the name of their host.
udpxdp=${udpxdp:?} work=${work:?} e2e=${e2e:?} pid=

command -v nats-server >/dev/null || {
	skip "one room over several hosts" "nats-server is not installed"
	done_testing
}

# broker_start [OPTION...]: on the host "broker", its files in $work/jetstream.
broker_start() {
	spawn "$work/broker.log" broker nats-server -a 0.0.0.0 -p 4222 -js -sd "$work/jetstream" "$@"
	broker=$pid
	wait_for 10 grep -q 'Server is ready' "$work/broker.log"
}

broker_kill() {
	kill -KILL "$broker"
	finish "$broker" 5
	return 0
}

# as_host NAME: makes $work/as-NAME, which runs udpxdp on a host of that name.
as_host() {
	printf '#!/bin/sh\nexec unshare --uts sh -c "hostname %s; exec \\"\\$@\\"" - "%s" "$@"\n' "$1" "$udpxdp" >"$work/as-$1"
	chmod +x "$work/as-$1"
}

# serve_as NAME ARG...: server_start on the host NAME, by that name.
serve_as() {
	local real=$udpxdp
	as_host "$1"
	udpxdp=$work/as-$1
	server_start "$@"
	udpxdp=$real
}

# room_start HOST NATS[,KEY=VALUE...]: a chat there, joined by that broker, its history in $work/HOST.
room_start() {
	mkdir -p "$work/$1"
	serve_as "$1" --quiet \
		--service "chat:8090,rate=0,bytes=0,room-rate=0,room-bytes=0,history=$work/$1/chat.txt,nats=$2"
}

# room_counter HOST NAME [SERVICE]
room_counter() {
	on "$1" "$udpxdp" stats --pin-dir "$(pin_dir "$1")" --json |
		jq ".services[] | select(.service == \"${3:-chat}\") | .room.$2"
}

# is_connected HOST [SERVICE]
is_connected() {
	[ "$(room_counter "$1" state "${2:-chat}")" = '"connected"' ]
}

# same_histories HOST...: what members said is in each, the same lines as often.
same_histories() {
	local first=$1 host
	for host; do
		cmp -s <(sort "$work/$first/chat.txt") <(sort "$work/$host/chat.txt") || return
	done
}

# say HOST ADDR TEXT...: somebody on that host says these there, and prints what comes in a second.
say() {
	on "$1" "$e2e/room.py" say "$2:8090" "${@:3}"
}
