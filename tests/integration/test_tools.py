#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tools that work while the line polls: weir read, weir write, weir scan; and what they leave behind in the audit."""

import json
import subprocess
import sys

import site_room  # first: it knows where harness is
import harness
from harness import Failed, run, wait

CONFIG = """\
site: plant
control: {dir}/weir.sock
lines:
  bus: {{driver: modbus-rtu, port: {dir}/bus, baud: 115200, reply_timeout: 300ms}}
devices:
  a:
    line: bus
    unit: 1
    every: 50ms
    identify: {identify}
    points:
      readings: {{holding: 0, type: uint32}}
      setpoint: {{holding: 40, type: int16, scale: 0.1, writable: true, min: 20, max: 90}}
      mode: {{holding: 41, values: {{0: standby, 1: heating}}, writable: true}}
      bits: {{holding: 42, bit: 4, width: 3, writable: true}}
      apart: {{input: 9, write_holding: 43, writable: true}}
{more}
broker:
  listeners:
    - {{bind: "127.0.0.1:{broker}"}}
store:
  dir: {dir}/data
  max_bytes: 64MiB
"""


class Desk(harness.Room):
    """A line with three units, of which one is polled; the gateway; and a local subscriber to its events."""

    def build(self, more="", identify="false"):
        self.broker = harness.free_port()
        (self.dir / "data").mkdir()
        self.bus = self.sim(f"line bus {self.dir}/bus units=1-3 baud=115200", "set bus 1 holding 40 250 0 0xff8f")
        self.gateway = self.weir(CONFIG.format(dir=self.dir, broker=self.broker, more=more, identify=identify))
        self.events = self.recorder(self.broker, name="events", topic="plant/weir/event", qos=1, mqtt=5)
        wait(lambda: '"q":"good"' in self.ask("points", "a/readings")[1], 20, "the device is polled")
        return self

    def ask(self, *words, seconds=60):
        """Exit status, what it said, and what it complained of."""
        done = subprocess.run([harness.build_dir() / "gateway/weir", words[0], "--socket", self.dir / "weir.sock",
                               *words[1:]], capture_output=True, text=True, timeout=seconds, check=False)
        return done.returncode, done.stdout, done.stderr

    def fine(self, *words):
        status, said, complaint = self.ask(*words)
        if status != 0:
            raise Failed(f"{' '.join(words)}: {complaint or said}")
        return said

    def refused(self, *words):
        status, said, complaint = self.ask(*words)
        if status != 1:
            raise Failed(f"{' '.join(words)} was not refused: {said}")
        return complaint

    def register(self, unit, address):
        return int(self.bus.tell(f"get bus {unit} holding {address} 1").split()[0], 0)

    def heard(self):
        return [json.loads(a.payload) for a in harness.read_arrivals(self.events.journal)]


def must(condition, what):
    if not condition:
        raise Failed(what)


def read_shows_registers_as_every_type():
    with Desk() as desk:
        desk.build()
        desk.bus.tell("set bus 1 holding 60 0x4048 0xf5c3")
        said = desk.fine("read", "a", "holding", "60", "2")
        must("3.14" in said and "0x4048" in said and "CDAB" in said, said)
        must("0x4048" in desk.fine("read", "a", "ref", "40061"), "the reference counts from 1")
        must("vendor: weir" in desk.fine("read", "a", "id"), "it says who it is")
        must("is weir simulated slave" in desk.fine("status"), "and the status knows it from then on")
        must("0x" in desk.fine("read", "bus:3", "holding", "0"), "a unit that is in no map")
        desk.bus.tell("hole bus 1 holding 500 600")
        must("exception 2" in desk.refused("read", "a", "holding", "500"), "a hole is told")
        must("no such device" in desk.refused("read", "nobody", "holding", "0"), "a name that is none")


def what_cannot_be_done_says_what_may_help():
    with Desk() as desk:
        desk.build()
        must("weir scan" in desk.refused("read", "bus:9", "holding", "0"), "nobody answers")
        must("past the end" in desk.refused("read", "a", "holding", "65535", "2"), "a table ends")
        desk.bus.tell("fault bus 2 exception arg=11")
        must("the gateway on the way" in desk.refused("read", "bus:2", "holding", "0"), "a gateway reaches nobody")
        status, said, _ = desk.ask("scan", "bus", "--units", "2-3")
        must(status == 0 and "unit 2" not in said and "unit 3 answers" in said, said)
        must("below min" in desk.refused("write", "a", "setpoint", "--", "-5"), "words behind -- are taken as they are")
        for words in (("write",), ("write", "a"), ("read",), ("points", "a", "b")):
            status, _, complaint = desk.ask(*words)
            must(status == 2 and complaint.startswith("use it as: "), f"{words}: {status} {complaint}")


def status_of_a_line_counts_what_went_wrong_and_how():
    with Desk() as desk:
        desk.build()
        wait(lambda: figures(desk, "a")["replies"] > 3, 20, "a is read")

        def strike(fault, key, count):
            """What key counts of a goes up by what the fault did."""
            before = figures(desk, "a")
            desk.bus.tell(f"fault bus 1 {fault} count={count}")
            wait(lambda: key(figures(desk, "a")) >= key(before) + count, 30, lambda: f"{fault}: {figures(desk, 'a')}")

        strike("exception arg=6", lambda d: d["exceptions_by_code"].get("6", 0), 3)
        strike("bad-crc", lambda d: d["crc"], 2)
        strike("late arg=1500", lambda d: d["late"], 1)
        a, line = figures(desk, "a"), json.loads(desk.fine("status", "bus", "--json"))["line"]
        must(a["exceptions"] == sum(a["exceptions_by_code"].values()), f"exceptions add up: {a}")
        must(0 < a["median_ms"] <= a["p99_ms"] and a["timeouts"] > 0 and a["wire"] < 1, f"times and the wire: {a}")
        must(line["requests"] >= a["requests"] and line["noise_bytes"] == 0 and line["rate"] == 1, f"the line: {line}")
        said = desk.fine("status", "a")
        must("of code 6 (it is busy)" in said and "late" in said, said)
        must("no such line or device" in desk.refused("status", "nobody"), "a name that is none")


def figures(desk, device):
    return json.loads(desk.fine("status", device, "--json"))["devices"][0]


def device_that_is_to_be_asked_who_it_is_is_asked_once():
    with Desk() as desk:
        desk.build(identify="true")
        wait(lambda: "is weir simulated slave 1.0" in desk.fine("status"), 20, "the status knows it")


def write_reads_back_and_is_an_event():
    with Desk() as desk:
        desk.build()
        must("reads back as 61.5" in desk.fine("write", "a", "setpoint", "61.5"), "a point is written")
        must(desk.register(1, 40) == 615, "in its register")
        must("above max of the point, 90" in desk.refused("write", "a", "setpoint", "91"), "the limit is told")
        must(desk.register(1, 40) == 615, "and kept")
        desk.fine("write", "a", "mode", "heating")
        must(desk.register(1, 41) == 1, "a name is its number")
        must("standby, heating" in desk.refused("write", "a", "mode", "hot"), "the names are told")
        desk.fine("write", "a", "bits", "5")
        must(desk.register(1, 42) == 0xffdf, "the other bits stay")
        desk.fine("write", "a", "apart", "77")
        must(desk.register(1, 43) == 77, "it is written elsewhere")
        must("not writable" in desk.refused("write", "a", "readings", "1"), "what is not writable")
        must("reads back as -2.5" in desk.fine("write", "a", "holding", "70", "-2.5", "float32", "CDAB"), "raw")
        must(desk.register(1, 71) == 0xc020, "the low register first")
        wait(lambda: any(e.get("register") == "holding 70 as float32" for e in desk.heard()), 20, "the last event")
        by_topic = {(e["topic"], e["asked"]): e for e in desk.heard() if e["event"] == "command"}
        must(by_topic[("plant/bus/a/setpoint", "61.5")]["ok"] is True, "the write is an event")
        must('"v":25' in by_topic[("plant/bus/a/setpoint", "61.5")]["before"], "with what was there before")
        must(by_topic[("plant/bus/a/setpoint", "91")]["ok"] is False, "what was refused is one too")
        must(by_topic[("plant/bus/a/setpoint", "61.5")]["by"].startswith("weir write (uid "), "and who it was")


def scan_finds_units_while_the_line_polls():
    with Desk() as desk:
        desk.build()
        before = desk.bus.tell("stats bus")
        said = desk.fine("scan", "bus", "--units", "1-5", "--timeout", "150")
        for unit in (1, 2, 3):
            must(f"unit {unit} answers  (vendor: weir" in said, said)
        must("unit 4" not in said and "3 found" in said, said)
        must(desk.bus.tell("stats bus") != before, "it polls on")
        must('"q":"good"' in desk.ask("points", "a/readings")[1], "and nothing went bad")
        must("devices answer on this line" in desk.refused("scan", "bus", "--units", "1", "--settings"),
             "a line where somebody is up is not set up otherwise")


def scan_with_other_settings_gives_the_line_back():
    with Desk() as desk:
        desk.build()
        desk.bus.tell("fault bus * dead")
        wait(lambda: '"q":"bad"' in desk.ask("points", "a/readings")[1], 20, "nobody answers")
        status, said, complaint = desk.ask("scan", "bus", "--units", "1", "--timeout", "20", "--settings")
        must(status == 1 and "nobody answers with any of these settings" in said, said + complaint)
        desk.bus.tell("fault bus * none")
        wait(lambda: '"q":"good"' in desk.ask("points", "a/readings")[1], 30, "the line is as it was")


def register_list_of_a_manual_becomes_a_template():
    with Desk() as desk:
        weir = harness.build_dir() / "gateway/weir"
        table = desk.dir / "meter.csv"
        table.write_bytes(b"\xef\xbb\xbfname;table;address;type;scale;unit;writable;values\r\n"
                          b"Flow temp;holding;100;float32;;\xc2\xb0C;;\r\n"
                          b'"Set/point";holding;40;int16;0,1;;yes;\r\n'
                          b'Mode;input;3;;;;;"0=off | 1=on"\r\n')
        done = subprocess.run([weir, "import", table], capture_output=True, text=True, timeout=30, check=False)
        must(done.returncode == 0, done.stderr)
        for said in ("Flow-temp: {holding: 100, type: float32", "scale: 0.1, writable: true", "{0: off, 1: on}"):
            must(said in done.stdout.replace('"', ""), done.stdout)
        (desk.dir / "templates").mkdir()
        (desk.dir / "templates/meter.yaml").write_text(done.stdout)
        (desk.dir / "site.yaml").write_text("site: plant\nlines: {bus: {driver: modbus-rtu, port: /dev/ttyUSB0}}\n"
                                            "devices: {meter: {line: bus, template: meter}}\n")
        checked = subprocess.run([weir, "check", desk.dir / "site.yaml"], capture_output=True, text=True, timeout=30,
                                 check=False)
        must(checked.returncode == 0 and "3 points" in checked.stdout, checked.stdout + checked.stderr)
        table.write_text("name,colour\nx,red\n")
        done = subprocess.run([weir, "import", table], capture_output=True, text=True, timeout=30, check=False)
        must(done.returncode == 1 and "there is no key `colour`" in done.stderr, done.stderr)


if __name__ == "__main__":
    sys.exit(run([status_of_a_line_counts_what_went_wrong_and_how, what_cannot_be_done_says_what_may_help,
                  register_list_of_a_manual_becomes_a_template, read_shows_registers_as_every_type,
                  device_that_is_to_be_asked_who_it_is_is_asked_once, write_reads_back_and_is_an_event,
                  scan_finds_units_while_the_line_polls, scan_with_other_settings_gives_the_line_back]))
