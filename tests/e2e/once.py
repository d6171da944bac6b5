#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A numbered load, and which of it was answered: once.py ADDR PORT ENOUGH [--rate PPS] [--size N,N...]

Sends datagrams with a number each, by eight sockets in turn, until the file ENOUGH exists; waits half
a second for the last answers, and prints one line of JSON: how many were sent, how many were answered
more than once, what came that was not sent, and when each was sent that was not answered, in seconds
since the epoch."""
import argparse
import collections
import json
import os
import select
import socket
import time

parser = argparse.ArgumentParser()
parser.add_argument("addr")
parser.add_argument("port", type=int)
parser.add_argument("enough")
parser.add_argument("--rate", type=float, default=1000)
parser.add_argument("--size", type=lambda text: [int(n) for n in text.split(",")], default=[64])
args = parser.parse_args()

family = socket.AF_INET6 if ":" in args.addr else socket.AF_INET
flows = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(8)]
poll = select.poll()
by_fd = {flow.fileno(): flow for flow in flows}
for flow in flows:
    flow.setblocking(False)
    flow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    poll.register(flow, select.POLLIN)
sent, answers, wrong = {}, collections.Counter(), []


def take(timeout):
    for fd, _ in poll.poll(timeout * 1000):
        try:
            while True:
                data = by_fd[fd].recv(65536)
                number, _, rest = data[data.index(b"#") + 1:].partition(b".")
                number = int(number)
                if number not in sent or len(rest) + len(number_text(number)) != size_of(number):
                    wrong.append(repr(data[:60]))
                answers[number] += 1
        except OSError:
            pass


def number_text(number):
    return b"#%d." % number


def size_of(number):
    return args.size[number % len(args.size)]


begin, number = time.time(), 0
print("sending", flush=True)
while not os.path.exists(args.enough):
    while number < (time.time() - begin) * args.rate:
        text = number_text(number)
        try:
            flows[number % len(flows)].sendto(text.ljust(size_of(number), b"x"), (args.addr, args.port))
            sent[number] = time.time()
        except OSError:
            pass  # no link, no route, nobody there: it did not leave
        number += 1
    take(0.0005)
end = time.time() + 0.5
while time.time() < end:
    take(0.05)
print(json.dumps({
    "sent": len(sent), "answered": len(answers), "twice": sum(n > 1 for n in answers.values()),
    "wrong": wrong[:3], "lost": [at for number, at in sent.items() if not answers[number]]}))
