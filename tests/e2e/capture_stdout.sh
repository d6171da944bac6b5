#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `serve -w -`: the capture on standard output, while it is served: what a reader sees, and what a
# reader that stops, or goes, costs.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.80.44.1
require hosts server client
require wire server:eth0 client:eth0
require address server eth0 $v4/24
require address client eth0 10.80.44.2/24

echoes() { on client "$e2e/udp.py" exchange $v4 8080 --count "${1:-20}" --window 8; }
says() { wait_for 5 grep -qE "$1" "$(server_err server)"; }
times_said() { grep -cE "$1" "$(server_err server)"; }

# into READER ARG...: starts the server with its standard output going into that shell command.
into() {
	local reader=$1
	shift
	printf '#!/bin/bash\nexec "%s" "$@" > >(exec >&2; %s)\n' "$BUILD/udpxdp" "$reader" >"$work/piped"
	chmod 755 "$work/piped"
	udpxdp=$work/piped server_start server "$@"
}

seen() { [ "$(wc -l <"$work/seen")" -ge "$1" ]; }

for mode in auto sockets; do
	: >"$work/seen"
	into "tshark -l -n -r - -Y 'udp.port == 8080' -T fields -e udp.srcport >'$work/seen' 2>'$work/tshark.log'" \
		-m "$mode" --service echo -w -
	check "$mode: requests are answered" echoes
	check "$mode: a reader sees them and their answers at once" wait_for 5 seen 40
	kill -HUP "${server_pid[server]}"
	check "$mode: requests after SIGHUP" echoes
	check "$mode: SIGHUP leaves the stream alone" wait_for 5 seen 80
	server_stop server
	equal "$mode: it ends well" 0 $?
	check "$mode: and its reader with it" wait_for 5 grep -q . "$work/seen"
	equal "$mode: the reader had nothing to complain of" "" \
		"$(grep -viE 'running as user|^$' "$work/tshark.log")"
	equal "$mode: each was seen once" 80 "$(wc -l <"$work/seen")"
	equal "$mode: nothing is said but that it is ready" "" \
		"$(grep -vE '^udpxdp: (ready|no zerocopy)' "$(server_err server)")"
done

# ---- a reader that goes away

for mode in auto sockets; do
	into "head -c 100 >/dev/null" -m "$mode" -s echo -w -
	check "$mode: the reader goes, requests are answered" echoes
	check "$mode: that is said" says '^udpxdp: capture standard output: Broken pipe; dropping frames until writable$'
	check "$mode: requests are answered without a reader" echoes
	kill -HUP "${server_pid[server]}"
	check "$mode: and after SIGHUP" echoes
	server_stop server
	equal "$mode: it ends well" 0 $?
	equal "$mode: it was said once, and at the end how much was lost" "1 1" \
		"$(times_said 'Broken pipe') $(times_said 'standard output: still failing at exit; frames lost so far: [0-9]+$')"
done
into ":" -s echo -w -
check "a reader that never was: requests are answered" echoes
check "a reader that never was: said" says '^udpxdp: capture standard output: Broken pipe'
server_stop server || not_ok "it ends well"

# ---- a reader that does not read: the pipe fills, and nobody waits for it

mkfifo "$work/go"
into "read -r <'$work/go'; cat >'$work/late.pcap'" -s echo -w -
check "a reader that does not read: requests are answered" echoes 3000
check "a reader that does not read: said" says '^udpxdp: capture standard output: Resource temporarily unavailable'
echo >"$work/go"
check "it reads again: said" says '^udpxdp: capture standard output: writable again; frames lost so far: [0-9]+$'
check "it reads again: requests" echoes
server_stop server || not_ok "it ends well"
lost=$(sed -n 's/.*; frames lost so far: //p' "$(server_err server)" | tail -n 1)
late() { tshark -r "$work/late.pcap" -Y 'udp.port == 8080' 2>"$work/tshark.log" | wc -l; }
all_there() { [ "$((lost + $(late)))" = 6040 ]; }
check "what the reader did not get is counted ($lost)" wait_for 5 all_there
equal "and no frame was cut" "" "$(grep -i 'cut short' "$work/tshark.log")"

# ---- files

printf 'before' >"$work/stream"
printf '#!/bin/sh\nexec "%s" "$@" >>"%s"\n' "$BUILD/udpxdp" "$work/stream" >"$work/to-file"
chmod 755 "$work/to-file"
udpxdp=$work/to-file server_start server -s echo -w -
check "a file: requests are answered" echoes
server_stop server || not_ok "it ends well"
equal "a file: what was in it stays" before "$(head -c 6 "$work/stream")"
equal "a file: the capture stands behind it" 40 \
	"$(tail -c +7 "$work/stream" | tshark -r - -Y 'udp.port == 8080' 2>"$work/tshark.log" | wc -l)"
udpxdp=$work/to-file server_refuses "a history is no stream" 2 "is also the history of chat:8090" \
	server -s "chat,history=$work/stream" -w -
printf '#!/bin/sh\nexec "%s" "$@" >/dev/full\n' "$BUILD/udpxdp" >"$work/to-file"
udpxdp=$work/to-file server_refuses "what takes nothing is no place for a capture" 1 \
	"capture standard output: No space left on device; " server -s echo -w -

# ---- a configuration file; two that want it; a terminal

printf 'write = -\nservice = echo\n' >"$work/server.conf"
: >"$work/seen"
into "cat >'$work/seen'" --config "$work/server.conf"
check "from a configuration file: requests" echoes
check "from a configuration file: they are seen" wait_for 5 eval '[ "$(wc -c <"$work/seen")" -gt 2000 ]'
server_stop server || not_ok "it ends well"
server_refuses "--print wants it, too" 2 "option --write: the capture goes to standard output, and --print" \
	server -s echo -w - --print 5
printf 'print = all\n' >>"$work/server.conf"
server_refuses "from a configuration file, too" 2 "option --write: the capture goes to standard output, and --print" \
	server --config "$work/server.conf"
into "cat >/dev/null" --config "$work/server.conf" --quiet
check "not with --quiet behind it" echoes
server_stop server || not_ok "it ends well"
script -qec "nsenter --net='$(netns_path server)' '$udpxdp' -i eth0 -s echo --control '$(control server)' --pin-dir '$(pin_dir server)' -w -" \
	/dev/null >"$work/terminal" 2>&1 </dev/null
equal "a terminal is refused: status" 2 $?
equal "a terminal is refused, in one line" \
	"udpxdp: option --write: standard output is a terminal; direct it to a program such as tshark -r -, or to a file" \
	"$(tr -d '\r' <"$work/terminal")"
matches "--check says where it goes" '^capture   standard output, without messages$' \
	"$(on server "$udpxdp" serve -i eth0 -s echo --control "$(control server)" --pin-dir "$(pin_dir server)" -w - --check)"

done_testing
