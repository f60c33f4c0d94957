#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random faults against a whole gateway, then the account: nothing acknowledged may be lost, nothing may arrive twice
unmarked or out of order.

  torture.py [--build DIR] [--seed N] [--seeds N] [--minutes M] [--bridge weir|mosquitto] [--faults N] [--only WORD,...]
              [--qos 1|2|12]

One seed is one gateway, one site of simulated devices, two groups of publishers at QoS 1 and 2, and a dozen faults
drawn at random; then everything heals, drains and is counted. What goes up at QoS 2 must arrive once. The seed decides the configuration, the faults and
their length; what the machine does meanwhile differs, so a seed narrows a finding down, it does not replay it to the
microsecond. --minutes goes on with further seeds until the time is up. --bridge mosquitto drives mosquitto and its own
bridge the same way, for comparison. The first line of a seed says how to run it alone.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import site_room  # noqa: E402
import harness  # noqa: E402
import names  # noqa: E402
from faults import FAULTS, HANGS_UP, NAMED, NEVER  # noqa: E402
from harness import Failed, wait  # noqa: E402

DISK_MB = 64


# --- what is tortured -------------------------------------------------------------------------------------------------


def bad_number(payload):
    return re.search(r'bad\D*(\d+)', str(payload)).group(1)


class Weir(site_room.Site):
    def build_from(self, dice):
        self.clock = self.dir / "clockstep"
        self.clock.write_bytes(bytes(8))
        durability = dice.choice(("power", "process"))
        wrap = [] if self.sanitized() else ["env", f"LD_PRELOAD={harness.build_dir()}/tests/lib/clockstep.so",
                                            f"WEIR_CLOCKSTEP={self.clock}"]
        self.make_disk(dice)
        self.version = dice.choice((5, 5, 5, "3.1.1"))
        self.order = dice.choice(("fifo", "fifo", "strict", "live-first"))
        self.up_qos = 2 if self.order == "fifo" and dice.random() < 0.4 else 1
        self.build(version=self.version, every=dice.choice(("20ms", "100ms", "1s")),
                   store=f"max_bytes: 32MiB\n  on_full: refuse\n  durability: {durability}\n  commit_ms: {dice.choice((0, 5, 10, 50))}",
                   bridge=self.bridge(dice.choice((1, 10, 100, 500))), wrap=wrap, up_qos=self.up_qos,
                   address=names.NAME if names.alone() else self.HERE)
        self.name_links()

    HERE, THERE = "127.0.0.1", "127.0.0.2"

    def name_links(self):
        """The upstream has a second address, where its name does not lead as long as all is well."""
        self.bad = []
        if names.alone():
            self.link_there = self.linkcut(self.up.port, name="link-there", listen=f"{self.THERE}:{self.link.port}")
            names.tell(self.HERE)

    def heal(self):
        self.link.tell("forward", "delay 0", "rate 0")
        self.up.tell("accept")

    def publish(self, topic):
        """One record; what is acknowledged is to be accounted for."""
        payload = f'{{"bad":{len(self.bad)}}}'
        said = subprocess.run(["mosquitto_pub", "-p", str(self.broker), "-q", "1", "-t", topic, "-m", payload],
                              capture_output=True, timeout=30, check=False)
        if said.returncode == 0:
            self.bad.append((topic, payload))

    def check_quarantine(self):
        """What the upstream does not like has arrived or is set aside; nothing else is."""
        file = self.data / "quarantine-cloud.jsonl"
        aside = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        wrongly = [a for a in aside if a["topic"] not in (HANGS_UP, NEVER)]
        known = {a.topic + bad_number(a.payload) for a in self.arrivals() if a.topic in (HANGS_UP, NEVER)}
        known |= {a["topic"] + bad_number(a["payload"]) for a in aside}
        missing = [b for b in self.bad if b[0] + bad_number(b[1]) not in known]
        if wrongly or missing:
            raise Failed(f"set aside for nothing: {wrongly[:5]}; of what the upstream does not like {missing} is missing")
        return len(aside)

    def exact(self, faults):
        """Does what arrives arrive once? Not where the stand-in is told to forget the session, or gives cause to drop it."""
        return self.up_qos == 2 and not {"forget", "amnesia", "bad-records"} & set(faults)

    def freshness(self, since_ms):
        """How old readings were that arrived from then on and were not late: p99 in ms and how many; by the wall clock
        of this machine, so not where the gateway has another."""
        ages = sorted(a.wall_ms - json.loads(a.payload)["t"] for a in self.arrivals()
                      if a.topic.startswith("plant/bus/") and a.wall_ms >= since_ms and not a.late
                      and '"late"' not in a.payload and '"t"' in a.payload)
        return (ages[int(len(ages) * 0.99)], len(ages)) if ages else None

    def manner(self):
        return f"MQTT {self.version}, {self.order}, qos {self.up_qos} up{', small disk' if self.small_disk else ''}"

    def __exit__(self, kind, error, trace):
        if getattr(self, "small_disk", False):  # lazily: the gateway is still on it, and a mount point cannot be removed
            subprocess.run(["umount", "-l", self.data], check=False)
        super().__exit__(kind, error, trace)

    def bridge(self, window):
        """MQTT 3.1.1 has no place for a seq but the payload."""
        return f"window: {window}\n    order: {self.order}" + ("\n    mark: json" if self.version != 5 else "")

    def make_disk(self, dice):
        """A real disk, or a small file system that can be filled: this process is in a mount namespace of its own."""
        self.data = self.dir / "data"
        self.data.mkdir()
        self.small_disk = dice.random() < 0.4 and names.alone()
        if self.small_disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", self.data], check=True)


class Mosquitto(Weir):
    """mosquitto with its own bridge, as durable as its options make it."""

    CONFIG = """\
listener {broker} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {data}/
autosave_interval 1
max_queued_messages 0
max_inflight_messages 0
connection cloud
address {address}:{link}
remote_clientid plant
local_clientid plant-local
cleansession false
bridge_protocol_version {version}
notifications false
try_private false
keepalive_interval 5
restart_timeout 1
topic load/# out 1
topic plant/# out 1
"""

    def build_from(self, dice):
        self.make_disk(dice)
        self.broker, self.up = harness.free_port(), self.cloud()
        self.link = self.linkcut(self.up.port)
        self.loads, self.recorder_, self.kills, self.restarts = [], None, 0, 0
        self.values = {"bridge": ""}
        version = dice.choice(("mqttv50", "mqttv50", "mqttv50", "mqttv311"))
        config = self.dir / "mosquitto.conf"
        config.write_text(self.CONFIG.format(broker=self.broker, link=self.link.port, data=self.data, version=version,
                                             address=names.NAME if names.alone() else self.HERE))
        self.name_links()
        self.gateway = self.add(harness.Program(self, "mosquitto", ["mosquitto", "-c", config]))
        self.restart()

    def restart(self):
        self.gateway.start()
        wait(lambda: harness.listens(self.broker), 20, "mosquitto listens")

    def bridge_pid(self):
        return None

    def manner(self):
        return "mosquitto"

    def status(self):
        return "mosquitto does not say"

    def settle(self, seconds=60):
        for load in self.loads:
            load.tell("stop")
        wait(lambda: all(load.stats()["waiting"] == 0 for load in self.loads), seconds, "all is acknowledged")
        last, since = -1, time.monotonic()
        # It does not say when it is done, and may be waiting for its next try.
        while time.monotonic() - since < 40 and (time.monotonic() - since < 3 or not self.everything_arrived()):
            now = self.received()
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.5)


def written_bytes(program):
    """By the gateway and all below it; lost with each process that ends, so taken before."""
    total = 0
    for pid in [program.pid, *program.descendants()]:
        try:
            for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def draw(dice, count, mosquitto, small_disk, only):
    able = [name for name, (_, _, both) in FAULTS.items() if (both or not mosquitto) and (not only or name in only)]
    if not small_disk:
        able = [name for name in able if not name.startswith("full-disk")]
    if not names.alone():
        able = [name for name in able if name not in NAMED]
    return dice.choices(able, [FAULTS[name][0] for name in able], k=count)


def one(seed, kind, count, only, qos):
    dice = random.Random(seed)
    with kind() as site:
        site.build_from(dice)
        site.once = lambda p: qos != "1" and (qos == "2" or p % 2 == 0)
        site.load(qos=qos, rate=dice.choice((20, 100, 400)), size=dice.choice((60, 200, 2000)))
        site.load(qos=qos, rate=dice.choice((20, 100)), mqtt=4, window=dice.choice((1, 20)))
        faults = draw(dice, count, kind is Mosquitto, site.small_disk, only)
        print(f"seed {seed}: {site.manner()}: {' '.join(faults)}", flush=True)
        peak, written, began = 0, 0, time.monotonic()
        for fault in faults:
            peak = max(peak, site.gateway.rss_kib())
            if not site.gateway.running():
                raise Failed(f"the gateway died by itself before {fault}: {site.gateway.process.returncode}")
            before = written_bytes(site.gateway)
            FAULTS[fault][1](site, dice)
            after = written_bytes(site.gateway)
            written += after - before if after >= before else after
        site.heal()
        healed_ms = time.time() * 1000
        healed, backlog = time.monotonic(), site.to_send() if kind is Weir else None
        site.settle(300)
        drained = time.monotonic() - healed
        complaint = re.search(r"^.*(runtime error:|Sanitizer|Assertion|signal (?:6|7|8|11)\b).*$", site.gateway.text(), re.M)
        if complaint:
            raise Failed(f"the gateway complained: {complaint.group(0)}")
        account = site.account()
        if kind is Weir and not account.refused:  # with the queue full samples wait, and the field goes on
            site.check_readings(uncommitted=4 * site.kills)
        if kind is Weir and site.exact(faults) and account.marked:
            raise Failed(f"{account}: QoS 2 upward brought some twice")
        aside = site.check_quarantine() if kind is Weir else 0
        fresh = site.freshness(healed_ms) if kind is Weir and not {"clock", "clock-walks"} & set(faults) else None
        peak = max(peak, site.gateway.rss_kib())
        per = written / max(1, len(account.acknowledged))
        print(f"  {account}\n  {healed - began:.0f} s of faults, drained in {drained:.1f} s (backlog {backlog}), "
              f"peak rss {peak / 1024:.1f} MiB" + (f", {aside} of {len(site.bad)} set aside" if site.bad else "") + (f", fresh p99 {fresh[0]} ms of {fresh[1]}" if fresh else "") + ("" if site.small_disk else f", {per:.0f} bytes written a message"),
              flush=True)
        return account


def main():
    words = argparse.ArgumentParser(description="random faults, then the account")
    words.add_argument("--build", default="build")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--seeds", type=int, default=1)
    words.add_argument("--minutes", type=float, default=0)
    words.add_argument("--bridge", choices=("weir", "mosquitto"), default="weir")
    words.add_argument("--faults", type=int, default=12)
    words.add_argument("--only", default="", help="faults to draw from, with commas between them")
    words.add_argument("--qos", choices=("1", "2", "12"), default="12", help="of the publishers; 12: one half each")
    words = words.parse_args()
    os.environ["WEIR_BUILD"] = os.path.abspath(words.build)
    names.enter()
    if names.alone():
        names.prepare()
    kind = {"weir": Weir, "mosquitto": Mosquitto}[words.bridge]
    end = time.monotonic() + words.minutes * 60
    seed, bad, sums = words.seed, [], dict.fromkeys(("acknowledged", "lost", "marked", "resent", "twice", "unmarked", "reordered"), 0)
    while seed < words.seed + words.seeds or time.monotonic() < end:
        try:
            account = one(seed, kind, words.faults, [w for w in words.only.split(",") if w], words.qos)
        except Failed as error:
            print(f"  FAILED: {error}", flush=True)
            bad.append(seed)
            seed += 1
            continue
        for key, value in (("acknowledged", account.acknowledged), ("lost", account.lost), ("unmarked", account.unmarked), ("twice", account.twice),
                           ("reordered", account.reordered)):
            sums[key] += len(value)
        sums["marked"] += account.marked
        sums["resent"] += account.by_publisher
        if not account.clean():
            print(f"  BAD: lost {account.lost[:8]} twice {account.twice[:8]} unmarked {account.unmarked[:8]} reordered {account.reordered[:8]}")
            bad.append(seed)
        seed += 1
    print(f"{seed - words.seed} seeds: " + " ".join(f"{k}={v}" for k, v in sums.items()))
    if bad:
        print(f"bad seeds: {' '.join(map(str, bad))}; run one alone with --seed N")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
