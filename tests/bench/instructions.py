#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Instructions that an echo takes in user space, counted by callgrind.

Replays two captures that differ only in the number of echoes; what the longer one takes more,
divided by the echoes that it has more, is one echo. Exact and repeatable, whatever else the
machine does. Counted without the capture files' own handling: parse, checksums, dispatch, echo,
build, and what these call in the C library.
"""
import collections
import os
import re
import shutil
import struct
import subprocess
import tempfile

FEW, MANY = 1000, 9000
CLIENT, SERVER, PORT = "10.0.0.1", "10.0.0.2", 8080
LINE = ("user/engine/", "user/base/headers.", "user/base/checksum.", "user/services/", "include/udpxdp/", "intrin.h")


def address(text):
    return bytes(int(word) for word in text.split("."))


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def request(size, number, complete=True):
    """An Ethernet frame; without a complete checksum it is as a local sender leaves it."""
    payload = bytes((number + i) & 0xff for i in range(size))
    udp = struct.pack(">HHHH", 20000 + number % 1000, PORT, 8 + size, 0)
    pseudo = address(CLIENT) + address(SERVER) + struct.pack(">HH", 17, 8 + size)
    right = checksum(pseudo + udp + payload) or 0xffff
    partial = ~checksum(pseudo) & 0xffff
    udp = udp[:6] + struct.pack(">H", right if complete else partial)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + size, number & 0xffff, 0x4000, 64, 17, 0)
    ip += address(CLIENT) + address(SERVER)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return bytes.fromhex("0200000000020200000000010800") + ip + udp + payload


def write_capture(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1790000000, i * 10000, len(frame), len(frame)))
            file.write(frame)


def replay(build, folder, count, **kind):
    """Replays so many requests under callgrind. Returns the path of its profile."""
    capture, profile = f"{folder}/{count}.pcap", f"{folder}/{count}.callgrind"
    write_capture(capture, (request(number=i, **kind) for i in range(count)))
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--compress-strings=no",
         "--compress-pos=no", f"{build}/udpxdp", "replay", "-r", capture,
         "-w", f"{folder}/{count}.out", "-s", f"echo:{PORT}", "-Q"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TZ": "UTC"})
    answers = os.path.getsize(f"{folder}/{count}.out") if not done.returncode else 0
    if answers < count * (16 + 42 + kind["size"]):
        raise RuntimeError(f"replay under callgrind: {done.stdout.strip()}")
    return profile


def is_programs(path):
    return "user/" in path or "include/udpxdp/" in path


def is_ours(path):
    """Does this source file belong to the line, rather than to the capture files' handling?"""
    return any(part in path for part in LINE)


def read_profile(path):
    """Instructions of the line, by source file; a library call counts for the file it is made in."""
    costs = collections.Counter()
    here = callee = ""
    calling = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            key, equals, value = line.rstrip("\n").partition("=")
            if equals and key in ("fl", "fi", "fe"):
                here = callee = value
            elif equals and key in ("cfi", "cfl"):
                callee = value
            elif equals and key == "calls":
                calling = True
            elif re.match(r"\d+ \d+$", line):
                if is_ours(here) and (not calling or not is_programs(callee)):
                    costs[here] += int(line.split()[1])
                if calling:
                    calling, callee = False, here
    return costs


def per_echo_by_file(build, size=64, complete=True):
    """Instructions per echo in each source file of the line."""
    with tempfile.TemporaryDirectory() as folder:
        few = read_profile(replay(build, folder, FEW, size=size, complete=complete))
        many = read_profile(replay(build, folder, MANY, size=size, complete=complete))
    return {name: (many[name] - few[name]) / (MANY - FEW) for name in many}


def per_echo(build):
    """Instructions per echo in the line, or None where they cannot be counted."""
    if not shutil.which("valgrind"):
        return None
    return sum(per_echo_by_file(build).values())


def main():
    build = os.path.abspath(os.environ.get("BUILD", "build"))
    for size in (64, 1024):
        for complete in (True, False):
            costs = per_echo_by_file(build, size, complete)
            print(f"{size} bytes, {'complete' if complete else 'partial'} checksum: "
                  f"{sum(costs.values()):.0f} instructions per echo")
            for name, cost in sorted(costs.items(), key=lambda item: -item[1]):
                if cost >= 0.5:
                    print(f"  {cost:6.0f}  {re.sub('.*/(?=user/|include/)', '', name)}")


if __name__ == "__main__":
    main()
