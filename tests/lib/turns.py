# SPDX-License-Identifier: MIT
"""What tests/lib/turnmeter.so saw of a broker: how long the turns of its loop are, in processor time."""
import collections
import mmap
import os
import pathlib
import struct

OCTAVES, PARTS, LAST = 36, 8, 4096
HEAD, TURN = struct.Struct(f"QQ{OCTAVES * PARTS}QQ"), struct.Struct("QQQQIIIIII")
PACKETS = ("nothing", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
           "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH")
CALLS = ("its end", "a read", "a write", "an accept", "a close", "a look")

Turn = collections.namedtuple("Turn", "ns most_ns read_bytes written_bytes reads writes accepts closes first_byte ends_with")


def told(turn):
    return (f"{turn.ns / 1e6:.2f} ms: {turn.reads} reads of {turn.read_bytes} bytes, {turn.writes} writes of {turn.written_bytes}, "
            f"{turn.accepts} accepts, {turn.closes} closes; {turn.most_ns / 1e6:.2f} ms of it before {CALLS[turn.ends_with]}, "
            f"after {PACKETS[turn.first_byte >> 4]}")


class Span:
    """Of the turns between two looks: how many, their time in all, the longest."""

    def __init__(self, before, after):
        counts = [b - a for a, b in zip(before[2:-1], after[2:-1])]
        self.turns, self.ns = after[0] - before[0], after[1] - before[1]
        self.longest_ns = max((top(i) for i, n in enumerate(counts) if n), default=0)
        self.counts, self.longs = counts, after[-1] - before[-1]

    def quantile_ns(self, part):
        """How long at most this part of those waits for the end of a turn who come while the broker is busy."""
        steps = [(top(i), n) for i, n in enumerate(self.counts) if n]
        for wait, _ in steps:
            if sum(n * (ns - wait) for ns, n in steps if ns > wait) <= (1 - part) * self.ns:
                return wait
        return self.longest_ns


def top(place):
    """The end of a step of the histogram."""
    octave = max(place // PARTS - 1, 0)
    return (place - octave * PARTS + 1 << octave) - 1


class Meter:
    """One for one process: environment() goes to it before it starts."""

    def __init__(self, folder, build, pressed=False):
        self.path, self.pressed, self.build = pathlib.Path(folder, "turns"), pressed, build
        self.path.write_bytes(bytes(HEAD.size + LAST * TURN.size))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def environment(self):
        more = {"LD_PRELOAD": f"{self.build}/tests/lib/turnmeter.so", "WEIR_TURNMETER": str(self.path)}
        return dict(os.environ, **more, **({"WEIR_TURNMETER_PRESSED": "1"} if self.pressed else {}))

    def look(self):
        return HEAD.unpack_from(self.map)

    def since(self, before):
        return Span(before, self.look())

    def longest(self, before):
        """The longest turns since then, of the last that were long."""
        end = self.look()[-1]
        numbers = range(max(before[-1], end - LAST), end)
        turns = [Turn(*TURN.unpack_from(self.map, HEAD.size + n % LAST * TURN.size)) for n in numbers]
        return sorted(turns, reverse=True)
