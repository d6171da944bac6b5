#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What `make install` and `make deb` put where, what systemd thinks of the service, what lintian
# thinks of the package. scripts/deb-test installs it in a fresh system; that takes minutes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$e2e/../.." || exit 1
unit=scripts/systemd/udpxdp@.service

# Not with the flags of the make that runs the tests.
plain_make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory "$@"; }

# ---- make install -------------------------------------------------------------------------

root=$work/root
check "make install" plain_make BUILD="$BUILD" DESTDIR="$root" PREFIX=/opt/udpxdp install
equal "what it installs" "$(sort <<END
./opt/udpxdp/include/udpxdp/datagram.h
./opt/udpxdp/include/udpxdp/host.h
./opt/udpxdp/include/udpxdp/room.h
./opt/udpxdp/include/udpxdp/service.h
./opt/udpxdp/include/udpxdp/types.h
./opt/udpxdp/lib/systemd/system/udpxdp@.service
./opt/udpxdp/sbin/udpxdp
./opt/udpxdp/share/bash-completion/completions/udpxdp
./opt/udpxdp/share/doc/udpxdp/LICENSE
./opt/udpxdp/share/doc/udpxdp/README.md
./opt/udpxdp/share/doc/udpxdp/examples/service/Makefile
./opt/udpxdp/share/doc/udpxdp/examples/service/golden.pcap
./opt/udpxdp/share/doc/udpxdp/examples/service/in.pcap
./opt/udpxdp/share/doc/udpxdp/examples/service/upper.c
./opt/udpxdp/share/doc/udpxdp/examples/udpxdp.conf
./opt/udpxdp/share/man/man3/udpxdp-service.3
./opt/udpxdp/share/man/man8/udpxdp.8
./opt/udpxdp/share/pkgconfig/udpxdp.pc
END
)" "$(cd "$root" && find . -type f | sort)"
check "only the program is executable" test \
	"$(cd "$root" && find . -type f -executable)" = ./opt/udpxdp/sbin/udpxdp
check "what was installed runs" "$root/opt/udpxdp/sbin/udpxdp" --version
equal "the service starts what was installed" /opt/udpxdp/sbin/udpxdp \
	"$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$root/opt/udpxdp/lib/systemd/system/udpxdp@.service")"

# ---- the service --------------------------------------------------------------------------

if command -v systemd-analyze >/dev/null; then
	# systemd-analyze wants the program to be there, and mandoc's man fails without its database.
	sed "s|^ExecStart=[^ ]*|ExecStart=$udpxdp|; /^Documentation/d" "$unit" >"$work/udpxdp@.service"
	equal "systemd finds nothing wrong in the service" "0 " \
		"$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify "$work/udpxdp@.service" 2>&1 |
			grep udpxdp; echo "${PIPESTATUS[0]} ")"
	check "its exposure is at most 2.5" \
		systemd-analyze security --offline=true --threshold=25 --no-pager "$unit"
else
	skip "systemd finds nothing wrong in the service" "systemd-analyze is not installed"
	skip "its exposure is at most 2.5" "systemd-analyze is not installed"
fi

# ---- make deb -----------------------------------------------------------------------------

if ! command -v dpkg-shlibdeps >/dev/null; then
	skip "make deb" "dpkg-dev is not installed"
	done_testing
fi
version=$("$udpxdp" --version | cut -d' ' -f2)
check "make deb" plain_make BUILD="$work/build" deb
deb=$(echo "$work"/build/deb/udpxdp_*.deb) dev=$(echo "$work"/build/deb/udpxdp-dev_*.deb)
field() { dpkg-deb --field "$deb" "$1"; }
equal "its name" "udpxdp_${version}_$(dpkg --print-architecture).deb" "${deb##*/}"
equal "the package for services of one's own" "udpxdp-dev_${version}_all.deb" "${dev##*/}"
equal "has headers, an example, pkg-config's file, a manual page" "$(printf '%s\n' ./usr/include/udpxdp/service.h \
	./usr/share/doc/udpxdp-dev/example/upper.c ./usr/share/man/man3/udpxdp-service.3.gz \
	./usr/share/pkgconfig/udpxdp.pc)" \
	"$(dpkg-deb -c "$dev" | awk '{ print $6 }' | grep -E '/(service\.h|upper\.c|.*\.gz|udpxdp\.pc)$' | grep -v changelog | sort)"
equal "its version" "$version" "$(field Version)"
for library in bpf xdp pcap mnl jansson seccomp cap-ng systemd edit utf8proc; do
	field Depends | grep -qE "(^|, )lib${library}[0-9.]+(t64)?( |,|\$)" || echo "lib$library"
done >"$work/missing"
equal "it depends on every library" "" "$(cat "$work/missing")"
dpkg-deb -x "$deb" "$work/deb"
equal "its program" "udpxdp $version" "$("$work/deb/usr/sbin/udpxdp" --version)"
equal "its service starts its program" /usr/sbin/udpxdp \
	"$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$work/deb/usr/lib/systemd/system/udpxdp@.service")"
equal "all is root's" root/root "$(dpkg-deb -c "$deb" | awk '{ print $2 }' | sort -u)"
check "its checksums are right" sh -c 'cd "$1/deb" && dpkg-deb --ctrl-tarfile "$2" |
	tar -xO ./md5sums | md5sum --check --quiet' - "$work" "$deb"
equal "it names no directory of the one who built it" "" \
	"$(strings "$work/deb/usr/sbin/udpxdp" | grep -F "$PWD")"
if command -v lintian >/dev/null; then
	check "lintian finds no error" lintian --allow-root --fail-on error "$deb" "$dev"
else
	skip "lintian finds no error" "lintian is not installed"
fi

done_testing
