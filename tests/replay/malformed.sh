#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Replays the captures that tcpdump's source package carries, hundreds of them, most of traffic
# that somebody broke on purpose, under AddressSanitizer and UBSan: each ends with status 0 or 1
# and one line, and leaves an output only with 0. One that is refused, for its link type or because
# it holds no whole frames, is tried again as frames of Ethernet, which none may be refused as.
#
# The package comes from this machine's own Debian mirror, through an apt that lives in
# $BUILD/malformed and touches nothing else. CORPUS=DIR tries the captures in DIR instead.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath -m "${BUILD:-build}")
dir=$BUILD/malformed

skip() {
	echo "ok 1 - captures of malformed traffic # SKIP $1"
	echo 1..1
	exit 0
}

# shellcheck source=scripts/debian/apt.sh
. scripts/debian/apt.sh
apt=$dir/apt

# fetch_source SUITE: tcpdump's source package of that release, into $dir/source.
fetch_source() {
	write_sources "$1" && sed -i 's/^deb /deb-src /' "$apt/sources.list" || return
	rm -rf "$dir/source" && mkdir -p "$dir/source" && cd "$dir/source" || return
	apt_seconds=60 private_apt apt-get -qq update &&
		apt_seconds=40 private_apt apt-get -qq source --download-only tcpdump
}

fetch() {
	local suite why=
	mkdir -p "$apt"
	# Any release's will do, and not every mirror has the sources of every release.
	for suite in "$(. /etc/os-release && echo "$VERSION_CODENAME")" bookworm trixie; do
		(fetch_source "$suite") >"$dir/apt.log" 2>&1 && break
		why=${why:-$(grep -m 1 '^[EW]:' "$dir/apt.log")}
	done
	[ -n "$(find "$dir/source" -name '*.orig.tar.*' 2>/dev/null)" ] ||
		skip "apt has no source package of tcpdump: $why"
	mkdir -p "$dir/unpacked"
	tar -xf "$dir"/source/tcpdump_*.orig.tar.* -C "$dir/unpacked" --strip-components=1 --wildcards \
		'*/tests/*.pcap' '*/tests/*.pcapng' >"$dir/tar.log" 2>&1
	[ -n "$(find "$dir/unpacked" -name '*.pcap')" ] ||
		skip "tcpdump's source package has no captures"
	mv "$dir/unpacked" "$dir/captures"
}

# Chat and echo, plain and stamped, on the ports that these captures speak of.
services="echo:53,loops=allow echo:67 echo:123,stamp=off,loops=allow echo:137 echo:161,loops=allow
	echo:500,loops=allow echo:520,loops=allow echo:546 echo:646 echo:1812 echo:4500 echo:6633
	echo:8080 broadcast:68 broadcast:138 broadcast:8086 chat:69,history=off
	chat:1701,history=off chat:3784,history=off chat:5353,history=off chat:8090,history=off"

# replay CAPTURE: prints what is wrong with how it ended, or "replayed", or "refused".
replay() {
	local out err status=0 service options=()
	for service in $services; do options+=(-s "$service"); done
	out=$(mktemp -u "$work/XXXXXX") err=$(mktemp "$work/XXXXXX")
	timeout 60 "$udpxdp" replay -r "$1" -w "$out" "${options[@]}" >"$err.out" 2>"$err" || status=$?
	if grep -qE 'Sanitizer|runtime error:' "$err"; then
		echo "$1: $(grep -m 1 -E 'Sanitizer|runtime error:' "$err")"
	elif [ "$status" -gt 1 ]; then
		echo "$1: status $status: $(tail -n 1 "$err")"
	elif [ "$(wc -l <"$err")" != 1 ] || ! grep -q '^udpxdp: ' "$err"; then
		echo "$1: not one line: $(head -c 300 "$err")"
	elif [ "$status" = 0 ] && [ ! -e "$out" ]; then
		echo "$1: no output"
	elif [ "$status" = 1 ] && [ -n "$(find "$work" -name "${out##*/}*")" ]; then
		echo "$1: an output is left behind"
	elif LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$err.out"; then
		echo "$1: control characters are printed"
	elif [ "$status" = 0 ]; then
		grep -q ' udp=' "$err" && echo heard
		echo replayed
	else
		echo refused
	fi
	rm -f "$out" "$err" "$err.out"
}

# try CAPTURE: as it is, and if that is refused, as Ethernet.
try() {
	local made results
	results=$(replay "$1")
	if [ "$results" = refused ]; then
		made=$(mktemp "$work/XXXXXX.pcap")
		tests/replay/ethernet.py "$1" "$made"
		results=$(replay "$made")
		rm -f "$made"
		[ "$results" != refused ] || results="$1: refused as Ethernet too"
		echo refused
	fi
	printf '%s\n' "${results//$made/$1}"
}

captures=${CORPUS:-$dir/captures}
[ -d "$captures" ] || fetch

case $BUILD in
*/asan) asan=$BUILD ;;
*) asan=$BUILD/asan ;;
esac
udpxdp=$asan/udpxdp
if ! make --no-print-directory -j2 BUILD="$asan" SANITIZE=address,undefined program >"$dir.log" 2>&1; then
	tail -n 20 "$dir.log" | sed 's/^/# /'
	echo "not ok 1 - udpxdp builds with sanitizers"
	exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work udpxdp services
export -f replay try
find "$captures" -name '*.pcap' -o -name '*.pcapng' | sort |
	xargs -P 2 -I{} bash -c 'try "$1"' - {} >"$work/results"

count() {
	grep -c "^$1\$" "$work/results"
}
wrong=$(grep -vE '^(replayed|refused|heard)$' "$work/results" | wc -l)
name="captures of malformed traffic: $(count replayed) replayed, $(count refused) of them only as Ethernet"
name+=", $(count heard) with datagrams for services"
if [ "$wrong" = 0 ] && [ "$(count heard)" != 0 ]; then
	echo "ok 1 - $name"
else
	echo "not ok 1 - $name, $wrong wrong"
	grep -vE '^(replayed|refused|heard)$' "$work/results" | head -n 40 | sed 's/^/# /'
fi
echo 1..1
[ "$wrong" = 0 ] && [ "$(count heard)" != 0 ]
