#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The programs of a tutorial on UDP sockets, which know nothing of udpxdp:

  plain.py announce TEXT       broadcast 【ctime】TEXT from port 8086, print the replies for a second
  plain.py answer NAME         answer broadcasts on port 8086 with 【ctime】NAME, until killed
  plain.py chat HOST PORT TEXT...  from a socket bound to port 8080, send each text to HOST:PORT,
                               and print what comes within two seconds after

Each line printed is ADDR PORT TEXT.
"""
import socket
import sys
import time


def stamp():
    return "【" + time.ctime() + "】"


def udp(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind(("", port))
    return sock


def print_until(sock, seconds):
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data, (addr, port) = sock.recvfrom(65535)
        except socket.timeout:
            break
        print(addr, port, data.decode(), flush=True)


def announce(text):
    sock = udp(8086)
    sock.sendto((stamp() + text).encode(), ("255.255.255.255", 8086))
    print_until(sock, 1)


def answer(name):
    sock = udp(8086)
    while True:
        data, peer = sock.recvfrom(65535)
        print(*peer, data.decode(), flush=True)
        sock.sendto((stamp() + name).encode(), peer)


def chat(host, port, *texts):
    sock = udp(8080)
    for text in texts:
        sock.sendto(text.encode(), (host, int(port)))
    print_until(sock, 2)


{"announce": announce, "answer": answer, "chat": chat}[sys.argv[1]](*sys.argv[2:])
