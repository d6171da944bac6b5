#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Frames that no socket would send, put on a wire by AF_PACKET, and what comes back judged by
scapy: frames.py IFACE SERVER_MAC SERVER_IPV4 SERVER_IPV6 PORT [VLANS]

VLANS ("" for none, 7,8): other frames, which tell by which MAC addresses and from which VLANs a
server takes them.

Prints a line for each case: `pass NAME` or `fail NAME: WHY`. The peer is a made-up neighbour
(10.80.9.77, fd00:80:9::77), so that the kernel of this host takes no part.
"""
import logging
import select
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    Dot1AD, Dot1Q, Ether, IP, IPOption_NOP, IPOption_RR, IPv6, Padding, Raw, UDP, conf)

IFACE, MAC, IPV4, IPV6 = sys.argv[1:5]
PORT = int(sys.argv[5])
PEER_MAC, PEER4, PEER6 = "02:00:00:00:00:77", "10.80.9.77", "fd00:80:9::77"

ip4 = IP(src=PEER4, dst=IPV4)
ip6 = IPv6(src=PEER6, dst=IPV6)
options = IP(src=PEER4, dst=IPV4, options=[IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"] * 3)])
ether = Ether(src=PEER_MAC, dst=MAC)


def udp(**fields):
    return UDP(dport=PORT, **fields)


def from4(address, payload=b"hello"):
    return ether / IP(src=address, dst=IPV4) / udp() / Raw(payload)


def folds_to_zero():
    """A datagram whose checksum is computed as zero, and so sent as all ones."""
    whole = ether / ip4 / udp(sport=40999) / Raw(bytes(2))
    rest = Ether(bytes(whole))[UDP].chksum
    return ether / ip4 / udp(sport=40999) / Raw(rest.to_bytes(2, "big"))


# name: (frame, is it answered); the source port is chosen later where scapy's default stands
CASES = {
    "ipv4": (ether / ip4 / udp() / Raw(b"hello"), True),
    "ipv6": (ether / ip6 / udp() / Raw(b"hello"), True),
    "802.1Q": (ether / Dot1Q(vlan=7, prio=3) / ip4 / udp() / Raw(b"one tag"), True),
    "802.1Q, priority only": (ether / Dot1Q(vlan=0, prio=5) / ip4 / udp() / Raw(b"vid 0"), True),
    "802.1ad": (ether / Dot1AD(vlan=9) / ip4 / udp() / Raw(b"service tag"), True),
    "QinQ": (ether / Dot1AD(vlan=9) / Dot1Q(vlan=7) / ip4 / udp() / Raw(b"two tags"), True),
    "802.1Q twice": (ether / Dot1Q(vlan=4095) / Dot1Q(vlan=1, id=1) / ip4 / udp() / Raw(b"x"), True),
    "ipv6 in 802.1Q": (ether / Dot1Q(vlan=7) / ip6 / udp() / Raw(b"tagged"), True),
    "ipv6 in QinQ": (ether / Dot1AD(vlan=9) / Dot1Q(vlan=7) / ip6 / udp() / Raw(b"tagged"), True),
    "ipv4 options": (ether / options / udp() / Raw(b"record route"), True),
    "ipv4 options in QinQ": (ether / Dot1AD(vlan=9) / Dot1Q(vlan=7) / options / udp() / Raw(b"rr"), True),
    "empty payload": (ether / ip4 / udp(), True),
    "empty payload, ipv6": (ether / ip6 / udp(), True),
    "one byte": (ether / ip4 / udp() / Raw(b"1"), True),
    "ethernet padding": (ether / ip4 / udp() / Raw(b"pad") / Padding(bytes(15)), True),
    "no udp checksum": (ether / ip4 / udp(chksum=0) / Raw(b"unprotected"), True),
    "checksum that folds to zero": (folds_to_zero(), True),
    "time to live 1": (ether / IP(src=PEER4, dst=IPV4, ttl=1) / udp() / Raw(b"near"), True),
    "three tags": (ether / Dot1AD(vlan=9) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ip4 / udp() / Raw(b"3"), False),
    "no udp checksum, ipv6": (ether / ip6 / udp(chksum=0) / Raw(b"unprotected"), False),
    "wrong udp checksum": (ether / ip4 / udp(chksum=0x1234) / Raw(b"damaged"), False),
    "wrong udp checksum, ipv6": (ether / ip6 / udp(chksum=0x1234) / Raw(b"damaged"), False),
    "wrong ip checksum": (ether / IP(src=PEER4, dst=IPV4, chksum=0x1234) / udp() / Raw(b"x"), False),
    "source is multicast": (from4("224.0.0.9"), False),
    "source is broadcast": (from4("255.255.255.255"), False),
    "source is the subnet's broadcast": (from4("10.80.9.255"), False),
    "source is unspecified": (from4("0.0.0.0"), False),
    "source is loopback": (from4("127.0.0.1"), False),
    "source is the server": (from4(IPV4), False),
    "source port 0": (ether / ip4 / udp(sport=0) / Raw(b"zero"), False),
    "source port below 1024": (ether / ip4 / udp(sport=19) / Raw(b"chargen"), False),
    "source port served": (ether / ip4 / udp(sport=PORT) / Raw(b"echo"), False),
    "a stamp already": (ether / ip4 / udp() / Raw("【Mon Nov 23 02:00:00 2026】 hi".encode()), False),
    "udp length too long": (ether / ip4 / udp(len=200) / Raw(b"short"), False),
    "ip length too long": (ether / IP(src=PEER4, dst=IPV4, len=900) / udp() / Raw(b"short"), False),
    "a fragment": (ether / IP(src=PEER4, dst=IPV4, flags="MF") / udp() / Raw(b"f" * 16), False),
    "not our address": (ether / IP(src=PEER4, dst="10.80.9.200") / udp() / Raw(b"transit"), False),
    "not our address, ipv6": (ether / IPv6(src=PEER6, dst="fd00:80:9::200") / udp() / Raw(b"x"), False),
    "broadcast to echo": (Ether(src=PEER_MAC, dst="ff:ff:ff:ff:ff:ff") /
                          IP(src=PEER4, dst="255.255.255.255") / udp() / Raw(b"all"), False),
}

OURS = [int(vlan) for vlan in sys.argv[6].split(",") if vlan] if len(sys.argv) > 6 else []


def to(mac, ip=ip4):
    return Ether(src=PEER_MAC, dst=mac) / ip / udp() / Raw(b"whose?")


def tagged(*vids, ip=ip4, tag=Dot1Q):
    frame = ether
    for vid in vids[:-1]:
        frame = frame / Dot1Q(vlan=vid)
    return frame / tag(vlan=vids[-1], prio=3) / ip / udp() / Raw(b"tagged")


LINKS = {
    "untagged": (ether / ip4 / udp() / Raw(b"hello"), True),
    "untagged, ipv6": (ether / ip6 / udp() / Raw(b"hello"), True),
    "priority tag": (tagged(0), True),
    "priority tag, 802.1ad": (tagged(0, tag=Dot1AD), True),
    "two priority tags": (tagged(0, 0), True),
    **{f"VLAN {vid}": (tagged(vid), vid in OURS) for vid in (1, 7, 8, 4094)},
    "VLAN 7, ipv6": (tagged(7, ip=ip6), 7 in OURS),
    "VLAN 7, 802.1ad": (tagged(7, tag=Dot1AD), 7 in OURS),
    "VLAN 7 behind a priority tag": (tagged(0, 7), 7 in OURS),
    "VLAN 7 in VLAN 8": (tagged(8, 7), 0x80007 in OURS),
    "another host's MAC": (to("02:00:00:00:00:66"), False),
    "another host's MAC, ipv6": (to("02:00:00:00:00:66", ip6), False),
    "a MAC that differs in its first byte": (to("0a" + MAC[2:]), False),
    "a MAC that differs in its last byte": (to(MAC[:-2] + "%02x" % (int(MAC[-2:], 16) ^ 1)), False),
    "no MAC": (to("00:00:00:00:00:00"), False),
    "unicast by the broadcast MAC": (to("ff:ff:ff:ff:ff:ff"), False),
    "unicast by a multicast MAC": (to("01:00:5e:00:00:01"), False),
    "unicast by a multicast MAC, ipv6": (to("33:33:00:00:00:01", ip6), False),
    "another host's MAC, priority tag": (
        Ether(src=PEER_MAC, dst="02:00:00:00:00:66") / Dot1Q(vlan=0) / ip4 / udp() / Raw(b"x"), False),
    "a datagram shorter than its packet": (
        ether / ip4 / udp(sport=41000, len=13) / Raw(b"hello and more"), True),
    "more than 576 bytes": (ether / ip4 / udp() / Raw(bytes(700)), True),
}


def tags(packet):
    found = []
    layer = packet
    while True:
        layer = layer.payload
        if not isinstance(layer, (Dot1Q, Dot1AD)):
            return found
        found.append((type(layer).__name__, layer.prio, layer.id, layer.vlan))


def rebuilt(packet):
    """The same frame with every checksum and length computed by scapy."""
    copy = Ether(bytes(packet))
    for layer, fields in ((IP, ("len", "chksum", "ihl")), (IPv6, ("plen",)), (UDP, ("len", "chksum"))):
        if layer in copy:
            for field in fields:
                delattr(copy[layer], field)
    return bytes(copy)


def check_answer(request, answer, when):
    """What is wrong with an answer; None when nothing is."""
    version = IP if IP in request else IPv6
    payload = bytes(request[UDP].payload)[:request[UDP].len - 8]
    said = bytes(answer[UDP].payload)
    if (answer.src, answer.dst) != (request.dst, request.src):
        return "MAC addresses %s > %s" % (answer.src, answer.dst)
    if tags(answer) != tags(request):
        return "tags %s" % tags(answer)
    if version not in answer:
        return "another version of IP"
    if (answer[version].src, answer[version].dst) != (request[version].dst, request[version].src):
        return "addresses %s > %s" % (answer[version].src, answer[version].dst)
    if version is IP and answer[IP].ttl != 64:
        return "TTL %d" % answer[IP].ttl
    if version is IP and (answer[IP].flags == "DF") == (answer[IP].len > 576):
        return "%d bytes, flags %s" % (answer[IP].len, answer[IP].flags)
    if version is IPv6 and answer[IPv6].hlim != 64:
        return "hop limit %d" % answer[IPv6].hlim
    if bytes(answer) != rebuilt(answer):
        return "lengths or checksums: %s, not %s" % (bytes(answer).hex(), rebuilt(answer).hex())
    if answer[UDP].chksum == 0:
        return "no UDP checksum"
    stamps = ["【{}】 ".format(time.ctime(when + second)).encode() for second in (-1, 0, 1, 2)]
    if said not in [stamp + payload for stamp in stamps]:
        return "payload %r" % said
    return None


def arrivals(wire, seconds):
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([wire], [], [], left)[0]:
            return
        packet = wire.recv()
        if packet is not None:
            yield packet


def run(wire, request, answered, sport):
    if request[UDP].sport == 53:
        request[UDP].sport = sport
    request = Ether(bytes(request))
    if request[UDP].sport == 41000:  # its checksum is of what it says
        whole = ether / ip4 / udp(sport=41000) / Raw(b"hello")
        request[UDP].chksum = Ether(bytes(whole))[UDP].chksum
    when = time.time()
    wire.send(request)
    for packet in arrivals(wire, 2.0 if answered else 0.15):
        if packet.src == PEER_MAC or UDP not in packet or packet[UDP].sport != PORT:
            continue
        if packet[UDP].dport != request[UDP].sport:
            continue
        if not answered:
            return "answered: %r" % packet
        return check_answer(request, packet, when)
    return "no answer" if answered else None


def main():
    wire = conf.L2socket(iface=IFACE)
    for number, (name, (request, answered)) in enumerate((LINKS if len(sys.argv) > 6 else CASES).items()):
        why = run(wire, request, answered, 40000 + number)
        print("pass %s" % name if why is None else "fail %s: %s" % (name, why), flush=True)


main()
