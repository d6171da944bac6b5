#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A chat peer or a receiver of announcements as anybody would write it: one ordinary socket.

  peer.py PORT [--reply TEXT] [--replies N] [-6]

Prints each datagram as `ADDR PORT TEXT`, answers the first N (1) with TEXT, and sends what it
reads on standard input as lines `ADDR PORT TEXT`. Ends when it is killed."""
import argparse
import socket
import sys
import threading


def send_lines(sock):
    for line in sys.stdin:
        addr, port, text = line.rstrip("\n").split(" ", 2)
        sock.sendto(text.encode(), (addr, int(port)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--reply")
    parser.add_argument("--replies", type=int, default=1)
    parser.add_argument("-6", dest="family", action="store_const", const=socket.AF_INET6,
                        default=socket.AF_INET)
    args = parser.parse_args()
    sock = socket.socket(args.family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind(("", args.port))
    threading.Thread(target=send_lines, args=(sock,), daemon=True).start()
    print("bound", flush=True)
    while True:
        data, (addr, port, *_) = sock.recvfrom(65536)
        print(addr, port, data.decode(errors="backslashreplace"), flush=True)
        if args.reply and args.replies:
            args.replies -= 1
            sock.sendto(args.reply.encode(), (addr, port))


if __name__ == "__main__":
    main()
