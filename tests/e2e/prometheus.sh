#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `stats --prometheus` prints, judged by Prometheus' own promtool. Where that is not installed
# it is taken out of Debian's package, which before Debian 13 is the server's, and kept beside the build.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

find_promtool() {
	local tool=$BUILD/tools/promtool package=promtool
	promtool=$(command -v promtool) && return
	promtool=$tool
	[ ! -x "$tool" ] || return 0
	mkdir -p "$BUILD/tools" "$work/fetched"
	cd "$work/fetched" || return
	[ -n "$(apt-cache madison promtool)" ] || package=prometheus
	timeout 90 apt-get download -qq $package &&
		dpkg-deb --fsys-tarfile ${package}_*.deb | tar -xO ./usr/bin/promtool >"$tool.new" &&
		chmod +x "$tool.new" && mv "$tool.new" "$tool"
	local status=$?
	cd "$OLDPWD" && rm -rf "$work/fetched" "$tool.new"
	return $status
}

require hosts server client
odd='e"t\h' # what a label has to escape
require wire "server:$odd" client:eth0
require address server "$odd" 10.83.0.1/24
require address client eth0 10.83.0.2/24
server_start server --iface "$odd" --service echo:8080 --service echo:8081 --service chat,history=off
on client "$udpxdp" bench 10.83.0.1 --count 100 --quiet >/dev/null
echo refused | on client nc -u -w1 -p 99 10.83.0.1 8080 # a source port that echo does not answer
on server "$udpxdp" stats --prometheus --iface "$odd" --pin-dir "$(pin_dir server)" >"$work/text"
equal "exit status" 0 $?
matches "datagrams of the service" \
	'^udpxdp_service_rx_datagrams_total\{iface="e\\"t\\\\h",service="echo",port="8080",worker="0"\} 101$' \
	"$(grep rx_datagrams "$work/text")"
matches "what was refused, by reason" \
	'^udpxdp_service_drops_total\{.*,service="echo",port="8080",.*reason="loop"\} 1$' "$(grep loop "$work/text")"

if find_promtool 2>"$work/fetch.log"; then
	verdict=$("$promtool" check metrics <"$work/text" 2>&1)
	equal "promtool finds nothing wrong" "0 " "$? $verdict"
	# A judge that says yes to everything is none.
	for wrong in '/^# HELP/d' 's/\\"/"/' 's/_total /_total  x/' 's/ counter$/ gauge/'; do
		sed "$wrong" "$work/text" >"$work/spoilt"
		check "promtool refuses what sed '$wrong' spoils" \
			sh -c '! "$0" check metrics <"$1"' "$promtool" "$work/spoilt"
	done
else
	skip "promtool finds nothing wrong" "promtool is not here and cannot be fetched: $(tail -n 1 "$work/fetch.log")"
fi

done_testing
