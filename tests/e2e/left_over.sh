#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What XDP leaves over, frame by frame: IPv6 extension headers and fragments as no socket sends them,
# RX queues without an AF_XDP socket, answers for narrower paths, ports that others hold.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

v4=10.88.1.1 v6=fd00:88:1::1
require hosts server client router far
require wire server:eth0 client:eth0 rx=4
require wire server:eth1 router:eth0
require wire router:eth1 far:eth0 mtu=1280
require address server eth0 $v4/24 $v6/64
require address client eth0 10.88.1.2/24 fd00:88:1::2/64
require address server eth1 10.88.2.1/24 fd00:88:2::1/64
require address router eth0 10.88.2.2/24 fd00:88:2::2/64
require address router eth1 10.88.3.2/24 fd00:88:3::2/64
require address far eth0 10.88.3.1/24 fd00:88:3::1/64
require routes router
for net in "default via 10.88.3.2" "default via fd00:88:3::2"; do
	# shellcheck disable=SC2086
	require on far ip route add $net
done
require on server ip route add 10.88.3.0/24 via 10.88.2.2
require on server ip route add fd00:88:3::/64 via fd00:88:2::2

exchange() { on "$1" "$e2e/udp.py" exchange "$2" 8080 --count 40 --flows 4 --window 4 "${@:3}"; }
by_sockets() {
	pinned server service_counters | jq '[.[].value | select(.worker == 65534 and .service == "echo") | .rx] | add // 0'
}

# ---- queues without an AF_XDP socket: a veth with four to receive on, one to send on

for mode in copy skb; do
	server_start server -m $mode -Q -s echo
	equal "4 RX and 1 TX queues, $mode" 1 "$(ready_value server queues)"
	check "64 sources are answered, $mode" exchange client $v4 --count 64 --flows 64
	check "and over IPv6, $mode" exchange client $v6 --count 64 --flows 64
	equal "by sockets, what came on other queues, $mode" "$(verdict server FRAME_NO_SOCKET)" "$(by_sockets)"
	check "which is some of it, $mode" test "$(by_sockets)" -gt 0 -a "$(by_sockets)" -lt 128
	server_stop server || not_ok "it ends well, $mode"
done

# ---- frames

cat >"$work/frames.py" <<'END'
import select, sys, time
from scapy.all import *
conf.verb = 0
mac, ip6 = sys.argv[1], IPv6(src="fd00:88:1::2", dst="fd00:88:1::1")
ip4 = IP(src="10.88.1.2", dst="10.88.1.1", id=77)


def udp(text, port=4444):
    return UDP(sport=port, dport=8080) / Raw(text)


def fragments(*order, size=3000, step=1480):
    whole = fragment(ip4.copy() / udp("f" * size), fragsize=step)
    return [whole[i] for i in order] if order else whole


cases = {
    "hop-by-hop options": [ip6 / IPv6ExtHdrHopByHop() / udp("a")],
    "destination options": [ip6 / IPv6ExtHdrDestOpt() / udp("a")],
    "both": [ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / udp("a")],
    "a routing header that has done": [ip6 / IPv6ExtHdrRouting(segleft=0) / udp("a")],
    "a fragment that is all": [ip6 / IPv6ExtHdrFragment(m=0, offset=0, id=5) / udp("a")],
    "fragments in reverse": fragments(2, 1, 0),
    "fragments of eight bytes": fragments(size=60, step=8),
    "a fragment twice": fragments(0, 0, 1, 2),
}
sock = conf.L2socket(iface="eth0", filter="udp and src port 8080")
for name, packets in cases.items():
    for packet in packets:
        sendp(Ether(dst=mac) / packet, iface="eth0")
    # Behind it, what must be answered, too: by then the other answer has come.
    ends, seen = time.time() + 5, []
    while time.time() < ends and not (seen and seen[-1] == 4445):
        if seen == [4444]:
            sendp(Ether(dst=mac) / ip4 / udp("after", 4445), iface="eth0")
        packet = sock.recv() if select.select([sock], [], [], 0.2)[0] else None
        if packet and UDP in packet:
            seen.append(packet[UDP].dport)
    print("ok" if seen.count(4444) == 1 and seen[-1] == 4445 else "not ok", name, seen, flush=True)
END
for way in "-i eth0" "-m sockets -i eth0"; do
	# shellcheck disable=SC2086
	server_start server $way -s echo
	on client /usr/bin/python3 "$work/frames.py" "$(mac_of server)" >"$work/frames.out" 2>&1
	equal "each is answered once, $way" 8 "$(grep -c '^ok' "$work/frames.out")"
	[ "$(grep -c '^ok' "$work/frames.out")" = 8 ] || note "$(cat "$work/frames.out")"
	server_stop server || not_ok "it ends well, $way"
done

# ---- a path that is narrower than the link

for way in "-i eth1" "-m sockets -i eth1"; do
	# shellcheck disable=SC2086
	server_start server $way -s echo
	check "IPv4: what a router has to fragment is answered at once, $way" exchange far 10.88.2.1 --size 1215,1400,3000
	# The first that is too large tells the kernel about the path.
	on far "$e2e/udp.py" exchange fd00:88:2::1 8080 --size 1215 --timeout 0.3 >/dev/null
	check "IPv6: over 1,280 bytes to a peer off the link, $way" exchange far fd00:88:2::1 --size 1215,1201,1202,3000
	server_stop server || not_ok "it ends well, $way"
done

# ---- ports that others hold

# holds ADDR [IFACE]: as $pid
holds() {
	rm -f "$work/holder.log"
	spawn "$work/holder.log" server python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
if ":" in sys.argv[1]: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
if sys.argv[2:]: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[2].encode())
s.bind((sys.argv[1], 8080))
print("holds", flush=True)
time.sleep(100)' "$@"
	require wait_for 5 grep -q holds "$work/holder.log"
}
for holder in "::" "10.88.2.1" "127.0.0.1 lo" "0.0.0.0 eth1"; do
	# shellcheck disable=SC2086
	holds $holder
	server_start server -i eth0 -i eth1 -q 0 -s echo -s echo:9000,stamp=off
	equal "a port held at $holder is said in one line" 1 "$(grep -c '8080.*another program' "$(server_err server)")"
	check "the other port has its sockets" on server "$e2e/udp.py" exchange 127.0.0.1 9000 --stamp off --count 10
	check "XDP serves it" exchange router 10.88.2.1
	server_stop server || not_ok "it ends well"
	kill "$pid"
	finish "$pid" 5 2>/dev/null
done
holds 0.0.0.0 eth1
server_start server -i eth0 -s echo
equal "a port held on an interface that is not served is none of ours" 0 "$(grep -c 'another program' "$(server_err server)")"
check "it has its sockets" exchange server 127.0.0.1
server_stop server || not_ok "it ends well"

done_testing
