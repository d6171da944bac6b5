#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `make run` shows, and with ROOM=1: all of it, on two screens, and nothing that looks like an error.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# shows ROOM REGEX...: runs it, and expects these.
shows() {
	local shown
	ROOM=$1 RUN_OF=$NETNS timeout 60 "$e2e/../../scripts/run" >"$work/shown" 2>&1
	equal "status" 0 $?
	equal "its end" "   all done" "$(tail -n 1 "$work/shown")"
	check "two screens, and room for what make says before" [ "$(wc -l <"$work/shown")" -le 46 ]
	equal "of lines that a terminal does not break" "" "$(LC_ALL=C.UTF-8 grep -E '^.{89,}' "$work/shown")"
	for shown in "${@:2}"; do
		matches "it shows: $shown" "$shown" "$(cat "$work/shown")"
	done
	equal "no process is left of it" "" "$(grep -lsz "^RUN_OF=$NETNS\$" /proc/[0-9]*/environ)"
	shown=$(ip netns list | grep -o '^udpxdp-run[0-9]*' | sort -u | while read -r name; do
		[ -d "/proc/${name#udpxdp-run}" ] || echo "$name" # of another that runs at the moment: not ours
	done)
	equal "no host is left of it" "" "$shown"
}

shows "" "udpxdp -i eth0" "ready iface=eth0" "】 hello from alice" "udpxdp broadcast" "alice: hello bob" "udpxdp stats" \
	"echo:8080 +2 "
equal "nothing that looks like an error" "" \
	"$(grep -iE 'error|fail|cannot|not supported|no zerocopy|warning' "$work/shown")"

if command -v nats-server >/dev/null; then
	shows 1 "nats=nats://10.80.0.3:4222" "alice@hosta, carol@hostc" "kill -KILL" "carol@hostc: only me"
	equal "three histories with the same lines" 1 "$(grep -E '^ +[0-9a-f]{64} ' "$work/shown" | uniq -c | awk '$1 == 3' | wc -l)"
else
	skip "a room over three hosts" "nats-server is not installed"
fi

done_testing
