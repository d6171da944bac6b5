#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Replays captures through every service and compares all that comes out, byte by byte:
#
#   tests/replay/run.sh [CASE...]            run the cases of tests/replay/cases, all by default
#   tests/replay/run.sh --update             write tests/replay/golden anew
#   tests/replay/run.sh --help               this, and the names of the cases
#
# What is golden was never recorded from udpxdp: for each case its row says which oracle knows what is
# right. --update asks them (the captures themselves are made by recipes.py and dialogues.py, which
# needs /usr/bin/python3 and scapy).
#
# In golden: CASE.pcap, the frames sent; CASE.txt, standard output and the summary; CASE.told, what other
# hosts of a room are told; CASE.FILE, the history file of that name.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
udpxdp=$(realpath "${BUILD:-build}")/udpxdp
fixtures=$root/tests/fixtures/replay
golden=$root/tests/replay/golden
oracle=$root/tests/replay/oracle.py
# shellcheck source=tests/jobs.sh
. tests/jobs.sh
work=$results/work
mkdir "$work"

# report STATUS NAME [FILE]: a test line; the file says what is wrong.
report() {
	tap_now tap_result "$@"
}

tap_result() {
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		[ -z "${3:-}" ] || head -c 4000 "$3" | sed 's/^/# /'
	fi
}

# status_of COMMAND...: prints its exit status.
status_of() {
	"$@"
	echo $?
}

skip() {
	tap_now echo "ok $((number + 1)) - $1 # SKIP $2"
}

# each_case FUNCTION [CASE...]: calls FUNCTION NAME CAPTURE ORACLE ZONE OPTION... for those cases.
each_case() {
	local call=$1 line
	shift
	while read -r -a line; do
		if [ ${#line[@]} = 0 ] || [[ ${line[0]} == \#* ]]; then continue; fi
		if [ $# != 0 ] && [[ " $* " != *" ${line[0]} "* ]]; then continue; fi
		[ "${line[1]}" != - ] || line[1]=${line[0]}
		"$call" "${line[0]}" "$fixtures/${line[1]}.pcap" "${line[@]:2}"
	done <tests/replay/cases
}

predict() { # NAME CAPTURE ORACLE ZONE OPTION... into $predicted
	local name=$1 capture=$2 whose=$3 zone=$4
	shift 4
	[ "$whose" = worked_out ] || return 0
	wait_for_room 2
	TZ=$zone python3 "$oracle" predict "$capture" "$predicted/$name.pcap" "$predicted/$name.txt" "$@" &
}

name_of() {
	echo "$1"
}

usage() {
	sed -n '5,/^set -u/{ /^#/s/^# \{0,1\}//p }' tests/replay/run.sh
	echo "cases:"
	each_case name_of | column -c 100 | expand
}

case ${1:-} in
-h | --help)
	usage
	exit
	;;
-*)
	if [ "$1" != --update ] || [ $# != 1 ]; then
		usage >&2
		exit 2
	fi
	;;
esac
for name; do
	if [[ $name != -* ]] && [ -z "$(each_case name_of "$name")" ]; then
		echo "tests/replay/run.sh: no case '$name'; --help lists them" >&2
		exit 2
	fi
done

if [ "${1:-}" = --update ]; then
	/usr/bin/python3 "$fixtures/recipes.py" || exit 1
	rm -rf "$golden"
	mkdir "$golden"
	/usr/bin/python3 "$fixtures/dialogues.py" || exit 1
	predicted=$golden
	each_case predict
	wait
	exit
fi

# ---- the cases ---------------------------------------------------------------------------

# replay DIRECTORY CAPTURE ZONE OPTION...: in a directory of its own, where the history goes.
replay() {
	local directory=$1 capture=$2 zone=$3
	shift 3
	[ ! -e "${capture%.pcap}.room" ] || set -- --room "${capture%.pcap}.room" --told told "$@"
	mkdir -p "$directory"
	(cd "$directory" && TZ=$zone "$udpxdp" replay -r "$capture" -w out.pcap "$@" >out.txt 2>err.txt)
	local status=$?
	cat "$directory/err.txt" >>"$directory/out.txt"
	return $status
}

run_case() {
	tap_job replay_case "$@"
}

replay_case() { # NAME CAPTURE ORACLE ZONE OPTION...
	local name=$1 capture=$2 why=$work/$1/why file other status=0
	local run=$work/$name/1 again=$work/$name/2
	shift 3
	set -- "$capture" "$@"
	mkdir "$work/$name"
	replay "$run" "$@" || { echo "exit status $?" >>"$why"; cat "$run/err.txt" >>"$why"; }
	replay "$again" "$@"
	diff -r "$run" "$again" >/dev/null || echo "a second run gives something else" >>"$why"
	mv "$run/out.pcap" "$run/pcap"
	mv "$run/out.txt" "$run/txt"
	rm "$run/err.txt"
	for file in "$run"/*; do
		other=$golden/$name.${file##*/}
		if [ ! -e "$other" ]; then
			echo "${file##*/}: should not be there"
		elif [[ $file == */pcap ]]; then
			cmp -s "$file" "$other" || python3 "$oracle" compare "$other" "$file" || true
		else
			diff -u "$other" "$file"
		fi
	done >>"$why"
	for file in "$golden/$name".*; do
		[ -e "$run/${file##*/"$name".}" ] || echo "$file: nothing was written" >>"$why"
	done
	cmp -s "$run/pcap" "$golden/$name.pcap" || echo "the frames differ" >>"$why"
	[ ! -s "$why" ] || status=1
	tap_result $status "$name" "$why"
}

each_case run_case "$@"
if [ $# != 0 ]; then
	tap_end
	exit
fi
wait

# ---- is what is golden right? ------------------------------------------------------------

predicted=$work/predicted
mkdir "$predicted"
each_case predict
wait
for file in "$predicted"/*; do
	cmp "$file" "$golden/${file##*/}"
done >"$work/why" 2>&1
report "$(status_of [ ! -s "$work/why" ])" "golden echoes are what the oracle works out" "$work/why"

if /usr/bin/python3 -c 'import scapy' 2>/dev/null; then
	mkdir "$work/inputs" "$work/dialogues"
	{
		/usr/bin/python3 "$fixtures/recipes.py" "$work/inputs" &&
			/usr/bin/python3 "$fixtures/dialogues.py" "$work/inputs" "$work/dialogues" &&
			for file in "$work/inputs"/*; do cmp "$file" "$fixtures/${file##*/}"; done &&
			for file in "$work/dialogues"/*; do cmp "$file" "$golden/${file##*/}"; done
	} >"$work/why" 2>&1
	report $? "the recipes make the captures and the golden dialogues" "$work/why"
else
	skip "the recipes make the captures and the golden dialogues" "scapy is not installed"
fi

# tshark as judge, of the layers that are ours: what lies in UDP is data, whatever its port.
dissect() { # CAPTURE FILTER
	tshark -n -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE \
		-d udp.port==1-65535,data -Y "$2" 2>/dev/null
}
sound='udp && udp.checksum.status == 1 && !_ws.malformed && (ip.checksum.status == 1 &&
	(ip.flags.df == 1 && ip.id == 0 && ip.len <= 576 || ip.flags.df == 0 && ip.id != 0 && ip.len > 576) &&
	(ip.ttl == 64 || ip.ttl == 255 && udp.srcport == 862 || ip.ttl == 1 && ip.dst == 255.255.255.255) ||
	ipv6 && (ipv6.hlim == 64 || ipv6.hlim == 255 && udp.srcport == 862))'
if command -v tshark >/dev/null; then
	# One capture of all: their headers are the same. (mergecap takes no time before 1970.)
	{
		head -c 24 "$golden/plain_ipv4.pcap"
		tail -q -c +25 "$work"/*/1/pcap
	} >"$work/all.pcap"
	for file in "$work"/*/1/pcap; do
		cmp -n 24 "$file" "$work/all.pcap"
	done >"$work/headers"
	dissect "$work/all.pcap" "!($sound)" | cat "$work/headers" - >"$work/why"
	sent=$(cat "$golden"/*.txt | sed -n 's/^udpxdp: replay: //p' | grep -o ' tx=[0-9]*' |
		awk -F= '{ n += $2 } END { print n + 0 }')
	seen=$(dissect "$work/all.pcap" "$sound" | wc -l)
	[ "$sent" = "$seen" ] || echo "$sent frames sent, $seen found sound" >>"$work/why"
	report "$(status_of [ ! -s "$work/why" ])" \
		"tshark finds no fault in the $sent frames sent" "$work/why"
	# It can tell: a changed type of service in the first frame, a changed payload in the last.
	{
		head -c 55 "$golden/plain_ipv4.pcap"
		printf '\4'
		tail -c +57 "$golden/plain_ipv4.pcap" | head -c -1
		printf '!'
	} >"$work/faulty.pcap"
	dissect "$work/faulty.pcap" "!($sound)" >"$work/why"
	report "$(status_of [ "$(wc -l <"$work/why")" = 2 ])" "tshark would have found two" "$work/why"
else
	skip "tshark finds no fault in the frames sent" "tshark is not installed"
fi

# ---- files that are refused --------------------------------------------------------------

# refused NAME STATUS WHY OPTION...: that exit status, one line that says WHY, nothing left behind.
refused() {
	local name=$1 expected=$2 text=$3 status
	shift 3
	rm -rf "$work/empty"
	mkdir "$work/empty"
	(cd "$work/empty" && TZ=UTC "$udpxdp" replay "$@" >"$work/stdout" 2>"$work/why")
	status=$?
	[ "$status" = "$expected" ] || echo "exit status $status" >>"$work/why"
	[ "$(wc -l <"$work/why")" = 1 ] && grep '^udpxdp: .*: .*; .' "$work/why" | grep -q -e "$text" &&
		[ -z "$(ls -A "$work/empty")" ] || status=bad
	report "$(status_of [ "$status" = "$expected" ])" "$name" "$work/why"
}

talk=$fixtures/chat_talk.pcap
head -c -1 "$talk" >"$work/cut.pcap"
head -c 20 "$talk" >"$work/header.pcap"
{
	head -c 20 "$talk"
	printf '\161\0\0\0' # LINUX_SLL
	tail -c +25 "$talk"
} >"$work/cooked.pcap"
{
	head -c 36 "$talk"
	printf '\377\1\0\0' # the first frame was 511 bytes long
	tail -c +41 "$talk"
} >"$work/snapped.pcap"
echo "no capture at all, only some text" >"$work/text.pcap"
refused "a truncated capture" 1 "packet 12 of .*truncated.*editcap" -r "$work/cut.pcap" -w out.pcap
refused "a truncated header" 1 "truncated" -r "$work/header.pcap" -w out.pcap
refused "a capture that is not Ethernet" 1 "LINUX_SLL.*not Ethernet" -r "$work/cooked.pcap" \
	-w out.pcap
"$udpxdp" replay -r "$work/snapped.pcap" -w /dev/null -Q >"$work/why" 2>&1
report "$(status_of grep -q "1 records of .* skipped: cut.*tcpdump -s 0" "$work/why")" "parts of frames are skipped" "$work/why"
if mergecap -a -w "$work/mixed.pcapng" "$work/cooked.pcap" "$fixtures/plain_ipv4.pcap" 2>"$work/why"; then
	TZ=UTC "$udpxdp" replay -Q -r "$work/mixed.pcapng" -w "$work/mixed.out" 2>"$work/why" &&
		[ "$(grep -c skipped "$work/why")" = 1 ] &&
		grep -q "12 records of .* skipped: of an interface that is not Ethernet" "$work/why" &&
		cmp "$work/mixed.out" "$golden/plain_ipv4.pcap" >>"$work/why" 2>&1
	report $? "an interface of another link type is skipped, the other is answered" "$work/why"
else
	skip "an interface of another link type is skipped" "no mergecap"
fi
refused "text" 1 "unknown file format" -r "$work/text.pcap" -w out.pcap
refused "no capture" 1 "No such file" -r "$work/none.pcap" -w out.pcap
refused "nowhere to write" 1 "No such file" -r "$talk" -w none/out.pcap
# A device of our own: code that is wrong would replace the machine's.
if mknod "$work/full-device" c 1 7 2>/dev/null && ! (echo >"$work/full-device") 2>"$work/why" &&
	grep -q "No space left" "$work/why"; then
	refused "a full device" 1 "No space left" -Q -r "$talk" -w "$work/full-device"
	report "$(status_of [ -c "$work/full-device" ])" "and it is still a device"
else
	skip "a full device" "no device can be made here"
fi
refused "no IN" 2 "--read" -w out.pcap
refused "no OUT" 2 "--write" -r "$talk"
for bad in "--local 10.0.0" "--local 10.0.0.1/33" "--local 10.0.0.1/" "--local 224.0.0.1" \
	"--local 2001:db8::1/129" "--vlan 4095" "--vlan 0" "--vlan mine" "--local ff02::1" "--local ::ffff:10.0.0.1" "--mac 01:00:00:00:00:01" \
	"--mac 02:00:00:00:00" "--mtu 67" "--mtu 65536" "--service echo:0" "--service nothing"; do
	# shellcheck disable=SC2086
	refused "$bad" 2 "${bad% *}" -r "$talk" -w out.pcap $bad
done

# room_refused WHY LINE...: a file of other hosts' events with these lines.
room_refused() {
	printf '%s\n' "${@:2}" >"$work/bad.room"
	refused "other hosts: $1" 1 "bad.room:$((${#} - 1)): $1" -r "$talk" -w out.pcap --room "$work/bad.room" --told told -s chat
}
away='{"at":5,"kind":"away","host":"b"}'
say='{"at":5,"kind":"say","host":"b","name":"x","addr":"10.0.0.1","port":1,"text":"hi"}'
room_refused "no JSON object" "$away" "" "away"
room_refused "no JSON object" "[]]"
room_refused "at is no number" '{"kind":"away","host":"b"}'
room_refused "at goes back" "$away" "${away/5/4}"
room_refused "kind is none of" "${away/away/join}"
room_refused "no such service" "${away/\"host/\"service\":8080,\"host}"
for change in 's/"host":"b"/"host":"a.b"/' 's/"x"/"x y"/' 's/10.0.0.1/nowhere/' 's/:1,/:65536,/' 's/"hi"/""/' 's/"hi"/7/'; do
	room_refused "not what another host can say" "$say" "$(sed "$change" <<<"$say")"
done
refused "no file of other hosts" 1 "No such file" -r "$talk" -w out.pcap --room "$work/none.room"

# ---- a service's own test: --expect -------------------------------------------------------

# expects NAME STATUS LINES OPTION...: that exit status; standard error has these lines.
expects() {
	local name=$1 expected=$2 lines=$3 status
	shift 3
	(cd "$work" && TZ=UTC "$udpxdp" replay -Q "$@" >"$work/stdout" 2>"$work/why")
	status=$?
	[ "$status" = "$expected" ] || echo "exit status $status" >>"$work/why"
	while IFS= read -r line; do
		grep -qF -e "$line" "$work/why" || { echo "missing: $line" >>"$work/why"; status=bad; }
	done <<<"$lines"
	report "$(status_of [ "$status" = "$expected" ])" "$name" "$work/why"
}

plain=$fixtures/plain_ipv4.pcap
expects "what is expected is sent" 0 "" -r "$plain" --expect "$golden/plain_ipv4.pcap"
cp "$golden/plain_ipv4.pcap" "$work/other.pcap"
printf '\77' | dd of="$work/other.pcap" bs=1 seek=62 conv=notrunc status=none # the first frame's TTL
expects "a field that differs" 1 "other.pcap: frame 1: ip.ttl: expected 63, sent 64
other.pcap: 1 frames differ, 8 expected and 8 sent" -r "$plain" --expect other.pcap
expects "other text" 1 'frame 1: data (5 and 36 bytes) at byte 0: expected "hello", sent "【' \
	-r "$plain" --expect "$plain"
head -c 24 "$golden/plain_ipv4.pcap" >"$work/nothing.pcap"
expects "more frames than expected" 1 "frame 1: frame: expected none, sent 78 bytes, eth.dst
nothing.pcap: 8 frames differ, 0 expected and 8 sent" -r "$plain" --expect nothing.pcap
expects "frames that are missing" 1 "frame 1: frame: expected 78 bytes, eth.dst 02:00" \
	-r "$plain" --expect "$golden/plain_ipv4.pcap" -s chat:9
expects "a test that asks nothing" 1 "nothing is tested: no datagram of $plain is for a service; name its port" \
	-r "$plain" --expect nothing.pcap -s chat:9
expects "nor is it written in silence" 1 "nothing is tested" -r "$plain" --expect none.pcap --update -s chat:9
report "$(status_of [ ! -e "$work/none.pcap" ])" "nor at all"
expects "no golden capture" 1 "No such file" -r "$plain" --expect none.pcap
expects "--update writes it" 0 "" -r "$plain" --expect new.pcap --update
report "$(status_of cmp -s "$work/new.pcap" "$golden/plain_ipv4.pcap")" "and it is what is sent"
expects "both: compared, and kept" 1 "frame 1: ip.ttl" -r "$plain" --expect other.pcap -w kept_too.pcap
report "$(status_of cmp -s "$work/kept_too.pcap" "$golden/plain_ipv4.pcap")" "and it is what was sent"
refused "--update without --expect" 2 "option --update: requires --expect" -r "$plain" --update
refused "--update with --write" 2 "option --update: .*--write" -r "$plain" --update --expect a.pcap -w b.pcap

# ---- pipes, and what was there before ----------------------------------------------------

cd "$work" || exit 1
plain=$fixtures/plain_ipv4.pcap
export TZ=UTC
"$udpxdp" replay -r - -w - <"$plain" >piped.pcap 2>/dev/null &&
	cmp piped.pcap "$golden/plain_ipv4.pcap" >why 2>&1
report $? "from standard input to standard output, without messages among the frames" why

echo "was here" >kept.pcap
"$udpxdp" replay -Q -r cut.pcap -w kept.pcap 2>/dev/null
report "$(status_of [ "$(cat kept.pcap)" = "was here" ])" \
	"a failed replay leaves the old output alone"

mkdir history
for _ in 1 2; do
	(cd history && "$udpxdp" replay -Q -r "$fixtures/chat_hostile.pcap" -w o.pcap \
		-s chat,history=chat.txt 2>/dev/null)
done
kept=$golden/chat_hostile.chat.txt
cat "$kept" "$kept" | cmp - history/chat.txt >why 2>&1
report $? "history is appended to" why

"$udpxdp" replay -Q -r "$talk" -w history/o.pcap -s chat,history=/dev/full 2>why
report "$([ $? = 1 ] && grep -q "history /dev/full: No space left" why; echo $?)" \
	"a history that cannot be written is an error" why

mkdir unnamed
echo "a live server's" >unnamed/chat.txt
(cd unnamed && "$udpxdp" replay -Q -r "$talk" -w out.pcap -s chat -s chat:8091 2>../why) &&
	cmp unnamed/out.pcap "$golden/chat_talk.pcap" >>why 2>&1 &&
	[ "$(ls unnamed)" = $'chat.txt\nout.pcap' ] && [ "$(cat unnamed/chat.txt)" = "a live server's" ]
report $? "nothing is written but what -w and history= name" why

refused "a capture in a history" 2 "option --write: out.pcap is also the history" -r "$talk" -w out.pcap \
	-s chat,history=out.pcap
refused "by another path" 2 "option --write: out.pcap is also the history" -r "$talk" -w out.pcap \
	-s "chat,history=$work/empty/out.pcap"

# What is read is not written, under whatever name.
mkdir once
cp "$talk" once/in.pcap
ln -s in.pcap once/link.pcap
ln once/in.pcap once/second.pcap
for words in "-r in.pcap -w in.pcap" "-r in.pcap -w ./link.pcap" "-r link.pcap -w $PWD/once/second.pcap" \
	"-r in.pcap --expect second.pcap --update" "-r - -w in.pcap" "-r $talk --expect in.pcap -w link.pcap" \
	"-r in.pcap -w out.pcap -s chat,history=link.pcap" "-r $talk --expect in.pcap -s chat,history=in.pcap"; do
	# shellcheck disable=SC2086
	(cd once && "$udpxdp" replay $words <in.pcap >out 2>&1)
	report "$([ $? = 2 ] && grep -qE '^udpxdp: option --[a-z]+: .* is also .*; give' once/out &&
		[ "$(wc -l <once/out)" = 1 ] && cmp once/in.pcap "$talk" && [ ! -e once/out.pcap ]; echo $?)" \
		"read and written: $(sed "s|$PWD/||; s|$fixtures/||" <<<"$words")" once/out
done

for words in "in.pcap out.pcap" "in.pcap" "-r in.pcap out.pcap"; do
	# shellcheck disable=SC2086
	refused "replay $words" 2 "operand '[a-z]*.pcap': .*-r IN.*-w OUT" $words
done

"$udpxdp" replay -r "$plain" -w printed.pcap >/dev/full 2>why
report "$([ $? = 1 ] && [ ! -e printed.pcap ]; echo $?)" \
	"messages that cannot be printed are an error" why

# An address without a prefix length has the usual subnet.
challenge=$fixtures/chat_challenge.pcap
"$udpxdp" replay -Q -r "$challenge" -w bare.pcap -s chat,history=off \
	--local 10.0.0.1 --local 2001:db8::1 2>/dev/null
cmp bare.pcap "$golden/chat_challenge.pcap" >why 2>&1
report $? "a bare address has the usual subnet" why

# An interrupted replay, here one whose input never ends, dies of the signal and leaves nothing.
mkdir interrupted
for signal in INT TERM PIPE; do
	mkfifo input
	(cd interrupted && exec "$udpxdp" replay -Q -r ../input -w out.pcap) &
	pid=$!
	exec 9>input
	cat "$plain" >&9
	for _ in {1..100}; do [ -z "$(ls interrupted)" ] || break; sleep 0.05; done
	begun=$(ls interrupted)
	kill -s "$signal" "$pid"
	wait "$pid" 2>/dev/null
	status=$?
	exec 9>&-
	rm input
	report "$([ -n "$begun" ] && [ "$status" = $((128 + $(kill -l "$signal"))) ] &&
		[ -z "$(ls interrupted)" ]; echo $?)" "ended by SIG$signal"
done 2>/dev/null

tap_end
