#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a room over several hosts carries here, one broker and three hosts on one machine, and what it
# costs the echo of a host in it. Prints two tables; about a minute and a half.
#
#   RATES="N..."  messages a second that are offered (default: 500 2000 5000 10000)
#   ROUNDS=N      of the comparison (default: 7)

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/e2e/rooms.bash
. "$e2e/rooms.bash"
rates=${RATES:-500 2000 5000 10000} rounds=${ROUNDS:-7}

require hosts hosta hostb hostc plain broker people
require segment 103 s1 hosta hostb hostc plain broker people
server=nats://10.80.103.5:4222
declare -A addr=([hosta]=10.80.103.1 [hostb]=10.80.103.2 [hostc]=10.80.103.3 [plain]=10.80.103.4)
member() { on people "$e2e/room.py" "$@"; }

# The room's thread: its CPU time in ticks of 10 ms, summed over the hosts.
bridge_ticks() {
	local host task sum=0
	for host in hosta hostb hostc; do
		for task in /proc/"${server_pid[$host]}"/task/*; do
			[ "$(cat "$task/comm")" = room ] || continue
			sum=$((sum + $(cut -d' ' -f14,15 "$task/stat" | tr ' ' +)))
		done
	done
	echo $sum
}

require broker_start
for host in hosta hostb hostc; do room_start $host $server,history=off; done
for host in hosta hostb hostc; do require wait_for 8 is_connected $host; done

in_stream() { on broker "$e2e/room.py" stream 127.0.0.1:4222 state "$1"; }

echo "| offered, messages/s | carried | p50, p99 ms | late, s | bridge, µs CPU a message and host | broker, µs | stored, B a message |"
echo "|---|---|---|---|---|---|---|"
for rate in 1 $rates; do
	before=$(bridge_ticks) broker_before=$(cpu_ticks "$broker") bytes=$(in_stream bytes)
	if [ "$rate" = 1 ]; then
		count=200 said=one-at-a-time latency=$(member latency ${addr[hosta]}:8090 ${addr[hostb]}:8090 200)
		carried=all late=-
	else
		count=$((rate * 4)) said=$rate latency=-
		member talk 30 $count "$rate" "${addr[hosta]}:8090/1" "${addr[hostb]}:8090/1" "${addr[hostc]}:8090/1" >"$work/talk.log"
		check_line=$(tail -n 1 "$work/talk.log")
		carried=$(grep -o 'rate=[0-9]*' <<<"$check_line" | cut -d= -f2) late=$(grep -o 'late=[0-9.]*' <<<"$check_line" | cut -d= -f2)
		grep -q 'bad=0 ' <<<"$check_line" || carried="$carried, some lost"
	fi
	stored=$((($(in_stream bytes) - bytes) / count))
	printf '| %s | %s | %s | %s | %d | %d | %d |\n' "$said" "$carried" "${latency/ /, }" "$late" \
		$((($(bridge_ticks) - before) * 10000 / count / 3)) $((($(cpu_ticks "$broker") - broker_before) * 10000 / count)) "$stored"
done

# Echo of a host in the room against one with the same services that is not, while the others talk.
server_stop hosta || not_ok "the server stops"
for host in hosta plain; do
	joined=
	[ $host = plain ] || joined=,nats=$server
	serve_as $host --quiet --cpus 1 -s echo -s "chat,history=off,rate=0,room-rate=0$joined"
	taskset -apc 1 "${server_pid[$host]}" >/dev/null
done
require wait_for 8 is_connected hosta
for pid in "$broker" "${server_pid[hostb]}" "${server_pid[hostc]}"; do taskset -apc 0 "$pid" >/dev/null; done
spawn "$work/flood.log" people taskset -c 0 "$e2e/room.py" flood "${addr[hostb]}:8090" 100000 200 "meanwhile"
echo_rate() {
	on people taskset -c 0 "$udpxdp" bench "${addr[$1]}" -t 1 -w 64 -j | jq '.received_per_second | floor'
}
for _ in $(seq "$rounds"); do
	first=$(echo_rate hosta) second=$(echo_rate plain)
	echo "$((first * 1000 / second)) $first $second"
done | sort -n >"$work/ratios"
echo
echo "| echo, 64 B in a closed loop | echoes/s, median | ratio |"
echo "|---|---|---|"
sed -n "$((rounds / 2 + 1))p" "$work/ratios" | while read -r ratio first second; do
	printf '| in a room with 200 messages/s of others | %d | %d.%03d |\n| beside it | %d | 1 |\n' \
		"$first" $((ratio / 1000)) $((ratio % 1000)) "$second"
done
echo
note "ratios of the rounds, in thousandths: $(cut -d' ' -f1 "$work/ratios" | xargs)"
check "the room has heard meanwhile" [ "$(room_counter hosta received)" -gt 500 ]
done_testing
