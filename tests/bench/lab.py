# SPDX-License-Identifier: MIT
"""Two namespaces of our own, a veth pair for each server, and the processes in them."""
import atexit
import json
import os
import select
import signal
import subprocess
import sys
import time

CLIENT_CPU, SERVER_CPU = 0, 1
NICE = -15


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def sh(*command):
    """Runs a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def spawn(namespace, cpu, command, **streams):
    """Starts a command in a namespace, on one CPU, before the machine's other work there."""
    child = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{namespace}", "taskset", "-c", str(cpu),
         "nice", "-n", str(NICE), *command], text=True, start_new_session=True, **streams)
    # Where the scheduler shares the CPU by session, it is the session that must go first.
    try:
        with open(f"/proc/{child.pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(NICE))
    except OSError:
        pass
    return child


class Process:
    """A child in a namespace, on one CPU, that says a word when it is ready."""

    def __init__(self, namespace, cpu, command, log, ready=None):
        self.command = command
        self.log = log
        with open(log, "wb") as errors:
            self.child = spawn(namespace, cpu, command, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=errors, bufsize=1)
        if ready:
            self._wait_for(ready)

    def _said(self):
        if select.select([self.child.stdout], [], [], 0)[0]:
            return self.child.stdout.readline()
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _wait_for(self, word, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self._said()
            if word in said:
                return
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"{self.command[0]} did not start: {said.strip() or 'it said nothing'}")

    @property
    def pid(self):
        return self.child.pid

    def ask(self):
        """Sends an empty line, returns the numbers that are answered."""
        self.child.stdin.write("\n")
        return [int(word) for word in self.child.stdout.readline().split()]

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def stop(self):
        """Ends it: by the end of its input, or else by SIGTERM."""
        if self.child.poll() is None:
            self.thaw()
            self.child.stdin.close()
            if not self.command[0].endswith("/attach"):
                self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.child.stdout.close()


class Lab:
    """Client and server namespaces; everything goes when the program ends."""

    def __init__(self, logs):
        self.logs = logs
        os.makedirs(logs, exist_ok=True)
        self.client = f"udpxdp-bench-c{os.getpid()}"
        self.server = f"udpxdp-bench-s{os.getpid()}"
        self.processes = []
        self.pairs = 0
        atexit.register(self.close)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(1))
        if sh("stat", "-f", "-c", "%T", "/sys/fs/bpf").strip() != "bpf_fs":
            sh("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
        for namespace in (self.client, self.server):
            sh("ip", "netns", "add", namespace)
            self.ip(namespace, "link", "set", "lo", "up")

    @staticmethod
    def ip(namespace, *arguments):
        """`ip -n` would remount the root, which a chroot's is not always fit for."""
        sh("nsenter", f"--net=/run/netns/{namespace}", "ip", *arguments)

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes = []
        for namespace in (self.client, self.server):
            if os.path.exists(f"/run/netns/{namespace}"):
                subprocess.run(["ip", "netns", "del", namespace], check=False)

    def pair(self):
        """A veth pair with one queue. Returns its two names and the server's address."""
        self.pairs += 1
        number = self.pairs
        client, server = f"bc{number}-{os.getpid()}", f"bs{number}-{os.getpid()}"
        queues = ["numrxqueues", "1", "numtxqueues", "1"]
        sh("ip", "link", "add", client, "netns", self.client, *queues, "type", "veth",
           "peer", "name", server, "netns", self.server, *queues)
        for namespace, name, host in ((self.client, client, 1), (self.server, server, 2)):
            self.ip(namespace, "address", "add", f"10.203.{number}.{host}/24", "dev", name)
            self.ip(namespace, "link", "set", name, "up")
        self.segment_early(client, True)
        return client, server, f"10.203.{number}.2"

    def namespace(self, side):
        return self.client if side == "client" else self.server

    def run(self, side, *command):
        """Runs a command there that must succeed; returns what it says."""
        return sh("nsenter", f"--net=/run/netns/{self.namespace(side)}", *command)

    def mac(self, side, iface):
        return json.loads(self.run(side, "ip", "-j", "link", "show", "dev", iface))[0]["address"]

    def segment_early(self, iface, on):
        """The stack cuts the generator's batches into datagrams before the veth, as it would for
        most NICs; otherwise only the servers without XDP would get them whole."""
        sh("nsenter", f"--net=/run/netns/{self.client}", "ethtool", "-K", iface,
           "tx-udp-segmentation", "off" if on else "on")

    def start(self, side, cpu, command, name, ready=None):
        namespace = self.namespace(side)
        process = Process(namespace, cpu, command, f"{self.logs}/{name}.log", ready)
        self.processes.append(process)
        return process

    def end(self, process):
        self.processes.remove(process)
        process.stop()
