#!/bin/bash
# SPDX-License-Identifier: MIT
#
# serve --print: how many messages a second reach standard output, and that what is left out is said.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require segment 41 switch server client
ask() { on client "$e2e/udp.py" exchange 10.80.41.1 8080 --count "$1" --window 8; }
printed() { wc -l <"$(server_out server)"; }
left_out() { sed -n "s/^udpxdp: standard output: limited to $1 lines a second; lines left out: \([0-9]*\); .*/\1/p" "$(server_err server)"; }
sum() { awk '{ n += $1 } END { print n + 0 }'; }

# burst NAME COUNT ARG...: a server that is asked so often, and has ended; $seconds it took, at most.
burst() {
	local name=$1 count=$2 begin=$EPOCHSECONDS
	shift 2
	server_start server -s echo "$@"
	check "$name: each request is answered" ask "$count"
	server_stop server || not_ok "$name: it ends well" "$(cat "$(server_err server)")"
	seconds=$((EPOCHSECONDS - begin + 2))
}

burst "by default" 3000
check "by default: 100 lines a second are printed ($(printed) in $seconds s at most)" \
	test "$(printed)" -ge 100 -a "$(printed)" -le $((100 * seconds))
equal "by default: how many were left out is said, and none is lost" 3000 $(($(printed) + $(left_out 100 | sum)))
check "by default: at most once a second" test "$(left_out 100 | wc -l)" -le $seconds

burst "--print 7" 500 --print 7
check "--print 7: 7 lines a second are printed" test "$(printed)" -ge 7 -a "$(printed)" -le $((7 * seconds))
equal "--print 7: how many were left out is said" 500 $(($(printed) + $(left_out 7 | sum)))

burst "--print all" 3000 --print all
equal "--print all: each line" 3000 "$(printed)"
equal "--print all: nothing is left out" "" "$(left_out '[0-9]*')"

for quiet in "--print none" -Q "--print all -Q"; do
	burst "$quiet" 200 $quiet
	equal "$quiet: nothing is printed" 0 "$(printed)"
	equal "$quiet: nor said to be left out" "" "$(left_out '[0-9]*')"
done

# The command line wins over the file.
echo "quiet = yes" >"$work/quiet.conf"
burst "quiet in the file" 50 --config "$work/quiet.conf"
equal "quiet in the file: nothing is printed" 0 "$(printed)"
burst "--print 60 over it" 50 --config "$work/quiet.conf" --print 60
equal "--print 60 over it: each line" 50 "$(printed)"

server_refuses "--print 0" 2 "option --print: invalid value .*, expected all, none or a number" server --print 0
server_refuses "--print some" 2 "option --print: invalid value .*, expected all, none or a number" server --print some

done_testing
