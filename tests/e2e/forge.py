#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Datagrams with sources that are not ours, and what comes back to them, counted on the wire.

  forge.py IFACE DEST_MAC DEST PORT COUNT SOURCE... [--port N] [--mac MAC] [--tag [TPID:]VID,...]
           [--text T] [--repeat N] [--broadcast] [--fragment BYTES] [--extension] [--wait SECONDS]

Sends COUNT datagrams, their sources in turn, from rising ports (from N on: that one alone), and
prints one line of JSON: for each source how many IP packets and bytes went out and how many came
back to it, in the order given. Any frame that leaves DEST for a source counts, whatever its MAC.
The text N times over is the payload; fragments have so many bytes of it, a multiple of eight; an
extension header of IPv6 stands in front of UDP. SOURCE and DEST are both IPv4 or both IPv6."""
import argparse
import json
import select
import socket
import struct
import time

parser = argparse.ArgumentParser()
for name in "iface", "dest_mac", "dest":
    parser.add_argument(name)
parser.add_argument("dport", type=int)
parser.add_argument("count", type=int)
parser.add_argument("sources", nargs="+")
parser.add_argument("--port", type=int)
parser.add_argument("--mac")
parser.add_argument("--tag", default="")
parser.add_argument("--text", default="x")
parser.add_argument("--repeat", type=int, default=1)
parser.add_argument("--broadcast", action="store_true")
parser.add_argument("--fragment", type=int)
parser.add_argument("--extension", action="store_true")
parser.add_argument("--wait", type=float, default=0.5)
args = parser.parse_args()
FAMILY = socket.AF_INET6 if ":" in args.dest else socket.AF_INET
DEST = socket.inet_pton(FAMILY, "255.255.255.255" if args.broadcast else args.dest)
UDP, FRAGMENT, OPTIONS = 17, 44, 60


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, data, number, offset, more):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), number, more << 13 | offset // 8,
                       64, UDP, 0, source, DEST)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def ipv6(source, data, number, offset, more):
    kind = UDP
    if args.extension:
        data = bytes([kind, 0, 1, 4, 0, 0, 0, 0]) + data
        kind = OPTIONS
    if args.fragment:
        data = struct.pack("!BBHI", kind, 0, offset | more, number) + data
        kind = FRAGMENT
    return struct.pack("!IHBB", 6 << 28, len(data), kind, 64) + source + DEST + data


def packets(source, port, text, number):
    """The IP packets of a datagram."""
    source = socket.inet_pton(FAMILY, source)
    head = struct.pack("!HHH", port, args.dport, 8 + len(text))
    pseudo = source + DEST + struct.pack("!HH", UDP, 8 + len(text))
    udp = head + struct.pack("!H", checksum(pseudo + head + text) or 0xffff) + text
    wrap = ipv6 if FAMILY == socket.AF_INET6 else ipv4
    size = args.fragment or len(udp)
    return [wrap(source, udp[at:at + size], number, at, at + size < len(udp))
            for at in range(0, len(udp), size)]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
sock.bind((args.iface, 0))
own = mac(args.mac) if args.mac else sock.getsockname()[4]
ether = (b"\xff" * 6 if args.broadcast else mac(args.dest_mac)) + own
for tag in filter(None, args.tag.split(",")):
    tpid, _, vid = ("8100:" + tag).rpartition(":")
    ether += struct.pack("!HH", int(tpid.split(":")[-1], 16), int(vid))
ether += b"\x86\xdd" if FAMILY == socket.AF_INET6 else b"\x08\x00"
there = {source: {"sent": 0, "bytes": 0, "back": 0, "back_bytes": 0, "texts": []}
         for source in args.sources}
by_address = {socket.inet_pton(FAMILY, source): there[source] for source in args.sources}


def take_packet(ip):
    """Source, destination and length of an IP packet, and where its payload is; None: of no use."""
    if FAMILY == socket.AF_INET6:
        if len(ip) < 48 or ip[0] >> 4 != 6 or ip[6] not in (UDP, FRAGMENT):
            return None
        return ip[8:24], ip[24:40], 40 + struct.unpack("!H", ip[4:6])[0], 48
    if len(ip) < 28 or ip[0] >> 4 != 4 or ip[9] != UDP:
        return None
    return ip[12:16], ip[16:20], struct.unpack("!H", ip[2:4])[0], 28


def take(seconds):
    """What is there, and what comes meanwhile; a loop would never end by itself."""
    end = time.monotonic() + seconds
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        if time.monotonic() > end + 0.05:
            return
        frame, (_, _, kind, *_) = sock.recvfrom(65536)
        if kind == socket.PACKET_OUTGOING:
            continue
        at = 12
        while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
        packet = take_packet(frame[at + 2:])
        if not packet or packet[0] != socket.inet_pton(FAMILY, args.dest):
            continue
        entry = by_address.get(packet[1])
        if entry:
            entry["back"] += 1
            entry["back_bytes"] += packet[2]
            if len(entry["texts"]) < 4:
                text = frame[at + 2 + packet[3]:at + 2 + packet[2]]
                entry["texts"].append(text.decode(errors="replace"))


text = args.text.encode().decode("unicode_escape").encode("latin1") * args.repeat
for i in range(args.count):
    source = args.sources[i % len(args.sources)]
    for data in packets(source, args.port or 1024 + i % 60000, text, i & 0xffff):
        sock.send(ether + data)
        there[source]["bytes"] += len(data)
    there[source]["sent"] += 1
    if i % 64 == 63:
        take(0)
        time.sleep(0.002)
take(args.wait)
print(json.dumps([there[source] for source in args.sources]))
