#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udpxdp client, piped and on a pseudo-terminal, against UDP servers of every temper."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, os.environ.get("BUILD", "build"), "udpxdp")


class Server(threading.Thread):
    """Answers each datagram with what `answers` makes of it: a list of (delay, bytes)."""

    def __init__(self, answers, address="127.0.0.1"):
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.answers = answers
        self.seen = []
        self.sent = 0
        self.start()

    def run(self):
        while True:
            data, peer = self.socket.recvfrom(70000)
            self.seen.append(data)
            for delay, answer in self.answers(data):
                if delay:
                    threading.Timer(delay, self.socket.sendto, (answer, peer)).start()
                else:
                    self.socket.sendto(answer, peer)
                    self.sent += 1

    def await_seen(self, count):
        wait_until(lambda: len(self.seen) >= count, f"{count} datagrams", lambda: self.seen)

    def await_sent(self, count):
        wait_until(lambda: self.sent >= count, f"{count} answers", lambda: self.sent)


def wait_until(holds, what, seen, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come; seen: {seen()!r}")
        time.sleep(0.01)


def echo(data):
    return [(0, data)]


def stamped(data):
    return [(0, "【Mon Nov 23 02:00:00 2026】 ".encode() + data)]


def client(*arguments, data=b"", timeout=20):
    return subprocess.run([PROGRAM, "client", *map(str, arguments)], input=data, timeout=timeout,
                          capture_output=True)


def closed_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def expect(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def expect_run(result, status, out=None, err=None):
    expect(result.returncode, status, f"exit status (stderr {result.stderr!r})")
    if out is not None:
        expect(result.stdout, out, "standard output")
    if err is not None and not re.fullmatch(err, result.stderr):
        raise AssertionError(f"standard error: {result.stderr!r} does not match {err!r}")


# ---- piped ----

def piped_ipv4():
    server = Server(stamped)
    result = client("127.0.0.1", server.port, data="hello\nzwei\n你好".encode())
    stamp = "【Mon Nov 23 02:00:00 2026】 "
    expect_run(result, 0, f"{stamp}hello\n{stamp}zwei\n{stamp}你好\n".encode(), b"")
    expect(server.seen, ["hello".encode(), b"zwei", "你好".encode()], "what the server got")


def piped_ipv6():
    expect_run(client("::1", Server(echo, "::1").port, data=b"a\nb\n"), 0, b"a\nb\n", b"")


def next_address():
    """A name with two addresses, of which one refuses: whichever is tried first."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "needs mounts of its own: root, and not in a chroot that is no mount point"
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("127.0.0.1 twofold.example\n::1 twofold.example\n")
        hosts.flush()
        for address in ("127.0.0.1", "::1"):
            server = Server(echo, address)
            result = subprocess.run(
                ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
                 hosts.name, PROGRAM, "client", "twofold.example", str(server.port)],
                input=b"a\nb\n", timeout=20, capture_output=True)
            expect_run(result, 0, b"a\nb\n", b"")
    return None


def empty_datagrams():
    server = Server(echo)
    expect_run(client("127.0.0.1", server.port, data=b"\n\nx\n"), 0, b"\n\nx\n", b"")
    expect(server.seen, [b"", b"", b"x"], "what the server got")


def raw_when_piped():
    data = b"\x1b[31mred\x00\xff\ttab\r"
    expect_run(client("127.0.0.1", Server(echo).port, data=data + b"\n"), 0, data + b"\n", b"")


def newline_of_the_answer():
    server = Server(lambda data: [(0, data + b"\n")])
    expect_run(client("127.0.0.1", server.port, data=b"a\nb\n"), 0, b"a\nb\n", b"")


def largest_datagram():
    data = bytes(65 + i % 26 for i in range(65507))
    for host, address in (("127.0.0.1", "127.0.0.1"), ("::1", "::1")):
        result = client(host, Server(echo, address).port, data=data + b"\n")
        expect_run(result, 0, data + b"\n", b"")


def too_long_a_line():
    result = client("127.0.0.1", Server(echo).port, data=b"x" * 65508 + b"\nshort\n")
    expect_run(result, 1, b"short\n", rb"udpxdp: a line of 65508 bytes: too long.*\n")


def no_answer():
    server = Server(lambda data: [] if data == b"lost" else echo(data))
    begin = time.monotonic()
    result = client("--timeout", "0.4", "127.0.0.1", server.port, data=b"a\nlost\nb\n")
    took = time.monotonic() - begin
    expect_run(result, 1, b"a\nb\n",
               rb"udpxdp: no answer from 127\.0\.0\.1:%d: none within 0\.4 s; [^\n]*\n" % server.port)
    if not 0.4 <= took < 1.9:
        raise AssertionError(f"a timeout of 0.4 s took {took:.2f} s")


def default_timeout():
    begin = time.monotonic()
    result = client("127.0.0.1", Server(lambda data: []).port, data=b"a\n")
    took = time.monotonic() - begin
    expect_run(result, 1, b"", rb"udpxdp: no answer from .*: none within 2 s; [^\n]*\n")
    if not 2 <= took < 3.5:
        raise AssertionError(f"the default timeout took {took:.2f} s")


def late_echo_while_waiting():
    """The answer to `slow` comes while `next` waits for its own, which comes last."""
    server = Server(lambda data: [({b"slow": 0.7, b"next": 0.4}.get(data, 0), data)])
    result = client("-t", "0.5", "127.0.0.1", server.port, data=b"slow\nnext\nlast\n")
    expect_run(result, 1, b"next\nlast\n",
               rb"udpxdp: no answer .*\nudpxdp: 127.* answered an earlier line late: slow\n")


def stale_datagrams_are_drained():
    server = Server(lambda data: [(0, data), (0, b"extra one"), (0, b"extra two")])
    with subprocess.Popen([PROGRAM, "client", "127.0.0.1", str(server.port)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        for number, line in enumerate((b"first\n", b"second\n"), 1):
            process.stdin.write(line)
            process.stdin.flush()
            expect(process.stdout.readline(), line, "the answer")
            server.await_sent(3 * number)
        process.stdin.close()
        expect(process.wait(5), 0, "exit status")
        expect(process.stderr.read().count(b"late, 2 datagrams, the last: extra two"), 1,
               "mentions of what was drained")


def refused():
    port = closed_port()
    result = client("127.0.0.1", port, data=b"a\nb\n")
    expect_run(result, 1, b"", rb"(udpxdp: no answer from 127\.0\.0\.1:%d: refused: [^\n]*\n){2}" % port)


def end_of_input():
    expect_run(client("127.0.0.1", closed_port()), 0, b"", b"")


def usage_errors():
    for arguments, line in (((), rb"HOST: not given"),
                            (("127.0.0.1", "0"), rb"PORT '0': not a number from 1 to 65535"),
                            (("127.0.0.1", "echo"), rb"PORT 'echo': not a number"),
                            (("127.0.0.1", "1", "2"), rb"operand '2': unexpected argument"),
                            (("-t", "0", "127.0.0.1"), rb"option -t: '0' is not a number of"),
                            (("--nonsense", "127.0.0.1"), rb"option --nonsense: unknown")):
        result = client(*arguments)
        expect_run(result, 2, b"", rb"udpxdp: " + line + rb".*; see udpxdp client --help\n")


def unknown_name():
    expect_run(client("no-such-host.invalid"), 1, b"", rb"udpxdp: host 'no-such.*\n")


def interrupted(lines, status):
    """SIGINT while the last of the lines waits for an answer that never comes."""
    server = Server(lambda data: [] if data.startswith(b"lost") else echo(data))
    with subprocess.Popen([PROGRAM, "client", "-t", "1", "127.0.0.1", str(server.port)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        process.stdin.flush()
        server.await_seen(len(lines))
        process.send_signal(signal.SIGINT)
        expect(process.wait(5), status, "exit status")
        expect(process.stdout.read(), b"ok\n", "standard output")


def interrupt_piped():
    interrupted([b"ok", b"lost"], 0)


def interrupt_piped_after_a_loss():
    interrupted([b"ok", b"lost", b"lost again"], 1)


# ---- on a terminal ----

def wait_for_editing(fd):
    """The prompt appears a moment before the terminal passes on single characters."""
    wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ICANON, "editing of the line",
               lambda: "the terminal's modes are untouched")


class Terminal:
    """The client on a pseudo-terminal of its own."""

    def __init__(self, port, *options):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            os.execv(PROGRAM, [PROGRAM, "client", *options, "127.0.0.1", str(port)])
        self.port = port
        self.screen = b""

    def until(self, wanted, timeout=5):
        """Reads until `wanted` appears behind what was read before."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(wanted, self.screen, re.S)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{wanted!r} did not come; the screen: {self.screen!r}")
            try:
                self.screen += os.read(self.fd, 65536)
            except OSError as error:
                raise AssertionError(f"ended early; the screen: {self.screen!r}") from error
        self.screen = self.screen[found.end():]
        return found.group()

    def prompt(self):
        self.until(rb"127\.0\.0\.1:%d> " % self.port)
        wait_for_editing(self.fd)

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        """Waits for the exit status; the terminal must be as it was found."""
        deadline = time.monotonic() + 5
        while True:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.screen += os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"did not end; the screen: {self.screen!r}")


def terminal_session():
    server = Server(stamped)
    terminal = Terminal(server.port)
    terminal.prompt()
    terminal.type("grüß 你好\r".encode())
    terminal.until("2026】 grüß 你好\r\n".encode())
    terminal.prompt()
    terminal.type(b"\x1b[A\r")
    terminal.until("2026】 grüß 你好\r\n".encode())
    terminal.prompt()
    terminal.type(b"abd\x7fc\x01X\r")
    terminal.until("2026】 Xabc\r\n".encode())
    terminal.prompt()
    terminal.type(b"\x04")
    expect(terminal.end(), 0, "exit status at the end of input")
    expect(server.seen, ["grüß 你好".encode()] * 2 + [b"Xabc"], "what the server got")


def terminal_is_not_steered():
    hostile = b"\x1b]0;owned\x07\x1b[2J\xc2\x9b31m\xe2\x80\xae\xff\n\x00"
    terminal = Terminal(Server(lambda data: [(0, hostile)]).port)
    terminal.prompt()
    terminal.type(b"x\r")
    terminal.until(rb"\\x1b\]0;owned\\x07\\x1b\[2J\\u\{009b\}31m\\u\{202e\}\\xff\\n\\x00\r\n")
    terminal.prompt()
    terminal.type(b"\x04")
    expect(terminal.end(), 0, "exit status")


def terminal_no_answer():
    terminal = Terminal(Server(lambda data: []).port, "-t", "0.3")
    terminal.prompt()
    terminal.type(b"hello\r")
    terminal.until(rb"udpxdp: no answer from 127\.0\.0\.1:\d+: none within 0\.3 s; [^\n]*\r\n")
    terminal.prompt()
    terminal.type(b"\x04")
    expect(terminal.end(), 0, "exit status")


def terminal_interrupt_at_the_prompt():
    terminal = Terminal(Server(lambda data: []).port, "-t", "5")
    terminal.prompt()
    terminal.type(b"half a li")
    terminal.until(b"half a li")
    terminal.type(b"\x03")
    expect(terminal.end(), 0, "exit status")


def terminal_interrupt_while_waiting():
    server = Server(lambda data: [])
    terminal = Terminal(server.port, "-t", "5")
    terminal.prompt()
    terminal.type(b"hello\r")
    server.await_seen(1)
    terminal.type(b"\x03")
    expect(terminal.end(), 0, "exit status")


def terminal_modes_are_restored():
    for ending in (b"\x03", b"\x04"):
        keeper, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        with subprocess.Popen([PROGRAM, "client", "127.0.0.1", "9"], stdin=slave, stdout=slave,
                              stderr=slave, start_new_session=True,
                              env={**os.environ, "TERM": "xterm"},
                              preexec_fn=lambda: __import__("fcntl").ioctl(
                                  0, termios.TIOCSCTTY, 0)) as process:
            try:
                wait_for_editing(slave)
                os.write(keeper, b"abc\x03" if ending == b"\x03" else ending)
                expect(process.wait(5), 0, "exit status")
            finally:
                process.kill()
        expect(termios.tcgetattr(slave), before, "the terminal's modes")
        os.close(keeper)
        os.close(slave)


TESTS = [piped_ipv4, piped_ipv6, next_address, empty_datagrams, raw_when_piped,
         newline_of_the_answer, largest_datagram, too_long_a_line, no_answer, default_timeout,
         late_echo_while_waiting, stale_datagrams_are_drained, refused, end_of_input,
         usage_errors, unknown_name, interrupt_piped, interrupt_piped_after_a_loss,
         terminal_session, terminal_is_not_steered, terminal_no_answer,
         terminal_interrupt_at_the_prompt, terminal_interrupt_while_waiting,
         terminal_modes_are_restored]


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        name = "client: " + test.__name__.replace("_", " ")
        try:
            skip = test()
            print(f"ok {number} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"not ok {number} - {name}\n# {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
