#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""ethernet.py IN OUT: a capture of whatever link type and length as one of whole Ethernet frames.

IP that has no Ethernet header gets one; what was captured of a frame is taken for all of it.
"""
import struct
import sys

IPV4 = bytes.fromhex("020000000001 020000000002 0800")
IPV6 = bytes.fromhex("020000000001 020000000002 86dd")

# Link types in front of whose IP header stand so many bytes.
SKIP = {0: 4, 12: 0, 101: 0, 108: 4, 113: 16, 226: 24, 228: 0, 229: 0, 276: 20, 9: 2, 8: 16,
        50: 4, 104: 4}


def packets(data):
    """The link type, and each packet's time and bytes, of a pcap file; whatever can be read."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1") else ">"
    header = struct.Struct(order + "IIII")
    rest = 8 if data[:4] in (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34") else 0
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xffff
    at = 24
    while at + 16 + rest <= len(data):
        seconds, fraction, captured, _ = header.unpack_from(data, at)
        at += 16 + rest
        yield link, seconds, fraction, data[at:at + captured]
        at += captured


def ethernet(link, packet):
    skip = SKIP.get(link)
    if skip is None:
        return packet
    packet = packet[skip:]
    return (IPV6 if packet[:1] and packet[0] >> 4 == 6 else IPV4) + packet


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    with open(sys.argv[2], "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        if len(data) < 24 or data[:4] == b"\x0a\x0d\x0d\x0a":
            return
        for link, seconds, fraction, packet in packets(data):
            frame = ethernet(link, packet)[:262144]
            file.write(struct.pack("<IIII", seconds, fraction % 10**6, len(frame), len(frame)))
            file.write(frame)


if __name__ == "__main__":
    main()
