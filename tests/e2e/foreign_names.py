#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints what headers define or declare outside of udpxdp's names: macros, tags, constants, types,
variables and functions that do not begin with udpxdp_, one a line.

  foreign_names.py HEADER..."""

import re
import subprocess
import sys


def own_text(header, headers):
    """What the compiler sees of these headers where one is included, with the macros, and nothing
    of the system's."""
    seen = subprocess.run(["cc", "-std=gnu17", "-E", "-dD", header], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    text, ours = [], False
    for line in seen.split("\n"):
        if mark := re.match(r'# \d+ "(.*?)"', line):
            ours = mark[1] in headers
        elif ours:
            text.append(line)
    return "\n".join(text)


def names(text):
    yield from re.findall(r"^#define (\w+)", text, re.M)
    text = re.sub(r'^#.*|"[^"\n]*"', "", text, flags=re.M)
    yield from re.findall(r"\b(?:struct|union|enum)\s+(\w+)\s*[{;]", text)
    for constants in re.findall(r"\benum\b[^{};()]*\{([^}]*)\}", text):
        yield from re.findall(r"(?:^|,)\s*(\w+)", constants)
    while "{" in text:  # members and bodies
        text = re.sub(r"\{[^{}]*\}", "@", text)
    text = re.sub(r"\b(?:struct|union|enum)\s+\w+\s*;", "", text)
    while re.search(r"\([^()]*\(", text):  # what is in parentheses within others
        text = re.sub(r"(\([^()]*)\([^()]*\)", r"\1", text)
    text = re.sub(r"\b(?:__attribute__|_Static_assert)\s*\([^()]*\)", "", text)
    yield from re.findall(r"(\w+)\s*\(", text)
    text = re.sub(r"\([^()]*\)", "", text)
    yield from re.findall(r"(\w+)\s*(?:\[[^]]*\]\s*)*[;=]", text)


found = {name for header in sys.argv[1:] for name in names(own_text(header, sys.argv[1:]))}
print("\n".join(sorted(name for name in found if not re.match("udpxdp_|UDPXDP_", name))))
