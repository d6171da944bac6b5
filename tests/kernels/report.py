#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Judges what the guests reported: prints a table of version, interface, mode and result, and the
sum; writes the table as kernels.md. Ends with status 1 when something failed.
"""
import argparse
import re
import sys

INTERFACES, MODES = ("veth", "virtio-net"), ("zerocopy", "copy", "skb", "driver")  # of the markdown
SECTIONS = {"bpf": "(the filter's tests)"}  # others are kinds of interfaces
KINDS = ("bond", "failover", "vlan", "above", "bridge", "vrf", "nothing")
TEST = re.compile(r"(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$")
SUM = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped$")
COMPLAINT = re.compile(r"\b(BUG|WARNING|Oops|Kernel panic|general protection fault|UBSAN|KASAN)\b:?")


class Part:
    """The filter's tests, or one interface in one mode."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.reason = ""    # of what was skipped
        self.status = None  # until it ended

    def take(self, line):
        if found := SUM.match(line):
            self.passed, self.failed, self.skipped = map(int, found.groups())
        elif found := TEST.match(line):
            is_not, _, reason = found.groups()
            if reason:
                self.skipped += 1
                self.reason = reason
            elif is_not:
                self.failed += 1
            else:
                self.passed += 1
        elif found := re.match(r"status (\d+)$", line):
            self.status = int(found[1])

    def end(self):
        """One that did not end, or not well, has failed, whatever it said; so has one without a test."""
        if not self.failed and (self.status != 0 or not self.passed + self.skipped):
            self.failed = 1

    def result(self):
        if self.failed:
            return f"FAILED: {self.failed} of {self.passed + self.failed + self.skipped}"
        if self.name == "bpf":
            return f"{self.passed} passed" + (f", {self.skipped} skipped" if self.skipped else "")
        return f"not supported: {self.reason}" if self.skipped else f"works ({self.passed} checks)"


class Guest:
    """What one kernel reported."""

    def __init__(self, version, release, directory):
        self.version, self.release = version, release
        self.parts, self.skips, self.wrong = [], [], []
        ended = False
        for line in self._lines(f"{directory}/{release}/report"):
            if line.startswith("section "):
                self.parts.append(Part(line[len("section "):]))
            elif line.startswith("version "):
                package = re.search(r"Debian (\S+)", line)
                self.version = package[1] if package else version
            elif line.startswith("# skipped: "):
                self.skips.append(line[len("# skipped: "):])
            elif line == "end":
                ended = True
            elif self.parts:
                self.parts[-1].take(line)
        for part in self.parts:
            part.end()
        console = self._lines(f"{directory}/{release}/console")
        if not ended:
            self.wrong += ["the guest did not run to its end; its console's:", *console[-15:]]
        self.wrong += [f"the kernel complains: {line}" for line in console if COMPLAINT.search(line)]

    @staticmethod
    def _lines(path):
        try:
            with open(path, errors="replace", newline="\n") as file:
                return [line.rstrip("\r\n") for line in file]
        except FileNotFoundError:
            return []

    def sums(self):
        return (sum(part.passed for part in self.parts),
                sum(part.failed for part in self.parts) + bool(self.wrong),
                sum(part.skipped for part in self.parts))

    def kinds(self):
        """What came of the kinds of interfaces, all together."""
        parts = [part for part in self.parts if part.name in KINDS]
        failed = [part.name for part in parts if part.failed]
        if failed:
            return "FAILED: " + ", ".join(failed)
        return f"{sum(part.passed for part in parts)} passed" if parts else ""

    def part(self, name):
        return next((part for part in self.parts if part.name == name), None)


def print_rows(guests):
    rows = [("kernel", "interface", "mode", "result")]
    for guest in guests:
        for part in guest.parts:
            interface, _, mode = part.name.partition(" ")
            rows.append((guest.version, interface, mode or SECTIONS.get(interface, "auto"), part.result()))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]))


def markdown(guests):
    """A line for each kernel; why something is not supported, below."""
    reasons = []

    def cell(part):
        if part is None:
            return ""
        result = part.result()
        if part.name == "bpf" or part.failed or not part.skipped:
            return result.split(" (")[0]
        if part.reason not in reasons:
            reasons.append(part.reason)
        return f"no ({reasons.index(part.reason) + 1})"

    names = [f"{interface} {mode}" for interface in INTERFACES for mode in MODES] + ["bpf"]
    heads = ["Debian's kernel", *names[:-1], "the filter's tests", "kinds of interfaces"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for guest in guests:
        cells = [cell(guest.part(name)) for name in names]
        lines.append("| " + " | ".join([guest.version, *cells, guest.kinds()]) + " |")
    if reasons:
        lines.append("")
    lines += [f"({number}) not supported: {reason}" + ("" if number == len(reasons) else "  ")
              for number, reason in enumerate(reasons, 1)]
    skips = {}
    for guest in guests:
        for reason in guest.skips:
            skips.setdefault(reason, []).append(guest.version)
    if skips:
        lines += ["", "Of the filter's tests were skipped:", ""]
        lines += [f"- {', '.join(versions)}: {reason}" for reason, versions in skips.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("rows", nargs="+", metavar="VERSION=RELEASE")
    parser.add_argument("--publish", metavar="FILE")
    options = parser.parse_args()
    guests, passed, failed, skipped = {}, 0, 0, 0
    for row in options.rows:
        version, _, release = row.partition("=")
        if not release:
            print(f"skipped: Linux {version} is not to be had")
            skipped += 1
        else:
            guests.setdefault(release, Guest(version, release, options.directory))
    guests = list(guests.values())
    for guest in guests:
        for line in guest.wrong:
            print(f"# {guest.version}: {line}")
        sums = guest.sums()
        passed, failed, skipped = passed + sums[0], failed + sums[1], skipped + sums[2]
    print_rows(guests)
    text = markdown(guests)
    for path in filter(None, [f"{options.directory}/kernels.md", options.publish]):
        with open(path, "w") as file:
            file.write(text)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
