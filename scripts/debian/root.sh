# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# A Debian made for a test, from the mirror that this machine's own apt uses. For scripts that have
# sourced tests/e2e/lib.sh.

# shellcheck source=scripts/debian/apt.sh
. scripts/debian/apt.sh

# make_debian ROOT PACKAGE,PACKAGE... [SUITE [CACHE]]: of this machine's own release, or another;
# CACHE is an absolute path of a directory that keeps the packages.
make_debian() {
	local root=$1 packages=$2 suite=${3:-$(. /etc/os-release && echo "$VERSION_CODENAME")} found mirror uri name
	command -v debootstrap >/dev/null || bail "there is debootstrap" "apt-get install debootstrap"
	found=$(repositories "$suite")
	mirror=$(awk -v suite="$suite" '$2 == suite { print $1 }' <<<"$found")
	[ -n "$mirror" ] || bail "apt knows a mirror of $suite" "$(apt-get indextargets | grep -i uri)"
	require debootstrap --variant=minbase ${packages:+"--include=$packages"} ${4:+"--cache-dir=$4"} \
		"$suite" "$root" "$mirror"
	while read -r uri name; do
		echo "deb $uri $name main"
	done <<<"$found" >"$root/etc/apt/sources.list"
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

# as_machine ROOT CACHE COMMAND...: runs it there as on a machine that systemd has booted: the root a
# mount point, a bpf file system that only root may enter, /run a tmpfs, processes of its own, and
# nothing of the environment. apt keeps its packages in CACHE. All of it ends with the caller.
as_machine() {
	setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh -ec 'root=$1 cache=$2
		shift 2
		mount --bind "$root" "$root"
		cd "$root"
		mount -t proc proc proc
		mount -t sysfs sys sys
		mount -t bpf -o mode=700 bpf sys/fs/bpf
		mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
		mount -t tmpfs -o mode=1777 shm dev/shm
		mount -t tmpfs -o mode=755 run run
		mount --bind "$cache" var/cache/apt/archives
		exec env -i HOME=/root TERM=linux PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			chroot . "$@"' - "$@"
}

# the_package: the path of the one that `make deb` built.
the_package() {
	local deb
	deb=$(echo "$BUILD"/deb/udpxdp_*.deb)
	[ -f "$deb" ] && echo "$deb"
}
