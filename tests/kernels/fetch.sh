# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Debian's kernels of several releases, kept in $kernels. Sourced by run.
: "${kernels:?}"
apt=$kernels/apt
# shellcheck source=scripts/debian/apt.sh
. scripts/debian/apt.sh

# Their modules: what the guest's own interfaces need, and the kinds that kinds.sh makes.
modules="virtio_pci virtio_net veth bonding 8021q macvlan ipvlan vrf bridge dummy sch_netem"
suites="bullseye bookworm trixie trixie-backports sid experimental"

# list_releases: makes $kernels/releases, once a day: what `uname -r` says of every kernel to be had.
# What a suite is left out for, a missing key or signature not least, is said.
list_releases() {
	[ -z "$(find "$kernels/releases" -mmin -1440 2>/dev/null)" ] || return 0
	note "reading what kernels there are"
	# shellcheck disable=SC2086 # one a word
	write_sources $suites || note "apt knows no mirror of this Debian"
	private_apt apt-get update -q >"$apt/log" 2>&1
	grep '^[WE]:' "$apt/log" | while IFS= read -r line; do note "  $line"; done
	# Three numbers: a package of fewer is another's second name, or a release candidate.
	private_apt apt-cache pkgnames linux-image- |
		sed -nE 's/^linux-image-([0-9]+\.[0-9]+\.[0-9]+.*-cloud-amd64)$/\1/p' | sort -V >"$kernels/releases.new"
	if [ -s "$kernels/releases.new" ]; then
		mv "$kernels/releases.new" "$kernels/releases"
	else
		note "none: what was fetched before has to do"
	fi
}

# newest_of VERSION: the last release of 6.12, say, or of all when VERSION is "newest"; where apt has
# none, the last that was fetched before; or nothing.
newest_of() {
	local prefix=${1/newest/} found
	prefix=${prefix:+${prefix//./\\.}\\.}
	found=$(grep -sE "^$prefix" "$kernels/releases" | tail -n 1)
	[ -n "$found" ] || found=$(find "$kernels" -mindepth 2 -maxdepth 2 -name vmlinuz -printf '%h\n' |
		sed 's|.*/||' | sort -V | grep -E "^$prefix" | tail -n 1)
	echo "$found"
}

# fetch_kernel RELEASE: vmlinuz and modules.cpio in $kernels/RELEASE.
fetch_kernel() {
	local release=$1 new=$kernels/$1.new package
	[ "$(cat "$kernels/$release/modules" 2>/dev/null)" != "$modules" ] || return 0
	note "fetching Linux $release"
	rm -rf "$new"
	mkdir -p "$new/root"
	# Newer releases are made of several packages.
	for package in image base binary modules; do
		[ -n "$(private_apt apt-cache show "linux-$package-$release" 2>/dev/null)" ] || continue
		(cd "$new" && private_apt apt-get download -q "linux-$package-$release") >>"$apt/log" 2>&1 || return
	done
	for package in "$new"/*.deb; do
		dpkg-deb -x "$package" "$new/root" || return
	done
	find "$new/root" -name 'vmlinuz*' -exec cp {} "$new/vmlinuz" \;
	[ -s "$new/vmlinuz" ] || return
	pack_modules "$release" "$new" || return
	echo "$modules" >"$new/modules"
	rm -rf "$new/root" "$new"/*.deb "${kernels:?}/$release"
	mv "$new" "$kernels/$release"
}

# pack_modules RELEASE DIR: those that the guest needs, uncompressed and in the order to load them.
pack_modules() {
	local release=$1 dir=$2 kind path number=10
	[ -e "$dir/root/lib" ] || ln -s usr/lib "$dir/root/lib"
	depmod -b "$dir/root" "$release" || return
	mkdir -p "$dir/modules.tree/modules"
	while read -r kind path _; do # its options are this machine's
		[ "$kind" = insmod ] || continue # else it is built in
		number=$((number + 1))
		case $path in
		*.xz) xz -dc "$path" ;;
		*.zst) zstd -dcq "$path" ;;
		*) cat "$path" ;;
		esac >"$dir/modules.tree/modules/$number-$(basename "${path%%.ko*}").ko" || return
	done < <(for name in $modules; do
		modprobe -d "$dir/root" -S "$release" --show-depends "$name" 2>/dev/null
	done | awk '!seen[$0]++')
	(cd "$dir/modules.tree" && find . | cpio -o -H newc --quiet) >"$dir/modules.cpio"
	rm -r "$dir/modules.tree"
}
