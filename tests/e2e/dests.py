#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who takes a datagram to an address: a kernel socket, and the filter? Both are asked.

  dests.py listen PORT             prints the source port of each datagram that a kernel socket gets
  dests.py send IFACE DEST_MAC SOURCE SOURCE_PORT DEST PORT...
                                   one datagram to each PORT of DEST, whoever has that address"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(source, dest, sport, dport, text):
    udp = struct.pack("!HHHH", sport, dport, 8 + len(text), 0) + text
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(dest))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def listen(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", int(port)))
    print("ready", flush=True)
    while True:
        print(sock.recvfrom(2048)[1][1], flush=True)


def send(iface, dest_mac, source, first, dest, *ports):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((iface, 0))
    ether = bytes.fromhex(dest_mac.replace(":", "")) + sock.getsockname()[4] + b"\x08\x00"
    for port in ports:
        sock.send(ether + datagram(source, dest, int(first), int(port), b"who is there?"))


{"listen": listen, "send": send}[sys.argv[1]](*sys.argv[2:])
