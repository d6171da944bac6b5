#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What acl_ratelimit.sh does with datagrams. Every verb prints what it saw, and judges nothing.

  acl_ratelimit.py burst SOURCE ADDR PORT COUNT   send COUNT datagrams at once; print how many were answered
  acl_ratelimit.py rotate IFACE MAC ADDR PATTERN COUNT   put as many datagrams on IFACE, each from an address
                    that PATTERN makes of its number
  acl_ratelimit.py spoof IFACE WATCH SOURCE_MAC SOURCE PORT MAC ADDR PORT TEXT [ECHO...]
                    put a forged datagram with the Python literal TEXT on IFACE, then count the UDP frames that pass WATCH
                    until it is over: prints how many, then each of the first of them. An ECHO is
                    IFACE/MAC/ADDR/PORT of an echo, one for whoever may have something to say: what
                    is asked there is answered behind it. Without any it is over when it is quiet.
  acl_ratelimit.py ask ADDR PORT                  for each line of standard input, a Python literal of
                    bytes, from one socket: print the bytes of the request and of all its answers,
                    which are those before that of the echo on ADDR that is asked next
  acl_ratelimit.py many_clients ADDR PORT COUNT          as many members join a chat; prints "joined", then stays
"""
import ast
import signal
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
ECHO_PORT = 8080
PATIENCE = 5     # seconds for what has to come
QUIET = 0.4      # seconds without a frame: it is over
NOBODY_MAC, NOBODY4, NOBODY6 = "02:00:00:00:00:99", "10.80.1.99", "fd00:80:1::99"
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
    answered = 0
    for _ in answers(sock):
        answered += 1
        if answered == int(count):
            sock.settimeout(0.05)  # for one too many
    print(answered)


def rotate(iface, mac, address, pattern, count):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    for number in range(int(count)):
        last = number % 256 if ":" not in pattern else number
        source = pattern % last
        wire.sendto(datagram("02:00:00:00:00:66", source, 40000 + number // 256, mac, address, ECHO_PORT,
                             b"%d" % number), (iface, 0))


def ask(address, port):
    sock = udp(address)
    sock.settimeout(PATIENCE)
    for number, line in enumerate(sys.stdin):
        request, behind = ast.literal_eval(line), b"behind request %d" % number
        sock.sendto(request, (address, int(port)))
        sock.sendto(behind, (address, ECHO_PORT))
        answered = 0
        while True:
            answer, source = sock.recvfrom(65536)
            if source[1] == ECHO_PORT and answer.endswith(behind):
                break
            answered += len(answer)
        print(len(request), answered, repr(request[:24]), flush=True)


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


def ask_echoes(injector, echoes, count):
    """Asks each for somebody who is not there; what the answers end with."""
    asked = set()
    for number, echo in enumerate(echoes):
        iface, mac, address, port = echo.split("/")
        text = b"behind it %d.%d." % (count, number)
        asked.add(text)
        injector.sendto(datagram(NOBODY_MAC, NOBODY6 if ":" in address else NOBODY4, 40001, mac,
                                 address, port, text), (iface, 0))
    return asked


def watch_echoes(wire, injector, echoes, seen):
    """Until each echo has been asked and answered and nothing else has passed meanwhile."""
    wire.settimeout(PATIENCE)
    for count in range(ENDLESS):
        before, asked = len(seen), ask_echoes(injector, echoes, count)
        while asked:
            frame = wire.recv(65536)
            if frame[:6] == bytes.fromhex(NOBODY_MAC.replace(":", "")):
                asked = {text for text in asked if text not in frame}
            elif describe(frame):
                seen.append(describe(frame))
        if len(seen) == before or len(seen) >= ENDLESS:
            return


def watch_until_quiet(wire, seen):
    try:
        while len(seen) < ENDLESS:
            said = describe(wire.recv(65536))
            if said:
                seen.append(said)
    except socket.timeout:
        pass


def spoof(iface, watch, source_mac, source, source_port, mac, address, port, text, *echoes):
    payload = ast.literal_eval(text)
    if isinstance(payload, str):
        payload = payload.encode()
    wire = watcher(watch)
    injector = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    injector.sendto(datagram(source_mac, source, source_port, mac, address, port, payload), (iface, 0))
    seen = []
    if echoes:
        watch_echoes(wire, injector, echoes, seen)
    else:
        watch_until_quiet(wire, seen)
    print(len(seen))
    for said in seen[:12]:
        print(said)


if __name__ == "__main__":
    {"burst": burst, "rotate": rotate, "ask": ask, "many_clients": many_clients, "spoof": spoof}[sys.argv[1]](*sys.argv[2:])
