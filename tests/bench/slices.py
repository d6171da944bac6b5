# SPDX-License-Identifier: MIT
"""Slices: one server under one load for a moment, and whether the machine let it be measured."""
import json
import os
import resource
import subprocess
import time

from lab import CLIENT_CPU, SERVER_CPU, spawn
from servers import CHAT_PORT

TICK = os.sysconf("SC_CLK_TCK")
FOREIGN_MAX = 0.1   # of a CPU's time in a slice that may go to others
FLOOD = 5000000     # requests a second: more than the generator can send


def busy(cpu):
    """Seconds that a CPU has not been idle; stolen time counts as busy."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"cpu{cpu} "):
                fields = [int(word) for word in line.split()[1:9]]
                return (sum(fields) - fields[3] - fields[4]) / TICK
    raise RuntimeError(f"no CPU {cpu}")


def process_seconds(pid):
    """CPU time of a process, all its threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def user_and_system(pid):
    """Ticks that a process has spent in its own code, and in the kernel's."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def softirq_threads():
    """The kernel's softirq thread of each CPU; in a container there are none, and what they do is others'."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
                name = file.read().strip()
        except OSError:
            continue
        if name.startswith("ksoftirqd/"):
            found[int(name.split("/")[1])] = int(pid)
    return found


SOFTIRQ = softirq_threads()


class Watch:
    """Who had the two CPUs while it was open."""

    def __init__(self, server_pid=None, server_cpu_matters=True):
        self.server_pid = server_pid
        self.server_cpu_matters = server_cpu_matters

    def _read(self):
        return {
            "wall": time.monotonic(),
            "busy": [busy(cpu) for cpu in (CLIENT_CPU, SERVER_CPU)],
            "softirq": [process_seconds(SOFTIRQ[cpu]) if cpu in SOFTIRQ else 0
                        for cpu in (CLIENT_CPU, SERVER_CPU)],
            "server": process_seconds(self.server_pid) if self.server_pid else 0,
            "ticks": user_and_system(self.server_pid) if self.server_pid else (0, 0),
            "children": sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]),
            "self": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        }

    def __enter__(self):
        self.before = self._read()
        return self

    def __exit__(self, *_):
        after, before = self._read(), self.before
        self.wall = after["wall"] - before["wall"]
        self.busy = [b - a for a, b in zip(before["busy"], after["busy"])]
        softirq = [b - a for a, b in zip(before["softirq"], after["softirq"])]
        self.generator = after["children"] - before["children"]
        self.server = after["server"] - before["server"] + softirq[1]
        user, system = (b - a for a, b in zip(before["ticks"], after["ticks"]))
        self.user_share = user / (user + system) if user + system else None
        own = after["self"] - before["self"]
        self.foreign = [
            max(0, self.busy[0] - self.generator - softirq[0] - own) / self.wall,
            max(0, self.busy[1] - self.server) / self.wall,
        ]

    def rejected(self):
        """Why this slice says nothing, or None."""
        if self.foreign[0] > FOREIGN_MAX:
            return "others had the generator's CPU"
        if self.foreign[1] > FOREIGN_MAX and self.server_cpu_matters:
            return "others had the server's CPU"
        return None


def wait_for_quiet(seconds):
    """Waits until others leave the two CPUs alone, at most so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with Watch() as watch:
            time.sleep(0.1)
        if max(watch.foreign) < FOREIGN_MAX:
            return


class Bench:
    """Makes slices with the tools that were built."""

    def __init__(self, lab, build, slice_seconds):
        self.lab = lab
        self.build = build
        self.seconds = slice_seconds

    def _generator(self, command):
        return spawn(self.lab.client, CLIENT_CPU, command, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)

    @staticmethod
    def _result(child):
        """Waits for a generator and returns the JSON that it prints."""
        said, errors = child.communicate()
        try:
            return json.loads(said)
        except ValueError:
            raise RuntimeError(f"{' '.join(child.args)}: {errors.strip()}") from None

    def _load(self, server, *options):
        return self._generator([f"{self.build}/udpxdp", "bench", server.address, str(server.port),
                                "-j", "-Q", *options])

    @staticmethod
    def _watched(server, work):
        server.thaw()
        with Watch(server.pid, server.has_process) as watch:
            value = work()
        time.sleep(0.05)  # what is still queued is answered now, not in another slice
        server.freeze()
        value["foreign"] = [round(share, 3) for share in watch.foreign]
        value["rejected"] = watch.rejected()
        return value, watch

    def _closed(self, server, window, size):
        def work():
            got = self._result(self._load(server, "-w", str(window), "-s", str(size),
                                          "-t", str(self.seconds)))
            return {"per_second": got["received_per_second"], "latency_us": got["latency_us"],
                    "lost": got["lost"], "wrong": got["wrong"]}
        return self._watched(server, work)[0]

    def closed(self, server, size):
        got = self._closed(server, 256, size)
        got["value"] = got["per_second"]
        return got

    def latency(self, server):
        got = self._closed(server, 1, 64)
        got["value"] = got["latency_us"].get("p50")
        return got

    def open(self, server, size, trains=False):
        """More than anybody can answer. The answers are counted at the sink meanwhile.

        trains: the generator's batches cross the wire whole.
        """
        def work():
            load = self._load(server, "--timeout", "0", "-r", str(FLOOD), "-s", str(size),
                              "-t", str(self.seconds + 0.1))
            time.sleep(0.06)
            start, before, _ = server.far_end.ask()
            time.sleep(self.seconds)
            end, after, _ = server.far_end.ask()
            offered = self._result(load)["sent_per_second"]
            return {"value": (after - before) * 1e9 / (end - start), "offered": offered}
        if trains:
            self.lab.segment_early(server.client_iface, False)
        try:
            value, watch = self._watched(server, work)
        finally:
            self.lab.segment_early(server.client_iface, True)
        value["user_share"] = watch.user_share
        return value

    def kernel(self, server, size):
        """The same from the kernel's own frame generator, which costs less than any socket."""
        # Without GRO (or a program of its own) a veth does not take frames that no skb is around.
        self.lab.run("server", "ethtool", "-K", server.iface, "gro", "on")

        def work():
            load = self._generator([
                f"{self.build}/tests/bench/generate", server.client_iface,
                f"{self.build}/tests/bench/generate.bpf.o", server.macs[0],
                server.address.rpartition(".")[0] + ".1", server.macs[1], server.address,
                str(size), str(self.seconds + 0.1)])
            time.sleep(0.06)
            start, before, _ = server.far_end.ask()
            time.sleep(self.seconds)
            end, after, _ = server.far_end.ask()
            offered = self._result(load)["sent_per_second"]
            return {"value": (after - before) * 1e9 / (end - start), "offered": offered}
        value = self._watched(server, work)[0]
        self.lab.run("server", "ethtool", "-K", server.iface, "gro", "off")
        return value

    def cost(self, server, rate, burst):
        """CPU per echo at a rate that everybody can answer without loss."""
        def work():
            before = server.far_end.ask()[1]
            sent = self._result(self._load(server, "--timeout", "0", "-r", str(rate),
                                           "-b", str(burst),
                                           "-t", str(2 * self.seconds)))["sent"]
            time.sleep(0.01)
            return {"sent": sent, "lost": sent - (server.far_end.ask()[1] - before)}
        value, watch = self._watched(server, work)
        value["value"] = watch.server * 1e6 / value["sent"]
        value["cpu_busy_us"] = watch.busy[1] * 1e6 / value["sent"]
        if value["lost"] and not value["rejected"]:
            value["rejected"] = "datagrams were lost"
        return value

    def idle(self, server):
        """The CPU share of a server that had traffic, and then none for a second."""
        server.thaw()
        self._result(self._load(server, "-w", "1", "-t", "0.1"))
        time.sleep(1)
        with Watch(server.pid) as watch:
            time.sleep(self.seconds)
        server.freeze()
        return {"value": watch.server / watch.wall, "rejected": None}

    def many_clients(self, server, members):
        """A chat message to all other members, one message after the other."""
        def work():
            got = self._result(self._generator([
                f"{self.build}/tests/bench/many_clients", server.address, str(CHAT_PORT), str(members),
                str(self.seconds), server.pin]))
            return {"value": got["copies"] / got["seconds"], "lost": got["lost"],
                    "messages": got["messages"]}
        return self._watched(server, work)[0]
