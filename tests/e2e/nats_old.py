#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A server that speaks NATS as it was before JetStream: nats_old.py PORT"""
import json
import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        info = {"server_id": "OLD", "version": "2.1.9", "proto": 1, "max_payload": 1 << 20, "port": int(sys.argv[1])}
        self.wfile.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        for line in self.rfile:
            word = line.split(b" ", 1)[0].strip().upper()
            if word in (b"PUB", b"HPUB"):
                self.rfile.read(int(line.split()[-1]) + 2)
            elif word == b"PING":
                self.wfile.write(b"PONG\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Server(("", int(sys.argv[1])), Session).serve_forever()
