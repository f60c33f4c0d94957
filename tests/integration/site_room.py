# SPDX-License-Identifier: MIT
"""A whole site in a room: simulated slaves, weir, a link that can be cut, an upstream that counts, publishers that
remember. What the tests of the promise have in common."""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import harness  # noqa: E402

CONFIG = """\
site: plant
control: {dir}/weir.sock
stop_timeout: {stop_timeout}
{field}
broker:
  listeners:
    - {{bind: "127.0.0.1:{broker}"}}
  state_bytes: 4MiB
store:
  dir: {data}
  {store}
upstreams:
  cloud:
    address: ["mqtt://{address}:{link}"]
    client_id: plant
    version: {version}
    keep_alive: 4s
    ack_timeout: 3s
    connect_timeout: 2s
    backoff: 100ms
    backoff_max: 1s
    {bridge}
    rules:
      - {{out: "plant/#", qos: {up_qos}}}
      - {{out: "load/#", qos: {up_qos}}}
{more}
"""

FIELD = """\
lines:
  bus:
    driver: modbus-rtu
    port: {dir}/bus
    baud: 115200
    parity: even
    reply_timeout: 100ms
devices:
  a: {{line: bus, unit: 1, every: {every}, points: {{readings: {{holding: 0, type: uint32}}}}}}
  b: {{line: bus, unit: 2, every: {every}, points: {{readings: {{holding: 0, type: uint32}}}}}}
"""


class Site(harness.Room):
    """upstream: the stand-in, or mosquitto with a recording subscriber."""

    def build(self, upstream="stub", version=5, field=True, every="100ms", store="max_bytes: 256MiB", bridge="",
              stop_timeout="10s", broken=None, more="", wrap=(), up_qos=1, address="127.0.0.1"):
        self.broker = harness.free_port()
        self.once, self.kills, self.restarts = lambda p: p % 2 == 0, 0, 0
        if field:
            self.bus = self.sim(f"line bus {self.dir}/bus units=1-2 baud=115200")
        if upstream == "stub":
            self.up = self.cloud()
            self.recorder_ = None
        else:
            self.up = self.mosquitto()
            self.recorder_ = self.recorder(self.up.port, topic="#", qos=2, mqtt=5)
        self.link = self.linkcut(self.up.port)
        if broken:
            self.link.tell(broken)
        self.data = self.dir / "data"
        self.data.mkdir(exist_ok=True)
        self.values = {"dir": self.dir, "data": self.data, "broker": self.broker, "address": address, "link": self.link.port,
                       "version": f'"{version}"', "store": store, "bridge": bridge, "stop_timeout": stop_timeout, "more": more, "up_qos": up_qos,
                       "field": FIELD.format(dir=self.dir, every=every) if field else ""}
        self.gateway = self.weir(CONFIG.format(**self.values), wrap=wrap)
        self.loads = []
        self.local = self.recorder(self.broker, name="local", topic="plant/bus/#", qos=1, mqtt=5) if field else None
        return self

    @staticmethod
    def sanitized():
        """A sanitizer wants to come first in a process: nothing can be preloaded then, and the clock is left alone."""
        return any(name in (harness.build_dir() / "gateway/weir").read_bytes() for name in (b"__asan_init", b"__tsan_init"))

    def configure(self, **values):
        """Rewrites the configuration; the gateway is not told."""
        self.values.update(values)
        self.gateway.config.write_text(CONFIG.format(**self.values))

    def load(self, **options):
        """Four publishers, every second one at QoS 2."""
        options = {"publishers": 4, "qos": 12, "rate": 100, "window": 50, "mqtt": 5, "topics": 3,
                   "first": 1 + 100 * len(self.loads), **options}
        load = self.publishers(self.broker, name=f"load{len(self.loads) or ''}", **options)
        self.loads.append(load)
        return load

    def restart(self):
        self.restarts += 1
        self.gateway.start(r"state=ready", seconds=30)

    def kill(self):
        """-9 to the gateway; what it started must notice and go."""
        below = self.gateway.descendants()
        self.gateway.kill()
        self.kills += 1
        harness.wait(lambda: not any(alive(pid) for pid in below), 20, "the bridge process ends with the gateway")

    def bridge_pid(self):
        for pid in self.gateway.descendants():
            if b"bridge" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def status(self):
        said = subprocess.run([harness.build_dir() / "gateway/weir", "status", "--socket", self.dir / "weir.sock"],
                              capture_output=True, text=True, timeout=20, check=False)
        return said.stdout

    def to_send(self):
        """Records that the upstream has not acknowledged; None when the gateway does not say."""
        found = re.search(r"^upstream .* (\d+) to send", self.status(), re.M)
        return int(found.group(1)) if found else None

    def upstream_is(self, state):
        return re.search(rf"^upstream +\S+ +{state}\b", self.status(), re.M) is not None

    def check_readings(self, uncommitted=0):
        """Each reading that local clients saw reached the cloud, but for those `uncommitted` at a kill; and what
        nobody saw, weir says that it could not read. Both in ascending order. Returns how many there were."""
        seen = {d: good_values(harness.read_arrivals(self.local.journal), f"plant/bus/{d}/readings") for d in ("a", "b")}
        self.await_readings(seen, uncommitted)  # the lines go on: the newest may still be on its way
        text, said, total = self.status(), [], 0
        unread = sum(int(n) for n in re.findall(r"(\d+) (?:time-outs|garbled)", text))
        for device in ("a", "b"):
            topic = f"plant/bus/{device}/readings"
            here = seen[device]
            there = list(dict.fromkeys(good_values(self.arrivals(), topic)))  # each where it first came
            lost = sorted(set(here) - set(there))
            skipped = int(max(here) - min(here) + 1 - len(set(here)))
            late = [later for earlier, later in zip(there, there[1:]) if later < earlier]
            if "live-first" in self.values["bridge"]:
                late = []  # two streams; the account looks into both
            total += len(there)
            said.append(f"{device}: {len(there)} arrived, {len(lost)} lost of {len(set(here))} seen, {skipped} never read, {len(late)} out of order")
            if len(lost) > uncommitted or late or (not self.restarts and skipped > unread):
                raise harness.Failed(f"{said}: lost {lost[:10]}, out of order {late[:10]}, {unread} failed readings\n{text}")
        print("; ".join(said))
        return total

    def await_readings(self, seen, uncommitted):
        """Gives what was seen the time to arrive; what did not by then, the caller counts as lost."""
        def missing(device):
            return set(seen[device]) - set(good_values(self.arrivals(), f"plant/bus/{device}/readings"))
        try:
            harness.wait(lambda: all(len(missing(d)) <= uncommitted for d in seen), 10, "what was seen has arrived")
        except harness.Failed:
            pass

    def received(self):
        return (self.recorder_ or self.up).stats()["received" if self.recorder_ else "messages"]

    def journal(self):
        return (self.recorder_ or self.up).journal

    def arrivals(self):
        return harness.read_arrivals(self.journal())

    def acked(self):
        return sum(load.stats()["acked"] for load in self.loads)

    def settle(self, seconds=60):
        """The publishers stop, everything they sent is acknowledged, and the queue drains."""
        for load in self.loads:
            load.tell("stop")
        harness.wait(lambda: all(load.stats()["waiting"] == 0 for load in self.loads), seconds,
                     lambda: f"all is acknowledged: {[load.stats() for load in self.loads]}")
        if hasattr(self, "bus"):
            self.bus.tell("fault bus * dead")  # else there is always a sample more
        harness.wait(lambda: self.to_send() == 0, seconds, lambda: f"the queue is drained:\n{self.status()}")
        if self.recorder_:
            harness.wait(lambda: self.everything_arrived(), seconds, "the recorder has it all")

    def everything_arrived(self):
        return not self.account().lost

    def account(self):
        account = harness.Account("load/", once=self.once, streams="live-first" in self.values["bridge"])
        return account.publishers(*[load.journal for load in self.loads]).against(self.arrivals())

    def check(self):
        account = self.account()
        account.check()
        return str(account)


def good_values(arrivals, topic):
    """The values of a point, in the order of their arrival."""
    bodies = [json.loads(a.payload) for a in arrivals if a.topic == topic]
    return [body["v"] for body in bodies if body["q"] == "good"]


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def seconds(name, default):
    return float(os.environ.get(name, default))
