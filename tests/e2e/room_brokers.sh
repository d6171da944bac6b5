#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Brokers of all kinds: TLS, users, credentials of an operator, none of which may be seen anywhere; ones
# that do not help; a cluster that loses one server, then two.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/rooms.bash
. "$e2e/rooms.bash"

require hosts hosta hostb broker people
require segment 98 s1 hosta hostb broker people
declare -A addr=([hosta]=10.80.98.1 [hostb]=10.80.98.2)
server=10.80.98.3

# passes FROM TO TEXT: what is said at one is kept by the other.
passes() {
	say people "${addr[$1]}" "$3" >/dev/null
	wait_for 20 grep -q "$3\$" "$work/$2/chat.txt"
}

# joins NAME OPTIONS: both hosts get together over a broker given so.
joins() {
	for host in hosta hostb; do room_start $host "$2"; done
	for host in hosta hostb; do wait_for 8 is_connected $host; done
	check "$1" passes hosta hostb "by $1"
}

leave() {
	for host; do server_stop "$host" || not_ok "the server stops"; done
}

# said HOST REGEX: one line of its room says that, and there is no other but "connected".
said() {
	wait_for 8 grep -qE "$2" "$(server_err "$1")"
	equal "one line: $2" 1 "$(grep 'room lobby' "$(server_err "$1")" | grep -cv ': connected$')"
	matches "which says it" "^udpxdp: room lobby of chat:8090: .*$2.*; .*this host's room goes on" "$(cat "$(server_err "$1")")"
	check "and the local room serves" passes "$1" "$1" "alone"
}

# ---- secrets --------------------------------------------------------------------------------------

for name in good bad; do
	require openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" -keyout "$work/$name-ca.key" \
		-out "$work/$name-ca.pem"
done
require openssl req -newkey rsa:2048 -nodes -subj "/CN=broker" -keyout "$work/tls.key" -out "$work/tls.csr"
require openssl x509 -req -in "$work/tls.csr" -CA "$work/good-ca.pem" -CAkey "$work/good-ca.key" -CAcreateserial -days 2 \
	-extfile <(echo "subjectAltName=IP:$server") -out "$work/tls.pem"
require "$e2e/nats_creds.py" "$work"

# Where nobody should see a secret: whatever this machine shows of our processes, and all they say.
nowhere() {
	local pid=${server_pid[hosta]} seen
	seen=$({
		ps -ww -o args= -g "$(ps -o pgid= -p "$pid" | tr -d ' ')"
		for pid in "$pid" $(pgrep -P "$pid"); do tr '\0' ' ' <"/proc/$pid/cmdline"; done
		cat "$(server_err hosta)" "$(server_out hosta)"
		on hosta "$udpxdp" stats --control "$(control hosta)" --json
		on hosta "$udpxdp" stats --pin-dir "$(pin_dir hosta)"
		on hosta "$udpxdp" stats --pin-dir "$(pin_dir hosta)" --prometheus
	} 2>&1)
	matches "there is something to see" "[*]+@$server|nats-creds=|hosta.conf" "$seen"
	equal "$1: seen nowhere" "" "$(grep -oE "$2" <<<"$seen")"
}

require broker_start --user ann --pass sesame0815
joins "user and password" "nats://ann:sesame0815@$server:4222"
nowhere "the password" "ann:|sesame"
leave hosta hostb
equal "--check does not show it" "" "$(on hosta "$udpxdp" -i eth0 --check -s "chat,nats=nats://ann:sesame0815@$server" 2>&1 | grep -oE 'sesame')"
printf 'service = chat:8090,history=%s/hosta/chat.txt,nats=nats://ann:sesame0815@%s:4222\niface = eth0\n' "$work" "$server" >"$work/hosta.conf"
serve_as hosta --config "$work/hosta.conf"
wait_for 5 is_connected hosta
nowhere "that of the configuration file" "ann:|sesame"
broker_kill
wait_for 8 grep -q 'cannot be reached' "$(server_err hosta)"
nowhere "nor in trouble" "ann:|sesame"
leave hosta
rm -rf "$work/jetstream"

require broker_start --tls --tlscert "$work/tls.pem" --tlskey "$work/tls.key"
export SSL_CERT_FILE=$work/good-ca.pem
joins "TLS" "tls://$server:4222"
leave hosta hostb
SSL_CERT_FILE=$work/bad-ca.pem room_start hosta "tls://$server:4222"
said hosta "certificate"
leave hosta
unset SSL_CERT_FILE
broker_kill
rm -rf "$work/jetstream"

spawn "$work/broker.log" broker nats-server -c "$work/server.conf"
broker=$pid
require wait_for 10 grep -q 'Server is ready' "$work/broker.log"
joins "an operator's credentials" "nats://$server:4222,nats-creds=$work/user.creds"
nowhere "the seed" "SU[A-Z0-9]{20}|eyJ"
leave hosta hostb
broker_kill

# ---- servers that do not help -----------------------------------------------------------------------

spawn "$work/old.log" broker "$e2e/nats_old.py" 4222
old=$pid
wait_for 5 on broker sh -c "ss -Hltn sport = :4222 | grep -q 4222"
room_start hosta "nats://$server:4222"
said hosta "nats-server 2.9 or newer"
leave hosta
kill "$old"
finish "$old" 5 2>/dev/null

# ---- a cluster ---------------------------------------------------------------------------------------

declare -A member
# member_start N: of three, on ports of their own.
member_start() {
	spawn "$work/broker$1.log" broker nats-server -a 0.0.0.0 -p $((4221 + $1)) -n n$1 -js -sd "$work/cluster$1" \
		--cluster_name c --cluster "nats://127.0.0.1:$((6221 + $1))" \
		--routes nats://127.0.0.1:6222,nats://127.0.0.1:6223,nats://127.0.0.1:6224
	member[$1]=$pid
}
# member_kill N
member_kill() {
	kill -KILL "${member[$1]}"
	finish "${member[$1]}" 5 2>/dev/null
	return 0
}
for n in 1 2 3; do member_start $n; done
rm "$work"/host[ab]/chat.txt* # what was said alone is not of this room
joins "a cluster of three" "nats://$server:4222,nats=nats://$server:4223,nats=nats://$server:4224"
equal "with three copies" 3 "$(on broker "$e2e/room.py" stream 127.0.0.1:4222 config num_replicas)"
member_kill 1
wait_for 15 is_connected hosta && wait_for 15 is_connected hostb
check "one of them killed" passes hosta hostb "with two"
check "and back the other way" passes hostb hosta "also with two"
member_kill 2
sleep 2.5
say people "${addr[hosta]}" "with one" >/dev/null
check "two of them killed, the local room serves" passes hosta hosta "with one"
member_start 1
member_start 2
check "and what was said is filled in when they are back" wait_for 30 grep -q "with one\$" "$work/hostb/chat.txt"
wait_for 5 same_histories hosta hostb
equal "the histories have the same lines" "" "$(diff <(sort "$work/hosta/chat.txt") <(sort "$work/hostb/chat.txt"))"
done_testing
