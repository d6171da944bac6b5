#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Credentials as NATS has them, an operator, an account and a user, made by openssl alone:

  nats_creds.py DIR    writes DIR/user.creds, and DIR/server.conf for nats-server -c
"""
import base64
import json
import os
import subprocess
import sys
import time

KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
SEED = 18 << 3


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc.to_bytes(2, "little")


def base32(data):
    return base64.b32encode(data + crc16(data)).decode().rstrip("=")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """An NKEY: an Ed25519 key whose text says what it is for."""
    def __init__(self, kind, directory):
        self.pem = os.path.join(directory, f"{id(self)}.pem")
        self.scratch = os.path.join(directory, "signed")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem], check=True)
        private = self.openssl("pkey", "-outform", "DER")[-32:]
        self.public = base32(bytes([KINDS[kind]]) + self.openssl("pkey", "-pubout", "-outform", "DER")[-32:])
        self.seed = base32(bytes([SEED | KINDS[kind] >> 5, (KINDS[kind] & 31) << 3]) + private)

    def openssl(self, command, *options):
        return subprocess.run(["openssl", command, "-in", self.pem, *options], check=True,
                              capture_output=True).stdout

    def sign(self, text):
        with open(self.scratch, "w", encoding="ascii") as file:
            file.write(text)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", self.scratch],
                              check=True, capture_output=True).stdout


def jwt(issuer, subject, name, claims):
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {"jti": name, "iat": int(time.time()), "iss": issuer.public, "sub": subject.public, "name": name,
            "nats": {"version": 2, **claims}}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
    return text + "." + base64url(issuer.sign(text))


directory = sys.argv[1]
operator, account, user = (Key(kind, directory) for kind in KINDS)
own = Key("account", directory)
limits = {**dict.fromkeys("subs data payload imports exports conn leaf".split(), -1), "wildcards": True}
storage = dict.fromkeys("mem_storage disk_storage streams consumer".split(), -1)
trust = jwt(operator, operator, "operator", {"type": "operator", "system_account": own.public})
servers = jwt(operator, own, "system", {"type": "account", "limits": limits})
members = jwt(operator, account, "account", {"type": "account", "limits": {**limits, **storage}})
with open(os.path.join(directory, "server.conf"), "w", encoding="ascii") as file:
    file.write(f"""listen: 0.0.0.0:4222
operator: {trust}
system_account: {own.public}
resolver: MEMORY
resolver_preload: {{ {account.public}: {members}, {own.public}: {servers} }}
jetstream {{ store_dir: "{directory}/jetstream" }}
""")
token = jwt(account, user, "user", {"type": "user", "subs": -1, "data": -1, "payload": -1})
with open(os.path.join(directory, "user.creds"), "w", encoding="ascii") as file:
    file.write(f"""-----BEGIN NATS USER JWT-----
{token}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.
NKEYs are sensitive and should be treated as secrets.

-----BEGIN USER NKEY SEED-----
{user.seed}
------END USER NKEY SEED------

*************************************************************
""")
