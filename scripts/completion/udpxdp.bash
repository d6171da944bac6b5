# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of udpxdp for bash. Verbs, options and what an option takes come from the program's
# own --help when they are needed, so they are those of the program that is completed.

# The verbs, one a line.
_udpxdp_verbs() {
	"$1" --help 2>/dev/null | awk '/^Verbs/ { on = 1; next } on && !NF { exit } on && /^  [a-z]/ { print $1 }'
	echo help
}

# _udpxdp_options: reads --help; prints `-x`, `--name` or `-x --name`, and then the argument's name.
_udpxdp_options() {
	awk '/^Options:/ { on = 1; next } on && !NF { exit }
		on && /^ +-/ { sub(/^ +/, ""); sub(/  .*/, ""); sub(/, /, " "); print }'
}

# _udpxdp_argument OPTION: reads those; prints the name of what the option takes.
_udpxdp_argument() {
	awk -v option="$1" '{
		for (i = 1; i <= NF && $i ~ /^-/; i++) if ($i == option) found = 1
		if (found) { print $i; exit }
	}'
}

# _udpxdp_services PROGRAM
_udpxdp_services() {
	"$1" serve --help | sed -n '/^Services/,/^$/s/^  \([a-z]*\):.*/\1/p'
}

# _udpxdp_complete_argument ARGUMENT PROGRAM WORD
_udpxdp_complete_argument() {
	local words
	case $1 in
	IFACE) words=$(cd /sys/class/net && echo *) ;;
	NAME*FILE*)
		words=$(_udpxdp_services "$2")
		[[ $3 == */* ]] && mapfile -t COMPREPLY < <(compgen -f -- "$3") && return
		;;
	NAME*) words=$(_udpxdp_services "$2") ;;
	FILE* | GOLDEN) mapfile -t COMPREPLY < <(compgen -f -- "$3") && return ;;
	*'|'*) words=$(tr '|' '\n' <<<"$1" | grep -E '^[a-z]+$') ;;
	IN | OUT | PATH) mapfile -t COMPREPLY < <(compgen -f -- "$3") && return ;;
	DIR) mapfile -t COMPREPLY < <(compgen -d -- "$3") && return ;;
	USER) mapfile -t COMPREPLY < <(compgen -u -- "$3") && return ;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$3")
}

_udpxdp() {
	local program=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=serve help options argument
	COMPREPLY=()

	# `--mode=co` comes as three words.
	if [ "$word" = = ]; then
		word=
	elif [ "$before" = = ]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case ${COMP_WORDS[1]} in
	-*) ;;
	*) verb=${COMP_WORDS[1]} ;;
	esac
	if [ "$verb" = help ] || { [ "$COMP_CWORD" = 1 ] && [[ $word != -* ]]; }; then
		mapfile -t COMPREPLY < <(compgen -W "$(_udpxdp_verbs "$program")" -- "$word")
		return
	fi
	help=$("$program" "$verb" --help 2>/dev/null) || return
	options=$(_udpxdp_options <<<"$help")
	argument=$(_udpxdp_argument "$before" <<<"$options")
	if [ -n "$argument" ]; then
		_udpxdp_complete_argument "$argument" "$program" "$word"
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(grep -oE -- '(^| )--?[A-Za-z][a-z-]*' <<<"$options")" -- "$word")
	elif grep -q '^Usage:.* IFACE$' <<<"$help"; then
		_udpxdp_complete_argument IFACE "$program" "$word"
	elif grep -q '^Usage:.* HOST' <<<"$help"; then
		mapfile -t COMPREPLY < <(compgen -A hostname -- "$word")
	fi
}

complete -o filenames -F _udpxdp udpxdp
