# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# `make run ROOM=1`, sourced by scripts/run: one chat room over three hosts on two segments, by a NATS
# server that is killed on the way.

udpxdp=${udpxdp:?} work=${work:?} pid= # of scripts/run

# start_broker: on both segments; what it stores outlives it.
start_broker() {
	(exec nsenter --net="$(netns_path broker)" -- nats-server -a 0.0.0.0 -p 4222 -js -sd "$work/jetstream") \
		>"$work/broker.log" 2>&1 </dev/null &
	broker=$!
	soon "$work/broker.log" 'Server is ready'
}

# serve_room HOST BROKER
serve_room() {
	mkdir "$work/$1"
	serve "$1" --service "chat,history=$work/$1/chat.txt,nats=nats://$2:4222"
	servers[$1]=$pid
	soon "$work/$1.err" 'chat:8090: connected$'
}

# sees_all TEXT PERSON...
sees_all() {
	local text=$1 person
	shift
	for person; do sees "$person" "$text"; done
}

# The lines that members said, whatever their order: a host has its own first.
same_histories() {
	local host
	for host in hostb hostc; do
		cmp -s <(sort "$work/hosta/chat.txt") <(sort "$work/$host/chat.txt") || return
	done
}

command -v nats-server >/dev/null || fail "nats-server is not installed; run: sudo make run ROOM=1, or: sudo scripts/install-deps run nats-server"
declare -A servers

title "Three hosts on two segments, people beside them, and a NATS server on both"
hosts hosta hostb hostc broker alice bob carol
segment 0 switch0 hosta hostb broker alice bob
segment 1 switch1 hostc carol
wire broker:eth1 switch1:portb
on switch1 ip link set portb master br0
address broker eth1 10.80.1.3/24
prompt broker nats-server -js
start_broker

title "Serve: a chat on each host, which the NATS server joins to one room"
serve_room hosta 10.80.0.3
serve_room hostb 10.80.0.3
serve_room hostc 10.80.1.3
prompt hosta,hostb "$udpxdp" -i eth0 -s chat,nats=nats://10.80.0.3:4222
prompt hostc "$udpxdp" -i eth0 -s chat,nats=nats://10.80.1.3:4222
grep connected "$work/hostc.err" | indent

title "Chat: everybody speaks to the host that is near, and hears all"
prompt alice nc -u 10.80.0.1 8090
prompt bob nc -u 10.80.0.2 8090
prompt carol nc -u 10.80.1.1 8090
joins alice 10.80.0.1
joins bob 10.80.0.2
joins carol 10.80.1.1
for person in alice bob carol; do
	says $person "/nick $person" >/dev/null
	sees $person $person >/dev/null
done
says alice "hello to three hosts"
sees_all "alice@hosta: hello to three hosts" bob carol
says carol "hello from the other segment"
sees_all "carol@hostc: hello from the other" alice bob
for _ in $(seq 30); do # a name needs a moment to get about
	says bob /who >/dev/null
	sleep 0.2
	! grep -q 'alice@hosta.*carol@hostc\|carol@hostc.*alice@hosta' "$work/bob.seen" || break
done
says bob /who
sees bob "alice@hosta.*carol@hostc|carol@hostc.*alice@hosta"

title "The NATS server is killed: each host's room goes on, and says so once"
prompt broker kill -KILL "\$(pidof nats-server)"
{ kill -KILL "$broker" && wait "$broker"; } 2>/dev/null || : # without bash's own line about it
soon "$work/hosta.err" 'cannot be reached'
grep 'cannot be reached' "$work/hosta.err" | fold -s -w 80 | sed '2,$s/^/  /' | indent
says alice "who is still here?"
says carol "only me, it seems"

title "It is back: what was missed is filled in, on every host"
prompt broker nats-server -js
start_broker
sees_all "alice@hosta: who is still here" bob carol
sees_all "carol@hostc: only me" alice bob
for _ in $(seq 50); do
	! same_histories || break
	sleep 0.1
done
for host in hosta hostb hostc; do
	prompt $host "sort chat.txt | sha256sum"
	sort "$work/$host/chat.txt" | sha256sum | indent
done
same_histories || fail "the three histories were expected to have the same lines"

title "Stop: no program, pin, socket or network namespace is left behind"
for host in hosta hostb hostc; do
	stop $host "${servers[$host]}"
done
echo "   all done"
