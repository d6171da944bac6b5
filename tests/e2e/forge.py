#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Datagrams with sources that are not ours, and what comes back to them, counted on the wire.

  forge.py IFACE DEST_MAC DEST PORT COUNT SOURCE... [--port N] [--mac MAC] [--tag VID] [--text T]
           [--broadcast] [--wait SECONDS]

Sends COUNT datagrams, their sources in turn, from rising ports (from N on: that one alone), and
prints one line of JSON: for each source how many IP packets and bytes went out and how many came
back to it, in the order given. Any frame that leaves DEST for a source counts, whatever its MAC."""
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
parser.add_argument("--tag", type=int)
parser.add_argument("--text", default="x")
parser.add_argument("--broadcast", action="store_true")
parser.add_argument("--wait", type=float, default=0.5)
args = parser.parse_args()


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, port, text):
    dest = socket.inet_aton("255.255.255.255" if args.broadcast else args.dest)
    udp = struct.pack("!HHHH", port, args.dport, 8 + len(text), 0) + text
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), dest)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
sock.bind((args.iface, 0))
own = mac(args.mac) if args.mac else sock.getsockname()[4]
ether = (b"\xff" * 6 if args.broadcast else mac(args.dest_mac)) + own
if args.tag is not None:
    ether += struct.pack("!HH", 0x8100, args.tag)
ether += b"\x08\x00"
there = {source: {"sent": 0, "bytes": 0, "back": 0, "back_bytes": 0, "texts": []}
         for source in args.sources}


def take(timeout):
    while select.select([sock], [], [], timeout)[0]:
        frame, (_, _, kind, *_) = sock.recvfrom(65536)
        if kind == socket.PACKET_OUTGOING:
            continue
        ip = frame[14:]
        if frame[12:14] == b"\x81\x00":
            ip = frame[18:]
        elif frame[12:14] != b"\x08\x00":
            continue
        if len(ip) < 28 or ip[9] != 17 or socket.inet_ntoa(ip[12:16]) != args.dest:
            continue
        entry = there.get(socket.inet_ntoa(ip[16:20]))
        if entry:
            length = struct.unpack("!H", ip[2:4])[0]
            entry["back"] += 1
            entry["back_bytes"] += length
            if len(entry["texts"]) < 4:
                entry["texts"].append(ip[28:length].decode(errors="replace"))


text = args.text.encode().decode("unicode_escape").encode("latin1")
for i in range(args.count):
    source = args.sources[i % len(args.sources)]
    data = packet(source, args.port or 1024 + i % 60000, text)
    sock.send(ether + data)
    there[source]["sent"] += 1
    there[source]["bytes"] += len(data)
    if i % 64 == 63:
        take(0)
        time.sleep(0.002)
end = time.monotonic() + args.wait
while time.monotonic() < end:
    take(0.05)
print(json.dumps([there[source] for source in args.sources]))
