#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the seed corpora, corpus/NAME/*, from the named frames of the filter's tests.

Needs scapy. The corpora are committed; run this again when a format of an input changes. Those of
counters are what counters_write() wrote once, and are not written here.
"""
import os
import socket
import struct
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../fixtures/bpf"))
sys.dont_write_bytecode = True
from recipes import E, Raw, TEXT, U, V4, V6, make, to  # noqa: E402
from scapy.all import Dot1AD, Dot1Q  # noqa: E402

FIXTURES = {name: frame for name, _, _, _, frame in make() if len(frame) < 200}


def write(target, name, data):
    os.makedirs(f"{here}/corpus/{target}", exist_ok=True)
    with open(f"{here}/corpus/{target}/{name}", "wb") as file:
        file.write(data)


# ---- fuzz_frames: a list of steps; see there ----

MEND, WORKER, HOLD, NO_TX, NO_SINK, TOKEN = 4, 8, 16, 32, 64, 128


def frame(packet, flags=0, time=1):
    packet = bytes(packet)
    return bytes([flags, time]) + struct.pack("<H", len(packet)) + packet


def command(service, peer, text):
    return bytes([1, service, peer]) + struct.pack("<H", len(text)) + text


def tick(time):
    return bytes([2, time])


def net(number):
    return bytes([3, number])


def chat(text, host=2, port=4711, ip=V4, tags=None, dport=8090):
    if ip is V4:
        ip = to(V4, src=f"10.0.0.{host}")
    elif ip is V6:
        ip = to(V6, src=f"2001:db8::{host:x}")
    layers = E / tags / ip if tags else E / ip
    return layers / to(U, sport=port, dport=dport) / Raw(text)


FAR = to(V4, src="198.51.100.7")
SCRIPTS = {
    "echo": frame(E/V4/U/TEXT) + frame(E/V6/U/TEXT, WORKER) + frame(E/V4/U) + tick(3),
    "echo_tags": frame(E/Dot1AD(vlan=100)/Dot1Q(vlan=7)/V4/U/TEXT) +
                 frame(E/Dot1Q(vlan=7)/V6/U/TEXT),
    "echo_options": frame(FIXTURES["ipv4_qinq_options"]),
    "echo_plain": frame(E/V4/to(U, dport=7)/TEXT) + frame(E/V4/to(U, dport=7, sport=7)/TEXT),
    "echo_loop": frame(E/V4/U/Raw("【Mon Nov 23 02:00:00 2026】 hello")) +
                 frame(E/V4/to(U, sport=8090)/TEXT) + frame(E/V4/to(U, sport=0)/TEXT),
    "echo_partial_checksum": frame(E/V4/to(U, chksum=0x1421)/TEXT) +
                             frame(E/V4/to(U, chksum=0)/TEXT) +
                             frame(E/V6/to(U, chksum=0)/TEXT),
    "echo_too_big": net(1) + b"".join(  # behind a stamp of 31 bytes in an MTU of 576
        frame(E/ip/U/Raw(bytes(576 - headers - 31 + more)), MEND)
        for ip, headers in ((V4, 28), (V6, 48)) for more in (0, 1)),
    "stamp": b"".join(frame(E/ip/to(U, dport=862)/Raw(bytes(14) + b"\x12\x34" + bytes(28) + tlvs))
                      for ip in (V4, V6) for tlvs in (b"", b"\xc0\1\0\4abcd\xc0\x63\0\1x",
                                                      b"\xc0\1\0\5abcd")),
    "echo_batch": frame(E/V4/U/TEXT, HOLD) * 9 + frame(E/V4/U/TEXT),
    "echo_no_frames": frame(E/V4/U/TEXT, NO_TX) + frame(E/V4/U/TEXT, NO_SINK),
    "bad_sources": b"".join(frame(E/to(V4, src=a)/U/TEXT, MEND) for a in
                            ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.1",
                             "10.0.0.255")) + frame(E/to(V6, src="ff02::1")/U/TEXT, MEND) +
                   frame(E/to(V6, src="::")/U/TEXT, MEND),
    "announced": frame(FIXTURES["ipv4_broadcast"]) + frame(FIXTURES["ipv4_limited_broadcast"]) +
                 frame(E/to(V4, dst="10.0.0.255", src="198.51.100.7")/to(U, dport=8086)/TEXT) +
                 frame(E/to(V4, dst="10.0.0.255")/to(U, dport=8087)/TEXT),
    "announce": command(2, 0, b"hello, all") + frame(E/V4/to(U, dport=8086)/Raw("【x】host")) +
                command(2, 0, b"x" * 1500) + net(2) + command(2, 0, b"no address"),
    "chat": frame(chat(b"hello")) + frame(chat(b"hi", 3)) + frame(chat(b"/who", 2)) +
            frame(chat(b"/nick \xc3\xa4nne", 3)) + frame(chat(b"again", 3)) +
            frame(chat(b"/quit", 2)) + frame(chat(b"/help", 2)) + frame(chat(b"/what", 2)),
    "chat_families": frame(chat(b"four")) + frame(chat(b"six", ip=V6)) +
                     frame(chat(b"tagged", 4, tags=Dot1Q(vlan=7))) + frame(chat(b"to all")),
    "chat_full": b"".join(frame(chat(b"hello", host, dport=8091)) for host in range(2, 6)),
    "chat_many_clients": b"".join(frame(chat(b"", 0x1000 + n, ip=V6)) for n in range(30)) +
                  frame(chat(b"/who", ip=V6)),
    "chat_idle": frame(chat(b"hello")) + frame(chat(b"hi", 3)) + tick(6) +
                 frame(chat(b"anybody?", 3)),
    "chat_clock_back": frame(chat(b"hello"), 0, 5) + frame(chat(b"hi", 3), 0, 7) + tick(7),
    "single_reply": frame(chat(b"here", dport=8099)) + frame(chat(b"there", dport=8099), WORKER) +
                    frame(chat(b"", dport=8099), WORKER | HOLD) * 2 +
                    frame(chat(b"lost", dport=8099), WORKER | NO_TX),
    "chat_worker": frame(chat(b"hello"), WORKER) + frame(chat(b"hi", 3)) +
                   frame(chat(b"hello"), WORKER | HOLD) * 3 + frame(chat(b"there", 3), WORKER) +
                   frame(chat(b"lost"), WORKER | NO_SINK),
    "chat_challenge": frame(chat(b"hello", ip=FAR)) +
                      frame(chat(b"12345678", ip=FAR), MEND | TOKEN) +
                      frame(chat(b"now I am in", ip=FAR)),
    "chat_invalid": frame(chat(b"\xff\xfe")) + frame(chat(b"\xc0\x80")) +
                    frame(chat(b"\xed\xa0\x80")) + frame(chat(b"")) + frame(chat(b"/nick ")),
    "chat_hostile": frame(chat(b"a")) + frame(chat("\x1b[2J\u202e\u2028\r\n\x9bx".encode(), 3)),
    "chat_names": frame(chat(b"/nick one")) + frame(chat(b"/nick one", 3)) +
                  frame(chat(b"/nick " + b"n" * 33)) + frame(chat(b"/nick a b")) +
                  frame(chat("/nick a\u202eb".encode())) + frame(chat(b"/nick \xc2\x9bx")) +
                  frame(chat(b"one: hi", 3)) + frame(chat(b"a: b: c: hi", 3)),
    "chat_two_rooms": frame(chat(b"here", dport=8091)) + frame(chat(b"there", 3, dport=8091)) +
                      frame(chat(b"room", port=8090)) + frame(chat(b"* to join", 3)),
    "chat_say": command(4, 0, b"hello, peer") + command(4, 4, b"far") + command(4, 9, b"six") +
                frame(chat(b"answer", ip=FAR)) + command(5, 18, b"other room"),
    "chat_mtu": net(1) + frame(chat(b"a")) + frame(chat(b"b" * 540, 3)) + frame(chat(b"c" * 520)),
    "any_unicast": net(3) + frame(E/to(V4, dst="203.0.113.9")/U/TEXT) + frame(chat(b"hello")) +
                   frame(E/to(V6, dst="fe80::1")/U/TEXT),
    "not_for_us": b"".join(frame(FIXTURES[name]) for name in (
        "arp", "ipv4_tcp", "ipv6_icmp", "three_tags", "ipv4_header_cut", "ipv6_jumbogram",
        "ipv4_fragment_first", "ipv6_atomic_fragment", "ipv4_neighbour", "ipv6_mapped_destination",
        "ipv4_port_unserved", "ipv4_udp_length_into_trailer")) + frame(b""),
}

# ---- fuzz_packet: one byte for the queue, then a frame ----

PACKETS = """ipv4 ipv4_odd_trailer ipv4_forty_bytes_of_options ipv4_qinq_options ipv4_broadcast
ipv4_allowed_within_denied ipv6 ipv6_qinq arp three_tags ipv4_tcp ipv6_no_next_header second_tag_cut
ipv4_header_length_16 ipv4_header_beyond_frame ipv4_total_length_65535
ipv4_udp_header_half_in_trailer ipv6_payload_length_0 ipv4_fragment_middle ipv6_fragment_last
ipv6_jumbogram ipv6_routing ipv4_transit ipv6_mapped_source ipv4_port_unserved ipv4_denied
ipv6_denied ipv4_rate_limited ipv6_rate_limited""".split()

# ---- fuzz_sockets: what is said of a datagram, then a frame ----


def said(ipv6, length, source, dest, broadcast=0, segment=0):
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    return struct.pack("=BBBBHHHxxI16s16s", ipv6, 0x48, 9, broadcast, length, 40000, segment, 2,
                       socket.inet_pton(family, source), socket.inet_pton(family, dest))


SOCKETS = {
    "ipv4": said(0, 5, "127.0.0.1", "127.0.0.1") + bytes(E/V4/U/TEXT),
    "ipv4_train": said(0, 65507, "10.0.0.2", "10.0.0.1", segment=1400) + FIXTURES["ipv4_qinq_options"],
    "ipv4_broadcast": said(0, 5, "10.0.0.2", "10.0.0.255", 1) + FIXTURES["ipv4_broadcast"],
    "ipv6": said(1, 65527, "::1", "::1") + bytes(E/V6/U/TEXT),
    "ipv6_link_local": said(1, 5, "fe80::2", "fe80::1") +
                       bytes(E/to(V6, src="fe80::1", dst="fe80::2", hlim=1)/U/TEXT),
    "ipv6_mapped": said(1, 5, "::ffff:10.0.0.2", "::1") + FIXTURES["ipv6_mapped_source"],
    "arp": said(0, 0, "0.0.0.0", "255.255.255.255", 1) + FIXTURES["arp"],
}

# ---- fuzz_pcap: a capture file ----


def pcap(frames, magic=0xa1b23c4d, order="<", link=1, snaplen=262144):
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)
    for i, packet in enumerate(frames):
        packet = bytes(packet)
        data += struct.pack(order + "IIII", 1795402800 + i, i, len(packet), len(packet)) + packet
    return data


def pcapng(frames, order="<"):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(
            order + "I", len(body) + 12)

    data = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
    data += block(1, struct.pack(order + "HHI", 1, 0, 0) +
                  struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))
    for i, packet in enumerate(frames):
        packet = bytes(packet)
        data += block(6, struct.pack(order + "IIIII", 0, (1795402800 + i) * 10**9 >> 32,
                                     ((1795402800 + i) * 10**9) & 0xffffffff, len(packet),
                                     len(packet)) + packet)
        data += block(3, struct.pack(order + "I", len(packet)) + packet) if i == 0 else b""
    return data


TALK = [E/V4/U/TEXT, E/V6/U/TEXT, chat(b"hello"), chat(b"hi", 3), FIXTURES["ipv4_broadcast"],
        FIXTURES["arp"]]
PCAPS = {
    "nanoseconds": pcap(TALK),
    "microseconds": pcap(TALK, 0xa1b2c3d4),
    "big_endian": pcap(TALK, 0xa1b2c3d4, ">"),
    "modified": pcap(TALK, 0xa1b2cd34),
    "pcapng": pcapng(TALK),
    "pcapng_big_endian": pcapng(TALK[:2], ">"),
    "raw_ip": pcap([bytes(V4/U/TEXT)], link=101),
    "empty": pcap([]),
    "cut": pcap(TALK)[:-9],
    "header_cut": pcap([])[:20],
    "snapped": pcap([]) + struct.pack("<IIII", 1, 2, 14, 60) + bytes(14),
}

# ---- fuzz_service: a byte for the size of the error, then one service a line ----

SERVICES = {
    "defaults": "echo\nbroadcast\nchat",
    "ports": "echo:7\necho:8080\nbroadcast:8086\nchat:8090\nchat:65535",
    "echo_options": "echo:7,stamp=off,loops=allow\necho:9,stamp=on,loops=refuse",
    "chat_options": "chat:8090,members=65536,idle=86400,challenge=off,history=/var/lib/chat,sync=0",
    "histories": "chat:1\nchat:2\nchat:3,history=chat-2.txt\nchat:4,history=off",
    "same_port": "echo:8080\nchat:8080",
    "bad_numbers": "echo:0\necho:65536\necho:-1\necho:08080\nchat,members=0\nchat,idle=99999999999",
    "bad_words": "nothing\n:\n,\necho:\necho,\necho,stamp\necho,stamp=\necho,stamp=maybe\necho,x=1",
    "long_path": "chat,history=" + "x" * 300,
    "not_utf8": b"ch\xffat:\xfe,\x1b=\x00",
}

# ---- fuzz_control: packets, each with flags and a length ----

CONSOLE, LATER, EVENT, HANG_UP, REFUSE = 1, 2, 4, 8, 16


def packet(text, flags=0):
    return bytes([flags]) + struct.pack("<H", len(text)) + text


CONTROLS = {
    "watch": packet(b"watch broadcast") + packet(b"watch chat:8091", CONSOLE | EVENT),
    "announce": packet(b"watch broadcast") + packet(b"announce\nhello, all", EVENT),
    "say": packet(b"watch chat:8090") + packet(b"say 10.0.0.2 4711\nhello") +
           packet(b"say 2001:db8::2 65535\n", LATER) + packet(b"say ::ffff:10.0.0.2 1\nx", REFUSE),
    "later": packet(b"watch chat:8090") + packet(b"say 10.0.0.2 4711\none", LATER) * 3 +
             packet(b"watch broadcast", CONSOLE) + packet(b"announce\ntwo", CONSOLE | LATER) +
             packet(b"watch broadcast", HANG_UP | EVENT) + packet(b"", HANG_UP | CONSOLE),
    "refused": packet(b"watch") + packet(b"watch echo") + packet(b"watch chat") +
               packet(b"watch chat:0") + packet(b"watch chat:99999") + packet(b"watch none:1 2") +
               packet(b"announce") + packet(b"say\nx") + packet(b"say 1.2.3 4\nx") +
               packet(b"say 1.2.3.4 0\n") + packet(b"\0") + packet(b"") + packet(b"\n\n"),
    "before_watch": packet(b"announce\nhello") + packet(b"say 10.0.0.2 4711\nx", CONSOLE),
    "long_line": packet(b"watch " + b"x" * 200),
    "long_text": packet(b"watch broadcast") + packet(b"announce\n" + b"x" * 3000),
}

# ---- fuzz_config: a configuration file ----

CONFIGS = {
    "all": """# a comment
  iface = eth0   # and another
config=/etc/x
log-format=json
interface=eth1
service=echo:7,stamp=off
mode=zerocopy
queues=0-3
poll=spin
busy-poll=50
coalesce=50
cpus=0,2-3
limit=1000/200
allow=10.0.0.0/8
allow=2001:db8::/32
deny=10.1.0.0/16
attach=dispatcher
write=/tmp/x.pcap
control=/run/x.sock
pin-dir=/sys/fs/bpf/x
user=nobody
no-sandbox
quiet
verbose
verbose
""",
}
REFUSED = """mode=fast
queues=3-1
queues=64
cpus=1,,2
limit=0
limit=1/0
limit=99999999999999999999
allow=10.0.0.0/33
deny=::/129
deny=1.2.3
busy-poll=10001
quiet=maybe
verbose=x
service=echo:0
user
two words=x
=
\0""".split("\n")


def main():
    for name, script in SCRIPTS.items():
        write("frames", name, script)
    for name in PACKETS:
        write("packet", name, b"\0" + FIXTURES[name])
    write("packet", "no_socket", b"\1" + FIXTURES["ipv4"])
    for name, data in SOCKETS.items():
        write("sockets", name, data)
    for name, data in PCAPS.items():
        write("pcap", name, data)
    for name, text in SERVICES.items():
        write("service", name, b"\xff" + (text if isinstance(text, bytes) else text.encode()))
    for name, data in CONTROLS.items():
        write("control", name, data)
    for name, text in CONFIGS.items():
        write("config", name, text.encode())
    for number, line in enumerate(REFUSED):
        write("config", f"refused_{number}", f"quiet\n{line}\n".encode())


if __name__ == "__main__":
    main()
