#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What acl_ratelimit.sh does with datagrams. Every verb prints what it saw, and judges nothing.

  acl_ratelimit.py burst SOURCE ADDR PORT COUNT   send COUNT datagrams at once; print how many were answered
  acl_ratelimit.py spoof IFACE WATCH SOURCE_MAC SOURCE PORT MAC ADDR PORT TEXT
                    put a forged datagram with the Python literal TEXT on IFACE, then count the UDP frames that pass WATCH
                    until it is quiet: prints how many, then each of the first of them
  acl_ratelimit.py ask ADDR PORT                  for each line of standard input, a Python literal of
                    bytes, from one socket: print the bytes of the request and of all its answers
  acl_ratelimit.py many_clients ADDR PORT COUNT          as many members join a chat; prints "joined", then stays
"""
import ast
import signal
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
SOON = 0.12      # seconds in which an answer comes, if one comes at all
QUIET = 0.4      # seconds without a frame: it is over
ENDLESS = 2000   # frames after which nobody waits for the end


def udp(address, source=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    if source:
        sock.bind((source, 0))
    sock.settimeout(QUIET)
    return sock


def answers(sock):
    """What comes until it is quiet."""
    while True:
        try:
            yield sock.recv(65536)
        except socket.timeout:
            return


def burst(source, address, port, count):
    sock = udp(address, source)
    for number in range(int(count)):
        sock.sendto(b"%d" % number, (address, int(port)))
    print(sum(1 for _ in answers(sock)))


def ask(address, port):
    sock = udp(address)
    sock.settimeout(SOON)
    for line in sys.stdin:
        request = ast.literal_eval(line)
        sock.sendto(request, (address, int(port)))
        print(len(request), sum(len(answer) for answer in answers(sock)), repr(request[:24]), flush=True)


def many_clients(address, port, count):
    members = [udp(address) for _ in range(int(count))]
    for number, member in enumerate(members):
        member.sendto(b"/nick a-name-of-thirty-two-bytes-%05d" % number, (address, int(port)))
        member.recv(2048)
    print("joined", flush=True)
    signal.pause()


def watcher(iface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((iface, ETH_P_ALL))
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                    struct.pack("IHH8s", socket.if_nametoindex(iface), PACKET_MR_PROMISC, 0, b""))
    sock.settimeout(QUIET)
    return sock


def describe(frame):
    """SOURCE:PORT > ADDR:PORT PAYLOAD of a UDP frame, or None."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 17:
        family, source, dest, at = socket.AF_INET, frame[26:30], frame[30:34], 14 + (frame[14] & 15) * 4
    elif frame[12:14] == b"\x86\xdd" and frame[20] == 17:
        family, source, dest, at = socket.AF_INET6, frame[22:38], frame[38:54], 54
    else:
        return None
    ports = struct.unpack("!HHH", frame[at:at + 6])
    return "%s:%d > %s:%d %r" % (socket.inet_ntop(family, source), ports[0],
                                 socket.inet_ntop(family, dest), ports[1],
                                 frame[at + 8:at + ports[2]].decode(errors="backslashreplace"))


def checksum(data):
    words = struct.unpack("!%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def datagram(source_mac, source, source_port, mac, address, port, payload):
    """A whole frame."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, address)
    length = 8 + len(payload)
    udp_header = struct.pack("!HHHH", int(source_port), int(port), length, 0)
    udp_sum = checksum(ends + struct.pack("!HH", 17, length) + udp_header + payload) or 0xffff
    udp_header = udp_header[:6] + struct.pack("!H", udp_sum)
    if family == socket.AF_INET6:
        ip_header = struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends
    else:
        ip_header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0) + ends
        ip_header = ip_header[:10] + struct.pack("!H", checksum(ip_header)) + ip_header[12:]
    return (bytes.fromhex(mac.replace(":", "") + source_mac.replace(":", "")) +
            (b"\x86\xdd" if family == socket.AF_INET6 else b"\x08\x00") +
            ip_header + udp_header + payload)


def spoof(iface, watch, source_mac, source, source_port, mac, address, port, text):
    payload = ast.literal_eval(text)
    if isinstance(payload, str):
        payload = payload.encode()
    wire = watcher(watch)
    injector = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    injector.bind((iface, 0))
    injector.send(datagram(source_mac, source, source_port, mac, address, port, payload))
    seen = []
    try:
        while len(seen) < ENDLESS:
            said = describe(wire.recv(65536))
            if said:
                seen.append(said)
    except socket.timeout:
        pass
    print(len(seen))
    for said in seen[:12]:
        print(said)


if __name__ == "__main__":
    {"burst": burst, "ask": ask, "many_clients": many_clients, "spoof": spoof}[sys.argv[1]](*sys.argv[2:])
