#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `udpxdp replay` has to answer, worked out from the capture alone.

    oracle.py predict IN.pcap OUT.pcap OUT.txt [OPTION of replay...]
        writes the frames that echo and stamp must send, and the text that replay must print
        (standard output, then the summary line). TZ is the time zone.
    oracle.py compare EXPECTED.pcap ACTUAL.pcap
        says where two captures differ; exit status 1 when they do.

Written from the protocols' documents (RFC 768, 791, 1071, 8200, IEEE 802.1Q) and the manual,
with nothing of udpxdp's code and no packet library.
"""
import argparse
import ipaddress
import re
import struct
import sys
import time
from collections import Counter

VERDICTS = ("udp not_ip not_udp malformed fragment ipv6_extension not_ours "
            "not_served").split()
DROPS = "bad_ip_checksum bad_udp_checksum source_port_zero source_address loop reply_too_big".split()
OWN_DROPS = {"stamp": ["too_short", "sessions_full"]}
DEFAULT_SERVICES = ["echo:8080", "broadcast:8086", "chat:8090"]
EXTENSIONS = {0, 43, 50, 51, 60, 135, 139, 140, 253, 254}
FILE_HEADER = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1)
STAMP = re.compile(r"【(Sun|Mon|Tue|Wed|Thu|Fri|Sat) "
                   r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d "
                   r"\d\d:\d\d:\d\d \d{4}】", re.ASCII)


# ---- captures ----------------------------------------------------------------------------

def read_pcap(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != FILE_HEADER[:4]:
        raise SystemExit(f"{path} is not a nanosecond capture of this byte order")
    at = len(FILE_HEADER)
    while at < len(data):
        seconds, fraction, length, original = struct.unpack_from("<IIII", data, at)
        assert length == original
        at += 16
        yield seconds * 10**9 + fraction, data[at:at + length]
        at += length


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(FILE_HEADER)
        for at, frame in frames:
            file.write(struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), len(frame)))
            file.write(frame)


# ---- reading a frame ---------------------------------------------------------------------

class Refused(Exception):
    """The frame is none for us: the verdict."""


def ones_sum(data):
    total = 0
    for i in range(0, len(data), 2):
        total += data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0)
    while total > 0xffff:
        total = (total >> 16) + (total & 0xffff)
    return total


def pseudo_header(source, dest, length):
    if source.version == 4:
        return source.packed + dest.packed + struct.pack("!BBH", 0, 17, length)
    return source.packed + dest.packed + struct.pack("!IHBB", length, 0, 0, 17)


class Datagram:
    def __init__(self, frame):
        if len(frame) < 14:
            raise Refused("malformed")
        self.to_mac, self.from_mac = frame[:6], frame[6:12]
        self.tags = b""
        at = 12
        while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8") and len(self.tags) < 8:
            if len(frame) < at + 6:
                raise Refused("malformed")
            self.tags += frame[at:at + 4]
            at += 4
        ethertype, packet = frame[at:at + 2], frame[at + 2:]
        if ethertype == b"\x08\x00":
            segment = self.read_ipv4(packet)
        elif ethertype == b"\x86\xdd":
            segment = self.read_ipv6(packet)
        else:
            raise Refused("not_ip")
        if len(segment) < 8:
            raise Refused("malformed")
        self.source_port, self.port, length, self.checksum = struct.unpack("!4H", segment[:8])
        if not 8 <= length <= len(segment):
            raise Refused("malformed")
        segment = segment[:length]
        self.segment, self.payload = segment, segment[8:]

    def read_ipv4(self, packet):
        if len(packet) < 20:
            raise Refused("malformed")
        header_length, total = (packet[0] & 15) * 4, packet[2] << 8 | packet[3]
        if packet[0] >> 4 != 4 or header_length < 20 or not header_length <= total <= len(packet):
            raise Refused("malformed")
        if packet[9] != 17:
            raise Refused("not_udp")
        if (packet[6] << 8 | packet[7]) & 0x3fff:
            raise Refused("fragment")
        self.traffic_class, self.ttl = packet[1], packet[8]
        self.source = ipaddress.IPv4Address(packet[12:16])
        self.dest = ipaddress.IPv4Address(packet[16:20])
        self.header_good = ones_sum(packet[:header_length]) == 0xffff
        return packet[header_length:total]

    def read_ipv6(self, packet):
        if len(packet) < 40:
            raise Refused("malformed")
        length, following = packet[4] << 8 | packet[5], packet[6]
        if packet[0] >> 4 != 6 or len(packet) < 40 + length:
            raise Refused("malformed")
        if following == 44:
            raise Refused("fragment")
        if following in EXTENSIONS:
            raise Refused("ipv6_extension")
        if following != 17:
            raise Refused("not_udp")
        self.traffic_class, self.ttl = (packet[0] & 15) << 4 | packet[1] >> 4, packet[7]
        self.source = ipaddress.IPv6Address(packet[8:24])
        self.dest = ipaddress.IPv6Address(packet[24:40])
        if self.source.ipv4_mapped or self.dest.ipv4_mapped:
            raise Refused("not_ours")
        self.header_good = True
        return packet[40:40 + length]

    def checksum_good(self):
        if not self.checksum:
            return self.source.version == 4
        pseudo = pseudo_header(self.source, self.dest, len(self.segment))
        return self.checksum == ones_sum(pseudo) or ones_sum(pseudo + self.segment) == 0xffff


# ---- judging it --------------------------------------------------------------------------

def special(address):
    if address.version == 4:
        return address.packed[0] in (0, 127) or address.is_multicast or \
            address.packed == b"\xff" * 4
    return address.is_multicast or address.is_unspecified or address.is_loopback


def services_of(spec):
    """One for each port of a range."""
    name, _, ports = spec.partition(",")[0].partition(":")
    first, _, last = (ports or str({"echo": 8080, "broadcast": 8086, "chat": 8090, "stamp": 862}[name])).partition("-")
    return [Service(name, port, spec) for port in range(int(first), int(last or first) + 1)]


class Service:
    def __init__(self, name, port, spec):
        self.name, self.port = name, port
        settings = spec.split(",")[1:]
        settings = dict(s.split("=") for s in settings)
        self.stamp = settings.get("stamp", "on") == "on"
        self.loops = settings.get("loops", "refuse") == "allow"
        self.keeps_dscp = settings.get("tos") == "copy"
        self.sessions = {} if settings.get("stateful", "off") == "on" else None
        self.session_limit = int(settings.get("sessions", 1024))
        self.label = self.name
        self.counts = Counter()


def vlans_of(text):
    """"any", or the set of those that are answered."""
    if text in ("own", "none"):
        return set()
    pairs = [(part.split("-") * 2)[:2] for part in text.split(",")] if text != "any" else []
    return "any" if text == "any" else {n for a, b in pairs for n in range(int(a), int(b) + 1)}


class Host:
    def __init__(self, options):
        self.services = [s for spec in options.service or DEFAULT_SERVICES for s in services_of(spec)]
        self.ports = {s.port: s for s in self.services}
        self.local = [ipaddress.ip_interface(a) for a in options.local or []]
        self.any_mac = not options.mac
        self.mac = bytes.fromhex((options.mac or "02:00:00:00:00:01").replace(":", ""))
        self.vlans = vlans_of(options.vlan)
        self.last_id = 0
        self.mtu = options.mtu
        self.print = not options.quiet
        self.verdicts, self.frames, self.lines = Counter(), [], []
        names = Counter(s.name for s in self.services)
        for s in self.services:
            if names[s.name] > 1:
                s.label = f"{s.name}:{s.port}"

    def is_broadcast(self, address):
        return address.packed == b"\xff" * 4 or any(
            address == i.network.broadcast_address for i in self.local
            if i.version == 4 and i.network.prefixlen <= 30)

    def admit(self, d):
        ours = d.dest in (i.ip for i in self.local) or not self.local and not special(d.dest)
        if not (self.any_mac or d.to_mac == self.mac or d.to_mac[0] & 1):
            raise Refused("not_ours")
        vlans = [v for at in range(0, len(d.tags), 4) if (v := (d.tags[at + 2] & 15) << 8 | d.tags[at + 3])]
        if vlans and self.vlans != "any" and (len(vlans) > 1 or vlans[0] not in self.vlans):
            raise Refused("not_ours")
        service = self.ports.get(d.port)
        if not ours and not (self.is_broadcast(d.dest) and service and service.name == "broadcast"):
            raise Refused("not_ours")
        if not service:
            raise Refused("not_served")
        return service

    def refuse(self, d):
        if not d.header_good:
            return "bad_ip_checksum"
        if not d.checksum_good():
            return "bad_udp_checksum"
        if not d.source_port:
            return "source_port_zero"
        if special(d.source) or self.is_broadcast(d.source) or d.from_mac[0] & 1 or \
                d.source in (i.ip for i in self.local):
            return "source_address"
        return None

    def answer(self, d, payload, traffic_class, ttl=64):
        segment = struct.pack("!4H", d.port, d.source_port, 8 + len(payload), 0) + payload
        checksum = ones_sum(pseudo_header(d.dest, d.source, len(segment)) + segment) ^ 0xffff
        segment = segment[:6] + struct.pack("!H", checksum or 0xffff) + segment[8:]
        if d.source.version == 4:
            identification, flags = 0, 0x4000
            if 20 + len(segment) > 576:  # may be fragmented, and needs a number of its own (RFC 6864)
                self.last_id = identification = (self.last_id + 1) % 65536
                flags = 0
            header = struct.pack("!BBHHHBBH", 0x45, traffic_class, 20 + len(segment), identification, flags,
                                 ttl, 17, 0) + \
                d.dest.packed + d.source.packed
            header = header[:10] + struct.pack("!H", ones_sum(header) ^ 0xffff) + header[12:]
            ethertype = b"\x08\x00"
        else:
            header = struct.pack("!IHBB", 6 << 28 | traffic_class << 20, len(segment), 17, ttl) + \
                d.dest.packed + d.source.packed
            ethertype = b"\x86\xdd"
        from_mac = self.mac if d.to_mac[0] & 1 else d.to_mac
        return d.from_mac + from_mac + d.tags + ethertype + header + segment

    def echo(self, service, d, at):
        text = d.payload.decode("utf-8", "replace")
        if not service.loops and (d.source_port < 1024 or d.source_port in self.ports or
                                  STAMP.match(text)):
            return "loop"
        self.show(service, d, at)
        payload = d.payload
        if service.stamp:
            payload = f"【{time.asctime(time.localtime(at // 10**9))}】 ".encode() + payload
        if len(payload) > self.mtu - (28 if d.source.version == 4 else 48):
            return "reply_too_big"
        self.frames.append((at, self.answer(d, payload, d.traffic_class & 0xfc if
                                            service.keeps_dscp else 0)))
        service.counts["tx"] += 1
        return None

    def stamp(self, service, d, at):
        """RFC 8762, 4.3.1; RFC 8972, 3 and 4; RFC 5357, 4.2.1."""
        if len(d.payload) < 14:
            return "too_short"
        if not service.loops and (d.source_port < 1024 or d.source_port in self.ports):
            return "loop"
        number, ssid = d.payload[:4], d.payload[14:16].ljust(2, b"\0") if len(d.payload) > 15 else b"\0\0"
        session = d.source, d.source_port, d.dest, ssid
        if service.sessions is not None:
            if session not in service.sessions and len(service.sessions) == service.session_limit:
                return "sessions_full"
            number = struct.pack("!I", service.sessions.get(session, 0))
        now = struct.pack("!II", (at // 10**9 + 2208988800) % 2**32, at % 10**9 * 2**32 // 10**9)
        answer = number + now + b"\x14\x01" + ssid + now + d.payload[:14] + bytes(2) + \
            bytes([d.ttl]) + bytes(3) + self.reflect_tlvs(d.payload[44:])
        if len(answer) > self.mtu - (28 if d.source.version == 4 else 48):
            return "reply_too_big"
        if service.sessions is not None:
            service.sessions[session] = service.sessions.get(session, 0) + 1
        self.frames.append((at, self.answer(d, answer, d.traffic_class & 0xfc, 255)))
        service.counts["tx"] += 1
        return None

    @staticmethod
    def reflect_tlvs(rest):
        out = b""
        while len(rest) >= 4 and rest[:2] != b"\0\0":
            length, unknown = 4 + int.from_bytes(rest[2:4], "big"), rest[1] != 1
            if length > len(rest):
                return out + bytes([0xc0 if unknown else 0x40]) + rest[1:]
            out += bytes([0x80 if unknown else 0]) + rest[1:length]
            rest = rest[length:]
        return out + rest

    def show(self, service, d, at):
        if not self.print:
            return
        local = time.localtime(at // 10**9)
        zone = time.strftime("%z", local)
        self.lines.append(
            time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{at % 10**9 // 1000:06}" +
            f"{zone[:3]}:{zone[3:]} {service.label} recv "
            f"{d.source if d.source.version == 4 else f'[{d.source}]'}:{d.source_port} "
            f"\"{quote(d.payload)}\"")

    def take(self, at, frame):
        try:
            d = Datagram(frame)
            service = self.admit(d)
        except Refused as refused:
            self.verdicts[refused.args[0]] += 1
            return
        self.verdicts["udp"] += 1
        service.counts["rx"] += 1
        drop = self.refuse(d)
        if not drop and service.name not in ("echo", "stamp"):
            raise SystemExit(f"{service.name} is not judged here")
        drop = drop or (self.echo if service.name == "echo" else self.stamp)(service, d, at)
        if drop:
            service.counts[drop] += 1

    def summary(self):
        def counts(names, counter):
            return "".join(f" {name}={counter[name]}" for name in names if counter[name])

        text = f"udpxdp: replay: frames={self.verdicts.total()}" + counts(VERDICTS, self.verdicts)
        for s in self.services:
            if s.counts["rx"]:
                text += f"; {s.name}:{s.port} rx={s.counts['rx']} tx={s.counts['tx']}" + \
                    counts(DROPS + OWN_DROPS.get(s.name, []), s.counts)
        return text


def quote(payload):
    """As a terminal may see it: no control, separator or bidi character, nothing but UTF-8."""
    out = []
    for c in payload.decode("utf-8", "surrogateescape"):
        n = ord(c)
        if 0xdc80 <= n <= 0xdcff:
            out.append(f"\\x{n - 0xdc00:02x}")
        elif c in '"\\':
            out.append("\\" + c)
        elif c in "\n\r\t":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[c])
        elif n < 32 or n == 127:
            out.append(f"\\x{n:02x}")
        elif 128 <= n < 160 or n in (0x2028, 0x2029, 0x61c, 0x200e, 0x200f) or 0x202a <= n <= 0x202e or \
                0x2066 <= n <= 0x2069:
            out.append(f"\\u{{{n:04x}}}")
        else:
            out.append(c)
    return "".join(out)


# ---- the command line --------------------------------------------------------------------

def predict(argv):
    parser = argparse.ArgumentParser()
    for name in "input", "output", "text":
        parser.add_argument(name)
    parser.add_argument("-s", "--service", action="append")
    parser.add_argument("--local", action="append")
    parser.add_argument("--mac")
    parser.add_argument("--vlan", default="any")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--hostname")
    parser.add_argument("-Q", "--quiet", action="store_true")
    options = parser.parse_args(argv)
    host = Host(options)
    for at, frame in read_pcap(options.input):
        host.take(at, frame)
    write_pcap(options.output, host.frames)
    with open(options.text, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in [*host.lines, host.summary()])


def compare(expected_path, actual_path):
    expected, actual = list(read_pcap(expected_path)), list(read_pcap(actual_path))
    for n, (want, got) in enumerate(zip(expected, actual), 1):
        if want != got:
            print(f"frame {n} differs:")
            for name, (at, frame) in ("expected", want), ("actual", got):
                print(f"  {name} {at // 10**9}.{at % 10**9:09} {frame.hex(' ', 2)}")
            return 1
    if len(expected) != len(actual):
        print(f"{len(expected)} frames expected, {len(actual)} came")
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "predict":
        predict(sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(compare(*sys.argv[2:]))
    else:
        sys.exit(__doc__)
