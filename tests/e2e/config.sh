#!/bin/bash
# SPDX-License-Identifier: MIT
# serve --config: options from a file, the command line on top of it, errors by line.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
file=$work/udpxdp.conf

# refused NAME LINE MESSAGE: the file as it stands is wrong in that line.
refused() {
	local output status=0
	output=$(on server "$udpxdp" serve --config "$file" 2>&1) || status=$?
	equal "$1" "udpxdp: $file:$2: $3; correct the file (exit status 2)" "$output (exit status $status)"
}

printf '%s\n' '# what the test serves' '' 'iface = eth0' 'mood = copy' >"$file"
refused "an unknown name" 4 "mood: unknown"
printf '%s\n' 'iface = eth0' 'mode = fast' >"$file"
refused "a value that is not allowed" 2 \
	"mode: invalid value 'fast', expected auto, zerocopy, copy, skb or sockets"
printf '%s\n' 'service = echo:70000' >"$file"
refused "a service that cannot be" 1 "service: echo: invalid port '70000', expected 1 to 65535, or a range such as 5000-5015"
printf '%s\n' 'config = other.conf' >"$file"
refused "a file in a file" 1 "config: for the command line only"
printf '%s\n' 'iface eth0' >"$file"
refused "no equals sign" 1 "'iface eth0': expected NAME = VALUE"
printf '%s\n' 'iface: eth0' >"$file"
refused "a colon instead" 1 "'iface: eth0': expected NAME = VALUE"

output=$("$udpxdp" serve --config "$work/none" 2>&1)
equal "exit status of a file that is not there" 2 $?
equal "a file that is not there" \
	"udpxdp: reading $work/none failed: No such file or directory; give another --config" "$output"


# Everything from the file, which comes from another world: CRLF, a byte order mark, tabs, and no
# end of the last line.
cat >"$file" <<END
# What the test serves.
iface   = eth0
service = echo:7007,stamp=off   # RFC 862
service = chat:7008,history=off
mode    = skb
control = $work/own.sock
pin-dir = $(pin_dir own)
quiet
END
{ printf '\xef\xbb\xbf'; sed -e 's/ = /\t=\t/' -e 's/$/\r/' "$file" | head -c -2; } >"$file.dos" && mv "$file.dos" "$file"
require address server eth0 10.81.0.1/24
require address client eth0 10.81.0.2/24
ready() { grep '^udpxdp: ready' "$work/own.err"; }
spawn "$work/own.err" server "$udpxdp" serve --config "$file"
wait_for 20 ready || bail "udpxdp starts with all options in a file" "$(cat "$work/own.err")"
equal "options of the file" \
	"udpxdp: ready iface=eth0 mode=skb queues=1 sockets=on services=echo:7007,chat:7008" "$(ready)"
check "control socket of the file" test -S "$work/own.sock"
check "pins of the file" test -d "$(pin_dir own)"
equal "options of a service in the file" hello \
	"$(echo hello | on client "$udpxdp" client 10.81.0.1 7007)"
kill "$pid"
finish "$pid" 10
equal "exit status" 0 $?

# The command line on top: server_start gives --control and --pin-dir, too.
server_start server --config "$file" --mode copy --service echo:7009
equal "mode of the command line" copy "$(ready_value server mode)"
equal "services of the command line, and none of the file" echo:7009 \
	"$(ready_value server services)"
check "control socket of the command line" test -S "$(control server)"
check "not that of the file" test ! -e "$work/own.sock"

server_stop server || not_ok "it ends well"
printf '%s\n' 'mode = sockets' 'service = echo' 'iface = eth0' 'iface = lo' >"$file"
planned_for() {
	on server "$udpxdp" --config "$file" --control "$work/own.sock" --check "$@" |
		sed -n 's/^interface \([^,]*\),.*/\1/p' | xargs
}
equal "interfaces of the file" "eth0 lo" "$(planned_for)"
equal "interfaces of the command line, and none of the file" lo "$(planned_for -i lo)"

done_testing
