#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many clients in a chat room over ordinary sockets.

  many_clients.py HOST PORT MEMBERS MESSAGES

MEMBERS sockets join, then say MESSAGES numbered lines in turn; every one must get what each of
the others says, in order. Prints one line of JSON: expected, received, out of order, what this
host's kernel dropped because a socket was full, and how many answers to /who there were. Ends with status 0 when nothing came out of
order, twice or from nowhere.
"""
import json
import re
import select
import socket
import sys
import time

BATCH = 4  # messages under way at once
LINE = re.compile(rb"^(\S+): m (\d+)$")


class Member:
    def __init__(self, family, server):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.connect(server)
        self.socket.setblocking(False)
        self.last = {}
        self.received = self.wrong = 0

    def drain(self):
        receive = self.socket.recv
        taken = 0
        while True:
            try:
                data = receive(2048)
            except BlockingIOError:
                return taken
            taken += 1
            match = LINE.match(data)
            if not match:
                self.wrong += data != b"* hello" and not data.startswith(b"* ")
                continue
            speaker, number = match.group(1), int(match.group(2))
            if number <= self.last.get(speaker, -1):
                self.wrong += 1
            self.last[speaker] = number
            self.received += 1


def dropped():
    """UDP datagrams that this host's kernel dropped for want of room."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as table:
        names, values = [line.split() for line in table if line.startswith("Udp:")]
    return int(dict(zip(names, values))["RcvbufErrors"])


def await_members(member, count):
    """Asks who is there until everybody is; how often that was answered."""
    answers = 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        member.socket.send(b"/who")
        if select.select([member.socket], [], [], 1)[0]:
            answers += 1
            if member.socket.recv(2048).startswith(b"* %d here" % count):
                return answers
    raise SystemExit("%d members did not join" % count)


def drain(poll, by_fd, wanted, silence):
    """Takes what comes, until that much is there or nothing has come for so many seconds."""
    taken = 0
    while taken < wanted:
        ready = poll.poll(silence)
        if not ready:
            break
        taken += sum(by_fd[fd].drain() for fd, _ in ready)
    return taken


def main():
    host, port, count, messages = sys.argv[1], *map(int, sys.argv[2:5])
    info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    members = [Member(info[0], info[4]) for _ in range(count)]
    by_fd = {m.socket.fileno(): m for m in members}
    poll = select.epoll()
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    before = dropped()
    for m in members:
        m.socket.send(b"")  # whoever speaks is a member; nothing said, nothing relayed
    answers = await_members(members[0], count)
    for number in range(messages):
        members[number % count].socket.send(b"m %d" % number)
        if number % BATCH == BATCH - 1:
            drain(poll, by_fd, BATCH * (count - 1), 0.1)
    drain(poll, by_fd, messages * count, 1.0)
    received = sum(m.received for m in members)
    wrong = sum(m.wrong for m in members)
    expected = messages * (count - 1)
    print(json.dumps({"expected": expected, "received": received, "wrong": wrong,
                      "dropped_here": dropped() - before, "answers": answers}))
    return wrong != 0


sys.exit(main())
