#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Members of rooms that span hosts, over plain sockets.

  room.py talk SECONDS MESSAGES RATE HOST:PORT/MEMBERS...
      as many members of each host say MESSAGES in all, RATE a second, then wait up to SECONDS for
      what they have not heard. Prints what was wrong, and at the end a line of totals.
  room.py say HOST:PORT TEXT...      say these, print what comes until a second of silence, leave
  room.py hear HOST:PORT TEXT...     the same, and go on printing until killed
  room.py flood HOST:PORT COUNT RATE PREFIX
      one member says PREFIX 0, PREFIX 1 and so on
  room.py latency HOST:PORT HOST:PORT COUNT
      a member of the first says COUNT messages, one at a time, a member of the second hears them:
      prints the median and the 99th percentile in ms
  room.py stream HOST:PORT PART KEY
      asks the broker there what the room's stream is: config num_replicas, state bytes and so on
  room.py delete HOST:PORT STREAM
      has the broker there forget a stream
  room.py publish HOST:PORT
      publishes each line of standard input, SUBJECT and a JSON string of the payload
"""
import collections
import json
import re
import select
import socket
import sys
import time


def connected(where):
    host, port = where.rsplit(":", 1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.connect((host, int(port)))
    return sock


class Member:
    def __init__(self, where, number):
        self.sock = connected(where)
        self.number = number
        self.heard = collections.defaultdict(list)  # numbers, by speaker
        self.others = []

    def take(self):
        while True:
            try:
                data = self.sock.recv(65535, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            text = data.decode()
            match = re.search(r": m(\d+) (\d+)$", text)
            if match:
                self.heard[int(match[1])].append(int(match[2]))
            else:
                self.others.append(text)


def talk(seconds, messages, rate, *places):
    members = []
    for place in places:
        where, count = place.split("/")
        for _ in range(int(count)):
            members.append(Member(where, len(members)))
    for member in members:
        member.sock.send(b"")
    time.sleep(0.3)
    said = [0] * len(members)
    begin = time.monotonic()
    for n in range(int(messages)):
        speaker = members[n % len(members)]
        speaker.sock.send(b"m%d %d" % (speaker.number, said[speaker.number]))
        said[speaker.number] += 1
        if n % 16 == 15:
            for member in members:
                member.take()
            ahead = begin + n / float(rate) - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    spent = time.monotonic() - begin
    expected = [sum(said) - said[m.number] for m in members]
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        for member in members:
            member.take()
        if all(sum(map(len, m.heard.values())) >= e for m, e in zip(members, expected)):
            break
        time.sleep(0.02)
    for member in members:
        member.sock.send(b"/quit")
    late = time.monotonic() - begin - spent
    bad = 0
    for member in members:
        for speaker, count in enumerate(said):
            heard = member.heard[speaker]
            if speaker != member.number and heard != list(range(count)):
                bad += 1
                print(f"member {member.number} heard of {speaker}: {len(heard)} of {count}, "
                      f"{len(set(heard))} of them different, "
                      f"{'in order' if heard == sorted(heard) else 'out of order'}")
        if member.others:
            print(f"member {member.number} was told {member.others[:3]}")
    total = sum(sum(map(len, m.heard.values())) for m in members)
    print(f"total members={len(members)} said={sum(said)} heard={total} of={sum(expected)} "
          f"bad={bad} rate={sum(said) / spent:.0f} late={late:.2f}")
    return bad != 0


def say(where, *texts, on=False):
    sock = connected(where)
    sock.send(b"")
    for text in texts:
        sock.send(text.encode())
    while True:
        ready = select.select([sock], [], [], None if on else 1)[0]
        if not ready:
            break
        print(sock.recv(65535).decode().rstrip("\n"), flush=True)
    sock.send(b"/quit")


def flood(where, count, rate, prefix):
    sock = connected(where)
    begin = time.monotonic()
    for n in range(int(count)):
        sock.send(f"{prefix} {n}".encode())
        ahead = begin + n / float(rate) - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)


def hear(where, *texts):
    say(where, *texts, on=True)


def latency(here, there, count):
    speaker, hearer = connected(here), connected(there)
    hearer.settimeout(5)
    for member in speaker, hearer:
        member.send(b"")
    time.sleep(0.5)
    spent = []
    for n in range(int(count)):
        begin = time.monotonic()
        speaker.send(b"l%d" % n)
        while not hearer.recv(2048).endswith(b": l%d" % n):
            pass
        spent.append(time.monotonic() - begin)
        time.sleep(0.01)
    for member in speaker, hearer:
        member.send(b"/quit")
    spent.sort()
    print(f"{spent[len(spent) // 2] * 1000:.1f} {spent[len(spent) * 99 // 100] * 1000:.1f}")


class Broker:
    """Just enough of the protocol of NATS."""
    def __init__(self, where):
        host, port = where.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)))
        self.sock.settimeout(10)
        self.file = self.sock.makefile("rb")
        self.file.readline()
        self.sock.sendall(b'CONNECT {"verbose":false}\r\n')

    def publish(self, subject, payload, reply=""):
        self.sock.sendall(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(payload), payload))

    def flush(self):
        self.sock.sendall(b"PING\r\n")
        while not self.file.readline().startswith(b"PONG"):
            pass

    def ask(self, subject, payload=b""):
        self.sock.sendall(b"SUB udpxdp.test.answer 1\r\n")
        self.publish(subject, payload, "udpxdp.test.answer")
        while not (line := self.file.readline()).startswith(b"MSG"):
            if line.startswith(b"PING"):
                self.sock.sendall(b"PONG\r\n")
        return json.loads(self.file.read(int(line.split()[-1])))


def stream(where, part, key):
    print(Broker(where).ask("$JS.API.STREAM.INFO.UDPXDP_ROOM").get(part, {}).get(key))


def delete(where, name):
    print(Broker(where).ask("$JS.API.STREAM.DELETE." + name))


def publish(where):
    broker = Broker(where)
    for line in sys.stdin:
        subject, payload = line.split(" ", 1)
        broker.publish(subject, json.loads(payload).encode("utf-8", "surrogateescape"))
    broker.flush()


command = {"stream": stream, "delete": delete, "latency": latency, "publish": publish, "talk": talk, "say": say, "hear": hear, "flood": flood}[sys.argv[1]]
sys.exit(command(*sys.argv[2:]))
