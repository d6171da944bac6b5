#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A UDP peer over ordinary sockets, for the end-to-end tests.

  udp.py exchange HOST PORT   send requests, check every answer, print one line of JSON
  udp.py serve ADDR PORT      answer each datagram with --prefix and its payload, or with --text,
                              until killed
  udp.py react HOST PORT      send --text, and again for each answer, until there is none: print
                              how many there were
  udp.py refused HOST PORT    succeed when the kernel answers that the port is closed

exchange ends with status 0 when exactly --answers (default: all) requests were answered and
nothing wrong came: every answer must come from the address and port that was asked, to the
socket that asked, and hold a payload that is still waited for, behind the stamp that is wanted.
"""
import argparse
import collections
import json
import re
import select
import socket
import sys
import time

STAMP = re.compile(
    "^【((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    " [ 1-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] [0-9]{4})】 ".encode())
SO_NO_CHECK = 11
PATTERN = bytes(range(256)) * 2


class Flow:
    """One source port, and what it still waits for."""

    def __init__(self, args, number):
        self.number = number
        self.socket = socket.socket(args.family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if args.no_checksum:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        if args.source_port or args.source:
            port = args.source_port + number if args.source_port else 0
            self.socket.bind((args.source or ("::" if args.family == socket.AF_INET6 else "0.0.0.0"),
                              port))
        self.socket.setblocking(False)
        self.waiting = collections.Counter()
        self.sent = self.answered = 0


class Exchange:
    def __init__(self, args):
        self.args = args
        info = socket.getaddrinfo(args.host, args.port, args.family, socket.SOCK_DGRAM)[0]
        args.family, self.to = info[0], info[4]
        self.flows = [Flow(args, number) for number in range(args.flows)]
        self.by_fd = {flow.socket.fileno(): flow for flow in self.flows}
        self.poll = select.poll()
        for fd in self.by_fd:
            self.poll.register(fd, select.POLLIN)
        self.prefix = args.prefix.encode()
        self.wrong = []
        self.wrong_count = 0

    def payload(self, number):
        if self.args.text is not None:
            return self.args.text.encode()
        size = self.args.size[number % len(self.args.size)]
        return (b"%d." % number + PATTERN[number & 0xff:] * (size // 256 + 2))[:size]

    def complain(self, what):
        self.wrong_count += 1
        if len(self.wrong) < 5:
            self.wrong.append(what)

    def take(self, flow):
        """Everything that has come to a flow."""
        taken = 0
        while True:
            try:
                answer, source = flow.socket.recvfrom(65536)
            except BlockingIOError:
                return taken
            except ConnectionRefusedError:
                continue
            taken += 1
            if source[:2] != self.to[:2]:
                self.complain("an answer from %s:%d" % source[:2])
            stamp = STAMP.match(answer)
            if self.args.stamp == "on":
                if not stamp:
                    self.complain("no stamp: %r" % answer[:60])
                    continue
                said = time.mktime(time.strptime(stamp[1].decode()))
                if abs(time.time() - said) > 3:
                    self.complain("the stamp says %s" % stamp[1].decode())
                answer = answer[stamp.end():]
            if not answer.startswith(self.prefix):
                self.complain("no prefix: %r" % answer[:60])
                continue
            answer = answer[len(self.prefix):]
            if flow.waiting[answer] > 0:
                flow.waiting[answer] -= 1
                flow.answered += 1
            else:
                self.complain("an answer nobody waits for: %r" % answer[:60])

    def run(self):
        sent = 0
        outstanding = 0
        last = time.monotonic()
        while sent < self.args.count or outstanding > 0:
            while sent < self.args.count and outstanding < self.args.window:
                flow = self.flows[sent % len(self.flows)]
                payload = self.payload(sent)
                try:
                    flow.socket.sendto(payload, self.to)
                except BlockingIOError:
                    break
                except ConnectionRefusedError:
                    continue
                flow.waiting[payload] += 1
                flow.sent += 1
                sent += 1
                outstanding += 1
                if self.args.interval:
                    time.sleep(self.args.interval)
            taken = 0
            for fd, _ in self.poll.poll(50):
                taken += self.take(self.by_fd[fd])
            now = time.monotonic()
            if taken:
                outstanding = max(0, outstanding - taken)
                last = now
            elif now - last > self.args.timeout:
                if sent == self.args.count:
                    break
                outstanding = 0  # lost: the window opens again
                last = now
        while any(self.take(self.by_fd[fd]) for fd, _ in self.poll.poll(self.args.linger * 1000)):
            pass  # what comes twice, or comes late, comes now
        answered = sum(flow.answered for flow in self.flows)
        print(json.dumps({
            "sent": sent, "answered": answered, "wrong": self.wrong_count, "examples": self.wrong,
            "silent_flows": sum(1 for flow in self.flows if flow.sent and not flow.answered),
        }))
        expected = sent if self.args.answers is None else self.args.answers
        return 0 if answered == expected and not self.wrong_count else 1


def serve(args):
    peer = socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET, socket.SOCK_DGRAM)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    peer.bind((args.host, args.port))
    print("ready", flush=True)
    while True:
        payload, source = peer.recvfrom(65536)
        peer.sendto(args.prefix.encode() + payload if args.text is None else args.text.encode(), source)


def react(args):
    info = socket.getaddrinfo(args.host, args.port, args.family, socket.SOCK_DGRAM)[0]
    peer = socket.socket(info[0], socket.SOCK_DGRAM)
    peer.settimeout(args.timeout)
    peer.connect(info[4])
    answers = 0
    try:
        while answers < 100000:
            peer.send(args.text.encode())
            peer.recv(65536)
            answers += 1
    except socket.timeout:
        pass
    print(answers)


def refused(args):
    info = socket.getaddrinfo(args.host, args.port, args.family, socket.SOCK_DGRAM)[0]
    peer = socket.socket(info[0], socket.SOCK_DGRAM)
    peer.settimeout(args.timeout)
    peer.connect(info[4])
    peer.send(b"anybody there?")
    try:
        print("an answer: %r" % peer.recv(65536))
    except ConnectionRefusedError:
        return 0
    except socket.timeout:
        print("silence")
    return 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["exchange", "serve", "react", "refused"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("-4", dest="family", action="store_const", const=socket.AF_INET, default=0)
    parser.add_argument("-6", dest="family", action="store_const", const=socket.AF_INET6)
    parser.add_argument("--count", type=int, default=1, help="requests, over all flows")
    parser.add_argument("--flows", type=int, default=1, help="sockets, each with a port of its own")
    parser.add_argument("--window", type=int, default=64, help="requests under way at a time")
    parser.add_argument("--size", type=lambda text: [int(n) for n in text.split(",")], default=[32],
                        help="bytes of a request; N,N,... in turn")
    parser.add_argument("--text", help="the request, instead of --size bytes")
    parser.add_argument("--source", help="source address")
    parser.add_argument("--source-port", type=int, default=0, help="of the first flow")
    parser.add_argument("--stamp", choices=["on", "off"], default="on")
    parser.add_argument("--answers", type=int, help="how many answers are right")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds without any answer")
    parser.add_argument("--linger", type=float, default=0.05, help="seconds to wait for surplus")
    parser.add_argument("--interval", type=float, default=0, help="seconds between requests")
    parser.add_argument("--no-checksum", action="store_true", help="send without UDP checksum")
    parser.add_argument("--prefix", default="", help="what stands in front of an answer")
    args = parser.parse_args()
    if args.verb == "serve":
        serve(args)
    if args.verb == "react":
        return react(args)
    if args.verb == "refused":
        return refused(args)
    return Exchange(args).run()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
