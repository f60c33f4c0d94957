#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Devices that others wrote: servers of libmodbus and of pymodbus, over TCP, RTU and ASCII. Values in every table, the
functions for writing (5, 6, 16, 22, 23), and who the device says it is."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import threading
import tty

import site_room  # first: it knows where harness is
import harness
from harness import Failed, Skipped, run, wait

LIB = pathlib.Path(__file__).resolve().parents[1] / "lib"

CONFIG = """\
site: plant
control: {dir}/weir.sock
lines:
{lines}
devices:
{devices}
broker:
  listeners:
    - {{bind: "127.0.0.1:{broker}"}}
store:
  dir: {dir}/data
  max_bytes: 64MiB
"""

DEVICE = """\
  {name}:
    line: {name}
    unit: {unit}
    every: 200ms
    writes: {writes}
    points:
      one: {{holding: 10}}
      pair: {{holding: 20, type: uint32}}
      far: {{holding: 40, type: uint64, order: GHEFCDAB}}
      raw: {{input: 11, type: int16, scale: 0.5}}
      off: {{coil: 4}}
      on: {{discrete: 5}}
      level: {{holding: 100, type: float32, order: CDAB, writable: true}}
      bits: {{holding: 110, bit: 4, width: 3, writable: true}}
      valve: {{coil: 7, writable: true, values: {{0: shut, 1: open}}}}
"""

WANT = {"one": 266, "pair": 276 << 16 | 277, "far": 299 << 48 | 298 << 32 | 297 << 16 | 296, "raw": 133.5, "off": False,
        "on": True, "bits": (366 >> 4) & 7, "valve": "open"}


class NullModem:
    """Two ptys back to back: what goes into one comes out of the other."""

    def __init__(self, room, name):
        self.ends, self.paths = [], []
        for i in "ab":
            master, slave = os.openpty()
            tty.setraw(master)
            path = room.dir / f"{name}-{i}"
            os.symlink(os.ttyname(slave), path)
            self.ends.append(master)
            self.paths.append(path)
            self.keep = getattr(self, "keep", []) + [slave]  # held open: a pty with nobody at it hangs up
        for a, b in (self.ends, self.ends[::-1]):
            threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := os.read(source, 512):
                os.write(sink, data)
        except OSError:
            pass  # the room was left


class Room(harness.Room):
    def server(self, name, *argv):
        server = self.add(harness.Program(self, name, argv))
        server.start(r"^ready$", seconds=60)
        return server

    def gateway(self, lines, devices):
        (self.dir / "data").mkdir()
        config = CONFIG.format(dir=self.dir, broker=harness.free_port(), lines="\n".join(lines),
                               devices="".join(devices))
        return self.weir(config)

    def ask(self, *words):
        done = subprocess.run([harness.build_dir() / "gateway/weir", words[0], "--socket", self.dir / "weir.sock",
                               *words[1:]], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def values(self, device):
        found = {}
        for line in self.ask("points", f"/{device}/").splitlines():
            topic, *rest = line.split(None, 1)
            if rest and rest[0].startswith("{"):
                payload = json.loads(rest[0][:rest[0].rindex("}") + 1])
                found[topic.rsplit("/", 1)[1]] = payload["v"] if payload["q"] == "good" else payload
        return found


def check(room, name):
    for bits in ("valve", "open"), ("bits", str(WANT["bits"])):
        room.ask("write", name, *bits)  # as they were, also at the second time
    wait(lambda: all(room.values(name).get(k) == v for k, v in WANT.items()), 30,
         lambda: f"{name} is read: {room.values(name)}\n{room.ask('status')}")
    for words, answer in [(("level", "21.75"), "reads back as 21.75"), (("bits", "5"), "reads back as 5"),
                          (("valve", "shut"), 'reads back as "shut"')]:
        said = room.ask("write", name, *words)
        if answer not in said:
            raise Failed(f"{name}: write {words}: {said}")
    if "reads back as 12345" not in room.ask("write", name, "holding", "111", "12345"):
        raise Failed(f"{name}: a register in no map")
    # 366 with 5 in its bits 4 to 6; the others are as they were.
    if f"{(366 & ~0x70) | 0x50:#06x}" not in room.ask("read", name, "holding", "110"):
        raise Failed(f"{name}: {room.ask('read', name, 'holding', '110')}")
    wait(lambda: room.values(name).get("level") == 21.75, 20, f"{name}: the new value is polled")
    if "exception 2" not in room.ask("read", name, "holding", "5000"):
        raise Failed(f"{name}: a register that is not there")


def devices_of_libmodbus_are_read_and_written():
    with Room() as room:
        modem, port = NullModem(room, "bus"), harness.free_port()
        modbusd = harness.build_dir() / "tests/lib/modbusd"
        room.server("server-tcp", modbusd, "tcp", port)
        room.server("server-rtu", modbusd, "rtu", modem.paths[1], 7)
        room.gateway([f'  net: {{driver: modbus-tcp, address: "127.0.0.1:{port}"}}',
                      f"  bus: {{driver: modbus-rtu, port: {modem.paths[0]}, baud: 19200}}"],
                     [DEVICE.format(name="net", unit=1, writes="with-read"),
                      DEVICE.format(name="bus", unit=7, writes="auto")])
        check(room, "net")
        check(room, "bus")
        room.ask("read", "net", "id")  # it has none, and says so in ways of its own; what matters is what follows
        check(room, "net")


def devices_of_pymodbus_are_read_and_written():
    if not importlib.util.find_spec("pymodbus") or not importlib.util.find_spec("serial_asyncio"):
        raise Skipped("no python3-pymodbus with python3-serial-asyncio here; ./do test installs them")
    with Room() as room:
        modems, port = {kind: NullModem(room, kind) for kind in ("rtu", "ascii")}, harness.free_port()
        server = LIB / "pymodbusd.py"
        room.server("server-net", "/usr/bin/python3", server, "tcp", port)
        for kind, modem in modems.items():
            room.server(f"server-{kind}", "/usr/bin/python3", server, kind, modem.paths[1])
        room.gateway([f'  net: {{driver: modbus-tcp, address: "127.0.0.1:{port}"}}'] +
                     [f"  {kind}: {{driver: modbus-{kind}, port: {modem.paths[0]}, baud: 19200, bits: 8}}"
                      for kind, modem in modems.items()],
                     [DEVICE.format(name="net", unit=1, writes="with-read"),
                      DEVICE.format(name="rtu", unit=3, writes="auto"),
                      DEVICE.format(name="ascii", unit=3, writes="multiple")])
        for name in ("net", "rtu", "ascii"):
            check(room, name)
            said = room.ask("read", name, "id")
            if "vendor: pymodbus" not in said or "product: PM" not in said:
                raise Failed(f"{name}: {said}")


if __name__ == "__main__":
    sys.exit(run([devices_of_libmodbus_are_read_and_written, devices_of_pymodbus_are_read_and_written]))
