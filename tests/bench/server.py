#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The echo server that a person writes first: one datagram at a time, in Python."""
import socket
import sys
import time

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
server.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, peer = server.recvfrom(2048)
    server.sendto(f"【{time.ctime()}】 ".encode() + data, peer)
