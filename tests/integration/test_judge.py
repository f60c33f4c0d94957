#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The gateway before a judge that knows the standard and the documentation only (tests/lib/bus_judge.py): no silence is
broken, no sample is wrong, and no point is called bad whose device answers every second time."""

import json
import os
import sys
import time

import site_room  # first: it knows where harness is
import bus_judge
import harness
from bus_judge import Judge
from harness import Failed, run, wait

SPAN_S = float(os.environ.get("WEIR_JUDGE_S", "2"))
SEED = int(os.environ.get("WEIR_SEED", "1"))
UNITS = range(1, 11)
POINTS = {"a": 0, "b": 2, "c": 4, "far-a": 100, "far-b": 102, "far-c": 104}
STALE_S = 0.5  # the reply_timeout, and what a busy machine adds

CONFIG = """\
site: plant
control: {dir}/weir.sock
lines:
  bus: {{driver: modbus-rtu, port: {dir}/bus, baud: {baud}, reply_timeout: 100ms, probe_max: 1s{more}}}
templates:
  meter:
    every: {every}
    points:
{points}
devices:
  all: {{line: bus, units: 1-10, template: meter}}
  everybody: {{line: bus, unit: 0, points: {{command: {{holding: 7, type: uint16, writable: true}}}}}}
broker:
  listeners: [{{bind: "127.0.0.1:{broker}"}}]
store: {{dir: {dir}/data, max_bytes: 64MiB}}
"""


class Court(harness.Room):
    def open(self, baud, every="50ms", more="", **judge):
        (self.dir / "data").mkdir()
        self.judge = Judge(str(self.dir / "bus"), baud, UNITS, seed=SEED, **judge)
        points = "".join(f"      {name}: {{holding: {at}, type: uint32, report: every}}\n" for name, at in POINTS.items())
        self.broker = broker = harness.free_port()
        self.clock_s = time.time() - time.monotonic()
        self.gateway = self.weir(CONFIG.format(dir=self.dir, baud=baud, every=every, points=points, broker=broker,
                                               more=more))
        self.samples = self.recorder(broker, topic="plant/bus/#", qos=0)
        wait(lambda: len(self.told(lambda unit, point, said: said["q"] != "bad")) > 60, 30, "values come")
        return self

    def __exit__(self, *error):
        self.judge.end()
        super().__exit__(*error)

    def weir_tell(self, *words):
        return harness.subprocess.run([harness.build_dir() / "gateway/weir", *words, "--socket", self.dir / "weir.sock"],
                                      capture_output=True, text=True)

    def told(self, wanted):
        """(unit, point, what was said) of each sample so far."""
        found = []
        for a in harness.read_arrivals(self.samples.journal):
            words = a.topic.split("/")
            if len(words) == 4 and words[1] == "bus" and words[2].startswith("all-"):
                unit, said = int(words[2][4:]), json.loads(a.payload)
                if wanted(unit, words[3], said):
                    found.append((unit, words[3], said))
        return found

    def is_wrong(self, unit, point, said):
        if said["q"] == "bad":
            return False
        value = int(said["v"])
        age_s = ((said["t"] / 1000 - self.clock_s) / bus_judge.TICK_S - (value & 0xFFFF)) % 65536 * bus_judge.TICK_S
        return value >> 24 != unit or value >> 16 & 0xFF != POINTS[point] or STALE_S < age_s < 600

    def asked(self):
        self.judge.tell("look")
        return self.judge.requests

    def verdict(self, dead=()):
        self.judge.tell("look")
        wrong = self.told(self.is_wrong)
        bad = self.told(lambda unit, point, said: said["q"] == "bad" and unit not in dead)
        good = len(self.told(lambda unit, point, said: said["q"] != "bad"))
        if self.judge.stalls and not wrong:
            return f"{self.judge.stalls} times the machine stood still: nothing else can be said"
        if wrong or bad or self.judge.violations:
            raise Failed(f"{len(wrong)} wrong samples {wrong[:3]}, {len(bad)} false bads {bad[:3]}, "
                         f"{len(self.judge.violations)} violations {self.judge.violations[:5]}; {good} good of "
                         f"{self.judge.requests} requests")
        return f"{self.judge.requests} requests, {good} good samples"


def sit(baud, *faults, more="", every="50ms", dead=(), **judge):
    with Court() as court:
        court.open(baud, every, more, faults=faults, **judge)
        time.sleep(SPAN_S)
        return court.verdict(dead)


def silence_is_kept_at_every_rate():
    said = []
    for baud in (9600, 19200, 115200):
        said.append(f"{baud}: " + sit(baud, every="10ms"))
    return "; ".join(said)


def replies_in_lumps_are_whole():
    return sit(19200, bus_judge.odd_chunks, bus_judge.lumps, bus_judge.pause_inside)


def latency_timer_of_an_adapter_is_no_fault():
    return sit(19200, bus_judge.latency_timer, rarely=1)


def bytes_before_and_behind_each_reply_are_passed_over():
    return sit(38400, bus_judge.glitch, bus_judge.byte_too_much, rarely=1)


def noise_around_replies_harms_nothing():
    return sit(38400, bus_judge.noise_behind, bus_judge.noise_before)


def replies_of_others_are_nobody_s():
    return sit(19200, bus_judge.another_unit, bus_judge.another_unit_first, bus_judge.wrong_function)


def damaged_replies_are_asked_for_again():
    return sit(115200, bus_judge.wrong_crc, bus_judge.cut_short, bus_judge.byte_lost, bus_judge.other_baud)


def twins_and_another_master_make_no_wrong_sample():
    return sit(19200, bus_judge.twins, bus_judge.another_master)


def late_replies_are_never_taken_for_others():
    return sit(115200, bus_judge.late, bus_judge.about_the_timeout, bus_judge.mute) + "; " + sit(
        19200, bus_judge.late, bus_judge.very_late, bus_judge.mute, dead=UNITS)


def busy_devices_are_asked_again():
    return sit(115200, bus_judge.acknowledged, bus_judge.busy)


def echo_is_swallowed():
    return sit(19200, bus_judge.odd_chunks, bus_judge.late, bus_judge.mute, more=", echo: true", echo=True)


def everything_at_once():
    return sit(115200, bus_judge.odd_chunks, bus_judge.lumps, bus_judge.noise_behind, bus_judge.noise_before,
               bus_judge.another_unit, bus_judge.another_unit_first, bus_judge.wrong_function, bus_judge.wrong_crc,
               bus_judge.cut_short, bus_judge.late, bus_judge.mute, bus_judge.busy)


def dead_devices_harm_no_other_and_come_back():
    said = []
    with Court() as court:
        court.open(115200)
        for dead in ({4}, {1, 2, 4, 7, 9}):
            court.judge.tell("dead", dead)
            wait(lambda: len({u for u, p, s in court.told(lambda u, p, s: s["q"] == "bad")} & dead) == len(dead), 20,
                 "the dead are told")
            time.sleep(SPAN_S / 2)
            back = len(court.told(lambda u, p, s: u in dead and s["q"] != "bad"))
            court.judge.tell("dead", set())
            wait(lambda: len(court.told(lambda u, p, s: u in dead and s["q"] != "bad")) > back, 20, "they are back")
            said.append(court.verdict({1, 2, 4, 7, 9}))
    return "; ".join(said)


def broadcast_is_given_its_time():
    with Court() as court:
        court.open(19200, answer_all=True)
        for value in range(5):
            said = court.weir_tell("write", "everybody", "command", str(value))
            if said.returncode != 0:
                raise Failed(said.stdout + said.stderr)
        last = court.asked()
        wait(lambda: court.asked() > last + 10, 20, "polls come after the last broadcast")
        return court.verdict()


def adapter_that_comes_back_under_another_name_is_found():
    with Court() as court:
        court.open(115200)
        for _ in range(3):
            before = len(court.told(lambda u, p, s: s["q"] == "bad"))
            court.judge.tell("unplug")
            wait(lambda: len(court.told(lambda u, p, s: s["q"] == "bad")) >= before + 60, 20, "all points are bad")
            good = len(court.told(lambda u, p, s: s["q"] != "bad"))
            court.judge.tell("plug in")
            wait(lambda: len(court.told(lambda u, p, s: s["q"] != "bad")) >= good + 60, 20, "values come again")
        return court.verdict(UNITS)


if __name__ == "__main__":
    sys.exit(run([silence_is_kept_at_every_rate, replies_in_lumps_are_whole,
                  latency_timer_of_an_adapter_is_no_fault, bytes_before_and_behind_each_reply_are_passed_over,
                  twins_and_another_master_make_no_wrong_sample, noise_around_replies_harms_nothing,
                  replies_of_others_are_nobody_s, damaged_replies_are_asked_for_again,
                  late_replies_are_never_taken_for_others, busy_devices_are_asked_again, echo_is_swallowed,
                  everything_at_once, dead_devices_harm_no_other_and_come_back, broadcast_is_given_its_time,
                  adapter_that_comes_back_under_another_name_is_found]))
