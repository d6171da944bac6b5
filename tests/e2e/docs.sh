#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --help is what the program knows of itself. The manual page and the completion have to say the
# same: every verb, every option and what it takes, every service option, every counter.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
here=$e2e/../..
page=$here/scripts/man/udpxdp.8

mapfile -t verbs < <("$udpxdp" --help | awk '/^Verbs/ { on = 1; next } on && !NF { exit } on && /^  [a-z]/ { print $1 }')
equal "the verbs" "serve replay client broadcast chat stats bench check" "${verbs[*]}"

# options_of: reads a text that lists options; prints each as `-x, --name`, sorted.
options_of() { grep -oE '^ +(-[A-Za-z], )?--[a-z][a-z-]*' | sed 's/^ *//' | sort; }
helped() { "$udpxdp" "$1" --help | sed '/^Options:/,/^$/!d' | options_of; }

if command -v mandoc >/dev/null; then
	manual=$(mandoc -T utf8 "$page" 2>/dev/null | sed 's/.\x08//g')
	# section NAME: from its heading to the next of the same or a higher rank.
	section() {
		awk -v name="$1" '{ rank = match($0, /[^ ]/) } rank == 0 { rank = 99 }
			on && rank <= level { exit }
			on { print }
			!on && $0 ~ "^ *" name "$" { on = 1; level = rank }' <<<"$manual"
	}
	lint=$(mandoc -T lint -W style "$page" 2>&1 |
		grep -vE ' entry, run makewhatis|referenced manual not found')
	equal "mandoc finds nothing wrong" "" "$lint"
	common=$'-V, --version\n-h, --help'
	equal "the manual says what every verb takes" "$common" \
		"$(section DESCRIPTION | sed '/udpxdp serve$/,$d' | options_of)"
	for verb in "${verbs[@]}"; do
		equal "the manual has the options of $verb, and no others" "$(helped "$verb")" \
			"$({ section "udpxdp $verb" | options_of; echo "$common"; } | sort)"
		matches "the synopsis has $verb" "udpxdp \[?$verb\b" "$(section SYNOPSIS)"
	done

	# "  echo:8080", and under it "      stamp=on  ...", a line each.
	services=$("$udpxdp" serve --help | sed '/^Services/,/^$/!d')
	equal "there are services" "echo broadcast chat" "$(grep -oP '^  \K[a-z]+' <<<"$services" | xargs)"
	equal "the manual has the options of every service, and no others" \
		"$(awk '/^  [a-z]/ { name = substr($1, 1, index($1, ":") - 1) }
			/^      [a-z]+=/ { sub(/=.*/, "="); print name, $1 }' <<<"$services" | sort)" \
		"$(section SERVICES | awk '/^ +[a-z]+ \(port/ { name = $1 }
			/^ +[a-z]+=/ { sub(/=.*/, "="); print name, $1 }' | sort)"

	for name in $(grep -oP '^\tX\((FRAME_[A-Z0-9_]+, )?\K[a-z_0-9]+' "$here/include/udpxdp/abi.h"); do
		grep -qE "^ +$name( |\$)" <<<"$(section COUNTERS)" || echo "$name"
	done >"$work/missing"
	equal "the manual has every counter" "" "$(cat "$work/missing")"
	equal "the manual has every exit status" "0 1 2 3 4 5" \
		"$(section "EXIT STATUS" | grep -oE '^ {5}[0-9]' | xargs)"
	matches "the manual has the signals" "SIGINT, SIGTERM.*SIGHUP" "$(section SIGNALS | tr '\n' ' ')"
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
equal "completes services" "broadcast chat echo" "$(complete_words replay -s "")"
matches "completes interfaces" "(^| )lo( |$)" "$(complete_words -i "")"
touch "$work/file-to-find"
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
