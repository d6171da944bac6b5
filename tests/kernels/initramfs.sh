# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The file system of the guests: this machine's own programs with their libraries, the built udpxdp
# and its tests. Sourced by run.

# What the tests call beside what busybox has; of some busybox has too little.
programs="bash env ps stat timeout realpath flock grep ip bridge tc nsenter ethtool bpftool jq nc socat"

# add TARGET FILE...: into the tree below TARGET, with the libraries that they are linked with.
add() {
	local target=$tree$1 file library
	shift
	mkdir -p "$target"
	for file; do
		cp -L "$file" "$target/" || return
		for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
			[ -e "$tree$library" ] || cp -L --parents "$library" "$tree" || return
		done
	done
}

# make_initramfs FILE: with the project in /udpxdp, and in it only what the tests read.
make_initramfs() {
	local tree=$1.tree name library
	rm -rf "$tree"
	mkdir -p "$tree"/{bin,etc,proc,sys,dev,run,tmp,usr/lib/locale}
	for name in $(busybox --list); do ln -s busybox "$tree/bin/$name"; done
	rm -f "$tree/bin/busybox"
	add /bin "$(command -v busybox)" || return
	for name in $programs; do
		rm -f "$tree/bin/$name"
		add /bin "$(command -v "$name")" || return
	done
	ln -sf bash "$tree/bin/sh" # busybox's would take its own ip and nc for the real ones
	# glibc loads this one when a thread ends, and nothing names it.
	library=$(ldconfig -p | awk '$1 == "libgcc_s.so.1" && /x86-64/ { print $NF; exit }')
	cp -L --parents "$library" "$tree" || return
	cp -r /usr/lib/locale/C.utf8 "$tree/usr/lib/locale/" || return
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$tree/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"

	mkdir "$tree/udpxdp"
	cp -L --parents tests/run tests/jobs.sh tests/e2e/lib.sh scripts/netns.sh tests/kernels/{guest,serve.sh,kinds.sh} \
		tests/bpf/test_*.c "$tree/udpxdp" || return
	add /udpxdp/build "$BUILD/udpxdp" || return
	for name in tests/bpf/test_*.c; do
		add /udpxdp/build/tests/bpf "$BUILD/${name%.c}" || return
	done
	mkdir -p "$tree/udpxdp/tests/fixtures/bpf"
	printf '#!/bin/sh\necho "# skipped: no scapy in the guest to make the fixtures anew with"\nexit 77\n' \
		>"$tree/udpxdp/tests/fixtures/bpf/regen"
	chmod 755 "$tree/udpxdp/tests/fixtures/bpf/regen"
	ln -s udpxdp/tests/kernels/guest "$tree/init"
	(cd "$tree" && find . | cpio -o -H newc --quiet) >"$1" || return
	rm -rf "$tree"
}
