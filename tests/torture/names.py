# SPDX-License-Identifier: MIT
"""Names and addresses of the tortured gateway's own: with a mount and a network namespace, the name of the upstream stands
in a hosts file that a fault may rewrite, and behind it is a resolver that answers badly."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

NAME = "cloud.test"
MARK = "WEIR_TORTURE_NAMESPACE"
RESOLVER = "127.0.0.53"


def enter():
    """Runs this program again in namespaces of its own; where there are none, goes on without."""
    if os.environ.get(MARK):
        return
    if subprocess.run(["unshare", "-Urmn", "ip", "link", "set", "lo", "up"], check=False, capture_output=True).returncode != 0:
        print("no user, mount and network namespaces here: the disk is not filled, and names are not changed")
        return
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "-Urmn", sys.executable, *sys.argv])


def alone():
    return MARK in os.environ


def prepare():
    """Once in a process, in its namespaces."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    where = pathlib.Path(tempfile.mkdtemp(prefix="weir-names-"))
    for name, text in (("hosts", ""), ("resolv.conf", f"nameserver {RESOLVER}\n"), ("nsswitch.conf", "hosts: files dns\n")):
        (where / name).write_text(text)
        subprocess.run(["mount", "--bind", where / name, f"/etc/{name}"], check=True)


def write(lines):
    with open("/etc/hosts", "r+", encoding="ascii") as f:  # in its place: it is a mount
        f.truncate()
        f.write("".join(f"{line}\n" for line in ["127.0.0.1 localhost", *lines]))


def tell(*addresses):
    write([f"{address} {NAME}" for address in addresses])


def forget():
    write([])


class Resolver:
    """Answers every question the same way: not at all, with no such name, with a failure; or is not there."""

    CODES = {"servfail": 2, "nxdomain": 3}

    def __init__(self, manner):
        self.manner, self.thread, self.socket = manner, None, None

    def __enter__(self):
        if self.manner == "absent":
            return self
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((RESOLVER, 53))
        self.socket.settimeout(0.2)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        if self.thread:
            self.over.set()
            self.thread.join()
            self.socket.close()

    def serve(self):
        while not self.over.is_set():
            try:
                asked, who = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            if self.manner in self.CODES and len(asked) >= 12:
                self.socket.sendto(asked[:2] + bytes((0x81, 0x80 | self.CODES[self.manner])) + asked[4:6] + bytes(6) + asked[12:], who)
