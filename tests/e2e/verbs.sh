#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command line as a whole: verbs, help, version, and errors on one line. Needs no privilege.
set -u
BUILD=$(realpath -m "${BUILD:-$(dirname "$0")/../../build}")
udpxdp=$BUILD/udpxdp
tests=0 failures=0

# result NAME PASSED [SEEN]
result() {
	tests=$((tests + 1))
	if [ "$2" = 0 ]; then
		echo "ok $tests - $1"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $1"
		while IFS= read -r line; do echo "# $line"; done <<<"${3:-}"
	fi
}

# prints NAME REGEX ARG...: on standard output, status 0, nothing on standard error.
prints() {
	local name=$1 regex=$2 text status=0
	shift 2
	text=$("$udpxdp" "$@" 2>/dev/null) || status=$?
	grep -qE -- "$regex" <<<"$text" && [ "$status" = 0 ] && [ -z "$("$udpxdp" "$@" 2>&1 >/dev/null)" ]
	result "$name" $? "status $status: $text"
}

# refuses NAME REGEX ARG...: one line on standard error, status 2, nothing on standard output.
refuses() {
	local name=$1 regex=$2 text status=0
	shift 2
	text=$("$udpxdp" "$@" 2>&1 >/dev/null) || status=$?
	grep -E '^udpxdp: .+: .+; .+' <<<"$text" | grep -qE -- "$regex" && [ "$status" = 2 ] && [ "$(wc -l <<<"$text")" = 1 ] &&
		[ -z "$("$udpxdp" "$@" 2>/dev/null)" ]
	result "$name" $? "status $status: $text"
}

verbs="serve replay client broadcast chat stats bench check"

for help in --help -h help; do
	prints "udpxdp $help: an overview" '^Usage: udpxdp \[VERB\]' $help
done
for verb in $verbs; do
	prints "the overview names $verb" "^  $verb( |$)" --help
	prints "udpxdp $verb --help" "^Usage: udpxdp $verb( |$)" "$verb" --help
	"$udpxdp" help "$verb" | diff - <("$udpxdp" "$verb" --help) >/dev/null
	result "udpxdp help $verb: the same" $?
	prints "udpxdp $verb --version" '^udpxdp [0-9]+\.[0-9]+\.[0-9]+$' "$verb" --version
	refuses "udpxdp $verb: an unknown option" \
		"^udpxdp: option --nonsense: unknown; see udpxdp $verb --help$" "$verb" --nonsense
	wide=$("$udpxdp" "$verb" --help | awk 'length > 100 { print; wide = 1 } END { exit wide }')
	result "udpxdp $verb --help: no line is too wide" $? "$wide"
done
prints "the overview has serve's first option" '^  -i, --iface IFACE' --help
"$udpxdp" --help | awk 'END { exit NR > 24 }'
result "the overview fits a screen" $?
wide=$("$udpxdp" --help | awk 'length > 80 { print; wide = 1 } END { exit wide }')
result "and is not too wide" $? "$wide"
prints "serve --help has the services" '^  echo:8080$' serve --help
prints "udpxdp --version" '^udpxdp [0-9]+\.[0-9]+\.[0-9]+$' --version
refuses "no verb is serve" '^udpxdp: .*; see udpxdp serve --help$' --nonsense
refuses "nothing at all" '^udpxdp: .*iface'
refuses "coalescing for who does not sleep" '^udpxdp: option --coalesce: .*--poll block' -i lo --coalesce 50
refuses "a CPU that is not there" \
	"^udpxdp: option --cpus: CPU 999 is not among those this process may use; choose from [0-9]" -i lo --cpus 999
refuses "one of several CPUs that is not there" '^udpxdp: option --cpus: CPU 1023 ' -i lo --cpus 0,1023
refuses "a CPU that cannot be" '^udpxdp: option --cpus: invalid CPUs .1024.' -i lo --cpus 1024
refuses "CPUs from the wrong end" '^udpxdp: option --cpus: invalid CPUs .1-0.' -i lo --cpus 1-0
refuses "two services on a port" '^udpxdp: port 8080: both echo and chat' -i lo -s echo -s chat:8080
refuses "two rooms in a file" '^udpxdp: history a: both chat:1 and chat:2' -i lo -s chat:1,history=a -s chat:2,history=a
refuses "a capture in a history" '^udpxdp: option --write: a is also the history' -i lo -s chat,history=a -w a
refuses "two rooms in a file, by another path" '^udpxdp: history ./a: both' -i lo -s chat:1,history=a -s chat:2,history=./a
refuses "a capture in the rules" '^udpxdp: option --write: .* is also what --rules names' -i lo --rules "$0" -w "$0"
refuses "a history in the rules" '^udpxdp: option --rules: .* is also the history' -i lo --rules "$0" -s "chat,history=$0"
refuses "an empty value" '^udpxdp: option -w: requires a value; see' -i lo -w ''
refuses "an empty value, long" '^udpxdp: option --iface: requires a value; see' --iface=
refuses "an empty name of a file" '^udpxdp: option --config: requires a value; see' -i lo --config ''
refuses "credentials for no server" '^udpxdp: option --service: chat:8090: nats-creds= without nats=' -i lo -s chat,nats-creds=x
refuses "VLANs where the kernel knows them" '^udpxdp: option --vlan: --mode sockets' -m sockets --vlan any
refuses "bursts where nothing is sent at a rate" '^udpxdp: option --burst: requires --rate; give both or neither$' \
	bench --burst 8 127.0.0.1
for option in --window --flows --burst; do
	refuses "$option with a session reflector" "^udpxdp: options --stamp and $option: mutually exclusive; give one of them$" \
		bench --stamp $option 8 127.0.0.1
done
refuses "an empty operand" '^udpxdp: IFACE: not given' check ''
refuses "serve takes no operand" "^udpxdp: operand 'eth0': unexpected argument; name the interface with -i IFACE$" serve eth0
refuses "stats takes no operand" "^udpxdp: operand 'eth0': unexpected argument; name the interface with -i IFACE$" stats eth0
refuses "an unknown verb" "^udpxdp: verb 'nonsense': unknown; see udpxdp --help$" nonsense
refuses "an interface for a verb" "^udpxdp: verb 'lo': unknown; to serve that interface, use -i lo$" lo
refuses "a verb is not abbreviated" "^udpxdp: verb 'cli': unknown" cli
refuses "an empty verb" "^udpxdp: verb '': unknown" ''
refuses "help for an unknown verb" "^udpxdp: verb 'nonsense': unknown" help nonsense
refuses "help for two verbs" "^udpxdp: operand 'stats': unexpected argument" help client stats
refuses "a verb that steers terminals" "^udpxdp: verb '\\\\x1b\[2J\\\\n': unknown" $'\e[2J\n'

if [ -c /dev/full ]; then
	text=$("$udpxdp" stats --help 2>&1 >/dev/full)
	[ $? = 1 ] && grep -q '^udpxdp: standard output: No space left on device' <<<"$text"
	result "help on a full disk" $? "$text"
	text=$("$udpxdp" --help 2>&1 >/dev/full)
	[ $? = 1 ] && grep -q '^udpxdp: standard output: No space left on device' <<<"$text"
	result "the overview on a full disk" $? "$text"
fi

# A standard file that is closed is not taken by what is opened next, and its use fails.
text=$("$udpxdp" --version 2>&1 >&-)
[ $? = 1 ] && grep -q '^udpxdp: standard output: Bad file descriptor' <<<"$text"
result "standard output closed" $? "$text"

echo "1..$tests"
[ "$failures" = 0 ]
