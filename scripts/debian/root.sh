# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# A Debian made for a test, of the release that this machine runs and from the mirror that its own
# apt uses. For scripts that have sourced tests/e2e/lib.sh.

# make_debian ROOT [PACKAGE,PACKAGE...]
make_debian() {
	local root=$1 packages=${2:-} codename repositories mirror uri suite
	command -v debootstrap >/dev/null || bail "there is debootstrap" "apt-get install debootstrap"
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# A line "URI SUITE" for each of apt's Debian repositories of this release.
	repositories=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' |
		awk -v codename="$codename" '$3 == "main" && $4 == "Packages" &&
			$2 ~ "^" codename "(-|$)" && !seen[$2]++ { print $1, $2 }')
	mirror=$(awk -v codename="$codename" '$2 == codename { print $1 }' <<<"$repositories")
	[ -n "$mirror" ] || bail "apt knows a mirror of $codename" "$(apt-get indextargets | grep -i uri)"
	require debootstrap --variant=minbase ${packages:+"--include=$packages"} "$codename" "$root" "$mirror"
	while read -r uri suite; do
		echo "deb $uri $suite main"
	done <<<"$repositories" >"$root/etc/apt/sources.list"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	require inside "$root" apt-get update -qq
}

# inside ROOT COMMAND...: runs it there, with file systems that are gone when it ends.
inside() {
	local root=$1
	shift
	unshare --mount sh -c 'mount -t proc proc "$0/proc" && mount -t sysfs sys "$0/sys" &&
		mount --bind /sys/fs/bpf "$0/sys/fs/bpf" && exec chroot "$0" "$@"' "$root" \
		env LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# the_package: the path of the one that `make deb` built.
the_package() {
	local deb
	deb=$(echo "$BUILD"/deb/udpxdp_*.deb)
	[ -f "$deb" ] && echo "$deb"
}
