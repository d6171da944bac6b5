# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Programs that run several at a time, each with a log and an end. Sourced by tests/run and by what
# it runs that is many programs itself. What a job has to say goes into a file in $results.

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# Ends what is still running, and what that started: timeout passes the signal on.
cancel() {
	local pid
	trap '' INT TERM HUP
	for pid in $(jobs -p); do kill "$pid" 2>/dev/null; done
	wait
	exit 130
}
trap cancel INT TERM HUP

# wait_for_room N: until fewer than N jobs run.
wait_for_room() {
	while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n; done
}

# run_limited SECONDS LOG COMMAND...: within a job, runs it for so long at most. Returns its exit
# status; 124 or 137 when it took longer.
run_limited() {
	local seconds=$1 log=$2 pid status=0
	shift 2
	timeout -k 20 "$seconds" "$@" >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill "$pid" 2>/dev/null; wait "$pid"; exit 130' TERM
	wait "$pid" || status=$?
	return "$status"
}

number=0 # of the TAP line that is made

# tap_job COMMAND...: a job, two at a time; it prints the TAP line with this $number.
tap_job() {
	number=$((number + 1))
	wait_for_room 2
	"$@" >"$results/$number" &
}

# tap_now COMMAND...: the same, not as a job.
tap_now() {
	number=$((number + 1))
	"$@" >"$results/$number"
}

# tap_end: waits for the jobs and prints their lines in order. Fails when one of them did.
tap_end() {
	local i
	wait
	for ((i = 1; i <= number; i++)); do
		cat "$results/$i"
	done
	echo "1..$number"
	! grep -q '^not ok' "$results"/[0-9]*
}
