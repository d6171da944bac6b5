#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A relay to a STAMP reflector that loses, swaps and repeats packets, each kind on a stretch of its own.

    stamp_relay.py PORT REFLECTOR REFLECTOR-PORT [--shift SECONDS]

Of 800 packets, numbered from the first: 20 are lost on the way there, 25 on the way back; 10 pairs
are swapped on the way there, 10 on the way back; 10 packets go there twice, 10 come back twice.
--shift does none of that, but moves the reflector's clock.
"""
import argparse
import select
import socket
import struct


class Way:
    def __init__(self, send, lost, swapped, repeated):
        self.send, self.lost, self.swapped, self.repeated = send, lost, swapped, repeated
        self.held = None

    def pass_on(self, n, packet):
        if self.lost(n):
            return
        if self.swapped(n):
            self.held = packet
            return
        self.send(packet)
        if self.repeated(n):
            self.send(packet)
        if self.held:
            self.send(self.held)
            self.held = None


def every(step, at, first, end):
    return lambda n: first <= n < end and n % step == at


def never(n):
    return False


def shifted(answer, seconds):
    """T3 and T2 by another clock, which claims to be right: the S bit."""
    t3, t2 = struct.unpack_from("!I", answer, 4)[0] + seconds, struct.unpack_from("!I", answer, 16)[0] + seconds
    return answer[:4] + struct.pack("!I", t3) + answer[8:12] + bytes([answer[12] | 0x80]) + \
        answer[13:16] + struct.pack("!I", t2) + answer[20:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("reflector")
    parser.add_argument("reflector_port", type=int)
    parser.add_argument("--shift", type=int)
    options = parser.parse_args()
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(("127.0.0.1", options.port))
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.connect((options.reflector, options.reflector_port))
    client = first = None
    if options.shift is None:
        there = Way(far.send, every(10, 5, 0, 200), every(10, 0, 400, 500), every(10, 0, 600, 700))
        back = Way(lambda p: near.sendto(p, client), every(8, 3, 200, 400), every(10, 0, 500, 600),
                   every(10, 0, 700, 800))
    else:
        there = Way(far.send, never, never, never)
        back = Way(lambda p: near.sendto(shifted(p, options.shift), client), never, never, never)
    print("ready", flush=True)
    while True:
        for ready in select.select([near, far], [], [])[0]:
            if ready is near:
                packet, client = near.recvfrom(70000)
                number = struct.unpack("!I", packet[:4])[0]
                first = number if first is None else first
                there.pass_on(number - first, packet)
            else:
                packet = far.recv(70000)
                back.pass_on(struct.unpack("!I", packet[24:28])[0] - first, packet)


if __name__ == "__main__":
    main()
