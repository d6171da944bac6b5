# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Hosts made of network namespaces, and wires between them. Sourced by the laboratory and by the
# end-to-end tests. $NETNS is the prefix of every name; nothing else on the machine is touched.

PATH=$PATH:/usr/sbin:/sbin # of ip and sysctl: root by plain su has a user's

netns_path() {
	echo "/run/netns/$NETNS-$1"
}

# hosts NAME...: new hosts, with their loopback up, whose addresses are usable at once.
hosts() {
	local name
	for name; do
		ip netns add "$NETNS-$name" || return
		on "$name" ip link set lo up || return
		# IPv4's settings begin as this machine's own.
		on "$name" sysctl -qw net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 net.ipv4.ip_forward=0 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 || return
	done
}

# on HOST COMMAND...: runs it there. (`ip netns exec` would hide the bpf file system, and it and
# `ip -n` cannot work in a chroot that is not a mount point.)
on() {
	local host=$1
	shift
	nsenter --net="$(netns_path "$host")" -- "$@"
}

# wire HOST:IFACE HOST:IFACE [rx=N] [tx=N] [mtu=N]: a cable, both ends up. rx and tx are the
# numbers of queues of the first end, and the other way round of the second.
wire() {
	local a=${1%%:*} a_iface=${1#*:} b=${2%%:*} b_iface=${2#*:} rx=1 tx=1 mtu=1500 setting end
	shift 2
	for setting; do
		case $setting in
		rx=*) rx=${setting#*=} ;;
		tx=*) tx=${setting#*=} ;;
		mtu=*) mtu=${setting#*=} ;;
		*) echo "wire: unexpected setting '$setting'" >&2; return 2 ;;
		esac
	done
	on "$a" ip link add "$a_iface" mtu "$mtu" numrxqueues "$rx" numtxqueues "$tx" \
		type veth peer name "$b_iface" mtu "$mtu" numrxqueues "$tx" numtxqueues "$rx" \
		netns "$NETNS-$b" || return
	for end in "$a $a_iface" "$b $b_iface"; do
		on "${end% *}" ip link set "${end#* }" up || return
	done
}

# address HOST IFACE CIDR...: adds addresses, usable at once.
address() {
	local host=$1 iface=$2 cidr
	shift 2
	for cidr; do
		case $cidr in
		*:*) on "$host" ip address add "$cidr" dev "$iface" nodad || return ;;
		*) on "$host" ip address add "$cidr" brd + dev "$iface" || return ;;
		esac
	done
}

# segment NET SWITCH HOST...: a new switch and hosts plugged into it with eth0. The Nth host has
# 10.80.NET.N/24 and fd00:80:NET::N/64.
segment() {
	local net=$1 switch=$2 host port=0
	shift 2
	hosts "$switch" || return
	on "$switch" ip link add br0 type bridge mcast_snooping 0 forward_delay 0 || return
	on "$switch" ip link set br0 up || return
	for host; do
		port=$((port + 1))
		wire "$host:eth0" "$switch:port$port" || return
		on "$switch" ip link set "port$port" master br0 || return
		address "$host" eth0 "10.80.$net.$port/24" "fd00:80:$net::$port/64" || return
	done
}

# routes HOST: makes it a router.
routes() {
	on "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

# Removes every host of this prefix, and so every wire.
no_hosts() {
	local path
	for path in /run/netns/"$NETNS"-*; do
		[ -e "$path" ] || continue
		ip netns del "${path##*/}"
	done
}

# The counters are pinned in the bpf file system.
mount_bpffs() {
	local mounted='[ "$(stat -f -c %T /sys/fs/bpf 2>/dev/null)" = bpf_fs ]'
	flock /sys sh -c "$mounted || mount -t bpf bpf /sys/fs/bpf" # once, whoever else is at it
}
