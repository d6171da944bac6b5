#!/bin/bash
# SPDX-License-Identifier: MIT
#
# How the program was built: what makes a mistake in it harder to use.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if grep -qa -e __asan_init -e __tsan_init "$udpxdp"; then
	echo "1..0 # SKIP a sanitizer build is not hardened"
	planned=yes
	exit 0
fi

file=$(readelf -W -h "$udpxdp" | grep -E '^ *Type:')
segments=$(readelf -W -l "$udpxdp" | grep -E '^ *[A-Z_]+ +0x')
dynamic=$(readelf -W -d "$udpxdp" | grep -E '\((FLAGS|FLAGS_1|BIND_NOW|RPATH|RUNPATH)\)')
symbols=$(readelf -W --dyn-syms "$udpxdp" | grep -E '_chk')

matches "it is a position-independent executable" '^ *Type: +DYN ' "$file"
matches "what the linker wrote is read-only afterwards" '^ *GNU_RELRO ' "$segments"
matches "all of it, as everything is bound at the start" '\((FLAGS|FLAGS_1|BIND_NOW)\).*\b(BIND_)?NOW\b' "$dynamic"
matches "the stack is not executable" '^ *GNU_STACK +(0x[0-9a-f]+ +){5}RW +' "$segments"
equal "no part is writable and executable" "" "$(grep -E '^ *LOAD .* RWE ' <<<"$segments")"
matches "stacks have canaries" '__stack_chk_fail' "$symbols"
matches "libc checks the sizes it is given" '__(sn|vsn|f|vf)?printf_chk|__(mem|str)[a-z]+_chk' "$symbols"
equal "no path to libraries of its own" "" "$(grep -E '\((RPATH|RUNPATH)\)' <<<"$dynamic")"

# Every object of ours, not just some: a function with a buffer of its own has a canary.
canaries() { nm "$BUILD/obj/$1" | grep -c __stack_chk_fail; }
for object in user/server/control.o user/xdp/xsk_sockets.o user/privsep/trusted_path.o user/netlink/route.o; do
	equal "$object was built with canaries" 1 "$(canaries $object)"
done

done_testing
