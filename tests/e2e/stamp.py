#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A STAMP and TWAMP Light sender, written from RFC 8762, RFC 8972 and RFC 5357.

    stamp.py HOST PORT [--stateful]      judges the reflector there; exit status 1 and why
    stamp.py judge CAPTURE               the same of what scapy reads in a capture
"""
import argparse
import os
import socket
import struct
import sys
import time

EPOCH = 2208988800  # 1970, in the seconds of NTP
BASE = struct.Struct("!IQHHQIQHHB3s")  # RFC 8762, figure 5, with the SSID of RFC 8972
TTL, CLASS = 201, 0xb8


def now():
    ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return (ns // 10**9 + EPOCH) << 32 | (ns % 10**9 << 32) // 10**9


def tlv(kind, value, flags=0xc0):
    return struct.pack("!BBH", flags, kind, len(value)) + value


class Sender:
    def __init__(self, host, port):
        self.six = ":" in host
        self.socket = socket.socket(socket.AF_INET6 if self.six else socket.AF_INET, socket.SOCK_DGRAM)
        level = socket.IPPROTO_IPV6 if self.six else socket.IPPROTO_IP
        names = ("IPV6_UNICAST_HOPS", "IPV6_TCLASS", "IPV6_RECVHOPLIMIT", "IPV6_RECVTCLASS") if self.six \
            else ("IP_TTL", "IP_TOS", "IP_RECVTTL", "IP_RECVTOS")
        # Python has no name for the first of those of IPv4 (12).
        for name, value in zip(names, (TTL, CLASS | 2, 1, 1)):
            self.socket.setsockopt(level, getattr(socket, name, 12), value)
        self.socket.settimeout(5)
        self.socket.connect((host, port))

    def ask(self, number, ssid=0, length=44, behind=b""):
        """Returns what an answer has beside its base packet, judged."""
        sent = now()
        request = (struct.pack("!IQHH", number, sent, 0x8a07, ssid) + bytes(28))[:length] + behind
        self.socket.send(request)
        answer, control, _, _ = self.socket.recvmsg(70000, 200)
        received = now()
        assert len(answer) == max(len(request), 44), (len(request), len(answer))
        got_number, t3, error, got_ssid, t2, its_number, t1, its_error, zero, ttl, zeros = \
            BASE.unpack(answer[:44])
        assert (its_number, t1, its_error) == (number, sent, 0x8a07), "the sender's own fields"
        assert sent <= t2 <= t3 <= received, f"T1 {sent} T2 {t2} T3 {t3} T4 {received}"
        assert not error & 0x4000 and error & 0xff, "the format is NTP's, the multiplier is not 0"
        seconds = (error & 0xff) * 2.0 ** ((error >> 8 & 63) - 32)
        assert 1e-6 < seconds < 1, seconds
        assert got_ssid == (ssid if length >= 16 else 0), got_ssid
        assert ttl == TTL, ttl
        assert not zero and zeros == bytes(3), "what must be zero"
        values = sorted(int.from_bytes(value, sys.byteorder) for _, _, value in control)
        assert values == [CLASS, 255], values  # the DSCP comes back without ECN, the TTL is 255
        return got_number, answer[44:]


def judge_reflector(host, port, stateful):
    sender = Sender(host, port)
    for number in range(100, 110):
        assert sender.ask(number)[0] == (number - 100 if stateful else number)
    # Some are lost on the way there: the reflector's numbers do not show it, the sender's do.
    for n, number in enumerate((115, 117, 0xffffffff)):
        assert sender.ask(number)[0] == (10 + n if stateful else number)
    # Another session on the same addresses and ports; then the first one again.
    assert sender.ask(5, ssid=0xabcd)[0] == (0 if stateful else 5)
    assert sender.ask(6)[0] == (13 if stateful else 6)
    assert Sender(host, port).ask(7)[0] == (0 if stateful else 7)

    padding = tlv(1, os.urandom(60))
    assert sender.ask(1, behind=padding)[1] == b"\0" + padding[1:]
    unknown = tlv(200, b"abc")
    assert sender.ask(1, behind=unknown + padding)[1] == b"\x80" + unknown[1:] + b"\0" + padding[1:]
    assert sender.ask(1, behind=padding[:-1])[1] == b"\x40" + padding[1:-1]
    most = 1452 if sender.six else 1472
    assert len(sender.ask(1, behind=tlv(1, bytes(most - 48)))[1]) == most - 44

    for length in 14, 16, 41, 44:  # TWAMP Light, without padding and with
        sender.ask(3, length=length)
    for length in 1, 2, 27, 1000:
        assert sender.ask(4, behind=bytes(length))[1] == bytes(length)

    sender.socket.settimeout(0.2)
    for request in b"", bytes(13):
        sender.socket.send(request)
        try:
            raise SystemExit(f"{len(request)} bytes are answered: {sender.socket.recv(100)}")
        except TimeoutError:
            pass


def kinds(packet):  # of its TLVs; what is no whole one has none
    return [getattr(t, "type", None) for t in packet.tlv_objects]


def judge_capture(path):
    from scapy.contrib.stamp import (STAMPSessionReflectorTestUnauthenticated as Answer,
                                     STAMPSessionSenderTestUnauthenticated as Request)
    from scapy.layers.inet import UDP
    from scapy.utils import rdpcap
    asked, pairs = {}, 0
    for frame in rdpcap(path):  # the port says which is which
        if Request in frame and frame[UDP].len >= 52:
            request = frame[Request]
            asked[frame[UDP].sport, request.seq, str(request.ts)] = request
        elif Answer in frame:
            answer = frame[Answer]
            request = asked.get((frame[UDP].dport, answer.seq_sender, str(answer.ts_sender)))
            if request is None:  # one of TWAMP Light
                continue
            assert answer.ssid == request.ssid and answer.ttl_sender == TTL
            assert answer.err_estimate_sender.multiplier == request.err_estimate.multiplier
            assert answer.err_estimate.Z == 0 and answer.ts_rx <= answer.ts
            assert kinds(answer) == kinds(request)
            pairs += 1
    assert pairs > 10, pairs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port")
    parser.add_argument("--stateful", action="store_true")
    options = parser.parse_args()
    if options.host == "judge":
        judge_capture(options.port)
    else:
        judge_reflector(options.host, int(options.port), options.stateful)


if __name__ == "__main__":
    main()
