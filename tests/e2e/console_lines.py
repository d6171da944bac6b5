#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""udpxdp broadcast and udpxdp chat, piped and on a terminal, against control sockets of every
temper. What is on the terminal is read from tmux, so that it is what a person would see."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, os.environ.get("BUILD", "build"), "udpxdp")
WORK = tempfile.mkdtemp(prefix="udpxdp-console-")


class Server(threading.Thread):
    """Speaks the protocol. `answers` makes of a request (its first line, its text) a list of
    (delay, packet); None closes the connection. What was asked is kept in `seen`."""

    count = 0

    def __init__(self, answers=None):
        super().__init__(daemon=True)
        Server.count += 1
        self.path = f"{WORK}/{Server.count}.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.path)
        self.socket.listen()
        self.answers = answers or (lambda line, text: [(0, b"ok")])
        self.seen = []
        self.consoles = []
        self.start()

    def run(self):
        while True:
            console, _ = self.socket.accept()
            self.consoles.append(console)
            threading.Thread(target=self.serve, args=(console,), daemon=True).start()

    def serve(self, console):
        while packet := console.recv(70000):
            line, newline, text = packet.partition(b"\n")
            if line.startswith(b"watch ") and not newline:
                console.send(b"ok %s:1" % line.split()[1])
                self.seen.append(line)
                continue
            self.seen.append((line, text))
            for delay, answer in self.answers(line, text):
                time.sleep(delay)
                if answer is None:
                    console.shutdown(socket.SHUT_RDWR)
                    return
                with contextlib.suppress(OSError):
                    console.send(answer)

    def tell(self, addr, port, text, kind=b"recv unicast"):
        for console in self.consoles:
            console.send(event(addr, port, text, kind))

    def await_seen(self, count):
        wait_until(lambda: len(self.seen) >= count, f"{count} requests", lambda: self.seen)


def event(addr, port, text, kind=b"recv unicast"):
    return b"event %s %s %d 1\n%s" % (kind, addr.encode(), port, text)


def wait_until(holds, what, seen, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come; seen: {seen()!r}")
        time.sleep(0.02)


def console(verb, server, *arguments, data=b"", timeout=30):
    return subprocess.run([PROGRAM, verb, "--control", getattr(server, "path", server), *arguments],
                          input=data, timeout=timeout, capture_output=True)


def expect(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def expect_run(result, status, out=b"", err=rb""):
    expect(result.returncode, status, f"exit status (stderr {result.stderr!r})")
    expect(result.stdout, out, "standard output")
    if not re.fullmatch(err, result.stderr):
        raise AssertionError(f"standard error: {result.stderr!r} does not match {err!r}")


@contextlib.contextmanager
def running(verb, server, *arguments):
    with subprocess.Popen([PROGRAM, verb, "--control", server.path, *arguments],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process, line):
    process.stdin.write(line + b"\n")
    process.stdin.flush()


# ---- piped ----

NO_REPLY = rb"udpxdp: broadcast: no reply within %s s; use a longer --wait [^\n]*\n"


def replies(line, text):
    return [(0, b"ok"), (0.05, event("10.0.0.2", 8086, b"one")),
            (0.05, event("10.0.0.3", 8086, b"two\n"))]


def one_announcement():
    server = Server(replies)
    begin = time.monotonic()
    expect_run(console("broadcast", server, "hello all"), 0,
               b"10.0.0.2:8086 one\n10.0.0.3:8086 two\n")
    took = time.monotonic() - begin
    expect(server.seen, [b"watch broadcast", (b"announce", b"hello all")], "requests")
    if not 1 <= took < 4:
        raise AssertionError(f"--wait is one second, and it took {took:.2f} s")


def waits_as_told():
    for seconds, shown, said in (("0.3", b"", NO_REPLY % b"0\\.3"),
                                 ("1.5", b"10.0.0.2:8086 late\n", b"")):
        server = Server(lambda *_: [(0, b"ok"), (0.8, event("10.0.0.2", 8086, b"late"))])
        expect_run(console("broadcast", server, "--wait", seconds, "x"), 0, shown, said)


def announcements_from_a_pipe():
    server = Server(replies)
    expect_run(console("broadcast", server, "--wait", "0.4", data="a\n\n你好\nno newline".encode()),
               0, b"10.0.0.2:8086 one\n10.0.0.3:8086 two\n" * 3)
    expect(server.seen, [b"watch broadcast", (b"announce", b"a"),
                         (b"announce", "你好".encode()), (b"announce", b"no newline")], "requests")


def other_announcements_are_no_replies():
    server = Server(lambda *_: [(0, b"ok"), (0, event("10.0.0.2", 8086, b"x", b"recv broadcast")),
                                (0, event("255.255.255.255", 8086, b"x", b"sent broadcast"))])
    expect_run(console("broadcast", server, "--wait", "0.3", "x"), 0, b"", NO_REPLY % b"0\\.3")
    expect_run(console("broadcast", server, "--wait", "0", "x"), 0)


def refused_announcement():
    server = Server(lambda *_: [(0, b"error the interface has no IPv4 address")])
    begin = time.monotonic()
    expect_run(console("broadcast", server, "--wait", "5", "x"), 1, b"",
               rb"udpxdp: broadcast: the interface has no IPv4 address\n")
    if time.monotonic() - begin > 3:
        raise AssertionError("it waited for replies to what was never sent")


def messages_to_a_named_peer():
    server = Server(lambda line, text: [(0, b"ok"), (0, event("10.0.0.9", 4711, b"re: " + text))])
    expect_run(console("chat", server, "10.0.0.9", "4711", "--wait", "0.3", data=b"a\nb\n\n10.0.0.8\n4710\nc\n"), 0,
               b"10.0.0.9:4711 re: a\n10.0.0.9:4711 re: b\n10.0.0.9:4711 re: c\n")
    expect(server.seen, [b"watch chat", (b"say 10.0.0.9 4711", b"a"), (b"say 10.0.0.9 4711", b"b"),
                         (b"say 10.0.0.8 4710", b"c")], "requests")


def peers_from_the_pipe():
    server = Server()
    expect_run(console("chat", server, "--wait", "0",
                       data=b"10.0.0.9\n4711\na\nb\n\nfd00::9\n4712\nc\n"), 0)
    expect(server.seen[1:], [(b"say 10.0.0.9 4711", b"a"), (b"say 10.0.0.9 4711", b"b"),
                             (b"say fd00::9 4712", b"c")], "requests")


def names_are_resolved():
    server = Server()
    expect_run(console("chat", server, "localhost", "9", "--wait", "0", data=b"a\n"), 0)
    if server.seen[1] not in ((b"say 127.0.0.1 9", b"a"), (b"say ::1 9", b"a")):
        raise AssertionError(f"requests: {server.seen!r}")


def ipv6_is_bracketed():
    server = Server(lambda line, text: [(0, b"ok"), (0, event("fd00::9", 4711, text))])
    expect_run(console("chat", server, "fd00::9", "4711", "--wait", "0.3", data=b"a\n"), 0,
               b"[fd00::9]:4711 a\n")


def answers_are_awaited():
    """A peer that has to be looked for takes longer than --wait."""
    server = Server(lambda *_: [(1, b"error no answer to ARP from 10.0.0.9")])
    expect_run(console("chat", server, "10.0.0.9", "4711", "--wait", "0", data=b"a\nb\n"), 1, b"",
               rb"(udpxdp: chat: no answer to ARP from 10\.0\.0\.9\n){2}")


def many_lines():
    server = Server()
    lines = [b"line %d" % i for i in range(3000)]
    expect_run(console("chat", server, "10.0.0.9", "1", "--wait", "0", data=b"\n".join(lines)), 0)
    expect([text for _, text in server.seen[1:]], lines, "lines")


def longest_line():
    server = Server()
    longest = bytes(65 + i % 26 for i in range(65507))
    expect_run(console("chat", server, "10.0.0.9", "1", "--wait", "0",
                       data=longest + b"\n" + longest + b"X\nshort\n"), 1, b"",
               rb"udpxdp: chat: line not sent: longer than 65507 bytes; shorten it\n")
    expect([text for _, text in server.seen[1:]], [longest, b"short"], "lines")


def terminal_is_not_steered():
    hostile = b"\x1b]0;owned\x07\x1b[2J\xc2\x9b31m\xe2\x80\xae\xff\n\x00end"
    server = Server(lambda *_: [(0, b"ok"), (0, event("10.0.0.2", 8086, hostile))])
    expect_run(console("broadcast", server, "--wait", "0.3", "x"), 0,
               rb"10.0.0.2:8086 \x1b]0;owned\x07\x1b[2J\u{009b}31m\u{202e}\xff\n\x00end" + b"\n")
    server = Server(lambda *_: [(0, b"error \x1b[2J")])
    expect_run(console("broadcast", server, "x"), 1, b"", rb"udpxdp: broadcast: \\x1b\[2J\n")


def service_by_name():
    server = Server()
    expect_run(console("broadcast", server, "--wait", "0", "-s", "broadcast:8087", "x"), 0)
    expect(server.seen[0], b"watch broadcast:8087", "the first request")


def server_goes_away():
    server = Server(lambda *_: [(0, b"ok"), (0, event("10.0.0.2", 1, b"last")), (0.2, None)])
    expect_run(console("chat", server, "10.0.0.9", "1", "--wait", "20", data=b"a\n"), 1,
               b"10.0.0.2:1 last\n", rb"udpxdp: lost the connection to .*: the server stopped.*\n")


def printed_at_once():
    """Through a pipe, too: each line as it comes, while nothing is typed."""
    server = Server()
    with running("chat", server, "10.0.0.9", "1") as process:
        say(process, b"a")
        server.await_seen(2)
        for text in (b"first", b"second"):
            server.tell("10.0.0.9", 1, text)
            expect(process.stdout.readline(), b"10.0.0.9:1 %s\n" % text, "line")


def signals_end_it():
    for number in (signal.SIGINT, signal.SIGTERM):
        server = Server()
        with running("chat", server, "10.0.0.9", "1") as process:
            say(process, b"a")
            server.await_seen(2)
            process.send_signal(number)
            expect(process.wait(5), 0, f"exit status after {number.name}")
            expect(process.stderr.read(), b"", "standard error")


# ---- which server ----

def nobody_there():
    line = rb"udpxdp: control socket .*: no server is listening; start one with.*\n"
    expect_run(console("chat", f"{WORK}/none.sock", "10.0.0.9", "1"), 1, b"", line)
    expect_run(console("broadcast", f"{WORK}/no/dir.sock", "x"), 1, b"", line)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"{WORK}/dead.sock")
    expect_run(console("broadcast", f"{WORK}/dead.sock", "x"), 1, b"", line)


def with_run(servers, *arguments):
    """Runs a console where /run/udpxdp holds exactly these sockets: {name: path}."""
    links = "".join(f"ln -s {path} /run/udpxdp/{name} && " for name, path in servers.items())
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c",
         f"mount -t tmpfs none /run && mkdir /run/udpxdp && {links} exec \"$@\"", "sh",
         PROGRAM, *arguments], capture_output=True, timeout=20)


def needs_mounts():
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "needs mounts of its own: root, and not in a chroot that is no mount point"
    return None


def the_only_server():
    if skip := needs_mounts():
        return skip
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"{WORK}/left.sock")
    server = Server()
    expect_run(with_run({"eth0.sock": server.path, "old.sock": f"{WORK}/left.sock"},
                        "broadcast", "--wait", "0", "x"), 0)
    expect(server.seen[1:], [(b"announce", b"x")], "requests")
    expect_run(with_run({}, "broadcast", "x"), 1, b"", rb"udpxdp: no server is running: .*\n")
    return None


def one_of_several():
    if skip := needs_mounts():
        return skip
    here, there = Server(), Server()
    servers = {"eth0.sock": here.path, "eth1.sock": there.path}
    expect_run(with_run(servers, "broadcast", "x"), 2, b"",
               rb"udpxdp: several servers are running: /run/udpxdp/eth0\.sock, "
               rb"/run/udpxdp/eth1\.sock; choose one with --iface IFACE\n")
    expect_run(with_run(servers, "broadcast", "-i", "eth1", "--wait", "0", "x"), 0)
    expect([here.seen, len(there.seen)], [[], 2], "requests")
    return None


def not_permitted():
    if os.geteuid():
        return "root is needed to become somebody else"
    server = Server()
    os.chmod(WORK, 0o755)
    os.chmod(server.path, 0o660)
    readable = shutil.copy(PROGRAM, WORK) # which the program itself may not be for everybody
    expect_run(subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", readable, "chat",
         "--control", server.path, "10.0.0.9", "1"], capture_output=True, timeout=20), 3, b"",
               rb"udpxdp: control socket .*: permission denied; .*\n")
    return None


def usage_errors():
    server = Server()
    for arguments, line in ((("chat", "10.0.0.9"), rb"chat: PEER without PORT"),
                            (("chat", "10.0.0.9", "0"), rb"port '0': invalid port"),
                            (("chat", "10.0.0.9", "1", "2"), rb"operand '2': unexpected argument"),
                            (("broadcast", "a", "b"), rb"operand 'b': unexpected argument"),
                            (("broadcast", "--wait", "x", "a"), rb"option --wait")):
        expect_run(console(arguments[0], server, *arguments[1:]), 2, b"",
                   rb"udpxdp: " + line + rb"[^\n]*\n")
    expect_run(console("chat", server, "no-such-host.invalid", "1"), 1, b"",
               rb"udpxdp: peer 'no-such-host\.invalid': [^\n]*\n")
    expect_run(console("chat", server, data=b"10.0.0.9\nport\n"), 1, b"",
               rb"udpxdp: port 'port': invalid port; expected 1 to 65535\n")


# ---- on a terminal ----

class Terminal:
    """A console on a terminal of so many columns, as a person sees it."""

    hints = {"chat": "(each line goes to the peer, an empty one asks for another; Ctrl-D ends)",
             "broadcast": "(each line is announced to the network, replies are shown; Ctrl-D ends)"}
    tmux = ["tmux", "-u", "-S", f"{WORK}/tmux", "-f", "/dev/null"]
    count = 0

    def __init__(self, verb, server, *arguments, columns=60, shell="{}"):
        Terminal.count += 1
        self.name = f"t{Terminal.count}"
        hint = self.hints[verb]
        self.hint = [hint[i:i + columns].rstrip() for i in range(0, len(hint), columns)]
        self.hint_rows = 0
        command = shlex.join([PROGRAM, verb, "--control", server.path, *arguments])
        self.run("new-session", "-d", "-s", self.name, "-x", str(columns), "-y", "24",
                 f"stty -g >{WORK}/{self.name}.before; {shell.format(command)}; "
                 f"echo \"[ended $?]\"; stty -g >{WORK}/{self.name}.after; cat")

    def run(self, *arguments):
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.pop("TMUX", None)
        return subprocess.run([*self.tmux, *arguments], check=True, capture_output=True,
                              timeout=10, env=environment).stdout.decode()

    def type(self, text):
        self.run("send-keys", "-t", self.name, "-l", text)

    def press(self, *keys):
        self.run("send-keys", "-t", self.name, *keys)

    def screen(self):
        """The lines on the screen, without the hint above and the empty ones below."""
        lines = self.run("capture-pane", "-p", "-t", self.name).rstrip("\n").split("\n")
        self.hint_rows = len(self.hint) if lines[:len(self.hint)] == self.hint else 0
        return lines[self.hint_rows:]

    def shows(self, *lines):
        """Waits for exactly this screen."""
        wait_until(lambda: self.screen() == list(lines), f"the screen {lines!r}", self.screen)

    def has(self, line):
        wait_until(lambda: line in self.screen(), f"the line {line!r}", self.screen)

    def cursor(self):
        x, y = map(int, self.run("display-message", "-p", "-t", self.name,
                                 "#{cursor_x} #{cursor_y}").split())
        return (x, y - self.hint_rows)

    def ended(self, status):
        self.has(f"[ended {status}]")

        def modes(when):
            with open(f"{WORK}/{self.name}.{when}", encoding="ascii") as file:
                return file.read()

        wait_until(lambda: os.path.exists(f"{WORK}/{self.name}.after") and modes("after"),
                   "the terminal's modes", lambda: "nothing")
        expect(modes("after"), modes("before"), "the terminal's modes")


def typing_while_messages_arrive():
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "4711")
    terminal.shows("10.0.0.9:4711>")
    terminal.type("half a li")
    terminal.shows("10.0.0.9:4711> half a li")
    server.tell("10.0.0.2", 8090, b"first")
    terminal.shows("10.0.0.2:8090 first", "10.0.0.9:4711> half a li")
    expect(terminal.cursor(), (24, 1), "the cursor")
    for i in range(5):
        server.tell("10.0.0.2", 8090, b"more %d" % i)
    terminal.type("ne")
    more = [f"10.0.0.2:8090 more {i}" for i in range(5)]
    terminal.shows("10.0.0.2:8090 first", *more, "10.0.0.9:4711> half a line")
    terminal.press("Enter")
    server.await_seen(2)
    expect(server.seen[1], (b"say 10.0.0.9 4711", b"half a line"), "the request")
    terminal.shows("10.0.0.2:8090 first", *more, "10.0.0.9:4711> half a line", "10.0.0.9:4711>")
    terminal.press("C-d")
    terminal.ended(0)


def typing_through_a_flood():
    """Every key typed while a thousand messages arrive is in the line, once."""
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "4711")
    terminal.shows("10.0.0.9:4711>")
    text = "the quick brown 狐 jumps über the lazy dog"
    feeder = threading.Thread(target=lambda: [
        (server.tell("10.0.0.2", 8090, b"message %d" % i), time.sleep(0.002)) for i in range(1000)])
    feeder.start()
    for character in text:
        terminal.type(character)
    feeder.join()
    wait_until(lambda: terminal.screen()[-2:] ==
               ["10.0.0.2:8090 message 999", f"10.0.0.9:4711> {text}"], "the line", terminal.screen)
    messages = [f"10.0.0.2:8090 message {i}" for i in range(978, 1000)]
    expect(terminal.screen()[-23:-1], messages[-22:], "the screen")
    terminal.press("Enter")
    server.await_seen(2)
    expect(server.seen[1][1].decode(), text, "the line")
    terminal.press("C-c")
    terminal.ended(0)


def long_lines_are_redrawn():
    """A line over several rows of the screen, of wide characters that do not fit its edge, with
    the cursor somewhere in it."""
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "4711", columns=20)
    terminal.shows("10.0.0.9:4711>")
    text = "ab你好世界你好世界你好世界xyz"
    rows = ["10.0.0.9:4711> ab你", "好世界你好世界你好世", "界xyz"]
    terminal.type(text)
    terminal.shows(*rows)
    server.tell("10.0.0.2", 1, b"first")
    terminal.shows("10.0.0.2:1 first", *rows)
    expect(terminal.cursor(), (5, 3), "the cursor at the end")
    terminal.press(*["Left"] * 9)
    wait_until(lambda: terminal.cursor() == (10, 2), "the cursor", terminal.cursor)
    server.tell("10.0.0.2", 1, b"second")
    terminal.shows("10.0.0.2:1 first", "10.0.0.2:1 second", *rows)
    expect(terminal.cursor(), (10, 3), "the cursor in the middle")
    terminal.press("Home")
    wait_until(lambda: terminal.cursor() == (15, 2), "the cursor", terminal.cursor)
    server.tell("10.0.0.2", 1, b"third")
    terminal.shows("10.0.0.2:1 first", "10.0.0.2:1 second", "10.0.0.2:1 third", *rows)
    expect(terminal.cursor(), (15, 3), "the cursor at the start")
    terminal.press("Enter")
    server.await_seen(2)
    expect(server.seen[1][1].decode(), text, "the line")
    terminal.press("C-c")
    terminal.ended(0)


def line_that_fills_its_row():
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "4711", columns=20)
    terminal.shows("10.0.0.9:4711>")
    terminal.type("12345")
    terminal.shows("10.0.0.9:4711> 12345")
    for i in range(3):
        server.tell("10.0.0.2", 1, b"%d" % i)
        terminal.has(f"10.0.0.2:1 {i}")
    terminal.shows(*[f"10.0.0.2:1 {i}" for i in range(3)], "10.0.0.9:4711> 12345")
    terminal.type("6")
    terminal.shows(*[f"10.0.0.2:1 {i}" for i in range(3)], "10.0.0.9:4711> 12345", "6")
    terminal.press("C-c")
    terminal.ended(0)


def window_is_resized():
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "4711", columns=60)
    terminal.shows("10.0.0.9:4711>")
    terminal.type("typed before")
    terminal.shows("10.0.0.9:4711> typed before")
    terminal.run("resize-window", "-t", terminal.name, "-x", "20", "-y", "24")
    terminal.type(" and then")
    wait_until(lambda: terminal.screen()[-2:] == ["10.0.0.9:4711> typed", " before and then"],
               "the line", terminal.screen)
    server.tell("10.0.0.2", 1, b"x")
    wait_until(lambda: terminal.screen()[-3:] ==
               ["10.0.0.2:1 x", "10.0.0.9:4711> typed", " before and then"], "the line",
               terminal.screen)
    terminal.press("Enter")
    server.await_seen(2)
    expect(server.seen[1][1], b"typed before and then", "the line")
    terminal.press("C-d")
    terminal.ended(0)


def editing_and_history():
    server = Server()
    terminal = Terminal("broadcast", server)
    terminal.shows("announce>")
    terminal.type("wrold")
    terminal.press("Left", "Left", "Left", "C-t", "C-a")
    terminal.type("hello ")
    terminal.press("Enter")
    server.await_seen(2)
    terminal.press("Up", "Enter")
    server.await_seen(3)
    expect(server.seen[1:], [(b"announce", b"hello world")] * 2, "requests")
    server.tell("10.0.0.2", 8086, "【Mon Nov 23 02:00:00 2026】host2".encode())
    terminal.has("10.0.0.2:8086 【Mon Nov 23 02:00:00 2026】host2")
    terminal.press("C-d")
    terminal.ended(0)


def what_to_do_is_said():
    server = Server(lambda *_: [(0, b"ok")])
    for verb, arguments, prompt in (("chat", (), "peer address:"),
                                    ("chat", ("10.0.0.9", "1"), "10.0.0.9:1>"),
                                    ("broadcast", (), "announce>")):
        terminal = Terminal(verb, server, *arguments, columns=80)
        terminal.shows(prompt)
        expect(terminal.hint_rows, 1, f"hints of {verb} {arguments}")
        terminal.press("C-d")
        terminal.ended(0)


def nobody_replies_to_who_types():
    server = Server(lambda line, text: [(0, b"ok")] + (
        [(0.1, event("10.0.0.2", 8086, b"here"))] if text == b"one" else []))
    terminal = Terminal("broadcast", server, "--wait", "0.5", columns=100)
    terminal.shows("announce>")
    terminal.type("one")
    terminal.press("Enter")
    terminal.has("10.0.0.2:8086 here")
    terminal.type("two")
    terminal.press("Enter")
    terminal.type("thr")
    terminal.shows("announce> one", "10.0.0.2:8086 here", "announce> two",
                   "udpxdp: broadcast: no reply within 0.5 s; use a longer --wait if others are slow",
                   "announce> thr")
    terminal.press("C-c")
    terminal.ended(0)


def peer_is_asked_for():
    server = Server()
    terminal = Terminal("chat", server)
    terminal.shows("peer address:")
    terminal.type("no-such-host.invalid")
    terminal.press("Enter")
    wait_until(lambda: terminal.screen()[-1] == "peer address:", "the prompt", terminal.screen)
    terminal.type("10.0.0.9")
    terminal.press("Enter")
    terminal.has("peer port:")
    terminal.type("0")
    terminal.press("Enter")
    terminal.has("udpxdp: port '0': invalid port; expected 1 to 65535")
    terminal.type("4711")
    terminal.press("Enter")
    terminal.has("10.0.0.9:4711>")
    terminal.type("hello")
    terminal.press("Enter", "Enter")
    wait_until(lambda: terminal.screen()[-1] == "peer address:", "the prompt", terminal.screen)
    server.tell("10.0.0.9", 4711, b"while asked")
    terminal.has("10.0.0.9:4711 while asked")
    terminal.type("fd00::9")
    terminal.press("Enter")
    terminal.type("1")
    terminal.press("Enter")
    terminal.has("[fd00::9]:1>")
    terminal.type("there")
    terminal.press("Enter")
    server.await_seen(3)
    expect(server.seen[1:], [(b"say 10.0.0.9 4711", b"hello"), (b"say fd00::9 1", b"there")],
           "requests")
    terminal.press("C-d")
    terminal.ended(0)


def error_above_the_line():
    server = Server(lambda *_: [(0.5, b"error no answer to ARP from 10.0.0.9")])
    terminal = Terminal("chat", server, "10.0.0.9", "4711")
    terminal.shows("10.0.0.9:4711>")
    terminal.type("one")
    terminal.press("Enter")
    terminal.type("two")
    terminal.shows("10.0.0.9:4711> one", "udpxdp: chat: no answer to ARP from 10.0.0.9",
                   "10.0.0.9:4711> two")
    terminal.press("C-c")
    terminal.ended(0)


def server_goes_away_while_typing():
    server = Server(lambda *_: [(0, b"ok"), (0.5, None)])
    terminal = Terminal("chat", server, "10.0.0.9", "4711", columns=200)
    terminal.shows("10.0.0.9:4711>")
    terminal.type("one")
    terminal.press("Enter")
    terminal.type("two")
    terminal.has(f"udpxdp: lost the connection to {server.path}: the server stopped or dropped this console; "
                 "restart the console")
    terminal.ended(1)


def interrupts_on_a_terminal():
    for keys in ((), ("a", "b"), ("Enter",)):
        server = Server()
        terminal = Terminal("chat", server)
        terminal.shows("peer address:")
        terminal.press(*keys, "C-c")
        terminal.ended(0)


def stopped_and_continued():
    """Ctrl-Z gives the terminal back as it was; continued, the line is there again."""
    server = Server()
    terminal = Terminal("chat", server, "10.0.0.9", "1",
                        shell="env PS1='# ' bash --norc --noprofile -i")
    terminal.shows("#")
    terminal.type(f"{PROGRAM} chat --control {server.path} 10.0.0.9 1")
    terminal.press("Enter")
    terminal.has("10.0.0.9:1>")
    terminal.type("half")
    terminal.has("10.0.0.9:1> half")
    terminal.press("C-z")
    wait_until(lambda: any("Stopped" in line for line in terminal.screen()), "the stop",
               terminal.screen)
    terminal.type("stty -a | grep -o -e '-*icanon'")
    terminal.press("Enter")
    terminal.has("icanon")
    terminal.type("fg")
    terminal.press("Enter")
    wait_until(lambda: terminal.screen()[-1] == "10.0.0.9:1> half", "the line", terminal.screen)
    terminal.type(" line")
    terminal.press("Enter")
    server.await_seen(2)
    expect(server.seen[1][1], b"half line", "the line")
    terminal.press("C-c")
    wait_until(lambda: terminal.screen()[-1] == "#", "the shell", terminal.screen)


def dumb_terminal():
    server = Server()
    terminal = Terminal("chat", server, shell="TERM=dumb {}")
    terminal.shows("peer address:")
    terminal.press("1", "0", ".", "0", ".", "0", ".", "9", "Enter")
    terminal.has("peer port:")
    terminal.press("7", "Enter")
    terminal.has("10.0.0.9:7>")
    terminal.press("x", "Enter")
    server.await_seen(2)
    expect(server.seen[1], (b"say 10.0.0.9 7", b"x"), "the request")
    asked = ["peer address: 10.0.0.9", "peer port: 7", "10.0.0.9:7> x"]
    terminal.shows(*asked, "10.0.0.9:7>")
    server.tell("10.0.0.2", 8090, b"meanwhile")
    terminal.shows(*asked, "10.0.0.9:7>", "10.0.0.2:8090 meanwhile", "10.0.0.9:7>")
    terminal.press("C-d")
    terminal.ended(0)
    terminal = Terminal("chat", server, shell="TERM=dumb {}")
    terminal.shows("peer address:")
    terminal.press("C-c")
    terminal.ended(0)


PIPED = [one_announcement, waits_as_told, announcements_from_a_pipe,
         other_announcements_are_no_replies, refused_announcement, messages_to_a_named_peer,
         peers_from_the_pipe, names_are_resolved, ipv6_is_bracketed, answers_are_awaited,
         many_lines, longest_line, terminal_is_not_steered, service_by_name, server_goes_away,
         printed_at_once, signals_end_it, nobody_there, the_only_server, one_of_several,
         not_permitted, usage_errors]
ON_A_TERMINAL = [typing_while_messages_arrive, typing_through_a_flood, long_lines_are_redrawn,
                 line_that_fills_its_row, window_is_resized, editing_and_history,
                 what_to_do_is_said, nobody_replies_to_who_types, peer_is_asked_for,
                 error_above_the_line, server_goes_away_while_typing,
                 interrupts_on_a_terminal, stopped_and_continued, dumb_terminal]


def main():
    failed = 0
    only = sys.argv[1:]
    tests = [test for test in PIPED + ON_A_TERMINAL if not only or test.__name__ in only]
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        name = "console: " + test.__name__.replace("_", " ")
        try:
            skip = None
            if test in ON_A_TERMINAL and not shutil.which("tmux"):
                skip = "tmux is not installed"
            skip = skip or test()
            print(f"ok {number} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"not ok {number} - {name}\n# {error}", flush=True)
    if Terminal.count:
        subprocess.run([*Terminal.tmux, "kill-server"], capture_output=True, check=False)
    shutil.rmtree(WORK)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
