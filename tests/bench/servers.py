# SPDX-License-Identifier: MIT
"""The servers that are measured, each on a veth pair of its own."""
import os
import sys

from lab import CLIENT_CPU, SERVER_CPU

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO_PORT, SOCKETS_PORT, CHAT_PORT = 8080, 8081, 8090
COALESCE_US = 200
RULES = 100000
BPFFS = "/sys/fs/bpf"
COMPARED = {"udpxdp adaptive": [], "udpxdp spin": ["--poll", "spin"],
            "udpxdp block": ["--poll", "block"]}  # with an earlier program, where there is one


class Server:
    """A server that is frozen while it is not its turn, and the client's end of its wire."""

    has_process = True  # that answers, on the server's CPU
    port = ECHO_PORT    # of its echo

    def __init__(self, lab, build, name):
        self.lab = lab
        self.tools = f"{build}/tests/bench"
        self.name = name
        self.slug = name.replace(": ", "-").replace(" ", "-")
        self.client_iface, self.iface, self.address = lab.pair()
        self.macs = lab.mac("client", self.client_iface), lab.mac("server", self.iface)
        self.process = None
        self.far_end = None  # what is attached to the client's interface
        self.sinking = False
        self.pin = None

    def start(self, command, ready=None):
        self.process = self.lab.start("server", SERVER_CPU, command, self.slug, ready)
        self.freeze()

    @property
    def pid(self):
        return self.process.pid

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def _attach_far_end(self, kind, program, object_name, *more):
        self.detach_far_end()
        self.far_end = self.lab.start(
            "client", CLIENT_CPU,
            [f"{self.tools}/attach", kind, self.client_iface,
             f"{self.tools}/{object_name}.bpf.o", program, *more],
            f"{self.slug}-far-end", "ready")

    def detach_far_end(self):
        if self.far_end:
            self.lab.end(self.far_end)
            self.far_end = None

    def sink(self, on):
        """Answers end in the sink, or reach the generator's sockets."""
        if on and not self.sinking:
            self._attach_far_end("tc", "sink_tc", "sink", *([self.pin] if self.pin else []))
        elif not on:
            self.detach_far_end()
        self.sinking = on


class Reflector(Server):
    """The XDP program that sends frames back from where they are: on the sender's CPU, for a veth."""

    has_process = False

    def start(self, command=None, ready=None):
        self.process = self.lab.start(
            "server", SERVER_CPU, [f"{self.tools}/attach", "xdp", self.iface,
                                   f"{self.tools}/reflect.bpf.o", "reflect"], self.slug, "ready")
        self.sink(False)

    def sink(self, on):
        # A veth takes transmitted XDP frames only where a native program runs.
        if on and not self.sinking:
            self._attach_far_end("xdp", "sink_xdp", "sink")
        elif not on and (self.sinking or not self.far_end):
            self._attach_far_end("xdp", "pass", "reflect")
        self.sinking = on


class Answering(Reflector):
    """udpxdp whose filter answers: never frozen, because it tells the filter the time."""

    def start(self, command=None, ready=None):
        self.process = self.lab.start(
            "server", SERVER_CPU,
            [f"{self.tools}/../../udpxdp", "serve", "-i", self.iface, "-s",
             f"echo:{ECHO_PORT},answer=driver", "--cpus", str(SERVER_CPU), "-Q",
             "--control", f"{self.lab.logs}/{self.iface}.sock",
             "--pin-dir", f"{BPFFS}/udpxdp-bench-{self.iface}"], self.slug, "udpxdp: ready")
        self.sink(False)

    def freeze(self):
        pass

    def thaw(self):
        pass


class Udpxdp(Server):
    """The program under test."""

    def __init__(self, lab, build, name, service, *options, port=ECHO_PORT, program=None):
        super().__init__(lab, build, name)
        self.port = port
        self.start([program or f"{build}/udpxdp", "serve", "-i", self.iface, "-s", service, *options,
                    "--cpus", str(SERVER_CPU), "-Q",
                    "--control", f"{lab.logs}/{self.iface}.sock",
                    "--pin-dir", f"{BPFFS}/udpxdp-bench-{self.iface}"], "udpxdp: ready")


def write_rules(path):
    """So many networks, denied, that look like the client's up to their last bits."""
    with open(path, "w", encoding="ascii") as file:
        for number in range(RULES):
            file.write(f"deny 10.{200 + (number >> 15)}.{number >> 7 & 255 ^ 128}.{number << 1 & 255}/31\n")
    return path


def start_servers(lab, build, before=None):
    """All of them, by name. before: an earlier udpxdp, to be compared with."""
    servers = {}
    for name, command, port in (
            ("recvmmsg", [f"{build}/tests/bench/server", "recvmmsg"], ECHO_PORT),
            ("recvfrom", [f"{build}/tests/bench/server", "block"], ECHO_PORT),
            ("recvfrom spin", [f"{build}/tests/bench/server", "spin"], ECHO_PORT),
            ("Python", [sys.executable, f"{HERE}/server.py"], ECHO_PORT),
            ("sendmmsg relay", [f"{build}/tests/bench/relay"], CHAT_PORT)):
        servers[name] = Server(lab, build, name)
        servers[name].start([*command, servers[name].address, str(port)], "ready")
    servers["XDP_TX"] = Reflector(lab, build, "XDP_TX")
    servers["XDP_TX"].start()
    servers["udpxdp driver"] = Answering(lab, build, "udpxdp driver")
    servers["udpxdp driver"].start()
    for name, *options in (
            *((name, *more) for name, more in COMPARED.items()),
            ("udpxdp rules", "--rules", write_rules(f"{lab.logs}/rules")),
            ("udpxdp coalescing", "--poll", "block", "--coalesce", str(COALESCE_US))):
        servers[name] = Udpxdp(lab, build, name, f"echo:{ECHO_PORT}", *options)
    for name, options in COMPARED.items() if before else ():
        servers[f"before: {name}"] = Udpxdp(lab, build, f"before: {name}", f"echo:{ECHO_PORT}",
                                            *options, program=before)
    # The kernel's sockets of the other servers have that port.
    servers["udpxdp sockets"] = Udpxdp(lab, build, "udpxdp sockets", f"echo:{SOCKETS_PORT}",
                                       "--mode", "sockets", port=SOCKETS_PORT)
    servers["udpxdp chat"] = Udpxdp(lab, build, "udpxdp chat",
                                    f"chat:{CHAT_PORT},history=off,idle=3600,"
                                    "rate=0,bytes=0,room-rate=0,room-bytes=0")
    for name in ("sendmmsg relay", "udpxdp chat"):
        servers[name].pin = f"{BPFFS}/udpxdp-bench-sink-{servers[name].iface}"
        servers[name].sink(True)
    return servers
