#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --help is what the program knows of itself. The manual page, the completion and the example of a
# configuration have to say the same.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
here=$e2e/../..
export BUILD
known=$(sed -nE 's/^SERVICE\((\w+),.*/\1/p' "$here/user/services/services.def" | xargs)

mapfile -t verbs < <("$udpxdp" --help | awk '/^Verbs/ { on = 1; next } on && !NF { exit } on && /^  [a-z]/ { print $1 }')
equal "the verbs" "serve replay client broadcast chat stats bench check" "${verbs[*]}"

# options_of: prints each option that begins an entry of a text as `-x, --name`, sorted.
options_of() { grep -oE '^ {1,6}(-[A-Za-z], )?--[a-z][a-z-]*' | sed 's/^ *//' | sort; }
helped() { "$udpxdp" "$1" --help | sed '/^Options:/,/^$/!d' | options_of; }

# What the page says is compared with the tables by tests/manual; that finds each kind of thing missing.
if command -v mandoc >/dev/null; then
	equal "the manual says what the program does" "" "$("$here/tests/manual" 2>&1)"
	equal "mandoc finds nothing wrong in that of services" "" \
		"$(mandoc -T lint -W style "$here/scripts/man/udpxdp-service.3" 2>&1 |
			grep -vE ' entry, run makewhatis|referenced manual not found')"
	# spoilt NAME REGEX SED: the page, changed so.
	spoilt() {
		sed "$3" "$here/scripts/man/udpxdp.8" >"$work/udpxdp.8"
		matches "a manual $1 is found out" "$2" "$("$here/tests/manual" "$work/udpxdp.8" 2>&1)"
	}
	spoilt "without an option" "^options of serve: .*--coalesce is missing" '/^\.It Fl -coalesce/d'
	spoilt "with an option too many" "^options of stats: .*--prometheuz is not known" 's/^\.It Fl -prometheus/&\n.It Fl -prometheuz/'
	spoilt "without a service" "^services: chat \(port 8090\) is missing" 's/^\.It Cm chat Pq.*/.It Cm chatter/'
	spoilt "without an option of a service" "^options of service chat: idle is missing" '/^\.It Cm idle/d'
	spoilt "without a drop reason" "^service_counters: history_lost is missing" '/^\.It Li history_lost/d'
	spoilt "that explains one otherwise" "^service_counters: room_full is " 's/^the chat room is full/the room is full/'
	spoilt "without a verdict" "^verdicts: fragment is missing" '/^\.It Li fragment/d'
	spoilt "with another default" "^option idle of service chat: its default is 300" 's/default is 300/default is 301/'
	spoilt "without a default" "^option .*--timeout of bench: its default" 's/; the default is 500\././'
else
	skip "the manual page" "mandoc is not installed"
fi

# complete WORD...: what the completion offers for the last of them.
complete_words() {
	bash -c '. "$0" && program=$1 && shift && COMP_WORDS=(udpxdp "$@") COMP_CWORD=$# &&
		_udpxdp "$program" && printf "%s\n" "${COMPREPLY[@]}"' \
		"$here/scripts/completion/udpxdp.bash" "$udpxdp" "$@" | sort | xargs
}
check "bash reads the completion" bash -n "$here/scripts/completion/udpxdp.bash"
equal "completes verbs" "$(printf '%s\n' help "${verbs[@]}" | sort | xargs)" "$(complete_words "")"
equal "completes a verb" "serve stats" "$(complete_words s)"
for verb in "${verbs[@]}"; do
	equal "completes the options of $verb" \
		"$(helped "$verb" | tr -d , | tr ' ' '\n' | sort | xargs)" "$(complete_words "$verb" -)"
done
equal "no verb means serve" "--mode" "$(complete_words --mo)"
equal "completes a value" "adaptive block spin" "$(complete_words serve --poll "")"
equal "completes a value behind an equals sign" "copy" "$(complete_words serve --mode = c)"
equal "completes services" "$(tr ' ' '\n' <<<"$known" | sort | xargs)" "$(complete_words replay -s "")"
matches "completes interfaces" "(^| )lo( |$)" "$(complete_words -i "")"
matches "completes the interface of check" "(^| )lo( |$)" "$(complete_words check "")"
touch "$work/file-to-find"
equal "completes golden files" "$work/file-to-find" "$(complete_words replay --expect "$work/file-to")"
equal "completes services that are files" "$work/file-to-find" "$(complete_words -s "$work/file-to")"
equal "completes files" "$work/file-to-find" "$(complete_words replay -r "$work/file-to")"

equal "completes files of which there could be something else" "$work/file-to-find" \
	"$(complete_words bench --payload "$work/file-to")"

# What is offered as an example is taken, but for the interface, which is not there.
sed -n 's/^#\([a-z][a-z-]* = \)/\1/p' "$here/scripts/systemd/example.conf" >"$work/example.conf"
equal "the example shows options" yes "$([ "$(wc -l <"$work/example.conf")" -gt 10 ] && echo yes)"
output=$("$udpxdp" serve --config "$work/example.conf" --iface none0 2>&1)
equal "every line of the example is taken: status" 4 $?
matches "every line of the example is taken" "^udpxdp: interface none0: " "$output"

done_testing
