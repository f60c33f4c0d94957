#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What comes down while the site is not ready to take it: the upstream counts what was acknowledged to it, and none of
that is missing on site."""
import collections
import pathlib
import signal
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bridge"))
import mqttwire as w  # noqa: E402
from harness import Failed, Room, Skipped, free_port, run, wait  # noqa: E402
from stand_in import Link, StandIn  # noqa: E402

CONFIG = """\
site: plant
control: {dir}/control
store: {{dir: {data}, preallocate: false, max_bytes: 12MiB}}
broker: {{listeners: [{{bind: "127.0.0.1:{port}"}}], state_bytes: 12MiB, state_preallocate: false}}
upstreams:
  cloud:
    address: mqtt://127.0.0.1:{cloud}
    version: {version}
    backoff: 50ms
    backoff_max: 100ms
    status: ""
    rules: [{{in: "down/#", qos: 1, prefix: "local/"}}]
"""
WINDOW = 20


class Down(Link):
    """Sends what was not acknowledged, in order, WINDOW at a time; from the first on each link."""

    def __init__(self, server, sock):
        super().__init__(server, sock)
        self.flight, self.next, self.subscribed, self.ended = {}, 0, False, threading.Event()

    def fill(self):
        with self.server.sending:
            while self.subscribed and len(self.flight) < WINDOW and self.next < len(self.server.texts):
                number, self.next = self.next, self.next + 1
                if number in self.server.acked:
                    continue
                pid = number + 1
                self.flight[pid] = number
                body = w.u16(len(b"down/x")) + b"down/x" + w.u16(pid) + (b"\0" if self.version == 5 else b"")
                self.send(w.packet(0x32, body + self.server.texts[number]))

    def run(self):
        try:
            while True:
                first, body, _size = self.packet()
                kind = first >> 4
                if kind == 1:
                    self.connect(body)
                elif kind == 4:
                    self.server.acked.add(self.flight.pop(int.from_bytes(body[:2], "big")))
                elif kind == 8:
                    self.send(w.packet(0x90, body[:2] + (b"\0" if self.version == 5 else b"") + b"\1"))
                    self.subscribed = True
                elif kind == 12:
                    self.send(w.packet(0xD0, b""))
                self.fill()
        except (ConnectionError, OSError):
            pass
        finally:
            self.sock.close()
            self.ended.set()


class Upstream(StandIn):
    def __init__(self):
        self.texts, self.acked, self.sending = [], set(), threading.Lock()
        super().__init__()

    def greet(self, sock):
        link = Down(self, sock)
        self.links.append(link)
        link.run()

    def say(self, count, size=0):
        first = len(self.texts)
        self.texts.extend(f"{n}.".encode().ljust(size, b".") for n in range(first, first + count))
        self.links[-1].fill()


class Client:
    """On site; its session is kept."""

    def __init__(self, port):
        self.port, self.got, self.client = port, collections.Counter(), None

    def come(self):
        ready = threading.Event()
        c = mqtt.Client(client_id="hmi", clean_session=False, protocol=mqtt.MQTTv311)
        c.on_message = lambda _c, _d, m: self.got.update([int(m.payload.split(b".")[0])])
        c.on_connect = lambda c, _d, flags, _rc: ready.set() if flags["session present"] else c.subscribe("local/#", 1)
        c.on_subscribe = lambda *_: ready.set()
        c.connect("127.0.0.1", self.port)
        c.loop_start()
        if not ready.wait(20):
            raise Failed("no subscription")
        self.client = c

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()


def begin(room, version=5, wrap=(), data=None):
    cloud, port = Upstream(), free_port()
    gateway = room.weir(CONFIG.format(dir=room.dir, data=data or room.dir / "data", port=port, cloud=cloud.port, version=version),
                        wrap=wrap)
    wait(lambda: cloud.links and cloud.links[-1].subscribed, 60, "the upstream has a subscriber")
    return gateway, cloud, Client(port)


def complete(cloud, client):
    """All is acknowledged, and nothing of that is missing."""
    wait(lambda: len(cloud.acked) == len(cloud.texts), 60, lambda: f"{len(cloud.acked)} of {len(cloud.texts)} acknowledged")
    wait(lambda: cloud.acked <= set(client.got), 60, lambda: f"missing: {sorted(cloud.acked - set(client.got))[:20]}")
    return f"{len(cloud.texts)} acknowledged, 0 missing, {sum(client.got.values()) - len(client.got)} twice, {len(cloud.links)} links"


def stands_still(version):
    with Room() as room:
        gateway, cloud, client = begin(room, version)
        client.come()
        cloud.say(50)
        complete(cloud, client)
        gateway.signal(signal.SIGSTOP)
        try:
            link, before = cloud.links[-1], len(cloud.acked)
            cloud.say(50)
            wait(link.ended.is_set, 30, "who cannot hand it on ends the link")
            if len(cloud.acked) != before:
                raise Failed(f"{len(cloud.acked) - before} were acknowledged that nobody took")
        finally:
            gateway.signal(signal.SIGCONT)
        said = complete(cloud, client)
        client.leave()
        return said


def while_main_stands_still_nothing_is_acknowledged():
    return stands_still(5)


def while_main_stands_still_nothing_is_acknowledged_on_3_1_1():
    return stands_still('"3.1.1"')


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 4096)
        except OSError:
            pass


def while_the_disk_is_full_nothing_is_acknowledged_that_is_not_kept():
    """Who is to have it is away, so it has to be on the disk: the acknowledgements stop with the room, and go on with it."""
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode != 0:
        raise Skipped("no user and mount namespaces here")
    with Room() as room:
        data = room.dir / "data"
        data.mkdir()
        inside = "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\""
        gateway, cloud, client = begin(room, wrap=["unshare", "-Urm", "sh", "-c", inside, data], data=data)
        client.come()
        client.leave()
        cloud.say(20)
        wait(lambda: len(cloud.acked) == 20, 30, "there is room")
        filler = pathlib.Path(f"/proc/{gateway.pid}/root{data}/fill")
        fill(filler)
        link = cloud.links[-1]
        cloud.say(1000, 4096)
        wait(lambda: link.ended.is_set(), 60, "what cannot be kept is not acknowledged")
        if len(cloud.acked) > 900:
            raise Failed(f"{len(cloud.acked)} acknowledged on a full disk")
        stopped_at = len(cloud.acked)
        filler.unlink()
        wait(lambda: len(cloud.acked) == len(cloud.texts), 60, lambda: f"{len(cloud.acked)} acknowledged")
        client.come()
        said = complete(cloud, client)
        client.leave()
        return f"stopped at {stopped_at}; {said}"


def killed_while_it_begins_nothing_acknowledged_is_missing():
    """kill -9 again and again before the start is over: what was acknowledged by then was taken."""
    with Room() as room:
        gateway, cloud, client = begin(room)
        client.come()
        client.leave()
        cloud.say(3000)
        for n in range(6):
            before = len(cloud.links)
            gateway.kill()
            gateway.start()
            if n % 2:
                wait(lambda before=before: len(cloud.links) > before, 30, "it connects")
        wait(lambda: len(cloud.acked) == len(cloud.texts), 60, lambda: f"{len(cloud.acked)} acknowledged")
        client.come()
        said = complete(cloud, client)
        client.leave()
        return said


if __name__ == "__main__":
    sys.exit(run([while_main_stands_still_nothing_is_acknowledged,
                  while_main_stands_still_nothing_is_acknowledged_on_3_1_1,
                  while_the_disk_is_full_nothing_is_acknowledged_that_is_not_kept,
                  killed_while_it_begins_nothing_acknowledged_is_missing]))
