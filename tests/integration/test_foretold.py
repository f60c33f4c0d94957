#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `weir check --plan` foretells of a line, and what the same line then does: asked for more than it carries, so that
its pace is the wire's. What a round puts on the wire is judged, and how long it takes. A machine that others keep busy
adds its own delays to those of the wire, and the plan follows what requests take: there a miss says nothing."""

import json
import os
import re
import subprocess
import sys
import time

import site_room  # first: it knows where harness is
import harness
from harness import Failed, run, wait

UNITS, ATTEMPTS, SPAN_S, BUSY_MS = 4, 5, 8, 0.5
BAUD, BITS, TURNAROUND_MS = 19200, 11, 2.0

CONFIG = """\
site: plant
control: {dir}/weir.sock
lines:
  bus: {{driver: modbus-rtu, port: {dir}/bus, baud: 19200}}
templates:
  meter:
    every: 20ms
    points:
      count: {{holding: 0, type: uint32}}
{points}
devices:
{devices}
broker:
  listeners:
    - {{bind: "127.0.0.1:{broker}"}}
store:
  dir: {dir}/data
  max_bytes: 64MiB
"""


class Line(harness.Room):
    def build(self):
        (self.dir / "data").mkdir()
        points = "".join(f"      p{i}: {{holding: {2 + i + 17 * (i // 10)}}}\n" for i in range(40))
        devices = "".join(f"  d{u}: {{line: bus, unit: {u}, template: meter}}\n" for u in range(1, UNITS + 1))
        self.text = CONFIG.format(dir=self.dir, broker=harness.free_port(), points=points, devices=devices)
        self.bus = self.sim(f"line bus {self.dir}/bus units=1-{UNITS} baud=19200 turnaround_us=2000")
        self.gateway = self.weir(self.text)
        return self

    def foretold_ms(self):
        """How often each point comes, with the turnaround that the simulated slaves have."""
        (self.dir / "plan.yaml").write_text(self.text)
        said = subprocess.run([harness.build_dir() / "gateway/weir", "check", "--plan", "--what-if", "turnaround=2ms",
                               self.dir / "plan.yaml"], capture_output=True, text=True, check=True).stdout
        return 20 * float(re.search(r"takes? ([0-9.]+) % of its time", said)[1]) / 100

    def readings(self, unit):
        words = self.bus.tell(f"get bus {unit} holding 0 2").split()
        return int(words[0], 0) << 16 | int(words[1], 0)

    def counts(self):
        return self.bus.stats(), sum(self.readings(u) for u in range(1, UNITS + 1))

    def measure(self):
        """What a round puts on the wire (its bytes, the silence around them, the turnaround), how long it takes, and by how
        much this machine is late meanwhile, when it is asked to wake up."""
        began, (before, first) = time.monotonic(), self.counts()
        late, naps = 0.0, 0
        while time.monotonic() < began + SPAN_S:
            nap = time.monotonic()
            time.sleep(0.005)
            late += time.monotonic() - nap - 0.005
            naps += 1
        span, (after, last) = time.monotonic() - began, self.counts()
        rounds = (last - first) / UNITS
        requests, sent = (sum(after[key] - before[key] for key in keys) for keys in (("requests",), ("bytes_in", "bytes_out")))
        char_ms = 1000 * BITS / BAUD
        each = sent / requests * char_ms + 7 * char_ms + TURNAROUND_MS
        return each * round(requests / rounds), 1000 * span / rounds, 1000 * late / naps  # the span cuts a round at both ends

    def check_told(self, measured):
        """What `weir status` says of each device lately, against what was measured just now."""
        said = json.loads(subprocess.run([harness.build_dir() / "gateway/weir", "status", "bus", "--json", "--socket",
                                          self.dir / "weir.sock"], capture_output=True, text=True, check=True).stdout)
        for device in said["devices"]:
            if device["wanted_every_ms"] != 20 or abs(device["comes_every_ms"] - measured) > 0.2 * measured:
                raise Failed(f"a round takes {measured:.1f} ms; {device}")


def refresh_is_what_check_foretold():
    with Line() as line:
        line.build()
        foretold = line.foretold_ms()
        # Until the plan was made from what was measured.
        wait(lambda: min(line.readings(u) for u in range(1, UNITS + 1)) > 20, 60, "every device was read twenty times")
        found, quietest = [], 1000.0
        for _ in range(ATTEMPTS):
            spent, measured, late = line.measure()
            found.append((round(spent, 1), round(measured, 1)))
            quietest = min(quietest, late)
            print(f"foretold {foretold:.1f} ms, wire {spent:.1f} ms, measured {measured:.1f} ms, wakes {late:.2f} ms late")
            if max(abs(spent - foretold), abs(measured - foretold)) <= 0.05 * foretold:
                line.check_told(measured)
                return f"{spent:.1f} ms on the wire, a round in {measured:.1f} ms, {foretold:.1f} foretold"
        if quietest > BUSY_MS or os.getloadavg()[0] > os.cpu_count():
            return f"{foretold:.1f} ms foretold; the machine is too busy to tell: {found} ms on the wire and in all"
        raise Failed(f"{found} ms on the wire and in all where {foretold:.1f} were foretold")


if __name__ == "__main__":
    sys.exit(run([refresh_is_what_check_foretold]))
