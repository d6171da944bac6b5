#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --rules: a hundred thousand prefixes, replaced while traffic goes on, by the filter and by sockets.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

require hosts server client
require wire server:eth0 client:eth0
require address server eth0 10.80.1.1/24 fd00:80:1::1/64
for i in 2 3 4 5; do
	require address client eth0 10.80.1.$i/24 fd00:80:1::$i/64
done
rules=$work/rules
many=$work/many
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "deny 11.%d.%d.%d/31\n", i / 32768, i / 128 % 256, i * 2 % 256 }' >"$many"

# write HOST...: the network is denied but for .2 and these; what is not to be served comes first, and
# what is to be, last. In place, and so by an editor that makes a new file.
write() {
	{
		printf '\xef\xbb\xbf# who is served\r\n\r\ndeny 10.80.1.0/24 # but\ndeny fd00:80:1::/64\r\n'
		cat "$many"
		printf '  allow\t10.80.1.%s/32\r\n' 2 "$@"
		printf 'allow fd00:80:1::%s\n' 2 "$@"
	} >"$rules.new"
	chmod 600 "$rules.new"
	mv "$rules.new" "$rules"
}

# exchange ADDR SOURCE COUNT: how many of as many questions, one after another, are answered.
exchange() {
	on client "$e2e/acl_ratelimit.py" burst "$2" "$1" 8080 "$3"
}
reached() {
	local i
	for i in 2 3 4; do
		printf '%s ' "$(exchange 10.80.1.1 10.80.1.$i 3)" "$(exchange fd00:80:1::1 fd00:80:1::$i 3)"
	done
}
said() {
	grep -c "rules in force" "$(server_err server)"
}
has_said() {
	[ "$(said)" -ge "$1" ]
}
# reload: has the server read the file, and waits until it has.
reload() {
	local was
	was=$(said)
	kill -HUP "${server_pid[server]}"
	wait_for 20 has_said $((was + 1))
}

for mode in copy sockets; do
	write 3
	server_start server -m $mode -s echo --rules "$rules"
	equal "$mode: those of the file are served" "3 3 3 3 0 0 " "$(reached)"
	write 4
	check "$mode: SIGHUP reads it again" reload
	equal "$mode: and others are served" "3 3 0 0 3 3 " "$(reached)"

	# .2 is always allowed, .5 never.
	spawn "$work/served.log" client "$e2e/udp.py" exchange 10.80.1.1 8080 --source 10.80.1.2 --count 2000 --interval 0.001 --timeout 3
	served=$pid
	spawn "$work/denied.log" client "$e2e/udp.py" exchange 10.80.1.1 8080 --source 10.80.1.5 --count 2000 --window 10000 --interval 0.001 --timeout 0.5
	denied=$pid
	reloads=0
	while alive "$served"; do
		write $((3 + reloads % 2))
		reload || break
		reloads=$((reloads + 1))
	done
	finish "$served" 20
	finish "$denied" 20
	check "$mode: rules are replaced $reloads times under traffic" test "$reloads" -ge 1
	equal "$mode: nothing of whom all of them allow is lost" 2000 "$(jq .answered "$work/served.log")"
	equal "$mode: nothing of whom all of them deny is answered" "2000 0" "$(jq -r '"\(.sent) \(.answered)"' "$work/denied.log")"

	write 4
	reload
	echo "allow 10.80.1.300" >>"$rules"
	kill -HUP "${server_pid[server]}"
	check "$mode: a wrong line is said by its number" wait_for 10 grep -q \
		"^udpxdp: reading the rules failed: $rules:100009: expected one network.*; those before stay in force$" "$(server_err server)"
	rm "$rules"
	kill -HUP "${server_pid[server]}"
	check "$mode: a file that is gone is said" wait_for 10 grep -q "$rules: No such file or directory; those before" "$(server_err server)"
	equal "$mode: and the rules before stay" "3 3 0 0 3 3 " "$(reached)"
	: >"$rules"
	check "$mode: an empty file is none" reload
	equal "$mode: and everybody is served" "3 3 3 3 3 3 " "$(reached)"
	server_stop server || not_ok "$mode: it stops well"
done

# ---- with --allow and --deny

printf 'allow 10.80.1.2/31\ndeny fd00:80:1::2\n' >"$rules"
server_start server -s echo --rules "$rules" --deny 10.80.1.3 --allow 10.80.1.4 --allow fd00:80:1::2
equal "rules of file and command line are one set, and for the same prefix the command line decides" \
	"3 3 0 0 3 0 " "$(reached)"
server_stop server || not_ok "it stops well"

# ---- what is refused

printf '# 1\ndeny 10.0.0.0/8\nallow 10.0.0.0/8 10.0.0.1\n' >"$rules"
server_refuses "a wrong line is a usage error" 2 "$rules:3: expected one network" server -s echo --rules "$rules"
server_refuses "no such file" 2 "$work/none: No such file" server -s echo --rules "$work/none"
server_refuses "not a file" 2 "--rules: $work: .*not a regular file" server -s echo --rules "$work"
status=0
output=$(on server "$udpxdp" serve --check -i eth0 --pin-dir "$(pin_dir server)" --control "$work/own.sock" --rules "$rules" 2>&1) || status=$?
equal "--check: the same" 2 "$status"
matches "--check: and says so" "$rules:3: expected one network" "$output"
printf 'deny 10.0.0.0/8\ndeny fd00::/8\n' >"$rules"
output=$(on server "$udpxdp" serve --check -i eth0 --pin-dir "$(pin_dir server)" --control "$work/own.sock" --rules "$rules" --deny 11.0.0.0/8 2>&1)
matches "--check: says how many there are" "^rules     2 of $rules, 1 of --allow and --deny; others are served$" "$output"

done_testing
