# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What every end-to-end test begins with: hosts of its own, servers on them, and TAP.
# Everything started or made here goes when the script ends, however it ends.
#
#   BUILD=DIR   whose udpxdp is tested
#   E2E_SHELL=1 at the first failure, a shell in the test's laboratory; for running one by hand
#   E2E_KEEP=1  leave the working directory behind

set -u -o pipefail
umask 022
e2e=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
BUILD=$(realpath -m "${BUILD:-$e2e/../../build}")
udpxdp=$BUILD/udpxdp
test_name=$(basename "$0" .sh)
NETNS=udpxdp-$$
work=$(mktemp -d "${TMPDIR:-/tmp}/udpxdp-$test_name-XXXXXX")
chmod 755 "$work"
cd "$work" || exit 1 # where a server leaves its chat.txt
export PYTHONDONTWRITEBYTECODE=1

# shellcheck source=scripts/netns.sh
. "$e2e/../../scripts/netns.sh"

# ---- TAP ----------------------------------------------------------------------------------

tests=0 failures=0 planned=

ok() {
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

# not_ok NAME [TEXT]: TEXT says what was seen.
not_ok() {
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
	[ -z "${2:-}" ] || note "$2"
	if [ -n "${E2E_SHELL:-}" ] && [ -t 0 ]; then
		echo "# \`on HOST COMMAND\` runs it on one of: $(host_names); exit goes on" >&2
		(
			export NETNS PS1="$test_name# "
			cd "$work" && bash --init-file "$e2e/../../scripts/netns.sh" -i
		) <>/dev/tty >&0 2>&1
		E2E_SHELL=
	fi
}

host_names() {
	ip netns list | grep -o "^$NETNS-[^ ]*" | sed "s/^$NETNS-//" | xargs
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

note() {
	while IFS= read -r line; do echo "# $line"; done <<<"$1"
}

# check NAME COMMAND...: passes when the command does; else shows what it printed.
check() {
	local name=$1 status=0
	shift
	"$@" >"$work/output" 2>&1 || status=$?
	if [ "$status" = 0 ]; then
		ok "$name"
	else
		not_ok "$name" "exit status $status of: $*"$'\n'"$(tail -n 40 "$work/output")"
	fi
}

# equal NAME EXPECTED SEEN
equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "expected: $2"$'\n'"seen:     $3"
	fi
}

# matches NAME REGEX TEXT
matches() {
	if grep -qE -- "$2" <<<"$3"; then
		ok "$1"
	else
		not_ok "$1" "expected: $2"$'\n'"seen:     $3"
	fi
}

# The last thing a test calls: one that ends before it has failed.
done_testing() {
	stop_all
	planned=yes
	echo "1..$tests"
	[ "$failures" = 0 ]
	exit
}

# Ends the test: it cannot go on.
bail() {
	not_ok "$1" "${2:-}"
	exit 1
}

# require COMMAND...: for what a test is built on, not what it tests.
require() {
	"$@" >"$work/output" 2>&1 || bail "set up: $*" "$(cat "$work/output")"
}

# has_mounts: may it have mounts of its own? Not in a chroot that is no mount point.
has_mounts() {
	unshare --mount true 2>/dev/null
}

# own_bpffs: mounts one at $work/bpf that everybody may enter, as few may the machine's: where systemd
# mounts it that has mode 700.
own_bpffs() {
	mkdir "$work/bpf" && mount -t bpf -o mode=1777 bpf "$work/bpf"
}

# ---- processes ----------------------------------------------------------------------------

declare -A server_pid server_dead

# spawn OUTPUT HOST COMMAND...: starts it there in the background; $pid says who it is.
# (A shell's background processes ignore SIGINT unless told otherwise.)
spawn() {
	local output=$1 host=$2
	shift 2
	: >"$output" # at once, whatever an earlier one has said there
	env --default-signal=INT,QUIT nsenter --net="$(netns_path "$host")" -- "$@" \
		>"$output" 2>&1 </dev/null &
	pid=$!
}

# Is it running? A zombie is not.
alive() {
	local state
	state=$(ps -o state= -p "$1" 2>/dev/null) && [ "${state:0:1}" != Z ]
}

# wait_for SECONDS COMMAND...: until it succeeds; SECONDS are those of a quiet machine, a busy one gets three times as many.
wait_for() {
	local deadline=$((${EPOCHREALTIME/./} + $1 * 3000000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

is_gone() {
	! alive "$1"
}

# cpu_ticks PID: the CPU time that it has used, in ticks of 10 ms.
cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# idles PID: for half a second, or longer where the machine is busy, it uses no more than 20 ms of each half.
idles() {
	local before began halves
	before=$(cpu_ticks "$1")
	began=${EPOCHREALTIME/./}
	for _ in {1..25}; do
		sleep 0.02
		halves=$(((${EPOCHREALTIME/./} - began) / 500000 + 1))
		[ "$(cpu_ticks "$1")" -le $((before + 2 * halves)) ] || return
	done
}

# finish PID SECONDS: waits for a process of ours to end; returns its exit status, 124 if it had
# to be killed.
finish() {
	if ! wait_for "$2" is_gone "$1"; then
		kill -KILL "$1" 2>/dev/null
		wait "$1" 2>/dev/null
		return 124
	fi
	wait "$1" 2>/dev/null
}

# ---- strangers and members ------------------------------------------------------------------

# forged FILTER: what forge.py counted, of which $work/forged.json is the last.
forged() {
	jq -r "$1" "$work/forged.json"
}

# within: nobody got more than three times the bytes that were sent in its name.
within() {
	[ "$(forged '[.[] | select(.back_bytes > 3 * .bytes)] | length')" = 0 ]
}

# enter NAME HOST PORT [PEER_OPTION...]: a plain socket there, which takes what is written to ${input_of[NAME]}.
declare -A input_of
enter() {
	local name=$1 host=$2 input
	shift 2
	mkfifo "$work/$name.in"
	spawn "$work/$name.log" "$host" sh -c "exec '$e2e/peer.py' $* <'$work/$name.in'"
	exec {input}>"$work/$name.in"
	# shellcheck disable=SC2034 # for who says something
	input_of[$name]=$input
	wait_for 5 heard "$name" bound
}

# heard NAME TEXT: has it got that?
heard() {
	grep -qF -- "$2" "$work/$1.log"
}

# ---- the server ---------------------------------------------------------------------------

# Where the server on a host keeps things. One host, one server, unless NAME says otherwise.
pin_dir() { echo "/sys/fs/bpf/$NETNS-$1"; }
control() { echo "$work/$1.sock"; }
server_out() { echo "$work/$1.out"; }
server_err() { echo "$work/$1.err"; }

# server_launch HOST ARG...: starts udpxdp there on eth0 (--iface in ARG overrides) with a control
# socket and a pin directory of its own, and waits until it is ready. Returns 1 when it is not.
server_launch() {
	local host=$1
	shift
	case " $* " in *" --iface "* | *" -i "*) ;; *) set -- --iface eth0 "$@" ;; esac
	: >"$(server_err "$host")" # not the ready line of the one before
	env --default-signal=INT,QUIT nsenter --net="$(netns_path "$host")" -- "$udpxdp" serve \
		--control "$(control "$host")" --pin-dir "$(pin_dir "$host")" "$@" \
		>"$(server_out "$host")" 2>"$(server_err "$host")" </dev/null &
	server_pid[$host]=$!
	unset "server_dead[$host]"
	wait_for "${READY_SECONDS:-20}" ready_or_gone "$host"
	is_ready "$host"
}

is_ready() {
	grep -q '^udpxdp: ready' "$(server_err "$1")"
}

ready_or_gone() {
	is_ready "$1" || ! alive "${server_pid[$1]}"
}

# server_start HOST ARG...: the same, but a test cannot go on without it.
server_start() {
	server_launch "$@" || bail "udpxdp starts on $1" "$(cat "$(server_err "$1")")"
}

# ready_value HOST KEY: from its ready line.
ready_value() {
	grep '^udpxdp: ready' "$(server_err "$1")" | tr ' ' '\n' | sed -n "s/^$2=//p"
}

# server_refuses NAME STATUS REGEX HOST ARG...: udpxdp does not start, ends with that status, and
# says what failed, why and what to do in one line.
server_refuses() {
	local name=$1 expected=$2 regex=$3 host=$4 status=0 said
	shift 4
	if server_launch "$host" "$@"; then
		not_ok "$name" "it started: $(cat "$(server_err "$host")")"
		server_stop "$host"
		return
	fi
	finish "${server_pid[$host]}" 5 || status=$?
	unset "server_pid[$host]"
	said=$(cat "$(server_err "$host")")
	if [ "$status" = "$expected" ] && [ "$(wc -l <<<"$said")" = 1 ] &&
		grep -E '^udpxdp: .+: .+; .+' <<<"$said" | grep -qE -- "$regex"; then
		ok "$name"
	else
		not_ok "$name" "expected status $expected and one line, udpxdp: WHAT: WHY; CURE, with $regex"$'\n'"status $status: $said"
	fi
}

# server_stop HOST [SIGNAL]: returns its exit status.
server_stop() {
	local host=$1 status=0
	kill "-${2:-TERM}" "${server_pid[$host]}" 2>/dev/null
	finish "${server_pid[$host]}" 10 2>/dev/null || status=$?
	server_dead[$host]=$status
	unset "server_pid[$host]"
	return "$status"
}

# Stops what still runs; a server that does not end well, or that a sanitizer complained about,
# is a failure whatever the test was about.
stop_all() {
	local host complaints
	for host in "${!server_pid[@]}"; do
		server_stop "$host" || not_ok "udpxdp on $host ends with status 0" \
			"status ${server_dead[$host]}"$'\n'"$(tail -n 20 "$(server_err "$host")")"
	done
	complaints=$(grep -D skip -lE 'Sanitizer|runtime error:' "$work"/* 2>/dev/null)
	[ -z "$complaints" ] || not_ok "no sanitizer complains" "$(tail -n 60 $complaints)"
}

# pinned HOST MAP: what bpftool says of one of its maps, as JSON: a list of {key, value}.
pinned() {
	bpftool -j map dump pinned "$(pin_dir "$1")/$2" | jq 'map(.formatted)'
}

# mac_of HOST [IFACE]
mac_of() {
	on "$1" ip -j link show dev "${2:-eth0}" | jq -r '.[0].address'
}

# service_counter HOST FIELD [SERVICE:PORT]: its sum over the workers.
service_counter() {
	pinned "$1" service_counters | jq --arg which "${3:-}" \
		"[.[].value | select(\$which == \"\" or \"\(.service):\(.port)\" == \$which) | .$2] | add // 0"
}

# port_counter HOST PORT FIELD: its sum over the CPUs.
port_counter() {
	pinned "$1" port_counters | jq "[.[] | select(.key == $2) | .values[].value.$3] | add // 0"
}

# has_heard HOST COUNT [SERVICE:PORT]: its workers have taken that many datagrams at least.
has_heard() {
	[ "$(service_counter "$1" rx "${3:-}")" -ge "$2" ]
}

# verdict HOST REASON: how many frames the filter gave this reason, as udpxdp names it.
verdict() {
	pinned "$1" verdicts | jq "[.[].values[].value | select(.reason == \"$2\") | .frames] | add // 0"
}

# xdp_programs HOST IFACE: the ids of the XDP programs on it; nothing when there are none.
xdp_programs() {
	on "$1" ip -j -d link show dev "$2" | jq -r '.[].xdp.attached[]?.prog.id'
}

# pass_program HOST IFACE: an XDP program on the other end of a veth, without which it takes no answers.
pass_program() {
	local pin="/sys/fs/bpf/$NETNS-other/pass"
	mkdir -p "${pin%/*}"
	[ -e "$pin" ] || bpftool prog load "$BUILD/tests/e2e/foreign.bpf.o" "$pin" || return
	on "$1" bpftool net attach xdpdrv pinned "$pin" dev "$2"
}

# ---- the end ------------------------------------------------------------------------------

clean_up() {
	local status=$? pid dir file
	trap '' INT TERM HUP
	trap - EXIT
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	if [ -z "$planned" ] && [ "$failures" = 0 ]; then
		echo "not ok $((tests + 1)) - the test ran to its end"
		status=1
	fi
	if [ "$status" != 0 ]; then
		for file in "$work"/*.err "$work"/*.log; do
			[ -s "$file" ] || continue
			echo "# --- ${file##*/}"
			tail -n 15 "$file" | sed 's/^/# /'
		done
	fi
	no_hosts
	awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r umount
	for dir in /sys/fs/bpf/"$NETNS"-*; do
		[ -d "$dir" ] && rm -r "$dir"
	done
	if [ -n "${E2E_KEEP:-}" ]; then echo "# kept: $work"; else rm -rf "$work"; fi
	exit "$status"
}
trap clean_up EXIT
trap 'exit 143' INT TERM HUP

[ "$(id -u)" = 0 ] || bail "end-to-end tests run as root" "it makes network namespaces"
[ -x "$udpxdp" ] || [ -n "${E2E_NO_SERVER:-}" ] || bail "there is $udpxdp" "run make first"
require mount_bpffs
