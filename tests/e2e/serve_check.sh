#!/bin/bash
# SPDX-License-Identifier: MIT
# serve --check: says what serving would do and ends as it would, and leaves no trace.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.85.0.1/24
own=(--control "$work/own.sock" --pin-dir "$(pin_dir own)")

# would NAME STATUS REGEX OPTION...: --check and serving both end with that status; --check says why.
would() {
	local name=$1 expected=$2 regex=$3 status=0 served=0
	shift 3
	output=$(on server "$udpxdp" serve "${own[@]}" "$@" --check 2>&1) || status=$?
	equal "$name: status of --check" "$expected" "$status"
	matches "$name: why" "$regex" "$output"
	[ "$expected" != 0 ] || return 0
	on server timeout 10 "$udpxdp" serve "${own[@]}" "$@" >/dev/null 2>&1 || served=$?
	equal "$name: status of serving" "$expected" "$served"
}

# plan: what it printed, but for the findings, which this machine's kernel has a say in.
plan() { grep -v '^finding ' <<<"$output"; }

would "all is well" 0 "^nothing was attached$" -i eth0
equal "all is well: what would be done" "interface eth0, queues 0 to 0, mode auto, attached alone
services  echo:8080,broadcast:8086,chat:8090
history   chat.txt, of chat:8090
control   $work/own.sock
counters  $(pin_dir own)
user      nobody
nothing was attached" "$(plan)"
would "much is asked for" 0 "^nothing was attached$" -i eth0 -m skb -s echo:7 --cpus 0 --limit 1000/200 \
	--allow 10.0.0.0/8 -w "$work/all.pcap"
equal "much is asked for: what would be done" "interface eth0, queues 0 to 0, mode skb, attached alone
services  echo:7
cpus      0
limit     1000 datagrams a second, 200 at once
rules     1 of --allow and --deny; others are dropped
capture   $work/all.pcap
control   $work/own.sock
counters  $(pin_dir own)
user      nobody
nothing was attached" "$(plan)"
equal "nothing on standard error" "" "$(on server "$udpxdp" "${own[@]}" -i eth0 --check 2>&1 >/dev/null)"
equal "no file was made" "" "$(cd "$work" && echo all.pcap* own.sock* chat.txt* | tr ' ' '\n' | grep -v '\*$')"
check "no pins were made" test ! -e "$(pin_dir own)"
equal "nothing is attached" "" "$(on server ip -d link show eth0 | grep -o 'prog/xdp')"

would "no such interface" 4 '^udpxdp: interface none0: No such device; ' -i none0
would "the loopback interface" 4 '^udpxdp: interface lo: .*65536.*; serve the interface' -i lo
would "a CPU that is not there" 2 '^udpxdp: option --cpus: CPU 1023 .*; choose from [0-9]' -i eth0 --cpus 1023
would "a queue that is not there" 4 '^udpxdp: queue 5 does not exist: eth0 has 1; ' -i eth0 --queues 5
would "zero copy of a veth" 4 '^udpxdp: .*zero ?copy' -i eth0 --mode zerocopy
would "a user that is not there" 2 '^udpxdp: .*nobody-here' -i eth0 --user nobody-here
would "a capture that cannot be" 1 '^udpxdp: .*No such file or directory; give another --write$' \
	-i eth0 -w "$work/none/all.pcap"
would "a control socket that cannot be" 1 '^udpxdp: .*No such file or directory; give another --control$' \
	-i eth0 --control /proc/none/own.sock
if on server ip tuntap add dev tun7 mode tun 2>/dev/null; then
	would "an interface without Ethernet" 4 '^udpxdp: interface tun7: it carries no Ethernet frames; ' -i tun7
else
	skip "an interface without Ethernet" "no tun device can be made here"
fi
output=$(on server "$udpxdp" "${own[@]}" -i eth0 -s "chat,history=$work/none/chat.txt" --check 2>&1)
equal "a history that cannot be written keeps nobody from serving" 0 $?
matches "and that is said" "history   $work/none/chat.txt.*; tried again every second: No such file" "$output"

# A live server has the interface, the control socket and the pins.
server_start server -s echo
would "an interface that is served" 5 '^udpxdp: interface eth0 is busy: .*another udpxdp serves it' -i eth0
require wire server:eth1 client:eth1
output=$(on server "$udpxdp" -i eth1 --control "$(control server)" --pin-dir "$(pin_dir own)" --check 2>&1)
equal "a control socket that is answered" 5 $?
matches "and that is said" '^udpxdp: .* is in use: another udpxdp answers there; ' "$output"
output=$(on server "$udpxdp" -i eth1 --control "$work/own.sock" --pin-dir "$(pin_dir server)" --check 2>&1)
equal "a directory of pins that is in use" 5 $?
matches "and that is said, too" '^udpxdp: .* is in use: another udpxdp counts there; ' "$output"
require address client eth0 10.85.0.2/24
matches "the server still answers" "hello$" "$(echo hello | on client "$udpxdp" client 10.85.0.1 8080)"

if as_user=$(command -v setpriv); then
	output=$(on server "$as_user" --reuid nobody --clear-groups --inh-caps=-all "$udpxdp" -i eth1 --check 2>&1)
	equal "a plain user" 3 $?
	matches "and that is said of privileges" '^udpxdp: not permitted: CAP_.* missing; ' "$output"
else
	skip "a plain user" "setpriv is not installed"
fi

done_testing
