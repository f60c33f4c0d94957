#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `weir check --plan` foretells of a line, and what the same line then does: asked for more than it carries, so that
its pace is the wire's. What a round puts on the wire is judged always; how long it takes only where this machine wakes up
in time."""

import os
import re
import subprocess
import sys
import time

import site_room  # first: it knows where harness is
import harness
from harness import Failed, run, wait

UNITS, ATTEMPTS, SPAN_S, BUSY_MS = 4, 5, 5, 0.5
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

    def on_the_wire_ms(self, span_s=3):
        """What the requests of a round and their replies take, by their bytes, the silence around them and the turnaround."""
        before, first = self.bus.stats(), [self.readings(u) for u in range(1, UNITS + 1)]
        time.sleep(span_s)
        after, last = self.bus.stats(), [self.readings(u) for u in range(1, UNITS + 1)]
        counted = {key: after[key] - before[key] for key in ("bytes_in", "bytes_out", "requests")}
        char_ms = 1000 * BITS / BAUD
        spent = (counted["bytes_in"] + counted["bytes_out"]) * char_ms + counted["requests"] * (7 * char_ms + TURNAROUND_MS)
        a_round = round(counted["requests"] * UNITS / (sum(last) - sum(first)))  # requests; the span cuts it at both ends
        return spent * a_round / counted["requests"]

    def measured_ms(self):
        """And by how much this machine is late meanwhile, when it is asked to wake up."""
        began, first = time.monotonic(), [self.readings(u) for u in range(1, UNITS + 1)]
        late, naps = 0.0, 0
        while time.monotonic() < began + SPAN_S:
            nap = time.monotonic()
            time.sleep(0.005)
            late += time.monotonic() - nap - 0.005
            naps += 1
        span, last = time.monotonic() - began, [self.readings(u) for u in range(1, UNITS + 1)]
        return 1000 * span * UNITS / (sum(last) - sum(first)), 1000 * late / naps


def refresh_is_what_check_foretold():
    with Line() as line:
        line.build()
        foretold = line.foretold_ms()
        # Until the plan was made from what was measured.
        wait(lambda: min(line.readings(u) for u in range(1, UNITS + 1)) > 20, 60, "every device was read twenty times")
        spent = line.on_the_wire_ms()
        if abs(spent - foretold) > 0.05 * foretold:
            raise Failed(f"a round puts {spent:.1f} ms on the wire where {foretold:.1f} were foretold")
        found, quietest = [], 1000.0
        for _ in range(ATTEMPTS):
            measured, late = line.measured_ms()
            found.append(round(measured, 1))
            quietest = min(quietest, late)
            print(f"foretold {foretold:.1f} ms, measured {measured:.1f} ms, wakes {late:.2f} ms late")
            if abs(measured - foretold) <= 0.05 * foretold:
                return f"{spent:.1f} ms on the wire, a round in {measured:.1f} ms, {foretold:.1f} foretold"
        # A machine that others keep busy adds its own delays to those of the wire.
        if quietest > BUSY_MS or os.getloadavg()[0] > os.cpu_count():
            return f"{spent:.1f} ms on the wire of {foretold:.1f}; the machine is too busy to tell how fast: {found} ms"
        raise Failed(f"{found} ms where {foretold:.1f} were foretold")


if __name__ == "__main__":
    sys.exit(run([refresh_is_what_check_foretold]))
